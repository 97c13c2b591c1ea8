/* SPDX-License-Identifier: Apache-2.0
 * ops_elementwise.c - the ops that work row by row on activations. */
#include <stddef.h>
#include "src/device/ops_impl.h"

struct tensor *op_rmsnorm(struct ops *o, const struct tensor *w, float eps, const struct tensor *x)
{
    if (ops_dead(o) || !ops_is_act(o, "rmsnorm", "x", x)) return NULL;
    if (w && (!OPS_NEED(o, w->n_cols >= 1 && x->n_cols % w->n_cols == 0,
                        "rmsnorm: weight %s has %lld columns, x %lld", ops_name(w),
                        (long long)w->n_cols, (long long)x->n_cols) ||
              !ops_is_vector(o, "rmsnorm", "weight", w, w->n_cols)))
        return NULL;
    struct tensor *out = ops_new(o, x->n_rows, x->n_cols);
    if (!out) return NULL;
    if (w) o->weight_bytes_read += (uint64_t)w->n_cols * sizeof(float);
    struct op_call c = {.kind = OP_RMSNORM, .in = {x}, .w = {w}, .out = {out}, .n_out = 1,
                        .scalar = eps};
    return ops_run(o, &c) ? out : NULL;
}

static bool are_alike(struct ops *o, const char *op, const struct tensor *a, const struct tensor *b)
{
    return ops_is_act(o, op, "first input", a) && ops_is_act(o, op, "second input", b) &&
           OPS_NEED(o, a->n_rows == b->n_rows && a->n_cols == b->n_cols,
                    "%s: %lld x %lld and %lld x %lld", op, (long long)a->n_rows,
                    (long long)a->n_cols, (long long)b->n_rows, (long long)b->n_cols);
}

struct tensor *op_add(struct ops *o, const struct tensor *a, const struct tensor *b)
{
    if (ops_dead(o) || !are_alike(o, "add", a, b)) return NULL;
    struct tensor *out = ops_new(o, a->n_rows, a->n_cols);
    if (!out) return NULL;
    struct op_call c = {.kind = OP_ADD, .in = {a, b}, .out = {out}, .n_out = 1};
    return ops_run(o, &c) ? out : NULL;
}

static struct tensor *unary(struct ops *o, enum op_kind kind, const struct tensor *a, float scalar)
{
    if (ops_dead(o) || !ops_is_act(o, op_kind_name(kind), "x", a)) return NULL;
    struct tensor *out = ops_new(o, a->n_rows, a->n_cols);
    if (!out) return NULL;
    struct op_call c = {.kind = kind, .in = {a}, .out = {out}, .n_out = 1, .scalar = scalar};
    return ops_run(o, &c) ? out : NULL;
}

struct tensor *op_scale(struct ops *o, const struct tensor *a, float s)
{
    return unary(o, OP_SCALE, a, s);
}

struct tensor *op_softcap(struct ops *o, const struct tensor *a, float cap)
{
    if (ops_dead(o) || !OPS_NEED(o, cap > 0, "softcap: the cap is %g", (double)cap)) return NULL;
    return unary(o, OP_SOFTCAP, a, cap);
}

struct tensor *op_glu(struct ops *o, enum act act, const struct tensor *gate,
                      const struct tensor *up)
{
    if (ops_dead(o) || !are_alike(o, "glu", gate, up)) return NULL;
    if (!OPS_NEED(o, act == ACT_SILU || act == ACT_GELU_TANH, "glu: activation %d", (int)act))
        return NULL;
    struct tensor *out = ops_new(o, gate->n_rows, gate->n_cols);
    if (!out) return NULL;
    struct op_call c = {.kind = OP_GLU, .in = {gate, up}, .out = {out}, .n_out = 1, .act = act};
    return ops_run(o, &c) ? out : NULL;
}

static bool has_heads(struct ops *o, const char *op, const struct tensor *x, int n_heads)
{
    return ops_is_act(o, op, "x", x) &&
           OPS_NEED(o, n_heads >= 1 && x->n_cols % n_heads == 0, "%s: %lld columns in %d heads", op,
                    (long long)x->n_cols, n_heads);
}

