/* SPDX-License-Identifier: Apache-2.0
 * cpu_matmul.c - activations encoded once, then weight rows handed out in chunks.
 *
 * The chunk space of a group (q k v; gate up) is the concatenation of its matrices' row ranges, so a
 * group costs one barrier. A chunk is a run of neighbouring rows: each thread streams contiguous
 * memory. With many tokens a chunk is also small enough to stay in the L2 cache while blocks of
 * tokens pass over it, and where a group has too few rows for the threads the tokens are split. */
#include <string.h>
#include "src/base/fail.h"
#include "src/device/cpu/cpu.h"

#define L2_TOKENS_BYTES ((size_t)512 << 10)
#define MAX_STRETCH_BYTES ((size_t)2560) /* kernels pass over int8 rows in stretches of 2,048 */
#define L2_WEIGHT_BYTES ((uint64_t)128 << 10)
#define MAX_CHUNK_BYTES ((uint64_t)256 << 10) /* what a thread may be late at the end of a job */
#define MIN_CHUNK_BYTES ((uint64_t)16 << 10)
#define CHUNKS_PER_THREAD 8
#define FEW_TOKENS 16 /* they stay in the L2 cache beside any chunk */
#define ROW_ALIGN 16 /* rows of a chunk: whole cache lines of y */

kernel_act_fn cpu_act_fn(const struct cpu *c, enum act_format f)
{
    switch (f) {
    case ACT_BF16: return c->k.act_bf16;
    case ACT_Q8: return c->k.act_q8;
    case ACT_Q8K: return c->k.act_q8k;
    default: return NULL;
    }
}

struct encode_job {
    kernel_act_fn act;
    const struct tensor *x;
    int64_t k, n_items, n_chunks;
    uint8_t *data;
    size_t row_bytes;
};

static void encode_chunk(void *arg, int64_t chunk, int worker)
{
    const struct encode_job *j = arg;
    (void)worker;
    int64_t end = j->n_items * (chunk + 1) / j->n_chunks;
    for (int64_t i = j->n_items * chunk / j->n_chunks; i < end; i++) {
        const float *x = tensor_row_f32(j->x, i % j->x->n_rows) + i / j->x->n_rows * j->k;
        uint8_t *out = j->data + (size_t)i * j->row_bytes;
        if (j->act)
            j->act(x, j->k, out);
        else
            memcpy(out, x, (size_t)j->k * sizeof(float));
    }
}

enum fk_status cpu_encode(struct cpu *c, enum act_format f, const struct tensor *x, int64_t k,
                          int64_t n_parts, struct encoded *out, struct fk_error *err)
{
    if (f == ACT_F32 && n_parts == 1 && x->row_bytes % 64 == 0 && (uintptr_t)x->data % 64 == 0) {
        *out = (struct encoded){x->data, x->row_bytes};
        return FK_OK;
    }
    enum fk_status st = FK_OK;
    struct encode_job j = {.act = cpu_act_fn(c, f), .x = x, .k = k, .n_items = x->n_rows * n_parts,
                           .row_bytes = act_row_bytes(f, k)};
    int64_t most = 4 * (int64_t)c->base.n_threads;
    j.n_chunks = j.n_items < most ? j.n_items : most;
    j.data = cpu_scratch(c, (size_t)j.n_items, j.row_bytes, &st, err);
    if (!j.data) return st;
    cpu_run(c, encode_chunk, &j, j.n_chunks, j.n_items * k);
    *out = (struct encoded){j.data, j.row_bytes};
    return FK_OK;
}

void cpu_mul(const struct weight_kernels *wk, const uint8_t *w, size_t w_row_bytes, int64_t n_rows,
             int64_t k, const uint8_t *x, size_t x_row_bytes, int64_t n_x, float *y,
             size_t y_stride)
{
    size_t stretch = x_row_bytes;
    if (wk->act != ACT_F32 && stretch > MAX_STRETCH_BYTES) stretch = MAX_STRETCH_BYTES;
    int64_t block = (int64_t)(L2_TOKENS_BYTES / stretch) & ~(int64_t)15;
    if (block < 16) block = 16;
    for (int64_t t = 0; t < n_x; t += block) {
        int64_t n = n_x - t < block ? n_x - t : block;
        wk->mul(w, w_row_bytes, n_rows, k, x + (size_t)t * x_row_bytes, x_row_bytes, n,
                y + (size_t)t * y_stride, y_stride);
    }
}

