/* SPDX-License-Identifier: Apache-2.0
 * lab.c - see lab.h. */
#include "tests/unit/device/lab.h"
#include <math.h>
#include <string.h>
#include "src/base/rng.h"
#include "src/kernels/kernels.h"

void lab_open(struct lab *l, int n_threads, const char *mask)
{
    memset(l, 0, sizeof *l);
    arena_init(&l->memory, 1 << 20, 0, MEM_MISC);
    /* A hint to the system, which must change nothing: given in some tests. */
    struct device_params p = {.n_threads = n_threads, .cpu_mask = mask, .fetch_experts = n_threads == 3};
    struct fk_error err;
    if (device_cpu_create(&l->device, &p, &err)) fail_msg("%s", err.message);
    ops_init(&l->ops, l->device, 0);
}

void lab_close(struct lab *l)
{
    ops_fini(&l->ops);
    device_destroy(&l->device);
    arena_fini(&l->memory);
}

void *lab_alloc(struct lab *l, size_t bytes)
{
    void *p = arena_alloc(&l->memory, bytes);
    assert_non_null(p);
    return memset(p, 0, bytes);
}

float lab_random(struct lab *l)
{
    return (float)(2 * rng_uniform(7, 1, l->counter++) - 1);
}

struct tensor *lab_act(struct lab *l, int64_t n_rows, int64_t n_cols)
{
    struct tensor *t = lab_alloc(l, sizeof *t);
    size_t row = (size_t)n_cols * sizeof(float);
    *t = (struct tensor){.dtype = DT_F32, .n_cols = n_cols, .n_rows = n_rows, .n_mats = 1,
                         .row_bytes = row, .mat_bytes = row * (size_t)n_rows,
                         .data = lab_alloc(l, row * (size_t)n_rows + 64)};
    for (int64_t i = 0; i < n_rows * n_cols; i++) ((float *)t->data)[i] = lab_random(l);
    return t;
}

struct tensor *lab_vector(struct lab *l, int64_t n)
{
    return lab_act(l, 1, n);
}

/* A scale that a half float holds exactly: 2^-6 times 1 to 2. */
static uint16_t scale_bits(struct lab *l)
{
    return (uint16_t)((9u << 10) | (rng_u64(7, 2, l->counter++) & 0x3ff));
}

static void put_scale(uint8_t *at, uint16_t h)
{
    memcpy(at, &h, 2);
}

struct tensor *lab_weight(struct lab *l, enum dtype t, int64_t n_cols, int64_t n_rows,
                          int64_t n_mats)
{
    const struct dtype_info *info = dtype_info(t);
    uint64_t row;
    assert_non_null(info);
    assert_true(dtype_row_bytes(t, (uint64_t)n_cols, &row));
    struct tensor *w = lab_alloc(l, sizeof *w);
    *w = (struct tensor){.dtype = t, .n_cols = n_cols, .n_rows = n_rows, .n_mats = n_mats,
                         .row_bytes = row, .mat_bytes = row * (uint64_t)n_rows, .name = "lab"};
    size_t n = (size_t)(row * (uint64_t)(n_rows * n_mats));
    uint8_t *p = w->data = lab_alloc(l, n + 64);
    if (t == DT_F32 || t == DT_F16 || t == DT_BF16) {
        for (size_t i = 0; i < n / info->block_bytes; i++) {
            float f = lab_random(l);
            uint16_t h = t == DT_F16 ? f32_to_f16(f) : f32_to_bf16(f);
            memcpy(p + i * info->block_bytes, t == DT_F32 ? (void *)&f : (void *)&h,
                   info->block_bytes);
        }
        return w;
    }
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)rng_u64(7, 3, l->counter++);
    for (size_t at = 0; at < n; at += info->block_bytes) {
        uint8_t *b = p + at;
        if (t == DT_Q6_K || t == DT_Q3_K || t == DT_Q2_K) {
            put_scale(b + info->block_bytes - 2, scale_bits(l));
            if (t == DT_Q2_K) put_scale(b + info->block_bytes - 4, scale_bits(l));
            continue;
        }
        put_scale(b, scale_bits(l));
        if (t == DT_Q4_1 || t == DT_Q5_1 || t == DT_Q4_K || t == DT_Q5_K) put_scale(b + 2, scale_bits(l));
    }
    return w;
}

