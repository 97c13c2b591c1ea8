/* SPDX-License-Identifier: Apache-2.0
 * cpu_attention.c - softmax(q k' scale + mask) v over the pages of each sequence.
 *
 * A block is what shares reads of a page: up to BLOCK_ROWS query rows of one sequence, one kv head:
 * some positions times up to KERNEL_MAX_Q query heads of the group (GQA; MLA has one group of all
 * heads). For every page the kernel gives each row a partial (m, l, acc) over the keys that the row
 * sees in that page; partials are merged strictly in page order, the first one as it is. A row's
 * result is therefore a function of its q, its key range and the pages alone: blocks, threads,
 * chunking of the prompt and neighbours may change, its bits do not.
 *
 * Two ways to the same bits:
 *   whole   a thread takes a block and walks its pages, merging as it goes.
 *   split   few blocks, many pages (decode of a long context): threads take runs of pages and leave
 *           all partials in scratch; then blocks merge them in order. A window of n_window pages at a
 *           time bounds the scratch, whatever the context. */
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/device/cpu/cpu.h"

#define BLOCK_ROWS 64
#define SPLIT_BYTES ((size_t)8 << 20)
#define SPLIT_PAGES 64

struct block {
    const struct batch_seq *seq;
    int kv_head, head, n_heads;  /* query heads [head, head + n_heads) */
    int first, n_pos;            /* rows of the sequence */
    int page_first, page_end;
};

/* Rows of a block, position-major: row i * n_heads + h. */
struct partial {
    float *m, *l, *acc;
};

struct attention_job {
    struct cpu *cpu;
    const struct op_call *call;
    const struct attention_params *p;
    const struct kv_layout *kv;
    kernel_attend_fn attend;
    struct block *blocks;
    int64_t n_blocks;
    int rows;             /* most rows a block has */
    size_t partial_floats;
    float *q;             /* [n_threads][rows][k_dim] */
    float *partials;      /* whole: two a thread; split: [n_blocks][n_window] */
    float *sums;          /* split: [n_blocks] */
    int n_window, window_first, pages_per_run, runs_per_block;
};

static struct partial partial_at(const struct attention_job *j, float *base, int64_t i)
{
    float *m = base + (size_t)i * j->partial_floats;
    size_t head = ((size_t)j->rows + 15) & ~(size_t)15;
    return (struct partial){m, m + head, m + 2 * head};
}

/* Keys of `page` that the position sees, as slots [first, end). */
static void key_range(const struct attention_job *j, int pos, int page, int *first, int *end)
{
    int n = j->kv->page_tokens, lo = 0, base = page * n;
    if (j->p->window && pos >= j->p->window) lo = pos - j->p->window + 1;
    *first = lo > base ? lo - base : 0;
    *end = pos - base + 1 < n ? pos - base + 1 : n;
}

/* The block's queries with one stride between rows; packed into scratch where they have none. */
static const float *gather_q(const struct attention_job *j, const struct block *b, int worker,
                             size_t *stride)
{
    const struct tensor *q = j->call->in[0];
    size_t k_dim = (size_t)j->p->k_dim, offset = (size_t)b->head * k_dim;
    const float *row = tensor_row_f32(q, b->seq->first_row + b->first) + offset;
    *stride = k_dim;
    if (b->n_pos == 1) return row;
    if (b->n_heads == 1) {
        *stride = q->row_bytes / sizeof(float);
        return row;
    }
    float *packed = j->q + (size_t)worker * (size_t)j->rows * k_dim;
    size_t n = (size_t)b->n_heads * k_dim;
    for (int i = 0; i < b->n_pos; i++)
        memcpy(packed + (size_t)i * n,
               tensor_row_f32(q, b->seq->first_row + b->first + i) + offset, n * sizeof(float));
    return packed;
}

