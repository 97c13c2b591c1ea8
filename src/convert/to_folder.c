/* SPDX-License-Identifier: Apache-2.0
 * to_folder.c - plans the tensors of a published folder out of a GGUF file: the inverse of to_gguf.c,
 * so that converting there and back gives the same bytes. Quantized weights become f16. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/convert.h"
#include "src/convert/hf_names.h"

struct unbuilder {
    struct plan *plan;
    const struct model_config *c;
    const struct gguf *g;
    enum dtype want;
    struct fk_error *err;
};

static enum dtype folder_dtype(const struct plan_tensor *t, enum dtype want)
{
    enum dtype own = t->src[0].dtype;
    if (t->n_dims <= 1) return DT_F32;
    if (want != DT_NONE) return want;
    return own == DT_F32 || own == DT_F16 || own == DT_BF16 ? own : DT_F16;
}

static struct plan_source view(const struct gguf_tensor *t)
{
    uint64_t n_rows = t->shape[1] * t->shape[2] * t->shape[3];
    return (struct plan_source){.data = t->data, .dtype = t->dtype, .n_cols = t->shape[0],
                                .n_rows = n_rows, .row_bytes = t->bytes / n_rows};
}

static enum fk_status add(struct unbuilder *u, int layer, const char *suffix, struct plan_tensor **out)
{
    char name[160];
    if (layer < 0) snprintf(name, sizeof name, "%s", suffix);
    else snprintf(name, sizeof name, "model.layers.%d.%s", layer, suffix);
    *out = plan_add(u->plan, name);
    return *out ? FK_OK : fail_nomem(u->err, sizeof **out, "a tensor directory");
}

static enum fk_status add_mapped(struct unbuilder *u, const struct gguf_tensor *t, int layer,
                                 const struct hf_name *n)
{
    struct plan_tensor *out;
    struct plan_source s = view(t);
    bool llama = u->c->family == FAMILY_LLAMA, rotary = n->kind == HF_QUERY || n->kind == HF_KEY;
    TRY(add(u, layer, n->hf, &out));
    if (t->n_dims == 1 && rotary) {
        s.n_rows = s.n_cols;
        s.n_cols = 1;
        s.row_bytes /= s.n_rows;
        if (!dtype_info(s.dtype) || dtype_info(s.dtype)->block_weights != 1)
            return fail(u->err, FK_EUNSUPPORTED, "tensor '%s' is a quantized vector", out->name);
    }
    out->n_dims = t->n_dims;
    memcpy(out->shape, t->shape, sizeof out->shape);
    TRY(plan_set_rows(u->plan, out, &s, 1, u->err));
    if (llama && rotary) {
        uint64_t heads = (uint64_t)(n->kind == HF_QUERY ? u->c->n_heads : u->c->n_kv_heads);
        if (s.n_rows % heads || s.n_rows / heads % 2)
            return fail(u->err, FK_EFORMAT, "tensor '%s' has %" PRIu64 " rows, which are no %" PRIu64
                        " heads of pairs", out->name, s.n_rows, heads);
        out->order = ROWS_TO_HALVES;
        out->head_rows = s.n_rows / heads;
    }
    if (n->kind == HF_NORM && u->c->family == FAMILY_GEMMA3) out->add = -1;
    out->dtype = folder_dtype(out, u->want);
    return FK_OK;
}

static enum fk_status add_experts(struct unbuilder *u, const struct gguf_tensor *t, int layer, int proj)
{
    uint64_t n = t->shape[2];
    if (t->n_dims != 3 || n != (uint64_t)u->c->n_experts)
        return fail(u->err, FK_EFORMAT, "tensor '%.*s' holds no %d experts", (int)t->name.n, t->name.p,
                    u->c->n_experts);
    struct plan_source s = view(t);
    for (uint64_t e = 0; e < n; e++) {
        char suffix[96];
        struct plan_tensor *out;
        snprintf(suffix, sizeof suffix, "mlp.experts.%" PRIu64 ".%s.weight", e, hf_expert_proj[proj]);
        TRY(add(u, layer, suffix, &out));
        out->n_dims = 2;
        memcpy(out->shape, (uint64_t[4]){t->shape[0], t->shape[1], 1, 1}, sizeof out->shape);
        TRY(plan_set_rows(u->plan, out, &s, 1, u->err));
        out->rows_per_source = out->group = out->stride = t->shape[1];
        out->first = e * t->shape[1];
        out->dtype = folder_dtype(out, u->want);
    }
    return FK_OK;
}

/* k_b [heads][rank][nope] and v_b [heads][v][rank] */
static enum fk_status add_kv_b(struct unbuilder *u, const struct gguf_tensor *k, int layer)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%d.attn_v_b.weight", layer);
    const struct gguf_tensor *v = gguf_find_tensor(u->g, name);
    uint64_t nope = (uint64_t)u->c->nope_dim, rank = (uint64_t)u->c->kv_rank;
    uint64_t v_dim = (uint64_t)u->c->v_head_dim, heads = (uint64_t)u->c->n_heads;
    if (!v || k->shape[0] != nope || k->shape[1] != rank || k->shape[2] != heads ||
        v->shape[0] != rank || v->shape[1] != v_dim || v->shape[2] != heads)
        return fail(u->err, FK_EFORMAT, "tensor '%s' is missing, or its shape and that of attn_k_b do not"
                    " fit together", name);
    struct plan_source s[2] = {view(k), view(v)};
    struct plan_tensor *out;
    TRY(add(u, layer, "self_attn.kv_b_proj.weight", &out));
    out->n_dims = 2;
    memcpy(out->shape, (uint64_t[4]){rank, heads * (nope + v_dim), 1, 1}, sizeof out->shape);
    TRY(plan_set_rows(u->plan, out, s, 2, u->err));
    out->op = PLAN_KV_B;
    out->nope = nope;
    out->v_dim = v_dim;
    out->rank = rank;
    out->dtype = folder_dtype(out, u->want);
    return FK_OK;
}

