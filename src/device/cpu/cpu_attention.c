/* SPDX-License-Identifier: Apache-2.0
 * cpu_attention.c - softmax(q k' scale + mask) v over the pages of each sequence.
 *
 * Positions are taken in spans of KERNEL_SPAN, which begin at multiples of it. A block is what shares
 * reads of a span: up to BLOCK_ROWS query rows of one sequence and one kv head, some positions times
 * some query heads of the group (GQA; MLA has one group of all heads). For every span the kernel
 * gives each row a partial (m, l, acc) over the keys that the row sees in it; partials are merged
 * strictly in span order, the first one as it is. A row's result is therefore a function of its q,
 * its key range and the cache alone: pages, blocks, threads, chunking of the prompt and neighbours
 * may change, its bits do not.
 *
 * Two ways to the same bits:
 *   whole   a thread takes a block and walks its spans, merging as it goes.
 *   split   few blocks, many spans (decode of a long context): threads take runs of spans and leave
 *           all partials in scratch; then rows are merged in order. A window of n_window spans at a time
 *           bounds the scratch, whatever the context. */
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/device/cpu/cpu.h"
#include "src/kernels/kv_i8.h"

#define BLOCK_ROWS 64
#define SPLIT_BYTES ((size_t)8 << 20)
#define SPLIT_SPANS 64
#define RUNS_PER_THREAD 4 /* more would balance better, and fetch less ahead */

struct block {
    const struct batch_seq *seq;
    int kv_head, head, n_heads;  /* query heads [head, head + n_heads) */
    int first, n_pos;            /* rows of the sequence */
    int span_first, span_end;
};

/* Rows of a block, position-major: row i * n_heads + h. */
struct partial {
    float *m, *l, *acc;
};

/* Of a block, `bytes` from one row to the next. */
struct queries {
    const void *q;
    size_t bytes;
};

struct attention_job {
    struct cpu *cpu;
    const struct op_call *call;
    const struct attention_params *p;
    const struct kv_layout *kv;
    kernel_attend_fn attend;
    struct block *blocks;
    int64_t n_blocks;
    int heads, n_pos;     /* of a block */
    int rows;             /* most rows a block has */
    size_t partial_floats;
    uint8_t *q;           /* rows of queries, packed or encoded: whole: of a thread; split: of a block */
    size_t q_bytes;       /* of such a row */
    float *partials;      /* whole: two a thread; split: [n_blocks][n_window] */
    float *sums;          /* split: [n_blocks] */
    int n_window, window_first;
    int n_runs;           /* split: of a block's spans in a window; a run is one thread's */
    struct queries *queries; /* split: [n_blocks] */
};

static struct partial partial_at(const struct attention_job *j, float *base, int64_t i)
{
    float *m = base + (size_t)i * j->partial_floats;
    size_t head = ((size_t)j->rows + 15) & ~(size_t)15;
    return (struct partial){m, m + head, m + 2 * head};
}

static struct partial partial_row(const struct attention_job *j, struct partial p, int row)
{
    return (struct partial){p.m + row, p.l + row, p.acc + (size_t)row * (size_t)j->p->v_dim};
}

/* Keys of the span from position `base` that the position sees, as [first, end); may be empty. */
static void key_range(const struct attention_job *j, int pos, int base, int *first, int *end)
{
    int lo = 0;
    if (j->p->window && pos >= j->p->window) lo = pos - j->p->window + 1;
    *first = lo > base ? lo - base : 0;
    *end = pos - base + 1 < KERNEL_SPAN ? pos - base + 1 : KERNEL_SPAN;
}

static uint8_t *q_at(const struct attention_job *j, int64_t i)
{
    return j->q + (size_t)i * (size_t)j->rows * j->q_bytes;
}

/* A query as int8 keys meet it (kernels/kv_i8.h). */
static void encode_query(const struct attention_job *j, const float *x, uint8_t *out)
{
    int dim = j->p->k_dim, cols = kv_i8_cols(dim);
    int16_t *q = (int16_t *)(void *)out;
    float *scales = (float *)(void *)(out + kv_i8_query_scales(dim));
    for (int at = 0; at < dim; at += KV_I8_CHUNK) {
        float turned[KV_I8_CHUNK];
        int n = dim - at < KV_I8_CHUNK ? dim - at : KV_I8_CHUNK;
        j->cpu->k.rotate(x + at, n, j->kv->k_rotation, turned);
        j->cpu->k.to_i16(turned, n, q + at, scales + at / KV_I8_GROUP);
    }
    memset(q + dim, 0, (size_t)(cols - dim) * sizeof *q);
}