void lab_weight_row(const struct tensor *w, int64_t mat, int64_t row, float *out)
{
    struct kernels k;
    struct weight_kernels wk;
    kernels_select(&k, 0, false);
    assert_true(kernels_for_weight(&k, w->dtype, &wk));
    wk.dequant((const uint8_t *)w->data + (size_t)mat * w->mat_bytes + (size_t)row * w->row_bytes,
               w->n_cols, out);
}

double lab_act_error(enum dtype t)
{
    if (t == DT_F32 || t == DT_F16) return 1e-6;
    return t == DT_BF16 ? 1.0 / 256 : 0.51 / 127;
}

struct tensor lab_rows(const struct tensor *x, int64_t first, int64_t n)
{
    struct tensor t = *x;
    t.data = tensor_row_f32(x, first);
    t.n_rows = n;
    return t;
}

struct batch *lab_batch(struct lab *l, const struct kv_layout *kv, const struct lab_seq *seqs,
                        int n_seqs)
{
    struct batch *b = lab_alloc(l, sizeof *b);
    struct batch_seq *s = lab_alloc(l, (size_t)n_seqs * sizeof *s);
    int n = 0;
    for (int i = 0; i < n_seqs; i++) {
        s[i] = (struct batch_seq){n, seqs[i].n_rows, seqs[i].pos0, seqs[i].pages};
        n += seqs[i].n_rows;
    }
    int32_t *pos = lab_alloc(l, ((size_t)n + 1) * sizeof *pos);
    int32_t *tokens = lab_alloc(l, ((size_t)n + 1) * sizeof *tokens);
    for (int i = 0; i < n_seqs; i++)
        for (int r = 0; r < s[i].n_rows; r++) {
            pos[s[i].first_row + r] = s[i].pos0 + r;
            tokens[s[i].first_row + r] = (s[i].pos0 + r) * 7 % 31;
        }
    *b = (struct batch){.n_rows = n, .tokens = tokens, .pos = pos, .n_seqs = n_seqs, .seqs = s,
                        .kv = kv};
    return b;
}

void **lab_pages(struct lab *l, const struct kv_layout *kv, int n_tokens)
{
    int n = (n_tokens + kv->page_tokens - 1) / kv->page_tokens;
    void **pages = lab_alloc(l, (size_t)n * sizeof *pages);
    for (int i = 0; i < n; i++) pages[i] = lab_alloc(l, kv->page_bytes);
    return pages;
}

struct batch *lab_plain_batch(struct lab *l, int n_rows)
{
    struct batch *b = lab_batch(l, NULL, &(struct lab_seq){0, n_rows, NULL}, 1);
    b->n_seqs = 0;
    return b;
}

void lab_ok(const struct ops *o)
{
    struct fk_error err;
    if (ops_status(o, &err)) fail_msg("%s", err.message);
}

void lab_near(double got, double want, double bound, const char *what, int64_t row, int64_t col)
{
    if (fabs(got - want) <= bound) return;
    fail_msg("%s [%lld,%lld]: got %.9g, want %.9g, bound %.3g", what, (long long)row,
             (long long)col, got, want, bound);
}

void lab_same_bits(const struct tensor *a, int64_t first, const struct tensor *b)
{
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->n_cols, b->n_cols);
    assert_true(first + b->n_rows <= a->n_rows);
    for (int64_t t = 0; t < b->n_rows; t++)
        for (int64_t i = 0; i < b->n_cols; i++)
            if (memcmp(tensor_row_f32(a, first + t) + i, tensor_row_f32(b, t) + i, sizeof(float)))
                fail_msg("bits differ at [%lld,%lld]: %.9g and %.9g", (long long)t, (long long)i,
                         (double)tensor_row_f32(a, first + t)[i],
                         (double)tensor_row_f32(b, t)[i]);
}
