/* SPDX-License-Identifier: Apache-2.0
 * config.c - hyper-parameters from metadata. What leaves this file is within these bounds:
 *
 *  (1) 1 <= n_layers <= 512 (MTP layers apart); n_embd, n_ff <= 2^20; n_ctx_train <= 2^30
 *  (2) n_kv_heads divides n_heads <= 4096; head dims <= 4096; their products fit an int
 *  (3) n_rot is even and at most a head; bases, factors and epsilon are finite and above 0
 *  (4) a mixture has 1 <= used <= experts <= 1024, groups divide experts and hold enough of them
 *
 * What keys do not say gets the default listed in doc/models.md. n_vocab comes from the embedding
 * (bind.c). Knows no tensors. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/model/blocks.h"

#define MAX_WIDTH (1 << 20)
#define MAX_HEADS 4096
#define MAX_HEAD_DIM 4096

struct reader {
    const struct gguf *g;
    const char *arch;
    char key[96];
    struct fk_error *err;
};

static const struct { const char *name; enum model_family family; } families[] = {
    {"llama", FAMILY_LLAMA},       {"qwen2", FAMILY_QWEN2},   {"qwen3", FAMILY_QWEN3},
    {"qwen3moe", FAMILY_QWEN3MOE}, {"gemma3", FAMILY_GEMMA3}, {"deepseek2", FAMILY_DEEPSEEK2},
};

/* Forms "llama.attention.head_count"; r->key stays for a sentence. */
static const char *key_of(struct reader *r, const char *suffix)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->arch, suffix);
    return r->key;
}

static enum fk_status read_int(struct reader *r, const char *suffix, bool required, int min,
                               int max, int *out)
{
    int64_t v = *out;
    TRY(gguf_get_int(r->g, key_of(r, suffix), required, min, max, &v, r->err));
    *out = (int)v;
    return FK_OK;
}

/* Finite and above 0 (bounds exclude both; NaN fails them). */
static enum fk_status read_positive(struct reader *r, const char *suffix, bool required,
                                    double max, float *out)
{
    double v = *out;
    TRY(gguf_get_f64(r->g, key_of(r, suffix), required, 1e-30, max, &v, r->err));
    if (!isfinite(v) || (gguf_find(r->g, r->key) && v <= 0))
        return fail(r->err, FK_EFORMAT, "%s is %g, not a number above 0", r->key, v);
    *out = (float)v;
    return FK_OK;
}

static enum fk_status read_name(struct model_config *c, struct reader *r)
{
    struct gguf_str s = {0};
    TRY(gguf_get_str(r->g, "general.architecture", true, &s, r->err));
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (s.n != strlen(families[i].name) || memcmp(s.p, families[i].name, s.n)) continue;
        c->family = families[i].family;
        snprintf(c->architecture, sizeof c->architecture, "%s", families[i].name);
        r->arch = c->architecture;
        s = (struct gguf_str){0};
        TRY(gguf_get_str(r->g, "general.name", false, &s, r->err));
        size_t n = s.n < sizeof c->name - 1 ? s.n : sizeof c->name - 1;
        if (n) memcpy(c->name, s.p, n);
        return FK_OK;
    }
    return fail(r->err, FK_EUNSUPPORTED,
                "general.architecture is '%.*s'; this program runs llama, qwen2, qwen3, qwen3moe, "
                "gemma3 and deepseek2", (int)(s.n < 64 ? s.n : 64), s.p);
}

/* (1) */
static enum fk_status read_sizes(struct model_config *c, struct reader *r)
{
    int n_blocks = 0;
    TRY(read_int(r, "nextn_predict_layers", false, 0, 64, &c->n_mtp_layers));
    TRY(read_int(r, "block_count", true, 1, MODEL_MAX_LAYERS, &n_blocks));
    if (c->n_mtp_layers >= n_blocks)
        return fail(r->err, FK_EFORMAT, "%s.nextn_predict_layers is %d of %d layers", r->arch,
                    c->n_mtp_layers, n_blocks);
    c->n_layers = n_blocks - c->n_mtp_layers;
    TRY(read_int(r, "embedding_length", true, 1, MAX_WIDTH, &c->n_embd));
    c->n_ctx_train = 2048;
    TRY(read_int(r, "context_length", false, 1, 1 << 30, &c->n_ctx_train));
    bool needs_ff = c->family != FAMILY_QWEN3MOE;
    TRY(read_int(r, "feed_forward_length", needs_ff, 0, MAX_WIDTH, &c->n_ff));
    if (needs_ff && c->n_ff < 1) return fail(r->err, FK_EFORMAT, "%s is 0", r->key);
    TRY(read_int(r, "vocab_size", false, 1, 1 << 24, &c->n_vocab));
    return read_positive(r, "attention.layer_norm_rms_epsilon", true, 1, &c->norm_eps);
}

