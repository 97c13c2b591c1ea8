/* SPDX-License-Identifier: Apache-2.0
 * chat_test.c - fk_chat_render on small vocabularies: special tokens from the template only (row
 * R13), BOS once, think tags, tool calls, arguments that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "fikr/chat.h"
#include "src/api/handles.h"
#include "src/base/alloc.h"
#include "tests/unit/text/vocab_build.h"

static struct tokenizer *bpe, *spm;

static fk_model model_of(const struct tokenizer *t, char *text)
{
    return (fk_model){.tokenizer = t, .template_text = text,
                      .template_bytes = text ? strlen(text) : 0,
                      .has_thinking = text && strstr(text, "<think>")};
}

struct prompt { char *text; int32_t *ids; size_t n; int opens; };

static enum fk_status render(const fk_model *m, const struct fk_message *messages, size_t n,
                             const struct fk_chat_params *p, struct prompt *out,
                             struct fk_error *err)
{
    *out = (struct prompt){0};
    return fk_chat_render(m, messages, n, p, &out->text, &out->ids, &out->n, &out->opens, err);
}

static void done(struct prompt *p)
{
    mem_free(p->text);
    mem_free(p->ids);
}

static size_t count(const struct prompt *p, int32_t id)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) n += p->ids[i] == id;
    return n;
}

static void user_text_is_never_special(void **state)
{
    (void)state;
    fk_model m =
        model_of(bpe, "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}");
    static const struct fk_message chat[] = {
        {.role = "user", .content = "a <|end|> b <think> c"},
        {.role = "<|end|>", .content = "{{ '<|end|>' }}<|end"},
        {.role = "assistant", .content = "|end|>x<"},
    };
    struct prompt p;
    struct fk_error err;
    int32_t end = tokenizer_find(bpe, "<|end|>");
    assert_true(end >= 0);
    assert_int_equal(render(&m, chat, 3, NULL, &p, &err), FK_OK);
    assert_int_equal(count(&p, end), 3);
    assert_int_equal(p.ids[p.n - 1], end);
    assert_string_equal(p.text, "user: a <|end|> b <think> c<|end|><|end|>: {{ '<|end|>' }}<|end"
                                "<|end|>assistant: |end|>x<<|end|>");
    done(&p);
}

static void bos_comes_once(void **state)
{
    (void)state;
    static char *const texts[] = {
        "{{ messages[0].content }}", "{{ bos_token }}{{ messages[0].content }}",
        "<s>{{ messages[0].content }}", "{{ bos_token ~ messages[0].content }}"};
    static const struct fk_message chat[] = {{.role = "user", .content = "<s>hi</s>"}};
    for (size_t i = 0; i < 4; i++) {
        fk_model m = model_of(spm, texts[i]);
        struct prompt p;
        struct fk_error err;
        assert_int_equal(render(&m, chat, 1, NULL, &p, &err), FK_OK);
        assert_int_equal(count(&p, 1), 1);
        assert_int_equal(p.ids[0], 1);
        assert_int_equal(count(&p, 2), 0);
        done(&p);
    }
    fk_model m = model_of(spm, "{{ '' }}");
    struct prompt p;
    struct fk_error err;
    assert_int_equal(render(&m, NULL, 0, NULL, &p, &err), FK_OK);
    assert_int_equal(p.n, 1);
    done(&p);
}

static void thinking_is_opened_and_closed(void **state)
{
    (void)state;
    static char opening[] =
        "{{ messages[0].content }}{% if add_generation_prompt %}A:<think>\n{% endif %}",
                bare[] = "{{ messages[0].content }}{% if add_generation_prompt %}A:<think>{% endif %}",
                leaving[] = "{{ messages[0].content.split('<think>')[0] }}A:",
                asking[] = "{{ messages[0].content }}A:{% if enable_thinking is defined and not "
                           "enable_thinking %}<think></think>{% endif %}";
    static const struct {
        char *text;
        enum fk_thinking thinking;
        int no_prompt, opens;
        const char *out;
    } rows[] = {
        {opening, FK_THINK_AUTO, 0, 1, "x<think>A:<think>\n"},
        {opening, FK_THINK_ON, 0, 1, "x<think>A:<think>\n"},
        {opening, FK_THINK_OFF, 0, 0, "x<think>A:<think>\n\n</think>\n\n"},
        {bare, FK_THINK_ON, 0, 1, "x<think>A:<think>"},
        {bare, FK_THINK_OFF, 0, 0, "x<think>A:<think></think>"},
        {opening, FK_THINK_AUTO, 1, 0, "x<think>"}, /* the message's own tag opens nothing */
        {leaving, FK_THINK_AUTO, 0, 0, "xA:"},
        {leaving, FK_THINK_ON, 0, 1, "xA:<think>\n"},
        {asking, FK_THINK_ON, 0, 0, "x<think>A:"},
        {asking, FK_THINK_OFF, 0, 0, "x<think>A:<think></think>"},
    };
    static const struct fk_message chat[] = {{.role = "user", .content = "x<think>"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fk_model m = model_of(bpe, rows[i].text);
        struct fk_chat_params params;
        struct prompt p;
        struct fk_error err;
        fk_chat_default_params(&params);
        params.thinking = rows[i].thinking;
        params.no_generation_prompt = rows[i].no_prompt;
        assert_int_equal(render(&m, chat, 1, &params, &p, &err), FK_OK);
        assert_string_equal(p.text, rows[i].out);
        assert_int_equal(p.opens, rows[i].opens);
        done(&p);
    }
}

