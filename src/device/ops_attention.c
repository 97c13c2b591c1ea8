/* SPDX-License-Identifier: Apache-2.0
 * ops_attention.c - the ops that touch the cache, and the router. attention adds the bytes of keys
 * and values that it reads to kv_bytes_read, each page once per sequence. */
#include <stddef.h>
#include "src/device/ops_impl.h"
#include "src/kernels/kv_i8.h"

/* The batch has a cache with this layer, and rows for every row of x. */
static bool has_cache(struct ops *o, const char *op, int i_layer, const struct tensor *x)
{
    const struct batch *b = o->batch;
    if (!OPS_NEED(o, b && b->kv && b->n_rows == x->n_rows && (b->n_seqs || !b->n_rows),
                  "%s: %lld rows in a batch of %d, %s", op, (long long)x->n_rows,
                  b ? b->n_rows : 0, b && b->kv ? "without sequences" : "without a cache"))
        return false;
    if (!OPS_NEED(o, i_layer >= 0 && i_layer < b->kv->n_layers, "%s: layer %d of %d", op, i_layer,
                  b->kv->n_layers))
        return false;
    for (int i = 0; i < b->n_seqs; i++) {
        const struct batch_seq *s = &b->seqs[i];
        if (!s->n_rows) continue;
        int n_pages = (s->pos0 + s->n_rows - 1) / b->kv->page_tokens + 1;
        if (!OPS_NEED(o, s->pages && s->pages[n_pages - 1], "%s: sequence %d lacks page %d", op, i,
                      n_pages - 1))
            return false;
    }
    return true;
}

void op_kv_write(struct ops *o, int i_layer, const struct tensor *k, const struct tensor *v)
{
    if (ops_dead(o) || !ops_is_act(o, "kv_write", "k", k)) return;
    if (!has_cache(o, "kv_write", i_layer, k)) return;
    const struct kv_layout *l = o->batch->kv;
    if (!OPS_NEED(o, k->n_cols == (int64_t)l->n_kv_heads * l->k_dim,
                  "kv_write: k has %lld columns, the cache %d heads of %d", (long long)k->n_cols,
                  l->n_kv_heads, l->k_dim))
        return;
    if (!l->v_in_k) {
        if (!ops_is_act(o, "kv_write", "v", v)) return;
        if (!OPS_NEED(o, v->n_rows == k->n_rows && v->n_cols == (int64_t)l->n_kv_heads * l->v_dim,
                      "kv_write: v has %lld columns, the cache %d heads of %d",
                      (long long)v->n_cols, l->n_kv_heads, l->v_dim))
            return;
    }
    struct op_call c = {.kind = OP_KV_WRITE, .in = {k, l->v_in_k ? NULL : v}, .batch = o->batch,
                        .i_layer = i_layer};
    ops_run(o, &c);
}

static uint64_t cache_bytes(const struct batch *b, int window)
{
    const struct kv_layout *l = b->kv;
    uint64_t n_keys = 0, row = l->k_row_bytes + l->v_row_bytes;
    if (kv_has_cells(l))
        row += 4 * (uint64_t)(kv_i8_groups(l->k_dim) + (l->v_in_k ? 0 : kv_i8_groups(l->v_dim)));
    for (int i = 0; i < b->n_seqs; i++) {
        const struct batch_seq *s = &b->seqs[i];
        if (!s->n_rows) continue;
        int lo = window && s->pos0 >= window ? s->pos0 - window + 1 : 0;
        n_keys += (uint64_t)(s->pos0 + s->n_rows - lo);
    }
    return n_keys * row * (uint64_t)l->n_kv_heads;
}

struct tensor *op_attention(struct ops *o, int i_layer, const struct attention_params *p,
                            const struct tensor *q)
{
    if (ops_dead(o) || !ops_is_act(o, "attention", "q", q)) return NULL;
    if (!has_cache(o, "attention", i_layer, q)) return NULL;
    const struct kv_layout *l = o->batch->kv;
    if (!OPS_NEED(o, p->n_kv_heads == l->n_kv_heads && p->k_dim == l->k_dim &&
                         p->v_dim == l->v_dim,
                  "attention: %d kv heads of %d and %d, the cache has %d of %d and %d",
                  p->n_kv_heads, p->k_dim, p->v_dim, l->n_kv_heads, l->k_dim, l->v_dim) ||
        !OPS_NEED(o, p->n_heads >= 1 && p->n_heads % p->n_kv_heads == 0 &&
                         q->n_cols == (int64_t)p->n_heads * p->k_dim,
                  "attention: q has %lld columns for %d heads of %d, %d kv heads",
                  (long long)q->n_cols, p->n_heads, p->k_dim, p->n_kv_heads) ||
        !OPS_NEED(o, p->window >= 0, "attention: the window is %d", p->window))
        return NULL;
    struct tensor *out = ops_new(o, q->n_rows, (int64_t)p->n_heads * p->v_dim);
    if (!out) return NULL;
    o->kv_bytes_read += cache_bytes(o->batch, p->window);
    struct op_call c = {.kind = OP_ATTENTION, .in = {q}, .out = {out}, .n_out = 1,
                        .batch = o->batch, .i_layer = i_layer, .attention = p};
    return ops_run(o, &c) ? out : NULL;
}

static bool route_fits(struct ops *o, const struct route_params *p, int64_t n)
{
    int n_groups = p->n_groups > 1 ? p->n_groups : 1;
    if (!OPS_NEED(o, n >= 1 && n <= OP_MAX_EXPERTS && p->n_used >= 1 && p->n_used <= n,
                  "route: %d of %lld experts (limit %d)", p->n_used, (long long)n, OP_MAX_EXPERTS))
        return false;
    if (n_groups == 1) return true;
    return OPS_NEED(o, n % n_groups == 0 && p->n_groups_used >= 1 && p->n_groups_used <= n_groups,
                    "route: %d of %d groups of %lld experts", p->n_groups_used, n_groups,
                    (long long)n) &&
           OPS_NEED(o, n / n_groups * p->n_groups_used >= p->n_used &&
                           (!p->group_by_top2 || n / n_groups >= 2),
                    "route: %d groups of %lld experts are too small for %d experts",
                    p->n_groups_used, (long long)(n / n_groups), p->n_used);
}

void op_route(struct ops *o, const struct route_params *p, const struct tensor *logits,
              const struct tensor *bias, struct tensor **ids, struct tensor **weights)
{
    *ids = *weights = NULL;
    if (ops_dead(o) || !ops_is_act(o, "route", "logits", logits)) return;
    if (!route_fits(o, p, logits->n_cols)) return;
    if (bias && !ops_is_vector(o, "route", "bias", bias, logits->n_cols)) return;
    struct tensor *i = ops_new(o, logits->n_rows, p->n_used);
    struct tensor *w = i ? ops_new(o, logits->n_rows, p->n_used) : NULL;
    if (!w) return;
    i->dtype = DT_I32;
    struct op_call c = {.kind = OP_ROUTE, .in = {logits}, .bias = {bias}, .out = {i, w},
                        .n_out = 2, .route = p};
    if (!ops_run(o, &c)) return;
    *ids = i;
    *weights = w;
}
