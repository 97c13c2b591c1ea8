/* SPDX-License-Identifier: Apache-2.0
 * to_gguf.c - plans the tensors of a GGUF file out of a published folder: names, the order of rotary
 * rows (llama only), experts stacked, kv_b split in k_b (transposed per head) and v_b, one added to
 * gemma3's norms, F8 blocks with their scales. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/convert.h"
#include "src/convert/hf_names.h"

struct builder {
    struct plan *plan;
    struct hf_config *c;
    const struct safetensors *st;
    enum dtype want;
    struct fk_error *err;
    char prefix[64]; /* what stands before "layers." in this folder */
    char name[1200]; /* of the tensor at hand, as in the folder */
    int n_norms;     /* attn_norm tensors seen */
    bool has_embd, has_norm, has_head;
};

/* Views a tensor as rows. */
static enum fk_status view(struct builder *b, const struct st_tensor *t, const char *name,
                           struct plan_source *s)
{
    if (t->dtype != DT_F32 && t->dtype != DT_F16 && t->dtype != DT_BF16 && t->dtype != DT_F64 &&
        t->dtype != DT_F8_E4M3)
        return fail(b->err, FK_EUNSUPPORTED,
                    "tensor '%s' is of a type other than F32, F16, BF16, F64 and F8_E4M3", name);
    if (t->n_dims < 1 || t->n_dims > 3 || t->n_elements == 0)
        return fail(b->err, FK_EFORMAT, "tensor '%s' has %d dimensions and %" PRIu64
                    " numbers, allowed are 1 to 3 dimensions and at least 1", name, t->n_dims,
                    t->n_elements);
    uint64_t n_cols = t->shape[t->n_dims - 1];
    *s = (struct plan_source){.data = t->data, .dtype = t->dtype, .n_cols = n_cols,
                              .n_rows = t->n_elements / n_cols, .row_bytes = t->bytes /
                              (t->n_elements / n_cols)};
    if (t->dtype != DT_F8_E4M3) return FK_OK;
    char scale_name[1250];
    snprintf(scale_name, sizeof scale_name, "%s_scale_inv", name);
    const struct st_tensor *scale = safetensors_find(b->st, scale_name);
    uint64_t br = (uint64_t)b->c->block_rows, bc = (uint64_t)b->c->block_cols;
    if (!scale)
        return fail(b->err, FK_EFORMAT, "tensor '%s' is of type F8_E4M3, but '%s' is missing", name,
                    scale_name);
    if (t->n_dims != 2 || scale->dtype != DT_F32 || scale->n_dims != 2 ||
        scale->shape[0] != (s->n_rows + br - 1) / br || scale->shape[1] != (n_cols + bc - 1) / bc)
        return fail(b->err, FK_EFORMAT, "tensor '%s' is no F32 matrix of %" PRIu64 " x %" PRIu64
                    " scales", scale_name, (s->n_rows + br - 1) / br, (n_cols + bc - 1) / bc);
    s->scales = scale->data;
    s->n_scale_cols = scale->shape[1];
    s->block_rows = (uint32_t)br;
    s->block_cols = (uint32_t)bc;
    return FK_OK;
}

static enum fk_status add(struct builder *b, int layer, const char *suffix, struct plan_tensor **out)
{
    char name[128];
    if (layer < 0) snprintf(name, sizeof name, "%s", suffix);
    else snprintf(name, sizeof name, "blk.%d.%s", layer, suffix);
    *out = plan_add(b->plan, name);
    if (!*out) return fail_nomem(b->err, sizeof **out, "a tensor directory");
    bool is_first = layer < 0 && strncmp(suffix, "output", 6) != 0;
    (*out)->rank_in_file = is_first ? -1 : layer < 0 ? MODEL_MAX_LAYERS * 2 : layer;
    return FK_OK;
}

static enum fk_status set_order(struct builder *b, struct plan_tensor *t, const struct hf_name *n,
                                uint64_t n_rows)
{
    if (b->c->family != FAMILY_LLAMA || (n->kind != HF_QUERY && n->kind != HF_KEY)) return FK_OK;
    uint64_t n_heads = (uint64_t)(n->kind == HF_QUERY ? b->c->n_heads : b->c->n_kv_heads);
    uint64_t head_dim = (uint64_t)b->c->head_dim;
    if (n_rows != n_heads * head_dim || head_dim % 2)
        return fail(b->err, FK_EFORMAT, "tensor '%s' has %" PRIu64 " rows, which are no %" PRIu64
                    " heads of %" PRIu64, b->name, n_rows, n_heads, head_dim);
    t->order = ROWS_TO_PAIRS;
    t->head_rows = head_dim;
    return FK_OK;
}