static void tool_calls_reach_both_kinds_of_template(void **state)
{
    (void)state;
    static const struct fk_message chat[] = {
        {.role = "assistant",
         .tool_calls_json = "[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                            "\"arguments\":\"{\\\"a\\\": 1}\"}}]"},
        {.role = "tool", .content = "7", .tool_call_id = "1", .name = "f"}};
    static char maps[] = "{{ messages[0].tool_calls[0].function.arguments | tojson }}",
                reads[] = "{{ messages[0].tool_calls[0].function.arguments.a + 1 }}",
                strings[] = "{{ 'args ' + messages[0].tool_calls[0].function.arguments }}",
                rest[] = "{{ messages[1].tool_call_id ~ messages[1].name ~ (tools is none) }}",
                tools[] = "{{ tools | length }}{{ tools[0].function.name }}";
    static const struct { char *text; const char *tools, *out; } rows[] = {
        {maps, NULL, "{\"a\": 1}"}, {reads, NULL, "2"}, {strings, NULL, "args {\"a\": 1}"},
        {rest, NULL, "1fTrue"}, {rest, "[]", "1fTrue"},
        {tools, "[{\"type\": \"function\", \"function\": {\"name\": \"g\"}}]", "1g"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fk_model m = model_of(bpe, rows[i].text);
        struct fk_chat_params params = {.tools_json = rows[i].tools};
        struct prompt p;
        struct fk_error err;
        if (render(&m, chat, 2, &params, &p, &err)) fail_msg("%s: %s", rows[i].text, err.message);
        assert_string_equal(p.text, rows[i].out);
        done(&p);
    }
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    fk_model m = model_of(bpe, "{{ messages[0].content }}"), none = model_of(NULL, NULL);
    struct fk_message ok = {.role = "user", .content = "x"}, no_role = {.content = "x"},
                      bad_calls = {.role = "assistant", .tool_calls_json = "{"},
                      object_calls = {.role = "assistant", .tool_calls_json = "{}"};
    struct prompt p;
    struct fk_error err;
    assert_int_equal(render(&none, &ok, 1, NULL, &p, &err), FK_EINVAL);
    assert_int_equal(render(&m, NULL, 1, NULL, &p, &err), FK_EINVAL);
    assert_int_equal(render(&m, &no_role, 1, NULL, &p, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "message 0"));
    assert_int_equal(render(&m, &bad_calls, 1, NULL, &p, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "tool_calls_json"));
    assert_int_equal(render(&m, &object_calls, 1, NULL, &p, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "array"));
    struct fk_chat_params params = {.tools_json = "nonsense"};
    assert_int_equal(render(&m, &ok, 1, &params, &p, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "tools_json"));
    params = (struct fk_chat_params){.template_text = "no_such_name"};
    assert_int_equal(render(&m, &ok, 1, &params, &p, &err), FK_EINVAL);
    params = (struct fk_chat_params){.template_text = "{{ raise_exception('no') }}"};
    assert_int_equal(render(&m, &ok, 1, &params, &p, &err), FK_EFORMAT);
    assert_null(p.text);
    assert_null(p.ids);
    ok.content = "half \xd8";
    assert_int_equal(render(&m, &ok, 1, NULL, &p, &err), FK_OK);
    assert_string_equal(p.text, "half \xef\xbf\xbd");
    done(&p);
    fk_model plain = model_of(bpe, NULL);
    ok.content = "x";
    assert_int_equal(render(&plain, &ok, 1, NULL, &p, &err), FK_OK);
    assert_string_equal(p.text, "User: x\n\nAssistant:");
    done(&p);
    params = (struct fk_chat_params){.template_text = "chatml"};
    assert_int_equal(fk_chat_render(&m, &ok, 1, &params, &p.text, NULL, NULL, NULL, &err), FK_OK);
    assert_string_equal(p.text, "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n");
    mem_free(p.text);
}

static void memory_may_run_out(void **state)
{
    (void)state;
    fk_model m = model_of(spm, "{% for m in messages %}{{ m.content | upper }}{% endfor %}<think>");
    struct fk_message chat[] = {{.role = "user", .content = "hello \xff"},
                                {.role = "tool", .content = "y"}};
    struct mem_stats before, after;
    bool failed = true;
    mem_get_stats(&before);
    for (int64_t n = 0; failed; n++) {
        struct prompt p;
        struct fk_error err;
        mem_inject(n, n % 2);
        enum fk_status st = render(&m, chat, 2, NULL, &p, &err);
        failed = mem_inject(-1, false) > 0;
        assert_int_equal(st, failed ? FK_ENOMEM : FK_OK);
        if (failed) {
            assert_null(p.ids);
            assert_null(p.text);
        }
        done(&p);
        mem_get_stats(&after);
        assert_int_equal(before.live_bytes, after.live_bytes);
    }
}

static int open_vocabularies(void **state)
{
    (void)state;
    static const char *const pieces[] = {"\xe2\x96\x81", "h", "i", "hi"};
    struct fk_error err;
    return small_bpe(&bpe, "gpt-2", small_joins, 4, &err) ||
           small_spm(&spm, "llama", false, pieces, 4, &err);
}

static int close_vocabularies(void **state)
{
    (void)state;
    tokenizer_destroy(&bpe);
    tokenizer_destroy(&spm);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_text_is_never_special), cmocka_unit_test(bos_comes_once),
        cmocka_unit_test(thinking_is_opened_and_closed),
        cmocka_unit_test(tool_calls_reach_both_kinds_of_template),
        cmocka_unit_test(wrong_arguments_are_named), cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, open_vocabularies, close_vocabularies);
}
