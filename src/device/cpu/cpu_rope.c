/* SPDX-License-Identifier: Apache-2.0
 * cpu_rope.c - rotary positions. cos and sin are computed once per step and rope_params, in double
 * (an angle of 100,000 radians keeps its low bits), and stored as float. */
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/device/cpu/cpu.h"

void cpu_rope_fini(struct cpu *c)
{
    for (int i = 0; i < ROPE_TABLES; i++) mem_free(c->ropes[i].block);
}

static bool is_same(const struct rope_table *r, const struct rope_params *p, const struct batch *b)
{
    return r->key == p && r->n_rows == b->n_rows && r->n_pairs == p->n_rot / 2 &&
           r->mscale == p->mscale &&
           !memcmp(r->pos, b->pos, (size_t)b->n_rows * sizeof *r->pos) &&
           !memcmp(r->inv_freq, p->inv_freq, (size_t)r->n_pairs * sizeof *r->inv_freq);
}

static void fill_chunk(void *arg, int64_t chunk, int worker)
{
    const struct rope_table *r = arg;
    (void)worker;
    float *cos_row = r->cos + chunk * r->n_pairs, *sin_row = r->sin + chunk * r->n_pairs;
    for (int i = 0; i < r->n_pairs; i++) {
        double s, c;
        sincos((double)r->pos[chunk] * (double)r->inv_freq[i], &s, &c);
        cos_row[i] = (float)(c * (double)r->mscale);
        sin_row[i] = (float)(s * (double)r->mscale);
    }
}

/* The table's block holds pos, inv_freq, cos and sin for n_rows x n_pairs. */
static enum fk_status reserve(struct rope_table *r, int n_rows, int n_pairs, struct fk_error *err)
{
    size_t cells, n, bytes;
    r->key = NULL;
    if (!size_mul((size_t)n_rows, (size_t)n_pairs, &cells) || !size_mul(cells, 2, &n) ||
        !size_add(n, (size_t)n_rows + (size_t)n_pairs, &n) || !size_mul(n, sizeof(float), &bytes))
        return fail(err, FK_ETOOBIG, "rope: %d rows of %d pairs", n_rows, n_pairs);
    if (bytes > r->block_bytes) {
        void *block = mem_alloc(bytes, MEM_SCRATCH);
        if (!block) return fail_nomem(err, bytes, "rotary tables");
        mem_free(r->block);
        r->block = block;
        r->block_bytes = bytes;
    }
    r->pos = r->block;
    r->inv_freq = (float *)(void *)(r->pos + n_rows);
    r->cos = r->inv_freq + n_pairs;
    r->sin = r->cos + cells;
    r->n_rows = n_rows;
    r->n_pairs = n_pairs;
    return FK_OK;
}

static enum fk_status find_table(struct cpu *c, const struct rope_params *p, const struct batch *b,
                                 const struct rope_table **out, struct fk_error *err)
{
    struct rope_table *r = &c->ropes[0];
    for (int i = 0; i < ROPE_TABLES; i++) {
        if (is_same(&c->ropes[i], p, b)) {
            c->ropes[i].last_used = ++c->rope_clock;
            *out = &c->ropes[i];
            return FK_OK;
        }
        /* The same params at other positions: last step's table goes first, so that a model with two
         * of them settles on two tables. */
        if (c->ropes[i].key == p || (r->key != p && c->ropes[i].last_used < r->last_used))
            r = &c->ropes[i];
    }
    TRY(reserve(r, b->n_rows, p->n_rot / 2, err));
    memcpy(r->pos, b->pos, (size_t)b->n_rows * sizeof *r->pos);
    memcpy(r->inv_freq, p->inv_freq, (size_t)r->n_pairs * sizeof *r->inv_freq);
    r->mscale = p->mscale;
    cpu_run(c, fill_chunk, r, r->n_rows, (int64_t)r->n_rows * r->n_pairs * 32);
    r->key = p;
    r->last_used = ++c->rope_clock;
    *out = r;
    return FK_OK;
}

struct rope_job {
    struct cpu *cpu;
    const struct op_call *call;
    const struct rope_table *table;
    int64_t n_chunks;
};

static void rope_chunk(void *arg, int64_t chunk, int worker)
{
    const struct rope_job *j = arg;
    const struct op_call *call = j->call;
    const struct rope_params *p = call->rope;
    const struct tensor *x = call->in[0];
    (void)worker;
    void (*rotate)(const float *, const float *, const float *, int64_t, float *) =
        p->style == ROPE_HALVES ? j->cpu->k.rope_halves : j->cpu->k.rope_interleaved;
    int64_t dim = x->n_cols / call->n_heads, last = p->first + p->n_rot, n_pairs = p->n_rot / 2;
    int64_t end = x->n_rows * (chunk + 1) / j->n_chunks;
    for (int64_t t = x->n_rows * chunk / j->n_chunks; t < end; t++) {
        const float *from = tensor_row_f32(x, t);
        float *to = tensor_row_f32(call->out[0], t);
        const float *cos_row = j->table->cos + t * n_pairs, *sin_row = j->table->sin + t * n_pairs;
        for (int h = 0; h < call->n_heads; h++, from += dim, to += dim) {
            if (p->first) memcpy(to, from, (size_t)p->first * sizeof(float));
            rotate(from + p->first, cos_row, sin_row, n_pairs, to + p->first);
            if (last < dim) memcpy(to + last, from + last, (size_t)(dim - last) * sizeof(float));
        }
    }
}

CPU_OP(rope)
{
    struct cpu *c = (struct cpu *)d;
    int64_t n_rows = call->in[0]->n_rows, most = 4 * (int64_t)d->n_threads;
    struct rope_job j = {.cpu = c, .call = call, .n_chunks = n_rows < most ? n_rows : most};
    if (!n_rows) return FK_OK;
    TRY(find_table(c, call->rope, call->batch, &j.table, err));
    cpu_run(c, rope_chunk, &j, j.n_chunks, n_rows * call->in[0]->n_cols);
    return FK_OK;
}
