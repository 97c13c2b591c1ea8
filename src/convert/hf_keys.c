/* SPDX-License-Identifier: Apache-2.0
 * hf_keys.c - config.json to GGUF keys: the names and values that llama.cpp's converter writes, so that
 * other programs read the result; what it leaves out where a family differs is written in addition. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/hf_config.h"

struct keys {
    const struct hf_config *c;
    struct gguf_writer *w;
    struct fk_error *err;
    char key[128];
};

static const char *key_of(struct keys *k, const char *suffix)
{
    snprintf(k->key, sizeof k->key, "%s.%s", k->c->arch, suffix);
    return k->key;
}

static void put_int(struct keys *k, const char *suffix, int v)
{
    gguf_put_u32(k->w, key_of(k, suffix), (uint32_t)v);
}

static void put_float(struct keys *k, const char *suffix, double v)
{
    gguf_put_f32(k->w, key_of(k, suffix), (float)v);
}

/* Copies a number of config.json under a key, where it is there. */
static enum fk_status copy_int(struct keys *k, const char *from, const char *suffix, int absent)
{
    int v = absent;
    TRY(hf_int(k->c, k->c->text, from, 0, 1 << 30, &v, k->err));
    if (v >= 0) put_int(k, suffix, v);
    return FK_OK;
}

static enum fk_status copy_scaling(struct keys *k, const struct hf_rope *rope, const char *from,
                                   const char *suffix)
{
    double v = -1;
    TRY(hf_f64(k->c, rope->scaling, from, 0, 1e9, &v, k->err));
    if (v >= 0) put_float(k, suffix, v);
    return FK_OK;
}

static enum fk_status put_rope(struct keys *k)
{
    struct hf_rope rope;
    const struct hf_config *c = k->c;
    TRY(hf_rope_read(c, &rope, k->err));
    put_float(k, "rope.freq_base", rope.theta);
    if (c->family == FAMILY_GEMMA3) put_float(k, "rope.freq_base_swa", rope.theta_local);
    bool yarn = strcmp(rope.type, "yarn") == 0;
    double factor = 0;
    TRY(hf_f64(c, rope.scaling, "factor", 1e-6, 1e6, &factor, k->err));
    if ((!yarn && strcmp(rope.type, "linear") != 0) || factor == 0) return FK_OK;
    gguf_put_str(k->w, key_of(k, "rope.scaling.type"), rope.type);
    put_float(k, "rope.scaling.factor", factor);
    if (!yarn) return FK_OK;
    int n_ctx = 0;
    TRY(hf_int(c, c->text, "max_position_embeddings", 1, 1 << 30, &n_ctx, k->err));
    TRY(hf_int(c, rope.scaling, "original_max_position_embeddings", 1, 1 << 30, &n_ctx, k->err));
    put_int(k, "rope.scaling.original_context_length", n_ctx);
    TRY(copy_scaling(k, &rope, "extrapolation_factor", "rope.scaling.yarn_ext_factor"));
    TRY(copy_scaling(k, &rope, hf_get(rope.scaling, "attention_factor") ? "attention_factor" : "attn_factor",
                     "rope.scaling.yarn_attn_factor"));
    TRY(copy_scaling(k, &rope, "beta_fast", "rope.scaling.yarn_beta_fast"));
    TRY(copy_scaling(k, &rope, "beta_slow", "rope.scaling.yarn_beta_slow"));
    double all = -1;
    if (c->family == FAMILY_DEEPSEEK2)
        TRY(hf_f64(c, rope.scaling, "mscale_all_dim", 0, 1e3, &all, k->err));
    if (all >= 0) put_float(k, "rope.scaling.yarn_log_multiplier", 0.1 * all);
    return FK_OK;
}

