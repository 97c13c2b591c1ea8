/* SPDX-License-Identifier: Apache-2.0
 * cpu_moe.c - the chosen experts of a step: out[t] = sum_s weight[t,s] down_e(act(gate_e x) * up_e x)
 * with e = ids[t,s].
 *
 * A pair is one (token, slot); pairs are sorted by expert, tokens in order within one. Three passes,
 * each one chunk space over all experts, so there is no barrier per expert and each chosen matrix is
 * read once:  1 gate and up   2 activation, encoding (whole rows)   3 down.
 * Then every token adds its pairs in the order of its slots, whatever its neighbours chose. */
#include <string.h>
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/device/cpu/cpu.h"

struct group {
    int expert;
    int64_t pair0, n_pairs;
};

struct stage {
    struct weight_kernels wk;
    const struct tensor *w;
    const uint8_t *x; /* [n_pairs] encoded rows */
    size_t x_row_bytes;
    float *y;         /* [n_pairs][w->n_rows] */
};

struct moe_job {
    struct cpu *cpu;
    const struct op_call *call;
    struct group *groups;
    int64_t n_groups, n_pairs, n_chunks;
    const struct tensor *first; /* matrix of the pass: its chunks, of all groups */
    int64_t rows_per_chunk, chunks_per_group;
    int32_t *token_of; /* [n_pairs] */
    int32_t *pair_of;  /* [n_tokens * n_used] */
    struct stage gate, up, down;
    uint8_t *h;        /* encoded activations of down */
};

/* Counting sort of the pairs by expert. */
static enum fk_status group_pairs(struct moe_job *j, struct fk_error *err)
{
    const struct tensor *ids = j->call->in[1];
    int64_t n_experts = j->call->w[0]->n_mats, n_used = ids->n_cols;
    enum fk_status st = FK_OK;
    j->n_pairs = ids->n_rows * n_used;
    int64_t most = j->n_pairs < n_experts ? j->n_pairs : n_experts;
    int64_t *next = cpu_scratch(j->cpu, (size_t)n_experts, sizeof *next, &st, err);
    j->groups = cpu_scratch(j->cpu, (size_t)most, sizeof *j->groups, &st, err);
    j->token_of = cpu_scratch(j->cpu, (size_t)j->n_pairs, sizeof *j->token_of, &st, err);
    j->pair_of = cpu_scratch(j->cpu, (size_t)j->n_pairs, sizeof *j->pair_of, &st, err);
    if (st != FK_OK) return st;
    memset(next, 0, (size_t)n_experts * sizeof *next);
    for (int64_t t = 0; t < ids->n_rows; t++) {
        const int32_t *row = (const int32_t *)(const void *)tensor_row_f32(ids, t);
        for (int64_t s = 0; s < n_used; s++) next[row[s]]++;
    }
    int64_t pair = 0;
    for (int64_t e = 0; e < n_experts; e++) {
        int64_t n = next[e];
        next[e] = pair;
        if (n) j->groups[j->n_groups++] = (struct group){(int)e, pair, n};
        pair += n;
    }
    for (int64_t t = 0; t < ids->n_rows; t++) {
        const int32_t *row = (const int32_t *)(const void *)tensor_row_f32(ids, t);
        for (int64_t s = 0; s < n_used; s++) {
            int64_t p = next[row[s]]++;
            j->token_of[p] = (int32_t)t;
            j->pair_of[t * n_used + s] = (int32_t)p;
        }
    }
    return FK_OK;
}

struct gather_job {
    const struct moe_job *moe;
    const struct encoded *x;
    uint8_t *out;
    int64_t n_chunks;
};

static void gather_chunk(void *arg, int64_t chunk, int worker)
{
    const struct gather_job *g = arg;
    (void)worker;
    int64_t n = g->moe->n_pairs, end = n * (chunk + 1) / g->n_chunks;
    for (int64_t p = n * chunk / g->n_chunks; p < end; p++)
        memcpy(g->out + (size_t)p * g->x->row_bytes,
               g->x->data + (size_t)g->moe->token_of[p] * g->x->row_bytes, g->x->row_bytes);
}

/* x of every pair, encoded as s wants it. With one token all pairs share its one row. */
static enum fk_status encode_pairs(struct moe_job *j, struct stage *s, struct fk_error *err)
{
    const struct tensor *x = j->call->in[0];
    struct encoded e;
    enum fk_status st = FK_OK;
    TRY(cpu_encode(j->cpu, s->wk.act, x, x->n_cols, 1, &e, err));
    s->x = e.data;
    s->x_row_bytes = e.row_bytes;
    if (x->n_rows == 1) return FK_OK;
    int64_t most = 4 * (int64_t)j->cpu->base.n_threads;
    struct gather_job g = {j, &e, cpu_scratch(j->cpu, (size_t)j->n_pairs, e.row_bytes, &st, err),
                           j->n_pairs < most ? j->n_pairs : most};
    if (!g.out) return st;
    cpu_run(j->cpu, gather_chunk, &g, g.n_chunks, j->n_pairs * (int64_t)(e.row_bytes / 8));
    s->x = g.out;
    return FK_OK;
}

