/* SPDX-License-Identifier: Apache-2.0
 * ops_matmul.c - the ops that read weights: embed, matmul, matmul_heads, experts. Each adds the
 * bytes of weights it reads to weight_bytes_read, and its multiply-adds to int8_products where they
 * are of bytes. */
#include <string.h>
#include "src/device/ops_impl.h"
#include "src/tensor/planes.h"

/* Bytes of n_rows rows without the gaps between them; of planes at the width in use, on average. */
static uint64_t read_bytes(const struct ops *o, const struct tensor *w, int64_t n_rows)
{
    uint64_t row = 0;
    if (w->dtype == DT_PLANES) {
        const struct planes *p = w->data;
        uint64_t all = planes_read_bytes(p, 0, p->n_mats * p->n_groups, o->bits);
        return (uint64_t)((double)all / (double)(p->n_mats * p->n_rows) * (double)n_rows);
    }
    dtype_row_bytes(w->dtype, (uint64_t)w->n_cols, &row);
    return row * (uint64_t)n_rows;
}

/* Counts n_rows (of all tokens together) times w's columns, if w is quantized. */
static void count_products(struct ops *o, const struct tensor *w, int64_t n_rows)
{
    if (dtype_info(w->dtype)->block_weights > 1) o->int8_products += (uint64_t)(n_rows * w->n_cols);
}

struct tensor *op_embed(struct ops *o, const struct tensor *w, float scale)
{
    if (ops_dead(o)) return NULL;
    const struct batch *b = o->batch;
    if (!OPS_NEED(o, w && b && (b->tokens || !b->n_rows), "embed: no weight or no tokens"))
        return NULL;
    if (!ops_is_weight(o, "embed", w, w->n_cols)) return NULL;
    for (int t = 0; t < b->n_rows; t++)
        if (!OPS_NEED(o, b->tokens[t] >= 0 && b->tokens[t] < w->n_rows,
                      "embed: token %d is not in 0 to %lld", b->tokens[t],
                      (long long)w->n_rows - 1))
            return NULL;
    struct tensor *out = ops_new(o, b->n_rows, w->n_cols);
    if (!out) return NULL;
    o->weight_bytes_read += read_bytes(o, w, b->n_rows);
    struct op_call c = {.bits = o->bits, .kind = OP_EMBED, .w = {w}, .out = {out}, .n_out = 1, .batch = b,
                        .scalar = scale};
    return ops_run(o, &c) ? out : NULL;
}

/* out[i] += scale B (A x) of the weights that carry an adapter, as ops of their own: so a recorder
 * sees them, and the frozen matrix and the adapter never meet in one sum. */
static void add_adapters(struct ops *o, int n, const struct tensor *const w[], const struct tensor *x,
                         struct tensor *out[])
{
    const struct tensor *a[OP_MAX_OUT];
    struct tensor *low[OP_MAX_OUT];
    int of[OP_MAX_OUT], n_adapted = 0;
    for (int i = 0; i < n; i++) {
        if (!w[i]->adapter) continue;
        a[n_adapted] = w[i]->adapter->a;
        of[n_adapted++] = i;
    }
    if (!n_adapted) return;
    op_matmul_many(o, n_adapted, a, NULL, x, low);
    for (int k = 0; k < n_adapted; k++) {
        const struct tensor_adapter *ad = w[of[k]]->adapter;
        struct tensor *more = op_matmul(o, ad->b, NULL, op_scale(o, low[k], ad->scale));
        out[of[k]] = op_add(o, out[of[k]], more);
    }
}

