/* SPDX-License-Identifier: Apache-2.0
 * grad_experts.c - the gradient of the chosen experts. Pairs (token, slot) are sorted by expert; per
 * expert, with rows x of its pairs and dy = the output's gradient at their tokens:
 *
 *   g = x Wg'   u = x Wu'   h = act(g) u            (computed again)
 *   e = dy Wd               d(weight) = e . h        dh = weight e
 *   dWd = (weight dy)' h    dg, du of dh             dx = dg Wg + du Wu    dWg = dg' x   dWu = du' x
 *
 * dx of a token adds its slots in order. */
#include <string.h>
#include "src/tape/tape_impl.h"

struct experts_job {
    const struct op_call *call;
    int64_t d, ff, n_used, n_pairs, n_experts;
    int64_t *first;              /* [n_experts + 1] pairs by expert */
    int32_t *token_of, *slot_of; /* [n_pairs] */
    int32_t *pair_of;            /* [n_tokens * n_used] */
    const float *dout;
    float *x, *dy, *g, *u, *h, *e, *dg, *du, *dx;
    const float *w[3]; /* gate, up, down as floats: [n_experts] matrices without gaps */
    float *dw; /* of weights [n_tokens, n_used], or NULL */
    float *to; /* of x */
    bool to_is_new;
};

static const int32_t *ids_of(const struct tensor *ids, int64_t row)
{
    return (const int32_t *)(const void *)tensor_row_f32(ids, row);
}

static void sort_pairs(struct experts_job *j, const struct tensor *ids)
{
    memset(j->first, 0, (size_t)(j->n_experts + 1) * sizeof *j->first);
    for (int64_t t = 0; t < ids->n_rows; t++)
        for (int64_t s = 0; s < j->n_used; s++) j->first[ids_of(ids, t)[s] + 1]++;
    for (int64_t e = 0; e < j->n_experts; e++) j->first[e + 1] += j->first[e];
    for (int64_t t = 0; t < ids->n_rows; t++)
        for (int64_t s = 0; s < j->n_used; s++) {
            int64_t p = j->first[ids_of(ids, t)[s]]++;
            j->token_of[p] = (int32_t)t;
            j->slot_of[p] = (int32_t)s;
            j->pair_of[t * j->n_used + s] = (int32_t)p;
        }
    for (int64_t e = j->n_experts; e > 0; e--) j->first[e] = j->first[e - 1];
    j->first[0] = 0;
}

static enum fk_status reserve(struct experts_job *j, struct tape *t, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    size_t n = (size_t)j->n_pairs, d = (size_t)j->d * sizeof(float), ff = (size_t)j->ff * sizeof(float);
    j->first = tape_scratch(t, (size_t)j->n_experts + 1, sizeof *j->first, &st, err);
    j->token_of = tape_scratch(t, n, sizeof *j->token_of, &st, err);
    j->slot_of = tape_scratch(t, n, sizeof *j->slot_of, &st, err);
    j->pair_of = tape_scratch(t, n, sizeof *j->pair_of, &st, err);
    float **wide[] = {&j->x, &j->dy, &j->dx}, **narrow[] = {&j->g, &j->u, &j->h, &j->e, &j->dg, &j->du};
    for (size_t i = 0; i < 3; i++) *wide[i] = tape_scratch(t, n, d, &st, err);
    for (size_t i = 0; i < 6; i++) *narrow[i] = tape_scratch(t, n, ff, &st, err);
    return st;
}

static void gather_rows(void *arg, int64_t first, int64_t end)
{
    const struct experts_job *j = arg;
    for (int64_t p = first; p < end; p++) {
        memcpy(j->x + p * j->d, tensor_row_f32(j->call->in[0], j->token_of[p]),
               (size_t)j->d * sizeof(float));
        memcpy(j->dy + p * j->d, j->dout + (int64_t)j->token_of[p] * j->d,
               (size_t)j->d * sizeof(float));
    }
}

/* After g, u and e: h, dg, du, the weight's gradient, and dy scaled by the weight. */
static void pair_rows(void *arg, int64_t first, int64_t end)
{
    const struct experts_job *j = arg;
    for (int64_t p = first; p < end; p++) {
        float *g = j->g + p * j->ff, *u = j->u + p * j->ff, *h = j->h + p * j->ff;
        float *e = j->e + p * j->ff, *dg = j->dg + p * j->ff, *du = j->du + p * j->ff;
        float w = tensor_row_f32(j->call->in[2], j->token_of[p])[j->slot_of[p]];
        /* The gradient for up is e act(g) here, so e . h = sum_i du_i u_i. */
        (j->call->act == ACT_SILU ? tape_silu_grad : tape_gelu_grad)(g, u, e, j->ff, dg, du);
        float dot[16] = {0};
        for (int64_t i = 0; i < j->ff; i++) dot[i % 16] += du[i] * u[i];
        for (int i = 1; i < 16; i++) dot[0] += dot[i];
        if (j->dw) j->dw[(int64_t)j->token_of[p] * j->n_used + j->slot_of[p]] += dot[0];
        tape_glu_again(j->call->act, g, u, j->ff, h);
        for (int64_t i = 0; i < j->ff; i++) {
            dg[i] *= w;
            du[i] *= w;
        }
        for (int64_t i = 0; i < j->d; i++) j->dy[p * j->d + i] *= w;
    }
}