static void mul_rows(const struct moe_job *j, const struct stage *s, int64_t expert, int64_t row,
                     int64_t n_rows, const uint8_t *x, int64_t n_x, float *y)
{
    if (s->w->dtype == DT_PLANES)
        cpu_mul_planes(j->cpu, s->w, expert, row, n_rows, j->call->bits, x, s->x_row_bytes, n_x, y,
                       (size_t)s->w->n_rows);
    else
        cpu_mul(&s->wk, (const uint8_t *)s->w->data + (size_t)expert * s->w->mat_bytes +
                            (size_t)row * s->w->row_bytes,
                s->w->row_bytes, n_rows, s->w->n_cols, x, s->x_row_bytes, n_x, y,
                (size_t)s->w->n_rows);
}

static void mul_stage(const struct moe_job *j, const struct stage *s, int64_t chunk)
{
    const struct group *g = &j->groups[chunk / j->chunks_per_group];
    int64_t row = chunk % j->chunks_per_group * j->rows_per_chunk, n_rows = s->w->n_rows - row;
    if (n_rows > j->rows_per_chunk) n_rows = j->rows_per_chunk;
    bool is_shared = s != &j->down && j->call->in[0]->n_rows == 1;
    float *y = s->y + g->pair0 * s->w->n_rows + row;
    if (!is_shared) {
        mul_rows(j, s, g->expert, row, n_rows, s->x + (size_t)g->pair0 * s->x_row_bytes, g->n_pairs, y);
        return;
    }
    /* One token: an expert has one pair, more only if ids repeat. */
    for (int64_t p = 0; p < g->n_pairs; p++)
        mul_rows(j, s, g->expert, row, n_rows, s->x, 1, y + p * s->w->n_rows);
}

static const uint8_t *place(const void *arg, int64_t chunk)
{
    const struct moe_job *j = arg;
    const struct tensor *w = j->first;
    if (w->dtype == DT_PLANES) return NULL;
    return (const uint8_t *)w->data + (size_t)j->groups[chunk / j->chunks_per_group].expert * w->mat_bytes +
           (size_t)(chunk % j->chunks_per_group * j->rows_per_chunk) * w->row_bytes;
}

static void gate_up_chunk(void *arg, int64_t chunk, int worker)
{
    const struct moe_job *j = arg;
    (void)worker;
    mul_stage(j, &j->gate, chunk);
    mul_stage(j, &j->up, chunk);
}

static void down_chunk(void *arg, int64_t chunk, int worker)
{
    const struct moe_job *j = arg;
    (void)worker;
    mul_stage(j, &j->down, chunk);
}

static void glu_chunk(void *arg, int64_t chunk, int worker)
{
    const struct moe_job *j = arg;
    int64_t ff = j->gate.w->n_rows, end = j->n_pairs * (chunk + 1) / j->n_chunks;
    kernel_act_fn act = cpu_act_fn(j->cpu, j->down.wk.act);
    (void)worker;
    for (int64_t p = j->n_pairs * chunk / j->n_chunks; p < end; p++) {
        float *gate = j->gate.y + p * ff, *up = j->up.y + p * ff;
        uint8_t *out = j->h + (size_t)p * j->down.x_row_bytes;
        (j->call->act == ACT_SILU ? j->cpu->k.glu_silu : j->cpu->k.glu_gelu)(gate, up, ff, gate);
        if (act)
            act(gate, ff, out);
        else
            memcpy(out, gate, (size_t)ff * sizeof(float));
    }
}

static void combine_row(struct cpu *c, const struct op_call *call, int64_t t, const float *y,
                        const int32_t *pairs)
{
    const struct tensor *weights = call->in[2];
    int64_t n = call->out[0]->n_cols;
    const float *w = tensor_row_f32(weights, t);
    float *out = tensor_row_f32(call->out[0], t);
    c->k.scale(y + pairs[0] * n, w[0], n, out);
    for (int64_t s = 1; s < weights->n_cols; s++) c->k.axpy(w[s], y + pairs[s] * n, n, out);
}

static void combine_chunk(void *arg, int64_t chunk, int worker)
{
    const struct moe_job *j = arg;
    (void)worker;
    int64_t n = j->call->out[0]->n_rows, end = n * (chunk + 1) / j->n_chunks;
    for (int64_t t = n * chunk / j->n_chunks; t < end; t++)
        combine_row(j->cpu, j->call, t, j->down.y, j->pair_of + t * j->call->in[1]->n_cols);
}

