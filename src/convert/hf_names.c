/* SPDX-License-Identifier: Apache-2.0
 * hf_names.c - the table of tensor names, both ways. Experts and kv_b_proj are not in it: they change
 * shape (to_gguf.c, to_folder.c). */
#include "src/convert/hf_names.h"
#include <string.h>

#define ALL 0x3fu
#define GEMMA HF_IN(FAMILY_GEMMA3)
#define DEEPSEEK HF_IN(FAMILY_DEEPSEEK2)
#define QK_NORM (HF_IN(FAMILY_QWEN3) | HF_IN(FAMILY_QWEN3MOE) | GEMMA)
#define MOE (HF_IN(FAMILY_QWEN3MOE) | DEEPSEEK)

static const struct hf_name names[] = {
    {"model.embed_tokens.weight", "token_embd.weight", HF_PLAIN, false, ALL},
    {"model.norm.weight", "output_norm.weight", HF_NORM, false, ALL},
    {"lm_head.weight", "output.weight", HF_PLAIN, false, ALL},
    {"input_layernorm.weight", "attn_norm.weight", HF_NORM, true, ALL},
    {"post_attention_layernorm.weight", "post_attention_norm.weight", HF_NORM, true, GEMMA},
    {"post_attention_layernorm.weight", "ffn_norm.weight", HF_NORM, true, ALL & ~GEMMA},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight", HF_NORM, true, GEMMA},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight", HF_NORM, true, GEMMA},
    {"self_attn.q_proj.weight", "attn_q.weight", HF_QUERY, true, ALL},
    {"self_attn.k_proj.weight", "attn_k.weight", HF_KEY, true, ALL & ~DEEPSEEK},
    {"self_attn.v_proj.weight", "attn_v.weight", HF_PLAIN, true, ALL & ~DEEPSEEK},
    {"self_attn.o_proj.weight", "attn_output.weight", HF_PLAIN, true, ALL},
    {"self_attn.q_proj.bias", "attn_q.bias", HF_QUERY, true, ALL & ~DEEPSEEK},
    {"self_attn.k_proj.bias", "attn_k.bias", HF_KEY, true, ALL & ~DEEPSEEK},
    {"self_attn.v_proj.bias", "attn_v.bias", HF_PLAIN, true, ALL & ~DEEPSEEK},
    {"self_attn.o_proj.bias", "attn_output.bias", HF_PLAIN, true, ALL & ~DEEPSEEK},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", HF_NORM, true, QK_NORM},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", HF_NORM, true, QK_NORM},
    {"self_attn.q_a_proj.weight", "attn_q_a.weight", HF_PLAIN, true, DEEPSEEK},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", HF_PLAIN, true, DEEPSEEK},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight", HF_PLAIN, true, DEEPSEEK},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", HF_PLAIN, true, DEEPSEEK},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", HF_PLAIN, true, DEEPSEEK},
    {"mlp.gate_proj.weight", "ffn_gate.weight", HF_PLAIN, true, ALL},
    {"mlp.up_proj.weight", "ffn_up.weight", HF_PLAIN, true, ALL},
    {"mlp.down_proj.weight", "ffn_down.weight", HF_PLAIN, true, ALL},
    {"mlp.gate.weight", "ffn_gate_inp.weight", HF_PLAIN, true, MOE},
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias", HF_PLAIN, true, DEEPSEEK},
    {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight", HF_PLAIN, true, DEEPSEEK},
    {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight", HF_PLAIN, true, DEEPSEEK},
    {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight", HF_PLAIN, true, DEEPSEEK},
    {"eh_proj.weight", "nextn.eh_proj.weight", HF_PLAIN, true, DEEPSEEK},
    {"enorm.weight", "nextn.enorm.weight", HF_PLAIN, true, DEEPSEEK},
    {"hnorm.weight", "nextn.hnorm.weight", HF_PLAIN, true, DEEPSEEK},
    {"embed_tokens.weight", "nextn.embed_tokens.weight", HF_PLAIN, true, DEEPSEEK},
    {"shared_head.norm.weight", "nextn.shared_head_norm.weight", HF_PLAIN, true, DEEPSEEK},
    {"shared_head.head.weight", "nextn.shared_head_head.weight", HF_PLAIN, true, DEEPSEEK},
};

const char *const hf_expert_proj[3] = {"gate_proj", "up_proj", "down_proj"};
const char *const hf_expert_gguf[3] = {"ffn_gate_exps.weight", "ffn_up_exps.weight",
                                       "ffn_down_exps.weight"};

const struct hf_name *hf_name_find(enum model_family family, bool per_layer, const char *hf)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].per_layer == per_layer && names[i].families & HF_IN(family) &&
            strcmp(names[i].hf, hf) == 0)
            return &names[i];
    return NULL;
}

const struct hf_name *hf_name_of_gguf(enum model_family family, bool per_layer, const char *gguf)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].per_layer == per_layer && names[i].families & HF_IN(family) &&
            strcmp(names[i].gguf, gguf) == 0)
            return &names[i];
    return NULL;
}