void op_matmul_many(struct ops *o, int n, const struct tensor *const w[],
                    const struct tensor *const bias[], const struct tensor *x,
                    struct tensor *out[])
{
    for (int i = 0; i < n; i++) out[i] = NULL;
    if (ops_dead(o) || !ops_is_act(o, "matmul", "x", x)) return;
    if (!OPS_NEED(o, n >= 1 && n <= OP_MAX_OUT, "matmul: %d matrices at once", n)) return;
    struct op_call c = {.bits = o->bits, .kind = OP_MATMUL, .in = {x}, .n_out = n};
    for (int i = 0; i < n; i++) {
        if (!ops_is_weight(o, "matmul", w[i], x->n_cols)) return;
        if (!OPS_NEED(o, w[i]->n_mats == 1, "matmul: weight %s has %lld matrices", ops_name(w[i]),
                      (long long)w[i]->n_mats))
            return;
        c.w[i] = w[i];
        c.bias[i] = bias ? bias[i] : NULL;
        if (c.bias[i] && !ops_is_vector(o, "matmul", "bias", c.bias[i], w[i]->n_rows)) return;
        c.out[i] = ops_new(o, x->n_rows, w[i]->n_rows);
        if (!c.out[i]) return;
        if (x->n_rows) o->weight_bytes_read += read_bytes(o, w[i], w[i]->n_rows);
        count_products(o, w[i], w[i]->n_rows * x->n_rows);
    }
    if (!ops_run(o, &c)) return;
    for (int i = 0; i < n; i++) out[i] = c.out[i];
    add_adapters(o, n, w, x, out);
}

struct tensor *op_matmul(struct ops *o, const struct tensor *w, const struct tensor *bias,
                         const struct tensor *x)
{
    struct tensor *out;
    op_matmul_many(o, 1, &w, &bias, x, &out);
    return out;
}

struct tensor *op_matmul_best(struct ops *o, const struct tensor *w, const struct tensor *x, int first_bits,
                              int n_best)
{
    const struct planes *p = !ops_dead(o) && w && w->dtype == DT_PLANES && !w->adapter ? w->data : NULL;
    if (!p || o->recorder || p->n_mats != 1 || n_best < 1 || n_best >= p->n_groups ||
        planes_index(first_bits) >= p->n_planes - 1)
        return op_matmul(o, w, NULL, x);
    if (!ops_is_act(o, "matmul", "x", x) || !ops_is_weight(o, "matmul", w, x->n_cols)) return NULL;
    struct tensor *out = ops_new(o, x->n_rows, w->n_rows);
    if (!out) return NULL;
    if (x->n_rows) o->weight_bytes_read += planes_staged_bytes(p, first_bits, x->n_rows * n_best); /* at most */
    count_products(o, w, (w->n_rows + (int64_t)n_best * PLANES_ROWS) * x->n_rows);
    struct op_call c = {.bits = 8, .first_bits = first_bits, .n_best = n_best, .kind = OP_MATMUL,
                        .in = {x}, .w = {w}, .out = {out}, .n_out = 1};
    return ops_run(o, &c) ? out : NULL;
}

struct tensor *op_matmul_heads(struct ops *o, const struct tensor *w, bool transposed,
                               const struct tensor *x)
{
    if (ops_dead(o) || !ops_is_act(o, "matmul_heads", "x", x)) return NULL;
    if (!OPS_NEED(o, w, "matmul_heads: no weight")) return NULL;
    if (!ops_is_weight(o, "matmul_heads", w, w->n_cols)) return NULL;
    int64_t n_in = transposed ? w->n_rows : w->n_cols, n_out = transposed ? w->n_cols : w->n_rows;
    bool is_shared = transposed && x->n_cols == n_in;
    bool is_own = w->n_mats >= 1 && x->n_cols % w->n_mats == 0 && x->n_cols / w->n_mats == n_in;
    if (!OPS_NEED(o, w->n_mats >= 1 && n_in >= 1 && (is_shared || is_own),
                  "matmul_heads: weight %s has %lld heads of %lld inputs, x has %lld columns",
                  ops_name(w), (long long)w->n_mats, (long long)n_in, (long long)x->n_cols))
        return NULL;
    struct tensor *out = ops_new(o, x->n_rows, w->n_mats * n_out);
    if (!out) return NULL;
    if (x->n_rows) o->weight_bytes_read += read_bytes(o, w, w->n_rows * w->n_mats);
    /* Transposed ones are turned into floats. */
    if (!transposed) count_products(o, w, w->n_rows * w->n_mats * x->n_rows);
    struct op_call c = {.bits = o->bits, .kind = OP_MATMUL_HEADS, .in = {x}, .w = {w}, .out = {out}, .n_out = 1,
                        .transposed = transposed, .n_heads = (int)w->n_mats};
    return ops_run(o, &c) ? out : NULL;
}