/* The block's queries with one stride between rows, in *stride: those of int8 keys encoded, others packed
 * where they have none; at `room` then. */
static const void *gather_q(const struct attention_job *j, const struct block *b, uint8_t *room,
                            size_t *stride)
{
    const struct tensor *q = j->call->in[0];
    size_t k_dim = (size_t)j->p->k_dim, offset = (size_t)b->head * k_dim;
    const float *row = tensor_row_f32(q, b->seq->first_row + b->first) + offset;
    bool encoded = kv_has_cells(j->kv);
    *stride = j->q_bytes;
    if (!encoded && b->n_pos == 1) return row;
    if (!encoded && b->n_heads == 1) {
        *stride = q->row_bytes;
        return row;
    }
    uint8_t *out = room;
    for (int i = 0; i < b->n_pos; i++) {
        row = tensor_row_f32(q, b->seq->first_row + b->first + i) + offset;
        for (int h = 0; h < b->n_heads; h++, row += k_dim, out += j->q_bytes)
            if (encoded) encode_query(j, row, out);
            else memcpy(out, row, k_dim * sizeof(float));
    }
    return room;
}

#define SPAN_PAGES KERNEL_SPAN /* a page may be as small as one token */

/* What the kernel needs of the pages of a span, as far as the block's sequence goes; the last of
 * them stands for all after it. */
static void find_pages(const struct attention_job *j, const struct block *b, int span,
                       struct attend_page out[SPAN_PAGES])
{
    const struct kv_layout *kv = j->kv;
    int n = KERNEL_SPAN / kv->page_tokens;
    int last = (b->seq->pos0 + b->seq->n_rows - 1) / kv->page_tokens;
    for (int i = 0; i < n; i++) {
        int page = span * n + i < last ? span * n + i : last;
        void *data = b->seq->pages[page];
        uint8_t *k = kv_k_head(kv, data, j->call->i_layer, b->kv_head);
        uint8_t *v = kv->v_in_k ? k : kv_v_head(kv, data, j->call->i_layer, b->kv_head);
        out[i] = (struct attend_page){.k = k, .v = v};
        if (!kv_has_cells(kv)) continue;
        out[i].k_scales = kv_scales(kv, k, kv->k_row_bytes);
        out[i].v_scales = kv_scales(kv, v, kv->v_in_k ? kv->k_row_bytes : kv->v_row_bytes);
    }
}

/* A walk of a block along its spans. */
struct walk {
    const struct attention_job *job;
    const struct block *block;
    const uint8_t *q;
    size_t q_bytes;
    int span, end; /* the next one; the walk ends there */
    bool is_first;
    struct attend_page pages[2][SPAN_PAGES]; /* of the even and the odd spans */
};

/* q: the block's queries, q_bytes apart */
static void walk_begin(struct walk *w, const struct attention_job *j, const struct block *b,
                       int span, int end, const void *q, size_t q_bytes)
{
    *w = (struct walk){.job = j, .block = b, .q = q, .q_bytes = q_bytes, .span = span, .end = end,
                       .is_first = true};
    find_pages(j, b, span, w->pages[span % 2]);
}

