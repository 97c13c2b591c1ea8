/* SPDX-License-Identifier: Apache-2.0
 * cpu_elementwise.c - ops that map rows to rows. A single token's row is never worth a barrier, so
 * decode runs all of these on the calling thread. */
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/device/cpu/cpu.h"

static void rmsnorm_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    const struct tensor *x = call->in[0], *w = call->w[0];
    int64_t n = w ? w->n_cols : x->n_cols;
    const float *from = tensor_row_f32(x, t);
    float *to = tensor_row_f32(call->out[0], t);
    for (int64_t i = 0; i < x->n_cols; i += n)
        c->k.rmsnorm(from + i, w ? w->data : NULL, n, call->scalar, to + i);
}

CPU_OP(rmsnorm)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, rmsnorm_row, call->in[0]->n_rows, call->in[0]->n_cols);
    return FK_OK;
}

static void add_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    c->k.add(tensor_row_f32(call->in[0], t), tensor_row_f32(call->in[1], t), call->in[0]->n_cols,
             tensor_row_f32(call->out[0], t));
}

CPU_OP(add)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, add_row, call->in[0]->n_rows, call->in[0]->n_cols);
    return FK_OK;
}

static void scale_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    c->k.scale(tensor_row_f32(call->in[0], t), call->scalar, call->in[0]->n_cols,
               tensor_row_f32(call->out[0], t));
}

CPU_OP(scale)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, scale_row, call->in[0]->n_rows, call->in[0]->n_cols);
    return FK_OK;
}

static void glu_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    (call->act == ACT_SILU ? c->k.glu_silu : c->k.glu_gelu)(
        tensor_row_f32(call->in[0], t), tensor_row_f32(call->in[1], t), call->in[0]->n_cols,
        tensor_row_f32(call->out[0], t));
}

CPU_OP(glu)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, glu_row, call->in[0]->n_rows, call->in[0]->n_cols * 4);
    return FK_OK;
}

/* Gemma 2, equation in section 2 of its report: cap * tanh(x / cap) */
static void softcap_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    (void)c;
    const float *x = tensor_row_f32(call->in[0], t);
    float *out = tensor_row_f32(call->out[0], t), cap = call->scalar;
    for (int64_t i = 0; i < call->in[0]->n_cols; i++) out[i] = cap * tanhf(x[i] / cap);
}

CPU_OP(softcap)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, softcap_row, call->in[0]->n_rows,
                 call->in[0]->n_cols * 16);
    return FK_OK;
}

static void concat_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    (void)c;
    const struct tensor *a = call->in[0], *b = call->in[1];
    int64_t n_a = a->n_cols / call->n_heads;
    int64_t n_b = call->b_shared ? b->n_cols : b->n_cols / call->n_heads;
    const float *from_a = tensor_row_f32(a, t), *from_b = tensor_row_f32(b, t);
    float *out = tensor_row_f32(call->out[0], t);
    for (int h = 0; h < call->n_heads; h++, out += n_a + n_b) {
        memcpy(out, from_a + h * n_a, (size_t)n_a * sizeof(float));
        memcpy(out + n_a, from_b + (call->b_shared ? 0 : h * n_b), (size_t)n_b * sizeof(float));
    }
}

CPU_OP(concat)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, concat_row, call->in[0]->n_rows, call->out[0]->n_cols);
    return FK_OK;
}

static void columns_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    (void)c;
    const struct tensor *x = call->in[0];
    int64_t dim = x->n_cols / call->n_heads, n = call->out[0]->n_cols / call->n_heads;
    const float *from = tensor_row_f32(x, t) + call->first;
    float *out = tensor_row_f32(call->out[0], t);
    for (int h = 0; h < call->n_heads; h++)
        memcpy(out + h * n, from + h * dim, (size_t)n * sizeof(float));
}

CPU_OP(columns)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, columns_row, call->in[0]->n_rows, call->out[0]->n_cols);
    return FK_OK;
}

static void take_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    (void)c;
    memcpy(tensor_row_f32(call->out[0], t), tensor_row_f32(call->in[0], call->rows[t]),
           (size_t)call->in[0]->n_cols * sizeof(float));
}

CPU_OP(take_rows)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, take_row, call->out[0]->n_rows, call->in[0]->n_cols);
    return FK_OK;
}

static void embed_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    const struct tensor *w = call->w[0];
    struct weight_kernels wk;
    if (!kernels_for_weight(&c->k, w->dtype, &wk)) return; /* cpu_embed has asked before */
    float *out = tensor_row_f32(call->out[0], t);
    if (w->dtype == DT_PLANES)
        planes_dequant_row(w->data, 0, call->batch->tokens[t], call->bits, out);
    else
        wk.dequant((const uint8_t *)w->data + (size_t)call->batch->tokens[t] * w->row_bytes,
                   w->n_cols, out);
    if (call->scalar != 1.0f) c->k.scale(out, call->scalar, w->n_cols, out);
}

CPU_OP(embed)
{
    struct cpu *c = (struct cpu *)d;
    struct weight_kernels wk;
    TRY(cpu_weight_kernels(c, call->w[0], &wk, err));
    for (int64_t t = 0; t < call->out[0]->n_rows; t++)
        if (call->batch->tokens[t] < 0 || call->batch->tokens[t] >= call->w[0]->n_rows)
            return fail(err, FK_EINVAL, "embed: token %d is not in 0 to %lld",
                        call->batch->tokens[t], (long long)call->w[0]->n_rows - 1);
    cpu_run_rows(c, call, embed_row, call->out[0]->n_rows, call->out[0]->n_cols);
    return FK_OK;
}