/* (2) */
static enum fk_status read_heads(struct model_config *c, struct reader *r)
{
    TRY(read_int(r, "attention.head_count", true, 1, MAX_HEADS, &c->n_heads));
    c->n_kv_heads = c->n_heads;
    TRY(read_int(r, "attention.head_count_kv", false, 1, MAX_HEADS, &c->n_kv_heads));
    if (c->n_heads % c->n_kv_heads)
        return fail(r->err, FK_EFORMAT, "%s is %d, which does not divide %s.attention.head_count %d",
                    r->key, c->n_kv_heads, r->arch, c->n_heads);
    bool divides = c->n_embd % c->n_heads == 0; /* else the length must be said */
    c->head_dim = divides ? c->n_embd / c->n_heads : 0;
    TRY(read_int(r, "attention.key_length", !divides, 1, MAX_HEAD_DIM, &c->head_dim));
    c->v_head_dim = c->head_dim;
    TRY(read_int(r, "attention.value_length", false, 1, MAX_HEAD_DIM, &c->v_head_dim));
    if (c->head_dim > MAX_HEAD_DIM)
        return fail(r->err, FK_EFORMAT, "%s.attention.head_count is %d: heads of %d exceed %d",
                    r->arch, c->n_heads, c->head_dim, MAX_HEAD_DIM);
    return FK_OK;
}

/* MLA. Newer files: key_length is that of the latent cache and key_length_mla a head's; older ones
 * have a head's in key_length. */
static enum fk_status read_mla(struct model_config *c, struct reader *r)
{
    TRY(read_int(r, "attention.q_lora_rank", false, 0, MAX_WIDTH, &c->q_rank));
    TRY(read_int(r, "attention.kv_lora_rank", true, 1, MAX_HEAD_DIM, &c->kv_rank));
    TRY(read_int(r, "rope.dimension_count", true, 2, MAX_HEAD_DIM, &c->rope_dim));
    TRY(read_int(r, "attention.key_length_mla", false, 1, MAX_HEAD_DIM, &c->head_dim));
    TRY(read_int(r, "attention.value_length_mla", false, 1, MAX_HEAD_DIM, &c->v_head_dim));
    c->nope_dim = c->head_dim - c->rope_dim;
    if (c->nope_dim < 1)
        return fail(r->err, FK_EFORMAT,
                    "%s.rope.dimension_count is %d of a head of %d: none are left without", r->arch,
                    c->rope_dim, c->head_dim);
    c->n_kv_heads = c->n_heads; /* 1 in newer files: that of the latents */
    return FK_OK;
}

/* (4) */
static enum fk_status read_groups(struct model_config *c, struct reader *r)
{
    struct route_params *p = &c->route;
    /* Older files of DeepSeek-V2 (160 experts) and V3/R1 (256) lack the keys; their papers do not. */
    bool is_v2 = c->n_experts == 160 && p->gate == ROUTE_SOFTMAX;
    bool is_v3 = c->n_experts == 256 && p->gate == ROUTE_SIGMOID;
    p->n_groups = is_v2 || is_v3 ? 8 : 1;
    p->n_groups_used = is_v2 ? 3 : is_v3 ? 4 : 1;
    p->group_by_top2 = p->gate == ROUTE_SIGMOID;
    bool said = gguf_find(r->g, key_of(r, "expert_group_count"));
    if (said) p->n_groups_used = 1;
    TRY(read_int(r, "expert_group_count", false, 1, MODEL_MAX_EXPERTS, &p->n_groups));
    TRY(read_int(r, "expert_group_used_count", said && p->n_groups > 1, 1, p->n_groups,
                 &p->n_groups_used));
    if (p->n_groups <= 1) return FK_OK;
    int per_group = c->n_experts / p->n_groups;
    if (c->n_experts % p->n_groups || (p->group_by_top2 && per_group < 2))
        return fail(r->err, FK_EFORMAT, "%s.expert_group_count is %d for %d experts", r->arch,
                    p->n_groups, c->n_experts);
    if (per_group * p->n_groups_used < c->n_experts_used)
        return fail(r->err, FK_EFORMAT,
                    "%s.expert_used_count is %d, more than %d groups of %d experts hold", r->arch,
                    c->n_experts_used, p->n_groups_used, per_group);
    return FK_OK;
}

