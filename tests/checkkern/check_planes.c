/* SPDX-License-Identifier: Apache-2.0
 * check_planes.c - mul_planes*: all widths, odd sizes, extreme tables and scales; only the planes of the
 * width are read (each ends at a guard page, the others are not there); the same bits for every split
 * of groups and tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/checkkern/check.h"

struct planes_problem {
    struct planes p;
    struct input plane[PLANES_N], scales, rows, x;
    size_t x_row_bytes, y_stride;
    int64_t n_x;
    float *values, *want;
    double *sums;
};

static int width_of(const struct variant *v)
{
    if (strncmp(v->slot, "mul_planes", 10)) return -1;
    return planes_index(atoi(v->slot + 10));
}

static void fill_tables(struct planes_tables *t, bool extreme)
{
    for (int n = 0; n < 16; n++) {
        int8_t *low[3] = {&t->level2[n % 4], &t->level3[n % 8], &t->level4[n]};
        for (int k = 0; k < 3; k++)
            *low[k] = (int8_t)(extreme ? (n % 2 ? -64 : 63) : (int)(random_u64() >> 40) % 128 - 64);
        t->base[n] = (int8_t)(extreme ? (n % 2 ? -100 : 100) : (int)(random_u64() >> 40) % 199 - 99);
        t->step5[n % 8] = (int8_t)(extreme ? (n % 3 ? 27 : -27) : (int)(random_u64() >> 40) % 55 - 27);
        t->step6[n] = (int8_t)(extreme ? (n % 3 ? 27 : -27) : (int)(random_u64() >> 40) % 55 - 27);
        t->step8[n] = (int8_t)(extreme ? (n % 2 ? 127 : -128) : (int)(random_u64() >> 40) % 256 - 128);
        t->leaf_class[n] = (uint8_t)(random_u64() >> 40 & 3);
    }
    for (int i = 0; i < PLANES_N; i++) t->unit[i] = 0.01f + 0.001f * (float)i;
}

static struct input random_bytes(size_t n, enum fill f)
{
    struct input in = input_new(n);
    for (size_t i = 0; i < n; i++)
        in.data[i] = f == FILL_MAX ? 0x81 : f == FILL_ZERO ? 0 : (uint8_t)(random_u64() >> 24);
    return in;
}

static struct planes_problem new_problem(const struct variant *v, int64_t n_rows, int64_t n_blocks,
                                         int64_t n_x, enum fill fw, enum fill fx)
{
    struct planes_problem q = {.n_x = n_x, .y_stride = (size_t)n_rows + 3};
    int i_width = width_of(v);
    int64_t groups = (n_rows + 7) / 8, k = n_blocks * 32;
    q.p = (struct planes){.n_cols = k, .n_rows = n_rows, .n_mats = 1, .n_blocks = n_blocks,
                          .n_groups = groups, .n_planes = i_width + 1};
    for (int i = 0; i <= i_width; i++) {
        q.plane[i] = random_bytes((size_t)(groups * n_blocks) * planes_tile_bytes(i),
                                  fw == FILL_MAX ? FILL_RANDOM : fw);
        q.p.plane[i] = q.plane[i].data;
    }
    q.scales = random_bytes((size_t)(groups * n_blocks) * 8, fw);
    q.rows = input_new((size_t)groups * 16);
    for (int64_t r = 0; r < groups * 8; r++) {
        uint16_t h = fw == FILL_DENORMAL ? (uint16_t)(random_u64() & 0x3ff) : f32_to_f16(random_unit());
        memcpy(q.rows.data + 2 * r, &h, 2);
    }
    q.p.scales = (const int8_t *)q.scales.data;
    q.p.rows = q.rows.data;
    fill_tables(&q.p.tables, fw == FILL_MAX);
    q.x_row_bytes = act_row_bytes(ACT_Q8, k);
    q.x = input_new((size_t)n_x * q.x_row_bytes);
    q.values = xalloc((size_t)(n_x * k) * 4);
    q.want = xalloc((size_t)n_x * q.y_stride * 4);
    q.sums = xalloc((size_t)(n_x * n_rows) * 8);
    memset(q.x.data, 0xff, q.x.bytes);
    fill_floats(q.values, n_x * k, fx);
    struct kernels ref;
    kernels_select(&ref, 0, false);
    for (int64_t t = 0; t < n_x; t++)
        ref.act_q8(q.values + t * k, k, q.x.data + (size_t)t * q.x_row_bytes);
    return q;
}

static void add_sums(struct planes_problem *q, int i_width)
{
    int64_t k = q->p.n_cols;
    float *w = xalloc((size_t)k * 4);
    for (int64_t r = 0; r < q->p.n_rows; r++) {
        planes_dequant_row(&q->p, 0, r, planes_bits(i_width), w);
        for (int64_t t = 0; t < q->n_x; t++) {
            double sum = 0;
            for (int64_t c = 0; c < k; c++) {
                double term = (double)w[c] * (double)q->values[t * k + c];
                sum += term < 0 ? -term : term;
            }
            q->sums[t * q->p.n_rows + r] = sum;
        }
    }
    xfree(w);
}

static void free_problem(struct planes_problem *q)
{
    for (int i = 0; i < PLANES_N; i++)
        if (q->plane[i].map) input_free(&q->plane[i]);
    input_free(&q->scales);
    input_free(&q->rows);
    input_free(&q->x);
    xfree(q->values);
    xfree(q->want);
    xfree(q->sums);
}

static void check_alone(const struct variant *v, const struct planes_problem *q, const float *y)
{
    kernel_planes_fn mul = (kernel_planes_fn)v->fn;
    for (int64_t t = 0; t < q->n_x; t += 1 + t % 2)
        for (int64_t g = 0; g < q->p.n_groups; g += 1 + g % 3) {
            float part[8];
            int64_t n = q->p.n_rows - 8 * g < 8 ? q->p.n_rows - 8 * g : 8;
            if (n > 1 && g % 2) n--;
            mul(&q->p, g, n, q->x.data + (size_t)t * q->x_row_bytes, q->x_row_bytes, 1, part, 8);
            if (!same_bits(part, &y[(size_t)t * q->y_stride + 8 * (size_t)g], 4 * (size_t)n))
                fail_check(v, "group %lld, token %lld alone differ from all together", (long long)g,
                           (long long)t);
        }
}

static void check_one(const struct variant *v, int64_t n_rows, int64_t n_blocks, int64_t n_x,
                      enum fill fw, enum fill fx)
{
    struct planes_problem q = new_problem(v, n_rows, n_blocks, n_x, fw, fx);
    struct output y = output_new(((size_t)(n_x - 1) * q.y_stride + (size_t)n_rows) * 4);
    const float *got = (const float *)(void *)y.data;
    ((kernel_planes_fn)v->ref)(&q.p, 0, n_rows, q.x.data, q.x_row_bytes, n_x, q.want, q.y_stride);
    ((kernel_planes_fn)v->fn)(&q.p, 0, n_rows, q.x.data, q.x_row_bytes, n_x, (float *)(void *)y.data,
                              q.y_stride);
    add_sums(&q, width_of(v));
    count_check();
    if (!output_intact(&y)) fail_check(v, "wrote outside of y");
    for (int64_t t = 0; t < n_x; t++)
        for (int64_t r = 0; r < n_rows; r++) {
            size_t at = (size_t)t * q.y_stride + (size_t)r;
            if (close_enough(v->bound, got[at], q.want[at], q.sums[t * n_rows + r])) continue;
            fail_check(v, "weights %s, x %s, %lld rows, %lld blocks, %lld tokens: y[%lld][%lld] = %.9g, "
                       "want %.9g", fill_name(fw), fill_name(fx), (long long)n_rows,
                       (long long)n_blocks, (long long)n_x, (long long)t, (long long)r,
                       (double)got[at], (double)q.want[at]);
            t = n_x;
            break;
        }
    for (int64_t t = 0; t + 1 < n_x; t++)
        for (size_t r = (size_t)n_rows; r < q.y_stride; r++) {
            const uint8_t *b = (const uint8_t *)&got[(size_t)t * q.y_stride + r];
            if (b[0] != OUTPUT_FILL || b[3] != OUTPUT_FILL) fail_check(v, "wrote between rows of y");
        }
    check_alone(v, &q, got);
    output_free(&y);
    free_problem(&q);
}

bool check_planes(const struct variant *v)
{
    static const int64_t rows[] = {1, 7, 8, 9, 15, 16, 17, 31, 33, 40};
    static const int64_t tokens[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33};
    static const int64_t blocks[] = {1, 2, 3, 4, 5, 8, 17, 48};
    if (width_of(v) < 0) return false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof tokens / sizeof *tokens; j++)
            check_one(v, rows[i], 3, tokens[j], FILL_RANDOM, FILL_RANDOM);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        for (int f = 0; f < FILL_N; f++) {
            check_one(v, 17, blocks[i], 1, (enum fill)f, FILL_RANDOM);
            check_one(v, 9, blocks[i], 5, FILL_RANDOM, (enum fill)f);
            check_one(v, 24, blocks[i], 9, (enum fill)f, (enum fill)f);
        }
    return true;
}

struct planes_bench {
    kernel_planes_fn mul;
    struct planes p;
    uint8_t *x;
    float *y;
    size_t x_row_bytes;
    int64_t n_x;
};

static void call_planes(void *arg)
{
    struct planes_bench *b = arg;
    b->mul(&b->p, 0, b->p.n_rows, b->x, b->x_row_bytes, b->n_x, b->y, (size_t)b->p.n_rows);
}

bool bench_planes(const struct variant *v)
{
    static const struct {
        const char *what;
        int64_t n_rows, n_x;
    } shapes[] = {{"1 token, from memory", 80000, 1}, {"1 token, cached", 256, 1},
                  {"4 tokens", 256, 4},               {"16 tokens", 256, 16},
                  {"128 tokens", 256, 128}};
    int i_width = width_of(v);
    if (i_width < 0) return false;
    for (int s = 0; s < 5; s++) {
        if (strstr(v->name, "_ref") && (s == 0 || s == 4)) continue;
        struct planes_bench b = {.mul = (kernel_planes_fn)v->fn, .n_x = shapes[s].n_x};
        int64_t k = 2048, groups = shapes[s].n_rows / 8, tiles = groups * (k / 32);
        b.p = (struct planes){.n_cols = k, .n_rows = shapes[s].n_rows, .n_mats = 1, .n_blocks = k / 32,
                              .n_groups = groups, .n_planes = i_width + 1};
        uint8_t *planes[PLANES_N] = {NULL}, *scales = xalloc((size_t)tiles * 8);
        uint16_t *rows = xalloc((size_t)groups * 16);
        for (int i = 0; i <= i_width; i++) {
            size_t n = (size_t)tiles * planes_tile_bytes(i);
            planes[i] = xalloc(n);
            for (size_t j = 0; j < n; j++) planes[i][j] = (uint8_t)(j * 2654435761u >> 13);
            b.p.plane[i] = planes[i];
        }
        for (int64_t j = 0; j < tiles * 8; j++) scales[j] = (uint8_t)(j * 40503 >> 5);
        for (int64_t j = 0; j < groups * 8; j++) rows[j] = 0x3c00;
        b.p.scales = (const int8_t *)scales;
        b.p.rows = (const uint8_t *)rows;
        fill_tables(&b.p.tables, false);
        b.x_row_bytes = act_row_bytes(ACT_Q8, k);
        b.x = xalloc((size_t)b.n_x * b.x_row_bytes);
        b.y = xalloc((size_t)(b.p.n_rows * b.n_x) * 4);
        float *values = xalloc((size_t)k * 4);
        fill_floats(values, k, FILL_RANDOM);
        struct kernels ref;
        kernels_select(&ref, 0, false);
        for (int64_t t = 0; t < b.n_x; t++) ref.act_q8(values, k, b.x + (size_t)t * b.x_row_bytes);
        double seconds = time_call(call_planes, &b);
        double bytes = (double)planes_read_bytes(&b.p, 0, groups, planes_bits(i_width));
        print_bench(v, shapes[s].what, seconds * 1e9 / (double)(b.p.n_rows * k * b.n_x) * 32,
                    "32 weights", b.n_x == 1 ? bytes / seconds * 1e-9 : 0);
        for (int i = 0; i <= i_width; i++) xfree(planes[i]);
        xfree(scales);
        xfree(rows);
        xfree(b.x);
        xfree(b.y);
        xfree(values);
    }
    return true;
}