/* What every family has. */
static enum fk_status put_common(struct keys *k)
{
    const struct hf_config *c = k->c;
    bool gemma = c->family == FAMILY_GEMMA3, mla = c->family == FAMILY_DEEPSEEK2;
    double eps = 1e-6;
    put_int(k, "block_count", c->n_layers + c->n_mtp_layers);
    TRY(copy_int(k, "max_position_embeddings", "context_length", gemma ? 131072 : 2048));
    put_int(k, "embedding_length", c->n_embd);
    TRY(copy_int(k, "intermediate_size", "feed_forward_length", gemma ? 9216 : -1));
    put_int(k, "attention.head_count", c->n_heads);
    put_int(k, "attention.head_count_kv", mla ? 1 : c->n_kv_heads);
    TRY(put_rope(k));
    TRY(hf_f64(c, c->text, "rms_norm_eps", 1e-30, 1, &eps, k->err));
    put_float(k, "attention.layer_norm_rms_epsilon", eps);
    if (!mla) {
        put_int(k, "attention.key_length", c->head_dim);
        put_int(k, "attention.value_length", c->head_dim);
    }
    if (c->family == FAMILY_LLAMA) put_int(k, "rope.dimension_count", c->head_dim);
    if (c->family == FAMILY_LLAMA || mla) put_int(k, "vocab_size", c->n_vocab);
    return FK_OK;
}

static enum fk_status put_qwen3moe(struct keys *k)
{
    put_int(k, "expert_count", k->c->n_experts);
    TRY(copy_int(k, "num_experts_per_tok", "expert_used_count", 8));
    put_int(k, "expert_feed_forward_length", k->c->n_ff_expert);
    /* Not in files of others, where it is taken for true. */
    if (!hf_bool(k->c->text, "norm_topk_prob", true))
        gguf_put_bool(k->w, key_of(k, "expert_weights_norm"), false);
    return FK_OK;
}

/* Which layers see a window only: every sixth sees all unless config.json says otherwise. */
static enum fk_status put_windows(struct keys *k)
{
    const struct hf_config *c = k->c;
    int pattern = 6;
    const json_t *types = hf_get(c->text, "layer_types");
    TRY(hf_int(c, c->text, "sliding_window_pattern", 1, MODEL_MAX_LAYERS, &pattern, k->err));
    TRY(copy_int(k, "sliding_window", "attention.sliding_window", 4096));
    bool as_pattern = true;
    uint8_t local[MODEL_MAX_LAYERS];
    for (int i = 0; types && i < c->n_layers; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        if (!type) return fail(k->err, FK_EFORMAT, "%s: layer_types has no entry %d", c->path, i);
        local[i] = strcmp(type, "sliding_attention") == 0;
        if (local[i] != ((i + 1) % pattern != 0)) as_pattern = false;
    }
    if (!as_pattern)
        gguf_put_array(k->w, key_of(k, "attention.sliding_window_pattern"), GGUF_BOOL, local,
                       (uint64_t)c->n_layers);
    else if (pattern != 6)
        put_int(k, "attention.sliding_window_pattern", pattern);
    return FK_OK;
}

static enum fk_status put_gemma3(struct keys *k)
{
    const struct hf_config *c = k->c;
    double softcap = 0, scalar = c->head_dim;
    TRY(put_windows(k));
    TRY(hf_f64(c, c->text, "final_logit_softcapping", 0, 1e6, &softcap, k->err));
    if (softcap > 0) put_float(k, "final_logit_softcapping", softcap);
    TRY(hf_f64(c, c->text, "query_pre_attn_scalar", 1e-3, 1e9, &scalar, k->err));
    if (scalar != c->head_dim) put_float(k, "attention.scale", 1 / sqrt(scalar));
    return FK_OK;
}

