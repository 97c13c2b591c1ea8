/* SPDX-License-Identifier: Apache-2.0
 * folder_config.c - config.json out of GGUF keys, as the published models of each family write it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/convert.h"
#include "src/file/le.h"

static void put_int(json_t *o, const char *key, int64_t v)
{
    json_object_set_new(o, key, json_integer(v));
}

/* The shortest decimal that is this float: 1e-06, not 9.9999999747524271e-07. */
static json_t *real(float v)
{
    char s[40];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, (double)v);
        if (strtof(s, NULL) == v) break;
    }
    return json_real(strtod(s, NULL));
}

static void put_real(json_t *o, const char *key, float v)
{
    json_object_set_new(o, key, real(v));
}

static void put_bool(json_t *o, const char *key, bool v)
{
    json_object_set_new(o, key, json_boolean(v));
}

static void put_str(json_t *o, const char *key, const char *v)
{
    json_object_set_new(o, key, json_string(v));
}

/* llama3's divisors are a tensor in GGUF: finds the numbers that they came from. */
static enum fk_status find_llama3(const struct gguf *g, const struct model_config *c, json_t **out,
                                  struct fk_error *err)
{
    const struct gguf_tensor *t = gguf_find_tensor(g, "rope_freqs.weight");
    *out = NULL;
    if (!t) return FK_OK;
    int n = c->head_dim / 2;
    if (t->dtype != DT_F32 || t->shape[0] != (uint64_t)n || n < 1)
        return fail(err, FK_EFORMAT, "tensor 'rope_freqs.weight' is no vector of %d f32", n);
    double factor = (double)le_f32(t->data + 4 * (n - 1));
    for (int n_ctx = 8192, k = 3; k < 24; n_ctx = 1 << ++k) { /* 8192 first, then 16, 32, ... */
        bool same = true;
        for (int i = 0; i < n && same; i++) {
            double wave = 2 * 3.14159265358979323846 * pow((double)c->rope_theta, 2.0 * i / c->head_dim);
            double smooth = (n_ctx / wave - 1) / 3, want = 1 / ((1 - smooth) / factor + smooth);
            if (wave < n_ctx / 4.0) want = 1;
            if (wave > n_ctx) want = factor;
            same = fabs((double)le_f32(t->data + 4 * i) - want) <= 1e-5 * want;
        }
        if (!same) continue;
        *out = json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor", factor,
                         "low_freq_factor", 1.0, "high_freq_factor", 4.0,
                         "original_max_position_embeddings", n_ctx);
        return *out ? FK_OK : fail_nomem(err, 0, "config.json");
    }
    return fail(err, FK_EUNSUPPORTED, "tensor 'rope_freqs.weight' is not made by the llama3 rule with "
                "low_freq_factor 1 and high_freq_factor 4");
}

/* Only what the file says: others' defaults are the same. */
static void copy_beta(json_t *scaling, const struct gguf *g, const struct model_config *c,
                      const char *name)
{
    char key[96];
    double v = 0;
    snprintf(key, sizeof key, "%s.rope.scaling.yarn_%s", c->architecture, name);
    gguf_get_f64(g, key, false, 0, 1e9, &v, NULL);
    if (v > 0) put_real(scaling, name, (float)v);
}

static enum fk_status put_rope(json_t *o, const struct gguf *g, const struct model_config *c,
                               struct fk_error *err)
{
    const struct rope_scaling *s = &c->rope_scaling;
    json_t *scaling = NULL;
    put_real(o, "rope_theta", c->rope_theta);
    if (c->family == FAMILY_GEMMA3) put_real(o, "rope_local_base_freq", c->rope_theta_local);
    if (s->kind == ROPE_PLAIN) {
        TRY(find_llama3(g, c, &scaling, err));
    } else {
        scaling = json_object();
        put_str(scaling, "rope_type", s->kind == ROPE_YARN ? "yarn" : "linear");
        put_str(scaling, "type", s->kind == ROPE_YARN ? "yarn" : "linear");
        put_real(scaling, "factor", s->factor);
    }
    if (s->kind == ROPE_YARN) {
        char key[96];
        double all = 0, factor = 0;
        put_int(scaling, "original_max_position_embeddings", s->n_ctx_orig);
        copy_beta(scaling, g, c, "beta_fast");
        copy_beta(scaling, g, c, "beta_slow");
        snprintf(key, sizeof key, "%s.rope.scaling.yarn_log_multiplier", c->architecture);
        gguf_get_f64(g, key, false, 0, 100, &all, NULL);
        if (all > 0) {
            put_real(scaling, "mscale", (float)(all * 10));
            put_real(scaling, "mscale_all_dim", (float)(all * 10));
        }
        snprintf(key, sizeof key, "%s.rope.scaling.yarn_attn_factor", c->architecture);
        gguf_get_f64(g, key, false, 0, 1e6, &factor, NULL);
        if (factor > 0) put_real(scaling, "attention_factor", (float)factor);
    }
    json_object_set_new(o, "rope_scaling", scaling ? scaling : json_null());
    return FK_OK;
}

