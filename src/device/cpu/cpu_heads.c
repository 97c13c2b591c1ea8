/* SPDX-License-Identifier: Apache-2.0
 * cpu_heads.c - one matrix per head (MLA's absorbed forms), plain and transposed. */
#include "src/base/fail.h"
#include "src/device/cpu/cpu.h"

#define TOKENS_PER_BLOCK 16

struct heads_job {
    struct cpu *cpu;
    struct weight_kernels wk;
    const struct tensor *w, *x;
    struct tensor *out;
    struct encoded e;
    int64_t rows_per_chunk, chunks_per_head;
    float *rows; /* transposed: [n_threads][n_cols] */
};

static const uint8_t *head_data(const struct tensor *w, int64_t head, int64_t row)
{
    return (const uint8_t *)w->data + (size_t)head * w->mat_bytes + (size_t)row * w->row_bytes;
}

static const uint8_t *place(const void *arg, int64_t chunk)
{
    const struct heads_job *j = arg;
    return head_data(j->w, chunk / j->chunks_per_head, chunk % j->chunks_per_head * j->rows_per_chunk);
}

/* out[t, h*R + r] = sum_c w[h][r,c] x[t, h*C + c] */
static void plain_chunk(void *arg, int64_t chunk, int worker)
{
    const struct heads_job *j = arg;
    (void)worker;
    int64_t head = chunk / j->chunks_per_head;
    int64_t row = chunk % j->chunks_per_head * j->rows_per_chunk, n_rows = j->w->n_rows - row;
    if (n_rows > j->rows_per_chunk) n_rows = j->rows_per_chunk;
    cpu_mul(&j->wk, head_data(j->w, head, row), j->w->row_bytes, n_rows, j->w->n_cols,
            j->e.data + (size_t)(head * j->x->n_rows) * j->e.row_bytes, j->e.row_bytes,
            j->x->n_rows, tensor_row_f32(j->out, 0) + head * j->w->n_rows + row,
            j->out->row_bytes / sizeof(float));
}

/* out[t, h*C + c] = sum_r w[h][r,c] x[t, h*R + r], r ascending; x of R columns is for all heads */
static void transposed_chunk(void *arg, int64_t chunk, int worker)
{
    const struct heads_job *j = arg;
    int64_t head = chunk / j->chunks_per_head, n_cols = j->w->n_cols, n_rows = j->w->n_rows;
    int64_t t0 = chunk % j->chunks_per_head * TOKENS_PER_BLOCK, t1 = t0 + TOKENS_PER_BLOCK;
    if (t1 > j->x->n_rows) t1 = j->x->n_rows;
    int64_t x0 = j->x->n_cols == n_rows ? 0 : head * n_rows;
    float *scratch = j->rows + (size_t)worker * (size_t)n_cols;
    for (int64_t r = 0; r < n_rows; r++) {
        j->wk.dequant(head_data(j->w, head, r), n_cols, scratch);
        for (int64_t t = t0; t < t1; t++) {
            float a = tensor_row_f32(j->x, t)[x0 + r];
            float *y = tensor_row_f32(j->out, t) + head * n_cols;
            if (r)
                j->cpu->k.axpy(a, scratch, n_cols, y);
            else
                j->cpu->k.scale(scratch, a, n_cols, y);
        }
    }
}

CPU_OP(matmul_heads)
{
    struct cpu *c = (struct cpu *)d;
    const struct tensor *w = call->w[0], *x = call->in[0];
    struct heads_job j = {.cpu = c, .w = w, .x = x, .out = call->out[0]};
    enum fk_status st = FK_OK;
    int64_t n_heads = w->n_mats, n_x = x->n_rows;
    if (!n_x) return FK_OK;
    TRY(cpu_weight_kernels(c, w, &j.wk, err));
    if (w->dtype == DT_PLANES)
        return fail(err, FK_EUNSUPPORTED, "weight %s: heads are not read from planes",
                    w->name ? w->name : "(unnamed)");
    arena_reset(&c->scratch);
    int64_t work = n_heads * w->n_rows * w->n_cols;
    if (work < CPU_SERIAL_WORK) work *= n_x;
    if (call->transposed) {
        j.rows = cpu_scratch(c, (size_t)d->n_threads * (size_t)w->n_cols, sizeof(float), &st, err);
        if (!j.rows) return st;
        j.chunks_per_head = (n_x + TOKENS_PER_BLOCK - 1) / TOKENS_PER_BLOCK;
        cpu_ahead_here(c, w->data, place, &j, n_heads * j.chunks_per_head);
        cpu_run(c, transposed_chunk, &j, n_heads * j.chunks_per_head, work);
        cpu_ahead_fetch(c);
        return FK_OK;
    }
    TRY(cpu_encode(c, j.wk.act, x, w->n_cols, n_heads, &j.e, err));
    j.rows_per_chunk = cpu_rows_per_chunk(c, (uint64_t)(n_heads * w->n_rows) * w->row_bytes,
                                          w->row_bytes, n_x);
    j.chunks_per_head = (w->n_rows + j.rows_per_chunk - 1) / j.rows_per_chunk;
    cpu_ahead_here(c, w->data, place, &j, n_heads * j.chunks_per_head);
    cpu_run(c, plain_chunk, &j, n_heads * j.chunks_per_head, work);
    cpu_ahead_fetch(c);
    return FK_OK;
}