static void scatter_rows(void *arg, int64_t first, int64_t end)
{
    const struct experts_job *j = arg;
    for (int64_t t = first; t < end; t++) {
        float *to = j->to + t * j->d;
        if (j->to_is_new) memset(to, 0, (size_t)j->d * sizeof(float));
        for (int64_t s = 0; s < j->n_used; s++) {
            const float *dx = j->dx + (int64_t)j->pair_of[t * j->n_used + s] * j->d;
            for (int64_t i = 0; i < j->d; i++) to[i] += dx[i];
        }
    }
}

static const float *mat(const struct experts_job *j, int i, int64_t e)
{
    return j->w[i] + e * j->d * j->ff;
}

static struct gemm times(const float *a, int64_t m, int64_t k, const float *w, int64_t n, float *c)
{
    return (struct gemm){.m = m, .n = n, .k = k, .alpha = 1, .a = a, .lda = k, .b = w, .ldb = n,
                         .c = c, .ldc = n};
}

static struct gemm times_t(const float *a, int64_t m, int64_t k, const float *w, int64_t n, float *c)
{
    return (struct gemm){.tb = true, .m = m, .n = n, .k = k, .alpha = 1, .a = a, .lda = k, .b = w,
                         .ldb = k, .c = c, .ldc = n};
}

/* dw[m, n] += a[pairs, m]' b[pairs, n] */
static struct gemm outer(const float *a, int64_t m, const float *b, int64_t n, int64_t pairs,
                         float *dw)
{
    return (struct gemm){.ta = true, .m = m, .n = n, .k = pairs, .alpha = 1, .a = a, .lda = m,
                         .b = b, .ldb = n, .beta = 1, .c = dw, .ldc = n};
}

static void add_lane(struct gemm_list *l, struct gemm g)
{
    gemm_list_lane(l);
    gemm_list_add(l, &g);
}

static void forward_again(const struct experts_job *j, struct gemm_list *l)
{
    for (int64_t e = 0; e < j->n_experts; e++) {
        int64_t p = j->first[e], n = j->first[e + 1] - p;
        if (!n) continue;
        add_lane(l, times_t(j->x + p * j->d, n, j->d, mat(j, 0, e), j->ff, j->g + p * j->ff));
        add_lane(l, times_t(j->x + p * j->d, n, j->d, mat(j, 1, e), j->ff, j->u + p * j->ff));
        add_lane(l, times(j->dy + p * j->d, n, j->d, mat(j, 2, e), j->ff, j->e + p * j->ff));
    }
}

static void backward(const struct experts_job *j, struct gemm_list *l, float *const dw[3])
{
    int64_t d = j->d, ff = j->ff;
    for (int64_t e = 0; e < j->n_experts; e++) {
        int64_t p = j->first[e], n = j->first[e + 1] - p, m = e * d * ff;
        const float *x = j->x + p * d, *dg = j->dg + p * ff, *du = j->du + p * ff;
        if (!n) continue;
        add_lane(l, times(dg, n, ff, mat(j, 0, e), d, j->dx + p * d));
        struct gemm second = times(du, n, ff, mat(j, 1, e), d, j->dx + p * d);
        second.beta = 1;
        gemm_list_add(l, &second);
        if (dw[0]) add_lane(l, outer(dg, ff, x, d, n, dw[0] + m));
        if (dw[1]) add_lane(l, outer(du, ff, x, d, n, dw[1] + m));
        if (dw[2]) add_lane(l, outer(j->dy + p * d, d, j->h + p * ff, ff, n, dw[2] + m));
    }
}

TAPE_GRAD(experts)
{
    const struct tensor *x = call->in[0], *ids = call->in[1];
    enum fk_status st = FK_OK;
    struct gemm_list l;
    struct experts_job j = {.call = call, .d = x->n_cols, .ff = call->w[0]->n_rows,
                            .n_used = ids->n_cols, .n_pairs = ids->n_rows * ids->n_cols,
                            .n_experts = call->w[0]->n_mats,
                            .dout = tape_grad_of(t, call->out[0])};
    float *dw[3];
    for (int i = 0; i < 3; i++) {
        j.w[i] = tape_weight(t, call, i, &st, err);
        dw[i] = tape_param_grad(t, call->w[i]);
    }
    if (call->out[0]->n_cols != j.d)
        return fail(err, FK_EUNSUPPORTED, "no gradient through experts that change the width");
    j.to = tape_grad_claim(t, x, &j.to_is_new, &st, err);
    j.dw = tape_grad_into(t, call->in[2], &st, err);
    if (st != FK_OK) return st;
    TRY(reserve(&j, t, err));
    sort_pairs(&j, ids);
    tape_rows(t, gather_rows, &j, j.n_pairs);
    TRY(gemm_list_init(&l, t, 3 * j.n_experts, err));
    forward_again(&j, &l);
    gemm_list_run(&l, t);
    tape_rows(t, pair_rows, &j, j.n_pairs);
    TRY(gemm_list_init(&l, t, 5 * j.n_experts, err));
    backward(&j, &l, dw);
    gemm_list_run(&l, t);
    tape_rows(t, scatter_rows, &j, x->n_rows);
    return FK_OK;
}