int64_t cpu_rows_per_chunk(const struct cpu *c, uint64_t total_bytes, uint64_t row_bytes,
                           int64_t n_x)
{
    uint64_t n_threads = (uint64_t)c->base.n_threads;
    uint64_t target = n_threads == 1 ? total_bytes : total_bytes / (n_threads * CHUNKS_PER_THREAD);
    uint64_t least = MIN_CHUNK_BYTES / (uint64_t)(n_x < 16 ? n_x : 16);
    uint64_t most = n_x > FEW_TOKENS ? L2_WEIGHT_BYTES : MAX_CHUNK_BYTES;
    if (target > most) target = most;
    if (target < least) target = least;
    uint64_t rows = (target / row_bytes + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
    return (int64_t)(rows ? rows : ROW_ALIGN);
}

struct part {
    struct weight_kernels wk;
    const struct tensor *w, *bias;
    struct tensor *out;
    struct encoded x;
    int64_t rows_per_chunk, chunk_end; /* row chunks of the parts up to this one */
};

struct matmul_job {
    const struct cpu *cpu;
    int bits;
    struct part part[OP_MAX_OUT];
    int64_t n_x, n_groups; /* tokens, split in groups */
};

static void add_bias(const struct part *p, int64_t row, int64_t n_rows, int64_t t0, int64_t n_x)
{
    const float *b = (const float *)p->bias->data + row;
    for (int64_t t = t0; t < t0 + n_x; t++) {
        float *y = tensor_row_f32(p->out, t) + row;
        for (int64_t r = 0; r < n_rows; r++) y[r] += b[r];
    }
}

/* The part whose rows a row chunk has; *first: its chunk in the group's numbering. */
static const struct part *part_of(const struct matmul_job *j, int64_t row_chunk, int64_t *first)
{
    const struct part *p = j->part;
    *first = 0;
    while (row_chunk >= p->chunk_end) *first = p++->chunk_end;
    return p;
}

static const uint8_t *place(const void *arg, int64_t chunk)
{
    const struct matmul_job *j = arg;
    if (!j->part[0].chunk_end) return NULL;
    int64_t row_chunk = chunk / j->n_groups, first;
    const struct part *p = part_of(j, row_chunk, &first);
    if (p->w->dtype == DT_PLANES) return NULL;
    return (const uint8_t *)p->w->data + (size_t)((row_chunk - first) * p->rows_per_chunk) * p->w->row_bytes;
}

static void matmul_chunk(void *arg, int64_t chunk, int worker)
{
    const struct matmul_job *j = arg;
    (void)worker;
    int64_t group = chunk % j->n_groups, first;
    chunk /= j->n_groups;
    const struct part *p = part_of(j, chunk, &first);
    int64_t row = (chunk - first) * p->rows_per_chunk, n_rows = p->w->n_rows - row;
    if (n_rows > p->rows_per_chunk) n_rows = p->rows_per_chunk;
    int64_t t0 = j->n_x * group / j->n_groups, n_x = j->n_x * (group + 1) / j->n_groups - t0;
    const uint8_t *x = p->x.data + (size_t)t0 * p->x.row_bytes;
    float *y = tensor_row_f32(p->out, t0) + row;
    size_t y_stride = p->out->row_bytes / sizeof(float);
    if (p->w->dtype == DT_PLANES)
        cpu_mul_planes(j->cpu, p->w, 0, row, n_rows, j->bits, x, p->x.row_bytes, n_x, y, y_stride);
    else
        cpu_mul(&p->wk, (const uint8_t *)p->w->data + (size_t)row * p->w->row_bytes,
                p->w->row_bytes, n_rows, p->w->n_cols, x, p->x.row_bytes, n_x, y, y_stride);
    if (p->bias) add_bias(p, row, n_rows, t0, n_x);
}

CPU_OP(matmul)
{
    struct cpu *c = (struct cpu *)d;
    const struct tensor *x = call->in[0];
    struct matmul_job j = {.cpu = c, .bits = call->n_best ? call->first_bits : call->bits, .n_x = x->n_rows, .n_groups = 1};
    struct encoded by_format[ACT_N_FORMATS] = {{NULL, 0}};
    if (!j.n_x) return FK_OK;
    arena_reset(&c->scratch);
    uint64_t total = 0;
    for (int i = 0; i < call->n_out; i++) {
        struct part *p = &j.part[i];
        *p = (struct part){.w = call->w[i], .bias = call->bias[i], .out = call->out[i]};
        TRY(cpu_weight_kernels(c, p->w, &p->wk, err));
        struct encoded *e = &by_format[p->wk.act];
        if (!e->data) TRY(cpu_encode(c, p->wk.act, x, x->n_cols, 1, e, err));
        p->x = *e;
        total += (uint64_t)p->w->n_rows * p->w->row_bytes;
    }
    int64_t n_chunks = 0;
    for (int i = 0; i < call->n_out; i++) {
        struct part *p = &j.part[i];
        p->rows_per_chunk = cpu_rows_per_chunk(c, total, p->w->row_bytes, j.n_x);
        n_chunks += (p->w->n_rows + p->rows_per_chunk - 1) / p->rows_per_chunk;
        p->chunk_end = n_chunks;
    }
    int64_t wanted = 4 * (int64_t)d->n_threads;
    if (n_chunks && n_chunks < wanted && j.n_x >= 32 && d->n_threads > 1) {
        j.n_groups = (wanted + n_chunks - 1) / n_chunks;
        if (j.n_groups > j.n_x / 16) j.n_groups = j.n_x / 16;
    }
    int64_t work = total < CPU_SERIAL_WORK ? (int64_t)total * j.n_x : CPU_SERIAL_WORK;
    n_chunks *= j.n_groups;
    cpu_ahead_here(c, call->w[0]->data, place, &j, n_chunks);
    cpu_run(c, matmul_chunk, &j, n_chunks, work);
    cpu_ahead_fetch(c);
    return call->n_best ? cpu_best(c, call, &j.part[0].x, err) : FK_OK;
}