/* Every id names an expert; counts the distinct ones. -1: failed. */
static int64_t count_chosen(struct ops *o, const struct tensor *ids, int64_t n_experts)
{
    uint64_t seen[OP_MAX_EXPERTS / 64] = {0};
    int64_t n = 0;
    for (int64_t t = 0; t < ids->n_rows; t++) {
        const int32_t *row = (const int32_t *)(const void *)tensor_row_f32(ids, t);
        for (int64_t s = 0; s < ids->n_cols; s++) {
            if (!OPS_NEED(o, row[s] >= 0 && row[s] < n_experts,
                          "experts: row %lld goes to expert %d of %lld", (long long)t, row[s],
                          (long long)n_experts))
                return -1;
            uint64_t bit = 1ull << (row[s] % 64), *word = &seen[row[s] / 64];
            n += !(*word & bit);
            *word |= bit;
        }
    }
    return n;
}

static bool experts_fit(struct ops *o, const struct tensor *gate, const struct tensor *up,
                        const struct tensor *down, const struct tensor *x)
{
    const char *op = "experts";
    if (!ops_is_act(o, op, "x", x) || !ops_is_weight(o, op, gate, x->n_cols) ||
        !ops_is_weight(o, op, up, x->n_cols) || !ops_is_weight(o, op, down, gate->n_rows))
        return false;
    return OPS_NEED(o, up->n_rows == gate->n_rows,
                    "experts: %s has %lld rows, %s %lld", ops_name(up), (long long)up->n_rows,
                    ops_name(gate), (long long)gate->n_rows) &&
           OPS_NEED(o, gate->n_mats >= 1 && gate->n_mats <= OP_MAX_EXPERTS &&
                           up->n_mats == gate->n_mats && down->n_mats == gate->n_mats,
                    "experts: %s, %s and %s have %lld, %lld and %lld experts (limit %d)",
                    ops_name(gate), ops_name(up), ops_name(down), (long long)gate->n_mats,
                    (long long)up->n_mats, (long long)down->n_mats, OP_MAX_EXPERTS);
}

struct tensor *op_experts(struct ops *o, enum act act, const struct tensor *gate,
                          const struct tensor *up, const struct tensor *down,
                          const struct tensor *x, const struct tensor *ids,
                          const struct tensor *weights)
{
    if (ops_dead(o) || !experts_fit(o, gate, up, down, x)) return NULL;
    if (!ops_is_act(o, "experts", "weights", weights)) return NULL;
    if (!OPS_NEED(o, ids && ids->dtype == DT_I32 && ids->n_rows == x->n_rows && ids->n_cols >= 1 &&
                         weights->n_rows == x->n_rows && weights->n_cols == ids->n_cols,
                  "experts: ids and weights do not fit %lld rows", (long long)x->n_rows))
        return NULL;
    int64_t n_chosen = count_chosen(o, ids, gate->n_mats);
    if (n_chosen < 0) return NULL;
    struct tensor *out = ops_new(o, x->n_rows, down->n_rows);
    if (!out) return NULL;
    o->weight_bytes_read += read_bytes(o, gate, gate->n_rows * n_chosen) +
                            read_bytes(o, up, up->n_rows * n_chosen) +
                            read_bytes(o, down, down->n_rows * n_chosen);
    int64_t n_pairs = ids->n_rows * ids->n_cols;
    count_products(o, gate, gate->n_rows * n_pairs);
    count_products(o, up, up->n_rows * n_pairs);
    count_products(o, down, down->n_rows * n_pairs);
    struct op_call c = {.bits = o->bits, .kind = OP_EXPERTS, .in = {x, ids, weights}, .w = {gate, up, down},
                        .out = {out}, .n_out = 1, .act = act};
    return ops_run(o, &c) ? out : NULL;
}
