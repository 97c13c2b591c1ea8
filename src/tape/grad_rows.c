/* SPDX-License-Identifier: Apache-2.0
 * grad_rows.c - gradients of the ops that only move or scale numbers: add, scale, softcap, concat,
 * columns, take_rows, rope. */
#include <math.h>
#include <string.h>
#include "src/tape/tape_impl.h"

CLONES static void add_to(float *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

CLONES static void add_scaled(float *restrict y, float s, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += s * x[i];
}

/* dx (+)= s * dy */
struct pass_job {
    float *to;
    const float *from;
    int64_t n_cols;
    float s;
    bool is_new;
};

static void pass_rows(void *arg, int64_t first, int64_t end)
{
    const struct pass_job *j = arg;
    int64_t n = (end - first) * j->n_cols;
    float *to = j->to + first * j->n_cols;
    const float *from = j->from + first * j->n_cols;
    if (j->is_new && j->s == 1)
        memcpy(to, from, (size_t)n * sizeof(float));
    else if (j->is_new)
        for (int64_t i = 0; i < n; i++) to[i] = j->s * from[i];
    else if (j->s == 1)
        add_to(to, from, n);
    else
        add_scaled(to, j->s, from, n);
}

static enum fk_status pass(struct tape *t, const struct tensor *x, const float *dy, float s,
                           struct fk_error *err)
{
    enum fk_status st = FK_OK;
    struct pass_job j = {.from = dy, .n_cols = x->n_cols, .s = s};
    j.to = tape_grad_claim(t, x, &j.is_new, &st, err);
    if (j.to) tape_rows(t, pass_rows, &j, x->n_rows);
    return st;
}

TAPE_GRAD(add)
{
    const float *dy = tape_grad_of(t, call->out[0]);
    TRY(pass(t, call->in[0], dy, 1, err));
    return pass(t, call->in[1], dy, 1, err);
}

TAPE_GRAD(scale)
{
    return pass(t, call->in[0], tape_grad_of(t, call->out[0]), call->scalar, err);
}

/* y = cap tanh(x / cap):   dx = dy (1 - (y / cap)^2) */
TAPE_GRAD(softcap)
{
    const struct tensor *x = call->in[0], *out = call->out[0];
    const float *dy = tape_grad_of(t, out);
    enum fk_status st = FK_OK;
    float *dx = tape_grad_into(t, x, &st, err);
    if (!dx) return st;
    for (int64_t r = 0; r < x->n_rows; r++) {
        const float *y = tensor_row_f32(out, r);
        for (int64_t c = 0; c < x->n_cols; c++) {
            float u = y[c] / call->scalar;
            dx[r * x->n_cols + c] += dy[r * x->n_cols + c] * (1 - u * u);
        }
    }
    return FK_OK;
}

struct concat_job {
    const float *dy;
    float *da, *db;
    int64_t heads, na, nb, b_cols;
};

static void concat_rows(void *arg, int64_t first, int64_t end)
{
    const struct concat_job *j = arg;
    bool b_shared = j->b_cols == j->nb && j->heads > 1;
    for (int64_t r = first; r < end; r++)
        for (int64_t h = 0; h < j->heads; h++) {
            const float *dy = j->dy + (r * j->heads + h) * (j->na + j->nb);
            add_to(j->da + (r * j->heads + h) * j->na, dy, j->na);
            add_to(j->db + r * j->b_cols + (b_shared ? 0 : h * j->nb), dy + j->na, j->nb);
        }
}

TAPE_GRAD(concat)
{
    const struct tensor *a = call->in[0], *b = call->in[1];
    enum fk_status st = FK_OK;
    struct concat_job j = {.dy = tape_grad_of(t, call->out[0]), .heads = call->n_heads,
                           .na = a->n_cols / call->n_heads, .b_cols = b->n_cols};
    j.nb = call->b_shared ? b->n_cols : b->n_cols / call->n_heads;
    j.da = tape_grad_into(t, a, &st, err);
    j.db = tape_grad_into(t, b, &st, err);
    if (st == FK_OK) tape_rows(t, concat_rows, &j, a->n_rows);
    return st;
}

struct columns_job {
    const float *dy;
    float *dx;
    int64_t heads, dim, first, n;
};

static void columns_rows(void *arg, int64_t first, int64_t end)
{
    const struct columns_job *j = arg;
    for (int64_t i = first * j->heads; i < end * j->heads; i++)
        add_to(j->dx + i * j->dim + j->first, j->dy + i * j->n, j->n);
}

TAPE_GRAD(columns)
{
    const struct tensor *x = call->in[0], *out = call->out[0];
    enum fk_status st = FK_OK;
    struct columns_job j = {.dy = tape_grad_of(t, out), .dx = tape_grad_into(t, x, &st, err),
                            .heads = call->n_heads, .dim = x->n_cols / call->n_heads,
                            .first = call->first, .n = out->n_cols / call->n_heads};
    if (st == FK_OK) tape_rows(t, columns_rows, &j, x->n_rows);
    return st;
}

TAPE_GRAD(take_rows)
{
    const struct tensor *x = call->in[0], *out = call->out[0];
    const float *dy = tape_grad_of(t, out);
    enum fk_status st = FK_OK;
    float *dx = tape_grad_into(t, x, &st, err);
    for (int64_t i = 0; dx && i < out->n_rows; i++)
        add_to(dx + (int64_t)call->rows[i] * x->n_cols, dy + i * x->n_cols, x->n_cols);
    return st;
}

/* cos and sin as the device computes them; kept while the next op asks for the same. */
struct rope_job {
    const struct rope_params *p;
    const struct op_call *call;
    float *cos, *sin;
    const float *dy;
    float *dx;
};

static void table_rows(void *arg, int64_t first, int64_t end)
{
    const struct rope_job *j = arg;
    int n = j->p->n_rot / 2;
    for (int64_t r = first; r < end; r++)
        for (int i = 0; i < n; i++) {
            double s, c;
            sincos((double)j->call->batch->pos[r] * (double)j->p->inv_freq[i], &s, &c);
            j->cos[r * n + i] = (float)(c * (double)j->p->mscale);
            j->sin[r * n + i] = (float)(s * (double)j->p->mscale);
        }
}

/* The rotation is orthogonal up to mscale: its transpose turns the other way. */
static void rope_rows(void *arg, int64_t first, int64_t end)
{
    const struct rope_job *j = arg;
    const struct rope_params *p = j->p;
    int64_t cols = j->call->in[0]->n_cols, dim = cols / j->call->n_heads, n = p->n_rot / 2;
    int64_t step = p->style == ROPE_HALVES ? 1 : 2, other = p->style == ROPE_HALVES ? n : 1;
    for (int64_t r = first; r < end; r++) {
        const float *c = j->cos + r * n, *s = j->sin + r * n;
        for (int64_t h = 0; h < j->call->n_heads; h++) {
            const float *dy = j->dy + r * cols + h * dim;
            float *dx = j->dx + r * cols + h * dim;
            add_to(dx, dy, p->first);
            for (int64_t i = 0, a = p->first; i < n; i++, a += step) {
                float y0 = dy[a], y1 = dy[a + other];
                dx[a] += y0 * c[i] + y1 * s[i];
                dx[a + other] += y1 * c[i] - y0 * s[i];
            }
            int64_t last = p->first + p->n_rot;
            add_to(dx + last, dy + last, dim - last);
        }
    }
}

TAPE_GRAD(rope)
{
    const struct tensor *x = call->in[0];
    enum fk_status st = FK_OK;
    struct rope_job j = {.p = call->rope, .call = call, .dy = tape_grad_of(t, call->out[0])};
    j.dx = tape_grad_into(t, x, &st, err);
    if (!j.dx) return st;
    size_t n = (size_t)x->n_rows * (size_t)(call->rope->n_rot / 2);
    if (t->rope_key != call->rope->inv_freq || t->rope_mscale != call->rope->mscale) {
        t->rope_cos = arena_array(&t->memory, n, sizeof(float));
        t->rope_sin = arena_array(&t->memory, n, sizeof(float));
        if (!t->rope_cos || !t->rope_sin)
            return fail_nomem(err, n * sizeof(float), "rotary tables");
        t->rope_key = call->rope->inv_freq;
        t->rope_mscale = call->rope->mscale;
        j.cos = t->rope_cos;
        j.sin = t->rope_sin;
        tape_rows(t, table_rows, &j, x->n_rows);
    }
    j.cos = t->rope_cos;
    j.sin = t->rope_sin;
    tape_rows(t, rope_rows, &j, x->n_rows);
    return FK_OK;
}