static enum fk_status put_deepseek_experts(struct keys *k)
{
    const struct hf_config *c = k->c;
    double scale = c->is_v3 ? 2.5 : 1;
    const char *score = json_string_value(hf_get(c->text, "scoring_func"));
    bool sigmoid = score ? strcmp(score, "sigmoid") == 0 : c->is_v3;
    if (score && !sigmoid && strcmp(score, "softmax") != 0)
        return fail(k->err, FK_EUNSUPPORTED, "%s: scoring_func is '%s', supported are sigmoid and softmax",
                    c->path, score);
    put_int(k, "expert_count", c->n_experts);
    TRY(copy_int(k, "num_experts_per_tok", "expert_used_count", c->is_v3 ? 8 : -1));
    const char *method = json_string_value(hf_get(c->text, "topk_method"));
    if (!method || strcmp(method, "greedy") != 0) {
        TRY(copy_int(k, "n_group", "expert_group_count", c->is_v3 ? 8 : -1));
        TRY(copy_int(k, "topk_group", "expert_group_used_count", c->is_v3 ? 4 : -1));
    } else {
        put_int(k, "expert_group_count", 1);
        put_int(k, "expert_group_used_count", 1);
    }
    put_int(k, "expert_gating_func", sigmoid ? 2 : 1);
    TRY(hf_f64(c, c->text, "routed_scaling_factor", 0, 1e6, &scale, k->err));
    put_float(k, "expert_weights_scale", scale);
    if (hf_bool(c->text, "norm_topk_prob", c->is_v3))
        gguf_put_bool(k->w, key_of(k, "expert_weights_norm"), true);
    return FK_OK;
}

static enum fk_status put_deepseek2(struct keys *k)
{
    const struct hf_config *c = k->c;
    int q_rank = json_object_get(c->text, "q_lora_rank") ? 0 : 1536, n_dense = c->is_v3 ? 3 : 0;
    if (!c->n_experts) n_dense = c->n_layers;
    TRY(hf_int(c, c->text, "q_lora_rank", 0, 65536, &q_rank, k->err));
    TRY(hf_int(c, c->text, "first_k_dense_replace", 0, MODEL_MAX_LAYERS, &n_dense, k->err));
    put_int(k, "leading_dense_block_count", n_dense);
    if (q_rank) put_int(k, "attention.q_lora_rank", q_rank);
    put_int(k, "attention.kv_lora_rank", c->kv_rank);
    put_int(k, "attention.key_length", c->kv_rank + c->rope_dim);
    put_int(k, "attention.value_length", c->kv_rank);
    put_int(k, "attention.key_length_mla", c->nope_dim + c->rope_dim);
    put_int(k, "attention.value_length_mla", c->v_dim);
    put_int(k, "rope.dimension_count", c->rope_dim);
    put_int(k, "expert_feed_forward_length", c->n_ff_expert);
    TRY(copy_int(k, "n_shared_experts", "expert_shared_count", c->is_v3 && c->n_experts ? 1 : 0));
    if (c->n_mtp_layers) put_int(k, "nextn_predict_layers", c->n_mtp_layers);
    return c->n_experts ? put_deepseek_experts(k) : FK_OK;
}

enum fk_status hf_put_keys(const struct hf_config *c, struct gguf_writer *w, const char *name,
                           enum dtype file_type, struct fk_error *err)
{
    struct keys k = {.c = c, .w = w, .err = err};
    gguf_put_str(w, "general.architecture", c->arch);
    gguf_put_str(w, "general.type", "model");
    gguf_put_str(w, "general.name", name);
    /* llama.cpp's numbers of file types. */
    gguf_put_u32(w, "general.file_type", file_type == DT_F32    ? 0
                                         : file_type == DT_F16  ? 1
                                         : file_type == DT_Q8_0 ? 7
                                                                : 32);
    gguf_put_u32(w, "general.quantization_version", 2);
    TRY(put_common(&k));
    if (c->family == FAMILY_QWEN3MOE) return put_qwen3moe(&k);
    if (c->family == FAMILY_GEMMA3) return put_gemma3(&k);
    if (c->family == FAMILY_DEEPSEEK2) return put_deepseek2(&k);
    return FK_OK;
}