/* The partials of all rows over the next span; l = 0 marks a row that sees none of its keys. */
static void walk_step(struct walk *w, struct partial out)
{
    const struct attention_job *j = w->job;
    const struct block *b = w->block;
    int first[BLOCK_ROWS], end[BLOCK_ROWS], span = w->span++, base = span * KERNEL_SPAN;
    int n_rows = 0, row = 0; /* those that see keys of the span are neighbours */
    for (int i = 0; i < b->n_pos; i++)
        for (int h = 0; h < b->n_heads; h++) {
            key_range(j, b->seq->pos0 + b->first + i, base, &first[n_rows], &end[n_rows]);
            if (first[n_rows] < end[n_rows]) n_rows++;
            else out.l[i * b->n_heads + h] = 0;
            if (!n_rows) row++;
        }
    struct attend_args a = {.q_bytes = w->q_bytes, .k_dim = j->p->k_dim, .v_dim = j->p->v_dim,
                            .v_in_k = j->kv->v_in_k, .page_tokens = j->kv->page_tokens,
                            .pages = w->pages[span % 2],
                            .k_row_bytes = j->kv->k_row_bytes,
                            .v_row_bytes = j->kv->v_in_k ? j->kv->k_row_bytes : j->kv->v_row_bytes,
                            .scale = j->p->scale, .softcap = j->p->softcap};
    a.fetch_k = w->is_first;
    a.fetch_v = !j->kv->v_in_k;
    w->is_first = false;
    if (w->span < w->end) find_pages(j, b, w->span, w->pages[w->span % 2]);
    for (int i = 0; i < n_rows; i += a.n_q) {
        /* two full tiles of the kernel, or what is left */
        a.n_q = n_rows - i <= KERNEL_MAX_Q ? n_rows - i : 12;
        a.first = first + i;
        a.end = end + i;
        a.q = w->q + (size_t)(row + i) * w->q_bytes;
        struct partial p = partial_row(j, out, row + i);
        a.m = p.m;
        a.l = p.l;
        a.acc = p.acc;
        a.next = i + a.n_q == n_rows && w->span < w->end ? w->pages[w->span % 2] : NULL;
        j->attend(&a);
        a.fetch_k = a.fetch_v = false;
    }
}

/* Row `row` of sum merged with that of the next span. */
static void merge(const struct attention_job *j, int row, struct partial sum, struct partial next)
{
    int64_t n = j->p->v_dim;
    sum = partial_row(j, sum, row);
    next = partial_row(j, next, row);
    if (*next.l == 0) return;
    if (*sum.l == 0) {
        *sum.m = *next.m;
        *sum.l = *next.l;
        memcpy(sum.acc, next.acc, (size_t)n * sizeof(float));
    } else {
        j->cpu->k.attend_merge(sum.m, sum.l, sum.acc, *next.m, *next.l, next.acc, n);
    }
}

static void finish(const struct attention_job *j, const struct block *b, int row,
                   struct partial sum)
{
    int64_t t = b->seq->first_row + b->first + row / b->n_heads, n = j->p->v_dim;
    float *out = tensor_row_f32(j->call->out[0], t) + (b->head + row % b->n_heads) * n;
    sum = partial_row(j, sum, row);
    j->cpu->k.scale(sum.acc, 1.0f / *sum.l, n, out);
    if (kv_has_cells(j->kv)) j->cpu->k.rotate(out, n, j->kv->v_rotation, out);
}

static void whole_chunk(void *arg, int64_t chunk, int worker)
{
    const struct attention_job *j = arg;
    const struct block *b = &j->blocks[chunk];
    struct partial sum = partial_at(j, j->partials, 2 * (int64_t)worker);
    struct partial next = partial_at(j, j->partials, 2 * (int64_t)worker + 1);
    struct walk w;
    int n_rows = b->n_pos * b->n_heads;
    size_t q_bytes;
    const void *q = gather_q(j, b, q_at(j, worker), &q_bytes);
    walk_begin(&w, j, b, b->span_first, b->span_end, q, q_bytes);
    walk_step(&w, sum);
    while (w.span < w.end) {
        walk_step(&w, next);
        for (int row = 0; row < n_rows; row++) merge(j, row, sum, next);
    }
    for (int row = 0; row < n_rows; row++) finish(j, b, row, sum);
}

/* Spans [*first, *end) of block b that lie in the present window. */
static void window_spans(const struct attention_job *j, const struct block *b, int *first, int *end)
{
    *first = b->span_first + j->window_first;
    *end = b->span_end - *first < j->n_window ? b->span_end : *first + j->n_window;
}

static void queries_chunk(void *arg, int64_t chunk, int worker)
{
    const struct attention_job *j = arg;
    (void)worker;
    j->queries[chunk].q = gather_q(j, &j->blocks[chunk], q_at(j, chunk), &j->queries[chunk].bytes);
}