/* The partials of all rows of b over one page; l = 0 marks a row that sees none of its keys. */
static void attend_page(const struct attention_job *j, const struct block *b, int page,
                        const float *q, size_t q_stride, struct partial out)
{
    const struct kv_layout *kv = j->kv;
    void *data = b->seq->pages[page];
    uint8_t *k = kv_k_head(kv, data, j->call->i_layer, b->kv_head);
    uint8_t *v = kv->v_in_k ? k : kv_v_head(kv, data, j->call->i_layer, b->kv_head);
    struct attend_args a = {.q_stride = q_stride, .k_dim = j->p->k_dim, .v_dim = j->p->v_dim,
                            .k = k, .v = v, .k_row_bytes = kv->k_row_bytes,
                            .v_row_bytes = kv->v_in_k ? kv->k_row_bytes : kv->v_row_bytes,
                            .scale = j->p->scale, .softcap = j->p->softcap};
    if (kv->dtype == DT_I8) {
        a.k_scales = kv_scales(kv, k, a.k_row_bytes);
        a.v_scales = kv_scales(kv, v, a.v_row_bytes);
    }
    for (int i = 0, next; i < b->n_pos; i = next) {
        int pos = b->seq->pos0 + b->first + i, first, end;
        key_range(j, pos, page, &a.first, &a.end);
        for (next = i + 1; next < b->n_pos; next++) {
            key_range(j, pos + next - i, page, &first, &end);
            if (first != a.first || end != a.end) break;
        }
        int row = i * b->n_heads, row_end = next * b->n_heads;
        if (a.first >= a.end) {
            memset(out.l + row, 0, (size_t)(row_end - row) * sizeof(float));
            continue;
        }
        for (; row < row_end; row += a.n_q) {
            a.n_q = row_end - row < KERNEL_MAX_Q ? row_end - row : KERNEL_MAX_Q;
            a.q = q + (size_t)row * q_stride;
            a.m = out.m + row;
            a.l = out.l + row;
            a.acc = out.acc + (size_t)row * (size_t)a.v_dim;
            j->attend(&a);
        }
    }
}

/* sum <- sum merged with the next page's partial. */
static void merge(const struct attention_job *j, int n_rows, struct partial sum,
                  struct partial next)
{
    size_t n = (size_t)j->p->v_dim;
    for (int r = 0; r < n_rows; r++) {
        float *acc = sum.acc + (size_t)r * n;
        const float *acc2 = next.acc + (size_t)r * n;
        if (next.l[r] == 0) continue;
        if (sum.l[r] == 0) {
            sum.m[r] = next.m[r];
            sum.l[r] = next.l[r];
            memcpy(acc, acc2, n * sizeof(float));
        } else {
            j->cpu->k.attend_merge(&sum.m[r], &sum.l[r], acc, next.m[r], next.l[r], acc2,
                                   (int64_t)n);
        }
    }
}

static void finish(const struct attention_job *j, const struct block *b, struct partial sum)
{
    size_t n = (size_t)j->p->v_dim;
    for (int i = 0, r = 0; i < b->n_pos; i++) {
        float *out = tensor_row_f32(j->call->out[0], b->seq->first_row + b->first + i) +
                     (size_t)b->head * n;
        for (int h = 0; h < b->n_heads; h++, r++)
            j->cpu->k.scale(sum.acc + (size_t)r * n, 1.0f / sum.l[r], (int64_t)n,
                            out + (size_t)h * n);
    }
}

static void whole_chunk(void *arg, int64_t chunk, int worker)
{
    const struct attention_job *j = arg;
    const struct block *b = &j->blocks[chunk];
    struct partial sum = partial_at(j, j->partials, 2 * (int64_t)worker);
    struct partial next = partial_at(j, j->partials, 2 * (int64_t)worker + 1);
    size_t stride;
    const float *q = gather_q(j, b, worker, &stride);
    attend_page(j, b, b->page_first, q, stride, sum);
    for (int page = b->page_first + 1; page < b->page_end; page++) {
        attend_page(j, b, page, q, stride, next);
        merge(j, b->n_pos * b->n_heads, sum, next);
    }
    finish(j, b, sum);
}