static void put_llama(json_t *o, const struct gguf *g)
{
    put_bool(o, "attention_bias", gguf_find_tensor(g, "blk.0.attn_q.bias") != NULL);
    put_bool(o, "mlp_bias", false);
}

static void put_gemma3(json_t *o, const struct gguf *g, const struct model_config *c)
{
    json_t *types = json_array();
    const struct gguf_kv *kv = gguf_find(g, "gemma3.attention.sliding_window_pattern");
    for (int i = 0; i < c->n_layers; i++) {
        bool local = (i + 1) % c->window_pattern != 0;
        if (kv && kv->item_type == GGUF_BOOL && (uint64_t)i < kv->n_items) local = kv->data[i];
        json_array_append_new(types, json_string(local ? "sliding_attention" : "full_attention"));
    }
    json_object_set_new(o, "layer_types", types);
    put_int(o, "sliding_window", c->window);
    put_int(o, "sliding_window_pattern", c->window_pattern);
    put_int(o, "query_pre_attn_scalar", lroundf(1 / (c->attn_scale * c->attn_scale)));
    put_str(o, "hidden_activation", "gelu_pytorch_tanh");
    json_object_set_new(o, "attn_logit_softcapping",
                        c->attn_softcap > 0 ? real(c->attn_softcap) : json_null());
    json_object_set_new(o, "final_logit_softcapping",
                        c->logit_softcap > 0 ? real(c->logit_softcap) : json_null());
    put_bool(o, "attention_bias", false);
}

/* The width of an expert stands in its tensor where no key has it. */
static int expert_width(const struct gguf *g, const struct model_config *c)
{
    for (int i = c->n_dense_layers; i < c->n_layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.ffn_gate_exps.weight", i);
        const struct gguf_tensor *t = gguf_find_tensor(g, name);
        if (t && t->shape[1] <= INT32_MAX) return (int)t->shape[1];
    }
    return c->n_ff_expert;
}

static void put_qwen3moe(json_t *o, const struct gguf *g, const struct model_config *c)
{
    put_int(o, "num_experts", c->n_experts);
    put_int(o, "num_experts_per_tok", c->n_experts_used);
    put_int(o, "moe_intermediate_size", expert_width(g, c));
    put_int(o, "decoder_sparse_step", 1);
    json_object_set_new(o, "mlp_only_layers", json_array());
    put_bool(o, "norm_topk_prob", c->route.normalize);
}

static void put_deepseek2(json_t *o, const struct model_config *c, bool is_v3)
{
    json_object_set_new(o, "q_lora_rank", c->q_rank ? json_integer(c->q_rank) : json_null());
    put_int(o, "kv_lora_rank", c->kv_rank);
    put_int(o, "qk_nope_head_dim", c->nope_dim);
    put_int(o, "qk_rope_head_dim", c->rope_dim);
    put_int(o, "v_head_dim", c->v_head_dim);
    put_int(o, "first_k_dense_replace", c->n_dense_layers);
    if (c->n_mtp_layers) put_int(o, "num_nextn_predict_layers", c->n_mtp_layers);
    if (c->n_dense_layers == c->n_layers) return;
    put_int(o, "n_routed_experts", c->n_experts);
    put_int(o, "num_experts_per_tok", c->n_experts_used);
    put_int(o, "n_shared_experts", c->n_shared_experts);
    put_int(o, "moe_intermediate_size", c->n_ff_expert);
    put_int(o, "moe_layer_freq", 1);
    put_int(o, "n_group", c->route.n_groups);
    put_int(o, "topk_group", c->route.n_groups_used);
    put_bool(o, "norm_topk_prob", c->route.normalize);
    put_real(o, "routed_scaling_factor", c->route.scale);
    put_str(o, "scoring_func", is_v3 ? "sigmoid" : "softmax");
    put_str(o, "topk_method",
            is_v3 ? "noaux_tc" : c->route.n_groups > 1 ? "group_limited_greedy" : "greedy");
}