/* Splits the rows of a stage's matrices, for all groups alike. */
static void plan_rows(struct moe_job *j, const struct tensor *w, int64_t n_stages)
{
    j->first = w;
    uint64_t total = (uint64_t)(j->n_groups * w->n_rows * n_stages) * w->row_bytes;
    j->rows_per_chunk = cpu_rows_per_chunk(j->cpu, total, w->row_bytes * (uint64_t)n_stages,
                                           (j->n_pairs + j->n_groups - 1) / j->n_groups);
    j->chunks_per_group = (w->n_rows + j->rows_per_chunk - 1) / j->rows_per_chunk;
    j->n_chunks = j->n_groups * j->chunks_per_group;
}

static enum fk_status reserve(struct moe_job *j, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    size_t n = (size_t)j->n_pairs, ff = (size_t)j->gate.w->n_rows * sizeof(float);
    j->gate.y = cpu_scratch(j->cpu, n, ff, &st, err);
    j->up.y = cpu_scratch(j->cpu, n, ff, &st, err);
    j->down.y = cpu_scratch(j->cpu, n, (size_t)j->down.w->n_rows * sizeof(float), &st, err);
    j->down.x_row_bytes = act_row_bytes(j->down.wk.act, j->down.w->n_cols);
    j->down.x = j->h = cpu_scratch(j->cpu, n, j->down.x_row_bytes, &st, err);
    return st;
}

/* Asks for all that one expert's matrix will be read of. A page fault asks for one piece after the other;
 * a disk is fastest when it knows of all of them. */
static void fetch_matrix(const struct moe_job *j, const struct tensor *w, int expert)
{
    if (w->dtype != DT_PLANES) {
        map_will_need((const uint8_t *)w->data + (size_t)expert * w->mat_bytes, w->mat_bytes);
        return;
    }
    const struct planes *p = w->data;
    int64_t first = expert * p->n_groups, tiles = p->n_groups * p->n_blocks;
    int widest = 0;
    for (int64_t g = first; g < first + p->n_groups; g++) {
        int i = planes_read_index(p, g, j->call->bits);
        if (i > widest) widest = i;
    }
    map_will_need(p->scales + 8 * first * p->n_blocks, (size_t)tiles * 8);
    for (int i = 0; i <= widest; i++) {
        size_t bytes = planes_tile_bytes(i);
        map_will_need(p->plane[i] + (size_t)(first * p->n_blocks) * bytes, (size_t)tiles * bytes);
    }
}

static void fetch_experts(const struct moe_job *j)
{
    const struct tensor *const all[] = {j->gate.w, j->up.w, j->down.w};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (int64_t g = 0; g < j->n_groups; g++) fetch_matrix(j, all[i], j->groups[g].expert);
}

CPU_OP(experts)
{
    struct cpu *c = (struct cpu *)d;
    struct moe_job j = {.cpu = c, .call = call, .gate.w = call->w[0], .up.w = call->w[1],
                        .down.w = call->w[2]};
    int64_t most = 4 * (int64_t)d->n_threads, n_tokens = call->in[0]->n_rows;
    if (!n_tokens) return FK_OK;
    arena_reset(&c->scratch);
    TRY(cpu_weight_kernels(c, j.gate.w, &j.gate.wk, err));
    TRY(cpu_weight_kernels(c, j.up.w, &j.up.wk, err));
    TRY(cpu_weight_kernels(c, j.down.w, &j.down.wk, err));
    TRY(group_pairs(&j, err));
    if (c->fetch_experts) fetch_experts(&j);
    plan_rows(&j, j.gate.w, 2);
    cpu_ahead_next(c, place, &j, j.n_chunks);
    TRY(encode_pairs(&j, &j.gate, err));
    if (j.up.wk.act == j.gate.wk.act) {
        j.up.x = j.gate.x;
        j.up.x_row_bytes = j.gate.x_row_bytes;
    } else {
        TRY(encode_pairs(&j, &j.up, err));
    }
    TRY(reserve(&j, err));
    struct moe_job down = j;
    plan_rows(&down, j.down.w, 1);
    int64_t work = j.n_pairs * j.gate.w->n_rows;
    cpu_ahead_here(c, j.gate.w->data, NULL, NULL, 0);
    cpu_ahead_next(c, place, &down, down.n_chunks);
    cpu_run(c, gate_up_chunk, &j, j.n_chunks, work * j.gate.w->n_cols);
    j.n_chunks = j.n_pairs < most ? j.n_pairs : most;
    cpu_run(c, glu_chunk, &j, j.n_chunks, work * 4);
    cpu_ahead_here(c, j.down.w->data, NULL, NULL, 0);
    cpu_run(c, down_chunk, &down, down.n_chunks, work * j.down.w->n_rows);
    cpu_ahead_fetch(c);
    j.n_chunks = n_tokens < most ? n_tokens : most;
    cpu_run(c, combine_chunk, &j, j.n_chunks, j.n_pairs * j.down.w->n_rows);
    return FK_OK;
}