struct tensor *op_rope(struct ops *o, const struct rope_params *p, int n_heads,
                       const struct tensor *x)
{
    if (ops_dead(o) || !has_heads(o, "rope", x, n_heads)) return NULL;
    const struct batch *b = o->batch;
    int64_t dim = x->n_cols / n_heads;
    if (!OPS_NEED(o, p && p->inv_freq && p->n_rot >= 2 && p->n_rot % 2 == 0 && p->first >= 0 &&
                         p->first <= dim - p->n_rot,
                  "rope: %d columns from %d of a head of %lld", p ? p->n_rot : 0,
                  p ? p->first : 0, (long long)dim) ||
        !OPS_NEED(o, b && (b->pos || !b->n_rows) && b->n_rows == x->n_rows,
                  "rope: %lld rows in a batch of %d", (long long)x->n_rows, b ? b->n_rows : 0))
        return NULL;
    struct tensor *out = ops_new(o, x->n_rows, x->n_cols);
    if (!out) return NULL;
    struct op_call c = {.kind = OP_ROPE, .in = {x}, .out = {out}, .n_out = 1, .batch = b,
                        .n_heads = n_heads, .rope = p};
    return ops_run(o, &c) ? out : NULL;
}

struct tensor *op_concat(struct ops *o, int n_heads, const struct tensor *a,
                         const struct tensor *b, bool b_shared)
{
    if (ops_dead(o) || !has_heads(o, "concat", a, n_heads) ||
        !has_heads(o, "concat", b, b_shared ? 1 : n_heads))
        return NULL;
    if (!OPS_NEED(o, a->n_rows == b->n_rows, "concat: %lld and %lld rows", (long long)a->n_rows,
                  (long long)b->n_rows))
        return NULL;
    int64_t b_cols = b_shared ? b->n_cols * n_heads : b->n_cols;
    struct tensor *out = ops_new(o, a->n_rows, a->n_cols + b_cols);
    if (!out) return NULL;
    struct op_call c = {.kind = OP_CONCAT, .in = {a, b}, .out = {out}, .n_out = 1,
                        .n_heads = n_heads, .b_shared = b_shared};
    return ops_run(o, &c) ? out : NULL;
}

/* The view of one head's columns: a header in the arena, data that is x's. */
static struct tensor *new_view(struct ops *o, const struct tensor *x, int64_t first, int64_t n)
{
    struct tensor *v = arena_alloc(&o->arenas[0], sizeof *v);
    if (!v) {
        ops_fail(o, fail_nomem(&o->error, sizeof *v, "activations"));
        return NULL;
    }
    *v = *x;
    v->n_cols = n;
    v->data = (char *)x->data + (size_t)first * sizeof(float);
    v->id = o->next_id++;
    return v;
}

struct tensor *op_columns(struct ops *o, const struct tensor *x, int n_heads, int64_t first,
                          int64_t n)
{
    if (ops_dead(o) || !has_heads(o, "columns", x, n_heads)) return NULL;
    int64_t dim = x->n_cols / n_heads;
    if (!OPS_NEED(o, first >= 0 && n >= 1 && first <= dim && n <= dim - first,
                  "columns: %lld from %lld of a head of %lld", (long long)n, (long long)first,
                  (long long)dim))
        return NULL;
    struct tensor *out = n_heads == 1 ? new_view(o, x, first, n)
                                      : ops_new(o, x->n_rows, n_heads * n);
    if (!out) return NULL;
    struct op_call c = {.kind = OP_COLUMNS, .in = {x}, .out = {out}, .n_out = 1,
                        .n_heads = n_heads, .first = first};
    if (n_heads > 1) return ops_run(o, &c) ? out : NULL;
    if (o->recorder) o->recorder->record(o->recorder->arg, &c);
    return out;
}

struct tensor *op_take_rows(struct ops *o, const struct tensor *x, const int32_t *rows, int n)
{
    if (ops_dead(o) || !ops_is_act(o, "take_rows", "x", x)) return NULL;
    if (!OPS_NEED(o, n >= 0 && (rows || !n), "take_rows: %d rows", n)) return NULL;
    for (int i = 0; i < n; i++)
        if (!OPS_NEED(o, rows[i] >= 0 && rows[i] < x->n_rows, "take_rows: row %d of %lld", rows[i],
                      (long long)x->n_rows))
            return NULL;
    struct tensor *out = ops_new(o, n, x->n_cols);
    if (!out) return NULL;
    struct op_call c = {.kind = OP_TAKE_ROWS, .in = {x}, .out = {out}, .n_out = 1, .rows = rows};
    return ops_run(o, &c) ? out : NULL;
}