static void split_chunk(void *arg, int64_t chunk, int worker)
{
    const struct attention_job *j = arg;
    (void)worker;
    int64_t i_block = chunk / j->n_runs;
    const struct block *b = &j->blocks[i_block];
    struct walk w;
    int first, end, run = (int)(chunk % j->n_runs);
    window_spans(j, b, &first, &end);
    int n = end - first, begin = first + (int)((int64_t)n * run / j->n_runs);
    end = first + (int)((int64_t)n * (run + 1) / j->n_runs);
    if (begin >= end) return;
    walk_begin(&w, j, b, begin, end, j->queries[i_block].q, j->queries[i_block].bytes);
    for (int64_t i = i_block * j->n_window + begin - first; w.span < w.end; i++)
        walk_step(&w, partial_at(j, j->partials, i));
}

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    const struct attention_job *j = arg;
    int64_t i_block = chunk / j->rows;
    const struct block *b = &j->blocks[i_block];
    struct partial sum = partial_at(j, j->sums, i_block);
    int first, end, row = (int)(chunk % j->rows);
    (void)worker;
    window_spans(j, b, &first, &end);
    if (first >= end || row >= b->n_pos * b->n_heads) return;
    if (first == b->span_first) sum.l[row] = 0;
    for (int span = first; span < end; span++)
        merge(j, row, sum, partial_at(j, j->partials, i_block * j->n_window + span - first));
    if (end == b->span_end) finish(j, b, row, sum);
}

static int64_t count_blocks(const struct attention_job *j)
{
    const struct batch *batch = j->call->batch;
    int64_t n = 0;
    for (int i = 0; i < batch->n_seqs; i++)
        n += (batch->seqs[i].n_rows + (int64_t)j->n_pos - 1) / j->n_pos;
    return n * (j->p->n_heads / j->heads);
}

/* Blocks in the order sequence, kv head, query heads, positions. Late positions have the most keys,
 * so they come first and the threads end together. Returns the multiply-adds of all. */
static double fill_blocks(struct attention_job *j)
{
    const struct batch *batch = j->call->batch;
    int group = j->p->n_heads / j->p->n_kv_heads;
    struct block *b = j->blocks;
    double work = 0;
    for (int i = 0; i < batch->n_seqs; i++) {
        const struct batch_seq *s = &batch->seqs[i];
        int last = s->n_rows ? (s->n_rows - 1) / j->n_pos * j->n_pos : -1;
        for (int head = 0; head < j->p->n_heads; head += j->heads)
            for (int at = last; at >= 0; at -= j->n_pos, b++) {
                *b = (struct block){.seq = s, .kv_head = head / group, .head = head,
                                    .n_heads = j->heads, .first = at};
                b->n_pos = s->n_rows - at < j->n_pos ? s->n_rows - at : j->n_pos;
                int lo = s->pos0 + at, hi = lo + b->n_pos, window = j->p->window;
                lo = window && lo >= window ? lo - window + 1 : 0;
                b->span_first = lo / KERNEL_SPAN;
                b->span_end = (hi - 1) / KERNEL_SPAN + 1;
                work += (double)(hi - lo) * b->n_pos * b->n_heads * (j->p->k_dim + j->p->v_dim);
            }
    }
    return work;
}

static enum fk_status run_whole(struct attention_job *j, int64_t work, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    size_t n_threads = (size_t)j->cpu->base.n_threads;
    j->q = cpu_scratch(j->cpu, n_threads * (size_t)j->rows, j->q_bytes, &st, err);
    j->partials = cpu_scratch(j->cpu, 2 * n_threads * j->partial_floats, sizeof(float), &st, err);
    if (st == FK_OK) cpu_run(j->cpu, whole_chunk, j, j->n_blocks, work);
    return st;
}