/* Pages [*first, *end) of block b that lie in the present window. */
static void window_pages(const struct attention_job *j, const struct block *b, int *first, int *end)
{
    *first = b->page_first + j->window_first;
    *end = b->page_end - *first < j->n_window ? b->page_end : *first + j->n_window;
}

static void split_chunk(void *arg, int64_t chunk, int worker)
{
    const struct attention_job *j = arg;
    int64_t i_block = chunk / j->runs_per_block;
    const struct block *b = &j->blocks[i_block];
    int first, end;
    window_pages(j, b, &first, &end);
    int page = first + (int)(chunk % j->runs_per_block) * j->pages_per_run;
    int stop = end - page < j->pages_per_run ? end : page + j->pages_per_run;
    size_t stride;
    if (page >= stop) return;
    const float *q = gather_q(j, b, worker, &stride);
    for (; page < stop; page++)
        attend_page(j, b, page, q, stride,
                    partial_at(j, j->partials, i_block * j->n_window + page - first));
}

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    const struct attention_job *j = arg;
    const struct block *b = &j->blocks[chunk];
    struct partial sum = partial_at(j, j->sums, chunk);
    int first, end, n_rows = b->n_pos * b->n_heads;
    (void)worker;
    window_pages(j, b, &first, &end);
    if (first >= end) return;
    if (first == b->page_first) memset(sum.l, 0, (size_t)n_rows * sizeof(float));
    for (int page = first; page < end; page++)
        merge(j, n_rows, sum, partial_at(j, j->partials, chunk * j->n_window + page - first));
    if (end == b->page_end) finish(j, b, sum);
}

/* Positions that a block of the sequence may hold. */
static int block_positions(int heads_per_block)
{
    int n = BLOCK_ROWS / heads_per_block;
    return n > 0 ? n : 1;
}

static int64_t count_blocks(const struct op_call *call, int groups, int n_pos)
{
    int64_t n = 0;
    for (int i = 0; i < call->batch->n_seqs; i++)
        n += (call->batch->seqs[i].n_rows + (int64_t)n_pos - 1) / n_pos;
    return n * groups;
}

/* Blocks in the order sequence, kv head, query heads, positions. Late positions have the most keys,
 * so they come first and the threads end together. Returns the multiply-adds of all. */
static double fill_blocks(struct attention_job *j, int group, int heads_per_block, int n_pos)
{
    const struct batch *batch = j->call->batch;
    int page = j->kv->page_tokens;
    struct block *b = j->blocks;
    double work = 0;
    for (int i = 0; i < batch->n_seqs; i++) {
        const struct batch_seq *s = &batch->seqs[i];
        int last = s->n_rows ? (s->n_rows - 1) / n_pos * n_pos : -1;
        for (int head = 0; head < j->p->n_heads; head += heads_per_block)
            for (int at = last; at >= 0; at -= n_pos, b++) {
                *b = (struct block){.seq = s, .kv_head = head / group, .head = head,
                                    .n_heads = heads_per_block, .first = at};
                b->n_pos = s->n_rows - at < n_pos ? s->n_rows - at : n_pos;
                int lo = s->pos0 + at, hi = lo + b->n_pos, window = j->p->window;
                lo = window && lo >= window ? lo - window + 1 : 0;
                b->page_first = lo / page;
                b->page_end = (hi - 1) / page + 1;
                work += (double)(hi - lo) * b->n_pos * b->n_heads * (j->p->k_dim + j->p->v_dim);
            }
    }
    return work;
}

static enum fk_status run_whole(struct attention_job *j, int64_t work, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    size_t n_threads = (size_t)j->cpu->base.n_threads;
    j->partials = cpu_scratch(j->cpu, 2 * n_threads * j->partial_floats, sizeof(float), &st, err);
    if (st == FK_OK) cpu_run(j->cpu, whole_chunk, j, j->n_blocks, work);
    return st;
}