static enum fk_status read_experts(struct model_config *c, struct reader *r)
{
    struct route_params *p = &c->route;
    TRY(read_int(r, "expert_count", true, 1, MODEL_MAX_EXPERTS, &c->n_experts));
    TRY(read_int(r, "expert_used_count", true, 1, c->n_experts, &c->n_experts_used));
    TRY(read_int(r, "expert_shared_count", false, 0, 64, &c->n_shared_experts));
    TRY(read_int(r, "expert_feed_forward_length", c->family == FAMILY_DEEPSEEK2, 1, MAX_WIDTH,
                 &c->n_ff_expert));
    if (!c->n_ff_expert) c->n_ff_expert = c->n_ff; /* bind.c reads it off the tensor when 0 */
    bool is_qwen = c->family == FAMILY_QWEN3MOE;
    int gate = 1;
    TRY(read_int(r, "expert_gating_func", false, 1, 2, &gate));
    p->gate = gate == 2 ? ROUTE_SIGMOID : ROUTE_SOFTMAX;
    p->n_used = c->n_experts_used;
    p->normalize = is_qwen;
    TRY(gguf_get_bool(r->g, key_of(r, "expert_weights_norm"), false, &p->normalize, r->err));
    p->scale = 1;
    double scale = 1;
    TRY(gguf_get_f64(r->g, key_of(r, "expert_weights_scale"), false, 0, 1e6, &scale, r->err));
    if (scale > 0) p->scale = (float)scale; /* 0: what some files write for none */
    return read_groups(c, r);
}

static enum fk_status read_mixture(struct model_config *c, struct reader *r)
{
    if (c->family == FAMILY_DEEPSEEK2) {
        TRY(read_int(r, "leading_dense_block_count", false, 0, MODEL_MAX_LAYERS,
                     &c->n_dense_layers));
        if (c->n_dense_layers > c->n_layers) c->n_dense_layers = c->n_layers;
        return c->n_dense_layers < c->n_layers ? read_experts(c, r) : FK_OK;
    }
    if (c->family == FAMILY_QWEN3MOE) return read_experts(c, r);
    c->n_dense_layers = c->n_layers;
    int n_experts = 0;
    TRY(read_int(r, "expert_count", false, 0, INT32_MAX, &n_experts));
    if (n_experts)
        return fail(r->err, FK_EUNSUPPORTED, "%s is %d; %s is run without experts only", r->key,
                    n_experts, r->arch);
    return FK_OK;
}

static enum fk_status read_yarn(struct model_config *c, struct reader *r)
{
    struct rope_scaling *s = &c->rope_scaling;
    TRY(read_int(r, "rope.scaling.original_context_length", true, 1, 1 << 30, &s->n_ctx_orig));
    TRY(read_positive(r, "rope.scaling.yarn_beta_fast", false, 1e6, &s->beta_fast));
    TRY(read_positive(r, "rope.scaling.yarn_beta_slow", false, 1e6, &s->beta_slow));
    TRY(read_positive(r, "rope.scaling.yarn_ext_factor", false, 1, &s->ext_factor));
    float log_factor = s->factor > 1 ? logf(s->factor) : 0;
    s->mscale = 1 + 0.1f * log_factor;
    if (c->family == FAMILY_DEEPSEEK2) {
        /* The key holds 0.1 mscale_all_dim. DeepSeek scales the scores by its square and the rotated
         * columns by mscale / mscale_all_dim, which is 1 in every model they published. */
        double log_mul = 0;
        TRY(gguf_get_f64(r->g, key_of(r, "rope.scaling.yarn_log_multiplier"), false, 0, 100,
                         &log_mul, r->err));
        float all = 1 + (float)log_mul * log_factor;
        c->attn_scale *= all * all;
        if (log_mul > 0) s->mscale = 1;
    }
    /* attention_factor of config.json: takes the place of the computed one. */
    TRY(read_positive(r, "rope.scaling.attn_factor", false, 1e6, &s->mscale));
    return read_positive(r, "rope.scaling.yarn_attn_factor", false, 1e6, &s->mscale);
}