static enum fk_status run_split(struct attention_job *j, int64_t work, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    size_t per_span = (size_t)j->n_blocks * j->partial_floats;
    size_t fit = SPLIT_BYTES / (per_span * sizeof(float));
    int n_spans = 0;
    for (int64_t i = 0; i < j->n_blocks; i++) {
        int n = j->blocks[i].span_end - j->blocks[i].span_first;
        if (n > n_spans) n_spans = n;
    }
    if (n_spans == 1) return run_whole(j, work, err);
    j->n_window = fit < 1 ? 1 : fit > SPLIT_SPANS ? SPLIT_SPANS : (int)fit;
    j->partials = cpu_scratch(j->cpu, per_span * (size_t)j->n_window, sizeof(float), &st, err);
    j->sums = cpu_scratch(j->cpu, per_span, sizeof(float), &st, err);
    j->q = cpu_scratch(j->cpu, (size_t)(j->n_blocks * j->rows), j->q_bytes, &st, err);
    j->queries = cpu_scratch(j->cpu, (size_t)j->n_blocks, sizeof *j->queries, &st, err);
    if (st != FK_OK) return st;
    cpu_run(j->cpu, queries_chunk, j, j->n_blocks, j->n_blocks * j->rows * (int64_t)j->p->k_dim);
    for (j->window_first = 0; j->window_first < n_spans; j->window_first += j->n_window) {
        int n = n_spans - j->window_first < j->n_window ? n_spans - j->window_first : j->n_window;
        j->n_runs = (int)((RUNS_PER_THREAD * j->cpu->base.n_threads + j->n_blocks - 1) / j->n_blocks);
        if (j->n_runs > n) j->n_runs = n;
        cpu_run(j->cpu, split_chunk, j, j->n_blocks * j->n_runs, work);
        cpu_run(j->cpu, merge_chunk, j, j->n_blocks * j->rows,
                j->n_blocks * n * j->rows * (int64_t)j->p->v_dim);
    }
    return FK_OK;
}

/* Query heads of a block: as many of a group as share its reads, or fewer where spans and heads
 * together would not keep the threads busy. */
static int heads_per_block(const struct op_call *call, int n_threads)
{
    const struct attention_params *p = call->attention;
    int group = p->n_heads / p->n_kv_heads, heads = group < BLOCK_ROWS ? group : BLOCK_ROWS;
    int64_t n_chunks = 0;
    for (int i = 0; i < call->batch->n_seqs; i++) {
        const struct batch_seq *s = &call->batch->seqs[i];
        int n = s->n_rows ? s->pos0 + s->n_rows : 0;
        if (p->window && n > p->window + s->n_rows) n = p->window + s->n_rows;
        n_chunks += (int64_t)(n + KERNEL_SPAN - 1) / KERNEL_SPAN * p->n_kv_heads * s->n_rows;
    }
    while (group % heads) heads--; /* blocks of equal size, none across two groups */
    while (heads % 2 == 0 && heads > 4 && n_chunks * (group / heads) < 2 * n_threads) heads /= 2;
    return heads;
}

CPU_OP(attention)
{
    struct cpu *c = (struct cpu *)d;
    const struct attention_params *p = call->attention;
    struct attention_job j = {.cpu = c, .call = call, .p = p, .kv = call->batch->kv};
    j.attend = j.kv->dtype == DT_F16 ? c->k.attend_f16
               : j.kv->dtype == DT_I8 ? c->k.attend_i8
               : j.kv->dtype == DT_KV_I4 ? c->k.attend_i4 : c->k.attend_f32;
    j.q_bytes = kv_has_cells(j.kv) ? kv_i8_query_bytes(p->k_dim) : (size_t)p->k_dim * sizeof(float);
    if (!call->in[0]->n_rows) return FK_OK;
    int max_rows = 0;
    for (int i = 0; i < call->batch->n_seqs; i++)
        if (call->batch->seqs[i].n_rows > max_rows) max_rows = call->batch->seqs[i].n_rows;
    j.heads = heads_per_block(call, d->n_threads);
    j.n_pos = BLOCK_ROWS / j.heads < max_rows ? BLOCK_ROWS / j.heads : max_rows;
    j.rows = j.heads * j.n_pos;
    j.partial_floats = (size_t)j.rows * (size_t)p->v_dim + 2 * (((size_t)j.rows + 15) & ~(size_t)15);
    j.partial_floats = (j.partial_floats + 15) & ~(size_t)15;

    enum fk_status st = FK_OK;
    arena_reset(&c->scratch);
    j.n_blocks = count_blocks(&j);
    j.blocks = cpu_scratch(c, (size_t)j.n_blocks, sizeof *j.blocks, &st, err);
    if (st != FK_OK) return st;
    double work = fill_blocks(&j);
    int64_t n_work = work < 1e15 ? (int64_t)work / 8 : (int64_t)1e14; /* 8 a step: they are vectors */
    if (d->n_threads > 1 && j.n_blocks < 4 * (int64_t)d->n_threads)
        return run_split(&j, n_work, err);
    return run_whole(&j, n_work, err);
}