static enum fk_status add_tensor(struct unbuilder *u, const struct gguf_tensor *t)
{
    static const struct hf_name old_kv_b = {"self_attn.kv_b_proj.weight", "", HF_PLAIN, true, ~0u};
    char name[1100];
    int layer = -1, used = 0;
    snprintf(name, sizeof name, "%.*s", (int)t->name.n, t->name.p);
    if (t->dtype == DT_I8 || !dtype_info(t->dtype)->is_weight)
        return fail(u->err, FK_EUNSUPPORTED, "tensor '%s' of type %s is no weight", name,
                    dtype_name(t->dtype));
    if (strcmp(name, "rope_freqs.weight") == 0) return FK_OK; /* folder_config.c */
    if (sscanf(name, "blk.%4d.%n", &layer, &used) == 1 && used && layer >= 0) {
        const char *suffix = name + used;
        for (int i = 0; i < 3; i++)
            if (strcmp(suffix, hf_expert_gguf[i]) == 0) return add_experts(u, t, layer, i);
        if (u->c->family == FAMILY_DEEPSEEK2) {
            if (strcmp(suffix, "attn_k_b.weight") == 0) return add_kv_b(u, t, layer);
            if (strcmp(suffix, "attn_v_b.weight") == 0) return FK_OK;
            if (strcmp(suffix, "attn_kv_b.weight") == 0) return add_mapped(u, t, layer, &old_kv_b);
        }
        const struct hf_name *n = hf_name_of_gguf(u->c->family, true, suffix);
        if (n) return add_mapped(u, t, layer, n);
    } else {
        const struct hf_name *n = hf_name_of_gguf(u->c->family, false, name);
        if (n) return add_mapped(u, t, -1, n);
    }
    return fail(u->err, FK_EUNSUPPORTED, "tensor '%s' has no place in a folder of %s", name,
                u->c->architecture);
}

enum fk_status plan_to_folder(struct plan *p, const struct gguf *g, const struct model_config *c,
                              enum dtype want, struct fk_error *err)
{
    struct unbuilder u = {.plan = p, .c = c, .g = g, .want = want, .err = err};
    for (size_t i = 0; i < gguf_n_tensors(g); i++) TRY(add_tensor(&u, gguf_tensor_at(g, i)));
    return FK_OK;
}