static enum fk_status run_split(struct attention_job *j, int64_t work, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    int n_threads = j->cpu->base.n_threads, n_pages = 0;
    size_t per_page = (size_t)j->n_blocks * j->partial_floats;
    size_t fit = SPLIT_BYTES / (per_page * sizeof(float));
    j->n_window = fit < 1 ? 1 : fit > SPLIT_PAGES ? SPLIT_PAGES : (int)fit;
    j->partials = cpu_scratch(j->cpu, per_page * (size_t)j->n_window, sizeof(float), &st, err);
    j->sums = cpu_scratch(j->cpu, per_page, sizeof(float), &st, err);
    if (st != FK_OK) return st;
    for (int64_t i = 0; i < j->n_blocks; i++) {
        int n = j->blocks[i].page_end - j->blocks[i].page_first;
        if (n > n_pages) n_pages = n;
    }
    if (n_pages == 1) return run_whole(j, work, err);
    for (j->window_first = 0; j->window_first < n_pages; j->window_first += j->n_window) {
        int n = n_pages - j->window_first < j->n_window ? n_pages - j->window_first : j->n_window;
        int64_t runs = (8 * (int64_t)n_threads + j->n_blocks - 1) / j->n_blocks;
        j->pages_per_run = (int)((n + runs - 1) / runs);
        j->runs_per_block = (n + j->pages_per_run - 1) / j->pages_per_run;
        cpu_run(j->cpu, split_chunk, j, j->n_blocks * j->runs_per_block, work);
        cpu_run(j->cpu, merge_chunk, j, j->n_blocks,
                j->n_blocks * n * j->rows * (int64_t)j->p->v_dim);
    }
    return FK_OK;
}

CPU_OP(attention)
{
    struct cpu *c = (struct cpu *)d;
    const struct attention_params *p = call->attention;
    struct attention_job j = {.cpu = c, .call = call, .p = p, .kv = call->batch->kv};
    j.attend = j.kv->dtype == DT_F16 ? c->k.attend_f16
               : j.kv->dtype == DT_I8 ? c->k.attend_i8 : c->k.attend_f32;
    if (!call->in[0]->n_rows) return FK_OK;
    int group = p->n_heads / p->n_kv_heads, max_rows = 0;
    int heads = group < KERNEL_MAX_Q ? group : KERNEL_MAX_Q;
    while (group % heads) heads--; /* blocks of equal size, none across two groups */
    for (int i = 0; i < call->batch->n_seqs; i++)
        if (call->batch->seqs[i].n_rows > max_rows) max_rows = call->batch->seqs[i].n_rows;
    int n_pos = block_positions(heads);
    if (n_pos > max_rows) n_pos = max_rows;
    j.rows = heads * n_pos;
    j.partial_floats = (size_t)j.rows * (size_t)p->v_dim + 2 * (((size_t)j.rows + 15) & ~(size_t)15);
    j.partial_floats = (j.partial_floats + 15) & ~(size_t)15;

    enum fk_status st = FK_OK;
    arena_reset(&c->scratch);
    j.n_blocks = count_blocks(call, p->n_heads / heads, n_pos);
    j.blocks = cpu_scratch(c, (size_t)j.n_blocks, sizeof *j.blocks, &st, err);
    j.q = cpu_scratch(c, (size_t)d->n_threads * (size_t)j.rows * (size_t)p->k_dim, sizeof(float),
                      &st, err);
    if (st != FK_OK) return st;
    double work = fill_blocks(&j, group, heads, n_pos);
    int64_t n_work = work < 1e15 ? (int64_t)work / 8 : (int64_t)1e14; /* 8 a step: they are vectors */
    if (d->n_threads > 1 && j.n_blocks < 4 * (int64_t)d->n_threads)
        return run_split(&j, n_work, err);
    return run_whole(&j, n_work, err);
}