static enum fk_status add_mapped(struct builder *b, const struct st_tensor *t, int layer,
                                 const struct hf_name *n)
{
    struct plan_source s;
    struct plan_tensor *out;
    TRY(view(b, t, b->name, &s));
    TRY(add(b, layer, n->gguf, &out));
    bool is_vector = t->n_dims == 1;
    if (is_vector && (n->kind == HF_QUERY || n->kind == HF_KEY)) {
        /* a bias is permuted by its numbers: rows of one */
        s.n_rows = s.n_cols;
        s.n_cols = 1;
        s.row_bytes /= s.n_rows;
    }
    out->n_dims = t->n_dims;
    for (int i = 0; i < 4; i++) out->shape[i] = i < t->n_dims ? t->shape[t->n_dims - 1 - i] : 1;
    TRY(plan_set_rows(b->plan, out, &s, 1, b->err));
    TRY(set_order(b, out, n, s.n_rows));
    if (n->kind == HF_NORM && b->c->family == FAMILY_GEMMA3) out->add = 1;
    out->dtype = plan_dtype(out, b->want);
    if (layer < 0) {
        b->has_embd |= strcmp(n->gguf, "token_embd.weight") == 0;
        b->has_norm |= strcmp(n->gguf, "output_norm.weight") == 0;
        b->has_head |= strcmp(n->gguf, "output.weight") == 0;
    } else {
        b->n_norms += strcmp(n->gguf, "attn_norm.weight") == 0;
    }
    return FK_OK;
}

/* kv_b_proj [n_heads * (nope + v), rank] */
static enum fk_status add_kv_b(struct builder *b, const struct st_tensor *t, int layer)
{
    struct plan_source s;
    struct plan_tensor *k, *v;
    const struct hf_config *c = b->c;
    uint64_t nope = (uint64_t)c->nope_dim, v_dim = (uint64_t)c->v_dim, heads = (uint64_t)c->n_heads;
    TRY(view(b, t, b->name, &s));
    if (t->n_dims != 2 || s.n_rows != heads * (nope + v_dim) || s.n_cols != (uint64_t)c->kv_rank)
        return fail(b->err, FK_EFORMAT, "tensor '%s' is no matrix of %" PRIu64 " x %d", b->name,
                    heads * (nope + v_dim), c->kv_rank);
    TRY(add(b, layer, "attn_k_b.weight", &k));
    TRY(plan_set_rows(b->plan, k, &s, 1, b->err));
    k->op = PLAN_K_B;
    k->n_dims = 3;
    memcpy(k->shape, (uint64_t[4]){nope, s.n_cols, heads, 1}, sizeof k->shape);
    k->nope = nope;
    k->v_dim = v_dim;
    k->rank = s.n_cols;
    k->dtype = plan_dtype(k, b->want);
    TRY(add(b, layer, "attn_v_b.weight", &v));
    TRY(plan_set_rows(b->plan, v, &s, 1, b->err));
    v->n_dims = 3;
    memcpy(v->shape, (uint64_t[4]){s.n_cols, v_dim, heads, 1}, sizeof v->shape);
    v->rows_per_source = heads * v_dim;
    v->group = v_dim;
    v->stride = nope + v_dim;
    v->first = nope;
    v->dtype = plan_dtype(v, b->want);
    return FK_OK;
}

static enum fk_status check_expert(struct builder *b, const struct plan_source *s,
                                   const struct plan_source *first, int i)
{
    if (s->n_rows == first->n_rows && s->n_cols == first->n_cols && s->dtype == first->dtype)
        return FK_OK;
    return fail(b->err, FK_EFORMAT, "tensor '%s' is %" PRIu64 " x %" PRIu64
                " of %s, the same of expert %d is %" PRIu64 " x %" PRIu64 " of %s", b->name,
                first->n_rows, first->n_cols, dtype_name(first->dtype), i, s->n_rows, s->n_cols,
                dtype_name(s->dtype));
}

