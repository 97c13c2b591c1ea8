/* SPDX-License-Identifier: Apache-2.0
 * template_builtin.c - templates for files that carry none, by name. Written here for the prompt
 * forms that their models publish. */
#include <string.h>
#include "src/text/template.h"

static const char chatml[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

static const char llama2[] =
    "{% set ns = namespace(system='') %}"
    "{% for m in messages %}"
    "{% if m.role == 'system' %}"
    "{% set ns.system = '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' %}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content | trim + ' ' + eos_token }}"
    "{% else %}{{ bos_token + '[INST] ' + ns.system + m.content | trim + ' [/INST]' }}"
    "{% set ns.system = '' %}{% endif %}{% endfor %}";

static const char llama3[] = "{{ bos_token }}{% for m in messages %}"
                             "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + "
                             "m.content | trim + '<|eot_id|>' }}"
                             "{% endfor %}{% if add_generation_prompt %}"
                             "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

static const char gemma[] =
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
    "{% if m.role == 'system' %}{% set ns.system = m.content | trim + '\n\n' %}{% else %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + ns.system +"
    " m.content | trim + '<end_of_turn>\n' }}{% set ns.system = '' %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";

static const char deepseek[] =
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ m.content }}"
    "{% elif m.role == 'assistant' %}"
    "{{ '<｜Assistant｜>' + (m.content.split('</think>') | last) + '<｜end▁of▁sentence｜>' }}"
    "{% else %}{{ '<｜User｜>' + m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}"
    "{% if enable_thinking is defined and not enable_thinking %}</think>{% else %}"
    "{{ '<think>\n' }}{% endif %}{% endif %}";

static const char plain[] =
    "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}";

static const struct { const char *name, *text; } builtin[] = {
    {"chatml", chatml}, {"llama2", llama2}, {"llama3", llama3}, {"gemma", gemma},
    {"deepseek", deepseek}, {"plain", plain}};

const char *template_builtin(const char *name)
{
    for (size_t i = 0; i < sizeof builtin / sizeof *builtin; i++)
        if (!strcmp(builtin[i].name, name)) return builtin[i].text;
    return NULL;
}
