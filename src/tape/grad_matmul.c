/* SPDX-License-Identifier: Apache-2.0
 * grad_matmul.c - gradients of the ops with one matrix: embed, matmul, matmul_heads.
 *
 *   y[t,n] = x[t,k] W[n,k]'  + b      dx = dy W      dW = dy' x      db = sum_t dy */
#include <string.h>
#include "src/tape/tape_impl.h"

static int64_t stride_of(const struct tensor *t)
{
    return (int64_t)(t->row_bytes / sizeof(float));
}

TAPE_GRAD(embed)
{
    const struct tensor *w = call->w[0], *out = call->out[0];
    float *dw = tape_param_grad(t, w);
    const float *dy = tape_grad_of(t, out);
    (void)err;
    if (!dw || !dy) return FK_OK;
    for (int64_t i = 0; i < out->n_rows; i++) {
        float *to = dw + (int64_t)call->batch->tokens[i] * w->n_cols;
        for (int64_t c = 0; c < w->n_cols; c++) to[c] += call->scalar * dy[i * w->n_cols + c];
    }
    return FK_OK;
}

static void add_bias_grad(float *db, const float *dy, int64_t n_rows, int64_t n)
{
    for (int64_t t = 0; t < n_rows; t++)
        for (int64_t i = 0; i < n; i++) db[i] += dy[t * n + i];
}

/* dx rows in blocks, each adding the parts of all matrices (as floats) in order. */
static void add_dx(struct gemm_list *l, const struct op_call *call, const float *const mat[],
                   const float *const dy[], float *dx, bool is_new)
{
    const struct tensor *x = call->in[0];
    int64_t n = gemm_n_blocks(x->n_rows);
    for (int64_t b = 0; b < n; b++) {
        int64_t first = x->n_rows * b / n, end = x->n_rows * (b + 1) / n;
        bool writes = is_new;
        if (first == end) continue;
        gemm_list_lane(l);
        for (int i = 0; i < call->n_out; i++) {
            const struct tensor *w = call->w[i];
            if (!dy[i]) continue;
            gemm_list_add(l, &(struct gemm){.m = end - first, .n = w->n_cols, .k = w->n_rows,
                              .alpha = 1, .a = dy[i] + first * w->n_rows, .lda = w->n_rows,
                              .b = mat[i], .ldb = w->n_cols, .beta = writes ? 0 : 1,
                              .c = dx + first * x->n_cols, .ldc = x->n_cols});
            writes = false;
        }
    }
}

TAPE_GRAD(matmul)
{
    const struct tensor *x = call->in[0];
    const float *dy[OP_MAX_OUT] = {NULL}, *mat[OP_MAX_OUT] = {NULL};
    enum fk_status st = FK_OK;
    bool is_new;
    struct gemm_list l;
    int64_t n_products = 0;
    if (!x->n_rows) return FK_OK;
    float *dx = tape_grad_claim(t, x, &is_new, &st, err);
    if (!dx) return st;
    for (int i = 0; i < call->n_out; i++) {
        dy[i] = tape_grad_of(t, call->out[i]);
        float *db = dy[i] && call->bias[i] ? tape_param_grad(t, call->bias[i]) : NULL;
        if (db) add_bias_grad(db, dy[i], x->n_rows, call->w[i]->n_rows);
        if (dy[i] && !t->is_bf16) mat[i] = tape_weight(t, call, i, &st, err);
        n_products += gemm_n_blocks(x->n_rows) + gemm_n_blocks(call->w[i]->n_rows);
    }
    if (st != FK_OK) return st;
    if (t->is_bf16) return tape_matmul_bf16(t, call, dx, is_new, err);
    TRY(gemm_list_init(&l, t, n_products, err));
    add_dx(&l, call, mat, dy, dx, is_new);
    for (int i = 0; i < call->n_out; i++) {
        const struct tensor *w = call->w[i];
        float *dw = dy[i] ? tape_param_grad(t, w) : NULL;
        if (!dw) continue;
        gemm_list_add_blocks(&l, &(struct gemm){.ta = true, .m = w->n_rows, .n = w->n_cols,
                             .k = x->n_rows, .alpha = 1, .a = dy[i], .lda = w->n_rows,
                             .b = x->data, .ldb = stride_of(x), .beta = 1, .c = dw,
                             .ldc = w->n_cols});
    }
    gemm_list_run(&l, t);
    return FK_OK;
}

/* plain       y_h = x_h W_h'     dx_h = dy_h W_h       dW_h = dy_h' x_h
 * transposed  y_h = x_h W_h      dx_h = dy_h W_h'      dW_h = x_h' dy_h       x_h = x where shared */
TAPE_GRAD(matmul_heads)
{
    const struct tensor *x = call->in[0], *w = call->w[0], *out = call->out[0];
    const float *dy = tape_grad_of(t, out);
    int64_t heads = w->n_mats, n_in = call->transposed ? w->n_rows : w->n_cols;
    int64_t n_out = call->transposed ? w->n_cols : w->n_rows;
    bool is_shared = x->n_cols == n_in && heads > 1;
    enum fk_status st = FK_OK;
    struct gemm_list l;
    const float *mats = tape_weight(t, call, 0, &st, err);
    float *dx = tape_grad_into(t, x, &st, err), *dw = tape_param_grad(t, w);
    if (!dx) return st;
    TRY(gemm_list_init(&l, t, 2 * heads, err));
    for (int64_t h = 0; h < heads; h++) {
        const float *wh = mats + h * w->n_rows * w->n_cols;
        int64_t x0 = is_shared ? 0 : h * n_in;
        if (!is_shared) gemm_list_lane(&l); /* else all heads add to the same dx, in order */
        gemm_list_add(&l, &(struct gemm){.tb = call->transposed, .m = x->n_rows, .n = n_in,
                          .k = n_out, .alpha = 1, .a = dy + h * n_out, .lda = heads * n_out,
                          .b = wh, .ldb = w->n_cols, .beta = 1, .c = dx + x0,
                          .ldc = x->n_cols});
    }
    for (int64_t h = 0; dw && h < heads; h++) {
        const float *xh = (const float *)x->data + (is_shared ? 0 : h * n_in), *dyh = dy + h * n_out;
        struct gemm g = {.ta = true, .m = w->n_rows, .n = w->n_cols, .k = x->n_rows, .alpha = 1,
                         .a = dyh, .lda = heads * n_out, .b = xh, .ldb = stride_of(x), .beta = 1,
                         .c = dw + h * w->n_rows * w->n_cols, .ldc = w->n_cols};
        if (call->transposed) {
            g.a = xh;
            g.lda = stride_of(x);
            g.b = dyh;
            g.ldb = heads * n_out;
        }
        gemm_list_lane(&l);
        gemm_list_add(&l, &g);
    }
    gemm_list_run(&l, t);
    return FK_OK;
}