/* Called at expert 0: stacks all experts of one projection. */
static enum fk_status add_experts(struct builder *b, int layer, int proj)
{
    int n = b->c->n_experts;
    struct plan_source *s = arena_array(&b->plan->memory, (size_t)n, sizeof *s);
    struct plan_tensor *out;
    if (!s) return fail_nomem(b->err, (size_t)n * sizeof *s, b->name);
    for (int i = 0; i < n; i++) {
        char name[256];
        snprintf(name, sizeof name, "%slayers.%d.mlp.experts.%d.%s.weight", b->prefix, layer, i,
                 hf_expert_proj[proj]);
        const struct st_tensor *t = safetensors_find(b->st, name);
        if (!t)
            return fail(b->err, FK_EFORMAT, "tensor '%s' is missing; there are %d experts", name, n);
        TRY(view(b, t, name, &s[i]));
        if (t->n_dims != 2) return fail(b->err, FK_EFORMAT, "tensor '%s' is no matrix", name);
        TRY(check_expert(b, &s[i], &s[0], i));
    }
    TRY(add(b, layer, hf_expert_gguf[proj], &out));
    out->n_dims = 3;
    memcpy(out->shape, (uint64_t[4]){s[0].n_cols, s[0].n_rows, (uint64_t)n, 1}, sizeof out->shape);
    TRY(plan_set_rows(b->plan, out, s, (size_t)n, b->err));
    out->dtype = plan_dtype(out, b->want);
    return FK_OK;
}

/* mlp.experts.gate_up_proj [E, 2 ff, d] (both halves) and mlp.experts.down_proj [E, d, ff]. */
static enum fk_status add_fused(struct builder *b, const struct st_tensor *t, int layer, bool gate_up)
{
    struct plan_source s;
    TRY(view(b, t, b->name, &s));
    uint64_t n = (uint64_t)b->c->n_experts, parts = gate_up ? 2 : 1;
    if (t->n_dims != 3 || t->shape[0] != n || t->shape[1] % parts)
        return fail(b->err, FK_EFORMAT, "tensor '%s' does not hold the matrices of %" PRIu64 " experts",
                    b->name, n);
    uint64_t rows = t->shape[1] / parts;
    for (uint64_t i = 0; i < parts; i++) {
        struct plan_tensor *out;
        TRY(add(b, layer, hf_expert_gguf[gate_up ? i : 2], &out));
        out->n_dims = 3;
        memcpy(out->shape, (uint64_t[4]){s.n_cols, rows, n, 1}, sizeof out->shape);
        TRY(plan_set_rows(b->plan, out, &s, 1, b->err));
        out->rows_per_source = n * rows;
        out->group = rows;
        out->stride = rows * parts;
        out->first = i * rows;
        out->dtype = plan_dtype(out, b->want);
    }
    return FK_OK;
}

static enum fk_status unknown(struct builder *b)
{
    return fail(b->err, FK_EUNSUPPORTED, "tensor '%s' is none that %s has", b->name, b->c->arch);
}

/* suffix: "mlp.experts." is cut off. */
static enum fk_status add_of_expert(struct builder *b, const struct st_tensor *t, int layer,
                                    const char *suffix)
{
    if (strcmp(suffix, "gate_up_proj") == 0) return add_fused(b, t, layer, true);
    if (strcmp(suffix, "down_proj") == 0) return add_fused(b, t, layer, false);
    int expert = -1, used = 0;
    if (sscanf(suffix, "%4d.%n", &expert, &used) != 1 || !used || expert < 0) return unknown(b);
    if (expert >= b->c->n_experts)
        return fail(b->err, FK_EFORMAT, "tensor '%s' is of expert %d, but there are %d", b->name, expert,
                    b->c->n_experts);
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(hf_expert_proj[i]);
        if (strncmp(suffix + used, hf_expert_proj[i], n) == 0 && strcmp(suffix + used + n, ".weight") == 0)
            return expert == 0 ? add_experts(b, layer, i) : FK_OK;
    }
    return unknown(b);
}

static enum fk_status add_of_layer(struct builder *b, const struct st_tensor *t, const char *rest)
{
    int layer = -1, used = 0, n_layers = b->c->n_layers + b->c->n_mtp_layers;
    if (sscanf(rest, "%4d.%n", &layer, &used) != 1 || !used || layer < 0) return unknown(b);
    if (layer >= n_layers)
        return fail(b->err, FK_EFORMAT, "tensor '%s' is of layer %d, but there are %d", b->name, layer,
                    n_layers);
    const char *suffix = rest + used;
    bool is_moe = b->c->n_experts > 0;
    if (is_moe && strncmp(suffix, "mlp.experts.", 12) == 0)
        return add_of_expert(b, t, layer, suffix + 12);
    if (b->c->family == FAMILY_DEEPSEEK2 && strcmp(suffix, "self_attn.kv_b_proj.weight") == 0)
        return add_kv_b(b, t, layer);
    const struct hf_name *n = hf_name_find(b->c->family, true, suffix);
    return n ? add_mapped(b, t, layer, n) : unknown(b);
}