/* (3) */
static enum fk_status read_rope(struct model_config *c, struct reader *r)
{
    bool pairs = c->family == FAMILY_LLAMA || c->family == FAMILY_DEEPSEEK2;
    c->rope_style = pairs ? ROPE_INTERLEAVED : ROPE_HALVES;
    int head = c->family == FAMILY_DEEPSEEK2 ? c->rope_dim : c->head_dim;
    c->n_rot = head;
    TRY(read_int(r, "rope.dimension_count", false, 2, head, &c->n_rot));
    if (c->n_rot % 2)
        return fail(r->err, FK_EFORMAT, "%s.rope.dimension_count is %d, not an even number",
                    r->arch, c->n_rot);
    c->rope_theta = c->family == FAMILY_GEMMA3 ? 1e6f : 1e4f;
    TRY(read_positive(r, "rope.freq_base", false, 1e15, &c->rope_theta));
    c->rope_theta_local = 1e4f;
    TRY(read_positive(r, "rope.freq_base_swa", false, 1e15, &c->rope_theta_local));
    struct rope_scaling *s = &c->rope_scaling;
    *s = (struct rope_scaling){.factor = 1, .beta_fast = 32, .beta_slow = 1, .ext_factor = 1,
                               .mscale = 1};
    struct gguf_str kind = {.p = "linear", .n = 6};
    TRY(gguf_get_str(r->g, key_of(r, "rope.scaling.type"), false, &kind, r->err));
    if (kind.n == 4 && !memcmp(kind.p, "none", 4)) return FK_OK;
    bool is_linear = kind.n == 6 && !memcmp(kind.p, "linear", 6);
    if (!is_linear && (kind.n != 4 || memcmp(kind.p, "yarn", 4)))
        return fail(r->err, FK_EUNSUPPORTED, "%s is '%.*s'; known are none, linear and yarn",
                    r->key, (int)(kind.n < 64 ? kind.n : 64), kind.p);
    double factor = 1;
    TRY(gguf_get_f64(r->g, key_of(r, "rope.scale_linear"), false, 0, 1e9, &factor, r->err));
    TRY(gguf_get_f64(r->g, key_of(r, "rope.scaling.factor"), false, 0, 1e9, &factor, r->err));
    if (factor > 0) s->factor = (float)factor; /* 0: what some files write for none */
    if (is_linear) {
        s->kind = s->factor == 1 ? ROPE_PLAIN : ROPE_LINEAR;
        return FK_OK;
    }
    s->kind = ROPE_YARN;
    return read_yarn(c, r);
}

static enum fk_status read_gemma3(struct model_config *c, struct reader *r)
{
    c->embed_scale = sqrtf((float)c->n_embd);
    /* The 27B divides by the width of a head of n_embd, the others by that of their own heads. */
    if (c->n_layers == 62) c->attn_scale = 1 / sqrtf((float)c->n_embd / (float)c->n_heads);
    TRY(read_positive(r, "attention.scale", false, 1e6, &c->attn_scale));
    TRY(read_int(r, "attention.sliding_window", false, 0, 1 << 30, &c->window));
    c->window_pattern = 6;
    const struct gguf_kv *kv = gguf_find(r->g, key_of(r, "attention.sliding_window_pattern"));
    if (kv && kv->type == GGUF_ARRAY) return FK_OK; /* per layer: bind.c */
    return read_int(r, "attention.sliding_window_pattern", false, 1, MODEL_MAX_LAYERS,
                    &c->window_pattern);
}

enum fk_status model_config_read(struct model_config *c, const struct gguf *g,
                                 struct fk_error *err)
{
    struct reader r = {.g = g, .err = err};
    *c = (struct model_config){.embed_scale = 1};
    TRY(read_name(c, &r));
    TRY(read_sizes(c, &r));
    TRY(read_heads(c, &r));
    if (c->family == FAMILY_DEEPSEEK2) TRY(read_mla(c, &r));
    c->attn_scale = 1 / sqrtf((float)c->head_dim);
    TRY(read_rope(c, &r));
    if (c->family == FAMILY_GEMMA3) TRY(read_gemma3(c, &r));
    TRY(read_positive(&r, "attn_logit_softcapping", false, 1e6, &c->attn_softcap));
    TRY(read_positive(&r, "final_logit_softcapping", false, 1e6, &c->logit_softcap));
    return read_mixture(c, &r);
}