static void put_common(json_t *o, const struct gguf *g, const struct model_config *c, enum dtype type)
{
    const struct gguf_tensor *embd = gguf_find_tensor(g, "token_embd.weight");
    put_int(o, "vocab_size", embd ? (int64_t)embd->shape[1] : c->n_vocab);
    put_int(o, "hidden_size", c->n_embd);
    if (c->n_ff) put_int(o, "intermediate_size", c->n_ff);
    put_int(o, "num_hidden_layers", c->n_layers);
    put_int(o, "num_attention_heads", c->n_heads);
    put_int(o, "num_key_value_heads", c->n_kv_heads);
    if (c->family != FAMILY_DEEPSEEK2) put_int(o, "head_dim", c->head_dim);
    put_int(o, "max_position_embeddings", c->n_ctx_train);
    put_real(o, "rms_norm_eps", c->norm_eps);
    put_str(o, "hidden_act", "silu");
    put_bool(o, "tie_word_embeddings", gguf_find_tensor(g, "output.weight") == NULL);
    put_str(o, "torch_dtype", type == DT_F32 ? "float32" : type == DT_BF16 ? "bfloat16" : "float16");
    static const char *const ids[][2] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"},
                                         {"eos_token_id", "tokenizer.ggml.eos_token_id"},
                                         {"pad_token_id", "tokenizer.ggml.padding_token_id"}};
    for (size_t i = 0; i < 3; i++) {
        int64_t id = -1;
        gguf_get_int(g, ids[i][1], false, 0, INT32_MAX, &id, NULL);
        json_object_set_new(o, ids[i][0], id >= 0 ? json_integer(id) : json_null());
    }
    put_bool(o, "use_cache", true);
}

enum fk_status folder_config(const struct gguf *g, const struct model_config *c, enum dtype type,
                             json_t **out, struct fk_error *err)
{
    static const char *const names[][2] = {
        [FAMILY_LLAMA] = {"LlamaForCausalLM", "llama"},
        [FAMILY_QWEN2] = {"Qwen2ForCausalLM", "qwen2"},
        [FAMILY_QWEN3] = {"Qwen3ForCausalLM", "qwen3"},
        [FAMILY_QWEN3MOE] = {"Qwen3MoeForCausalLM", "qwen3_moe"},
        [FAMILY_GEMMA3] = {"Gemma3ForCausalLM", "gemma3_text"},
        [FAMILY_DEEPSEEK2] = {"DeepseekV2ForCausalLM", "deepseek_v2"}};
    bool is_v3 = c->family == FAMILY_DEEPSEEK2 && c->route.gate == ROUTE_SIGMOID;
    const char *arch = is_v3 ? "DeepseekV3ForCausalLM" : names[c->family][0];
    json_t *o = json_pack("{s:[s], s:s}", "architectures", arch, "model_type",
                          is_v3 ? "deepseek_v3" : names[c->family][1]);
    if (!o) return fail_nomem(err, 0, "config.json");
    put_common(o, g, c, type);
    if (c->family == FAMILY_LLAMA) put_llama(o, g);
    if (c->family == FAMILY_QWEN2) put_bool(o, "use_sliding_window", false);
    if (c->family == FAMILY_QWEN3 || c->family == FAMILY_QWEN3MOE) put_bool(o, "attention_bias", false);
    if (c->family == FAMILY_QWEN3MOE) put_qwen3moe(o, g, c);
    if (c->family == FAMILY_GEMMA3) put_gemma3(o, g, c);
    if (c->family == FAMILY_DEEPSEEK2) put_deepseek2(o, c, is_v3);
    enum fk_status st = put_rope(o, g, c, err);
    if (st != FK_OK) {
        json_decref(o);
        return st;
    }
    *out = o;
    return FK_OK;
}