static bool has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcmp(s + n - k, suffix) == 0;
}

/* Buffers, scales that go with their weights, and the eyes of gemma3. */
static bool is_skipped(const struct builder *b, const char *name)
{
    if (has_suffix(name, ".rotary_emb.inv_freq") || has_suffix(name, "_scale_inv")) return true;
    if (b->c->tied && has_suffix(name, "lm_head.weight")) return true;
    return b->c->family == FAMILY_GEMMA3 &&
           (has_prefix(name, "vision_tower.") || has_prefix(name, "multi_modal_projector.") ||
            has_prefix(name, "model.vision_tower.") || has_prefix(name, "model.multi_modal_projector."));
}

static enum fk_status add_tensor(struct builder *b, const struct st_tensor *t)
{
    static const char *const prefixes[] = {"language_model.model.", "model.language_model.", "model."};
    snprintf(b->name, sizeof b->name, "%.*s", (int)t->name.n, t->name.p);
    if (is_skipped(b, b->name)) return FK_OK;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        char plain[1300];
        size_t n = strlen(prefixes[i]);
        if (!has_prefix(b->name, prefixes[i])) continue;
        snprintf(b->prefix, sizeof b->prefix, "%s", prefixes[i]);
        if (has_prefix(b->name + n, "layers.")) return add_of_layer(b, t, b->name + n + 7);
        snprintf(plain, sizeof plain, "model.%s", b->name + n);
        const struct hf_name *row = hf_name_find(b->c->family, false, plain);
        return row ? add_mapped(b, t, -1, row) : unknown(b);
    }
    const char *plain = has_prefix(b->name, "language_model.") ? b->name + 15 : b->name;
    const struct hf_name *row = hf_name_find(b->c->family, false, plain);
    return row ? add_mapped(b, t, -1, row) : unknown(b);
}

static enum fk_status add_rope_factors(struct builder *b)
{
    struct hf_rope rope;
    struct plan_tensor *t;
    TRY(hf_rope_read(b->c, &rope, b->err));
    if (b->c->family != FAMILY_LLAMA || strcmp(rope.type, "llama3") != 0) return FK_OK;
    size_t n = (size_t)b->c->head_dim / 2;
    float *values = arena_array(&b->plan->memory, n, sizeof *values);
    if (!values) return fail_nomem(b->err, n * sizeof *values, "rope factors");
    TRY(hf_rope_factors(b->c, &rope, values, b->err));
    TRY(add(b, -1, "rope_freqs.weight", &t));
    t->op = PLAN_VALUES;
    t->n_dims = 1;
    memcpy(t->shape, (uint64_t[4]){n, 1, 1, 1}, sizeof t->shape);
    t->values = values;
    t->dtype = DT_F32;
    return FK_OK;
}

static enum fk_status check_whole(struct builder *b)
{
    int n_layers = b->c->n_layers + b->c->n_mtp_layers;
    const char *what = !b->has_embd                  ? "model.embed_tokens.weight"
                       : !b->has_norm                ? "model.norm.weight"
                       : !b->has_head && !b->c->tied ? "lm_head.weight"
                                                     : NULL;
    if (what) return fail(b->err, FK_EFORMAT, "tensor '%s' is missing", what);
    if (b->n_norms != n_layers)
        return fail(b->err, FK_EFORMAT, "input_layernorm.weight is there for %d of %d layers", b->n_norms,
                    n_layers);
    return FK_OK;
}

enum fk_status plan_from_folder(struct plan *p, struct hf_config *c, const struct safetensors *st,
                                enum dtype want, struct fk_error *err)
{
    struct builder b = {.plan = p, .c = c, .st = st, .want = want, .err = err};
    char probe[64];
    snprintf(probe, sizeof probe, "model.layers.%d.eh_proj.weight", c->n_layers);
    if (!safetensors_find(st, probe)) c->n_mtp_layers = 0;
    for (size_t i = 0; i < safetensors_n(st); i++) TRY(add_tensor(&b, safetensors_at(st, i)));
    TRY(add_rope_factors(&b));
    TRY(check_whole(&b));
    plan_sort(p);
    return FK_OK;
}
