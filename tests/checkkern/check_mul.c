/* SPDX-License-Identifier: Apache-2.0
 * check_mul.c - mul_* and dequant_*: weights of all types, odd sizes, hostile scales; the same bits
 * for every split of rows and tokens. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/tensor/blocks.h"
#include "tests/checkkern/check.h"

/* Where a block keeps its halves (f16): d, and m or dmin (-1: none). */
static const struct {
    const char *name;
    enum dtype dtype;
    enum act_format act;
    int d, m;
} types[] = {
    {"f32", DT_F32, ACT_F32, -1, -1},        {"f16", DT_F16, ACT_F32, -1, -1},
    {"bf16", DT_BF16, ACT_F32, -1, -1},      {"bf16_bf16", DT_BF16, ACT_BF16, -1, -1},
    {"q4_0", DT_Q4_0, ACT_Q8, 0, -1},        {"q4_1", DT_Q4_1, ACT_Q8, 0, 2},
    {"q5_0", DT_Q5_0, ACT_Q8, 0, -1},        {"q5_1", DT_Q5_1, ACT_Q8, 0, 2},
    {"q8_0", DT_Q8_0, ACT_Q8, 0, -1},        {"iq4_nl", DT_IQ4_NL, ACT_Q8, 0, -1},
    {"q2_k", DT_Q2_K, ACT_Q8K, 80, 82},      {"q3_k", DT_Q3_K, ACT_Q8K, 108, -1},
    {"q4_k", DT_Q4_K, ACT_Q8K, 0, 2},        {"q5_k", DT_Q5_K, ACT_Q8K, 0, 2},
    {"q6_k", DT_Q6_K, ACT_Q8K, 208, -1},     {"iq4_xs", DT_IQ4_XS, ACT_Q8K, 0, -1},
};
enum { N_TYPES = sizeof types / sizeof types[0] };

static int type_of(const struct variant *v, const char *op)
{
    size_t n = strlen(op);
    if (strncmp(v->slot, op, n)) return -1;
    for (int i = 0; i < N_TYPES; i++)
        if (!strcmp(types[i].name, v->slot + n)) return i;
    return -1;
}

static uint16_t half_of(enum fill f, float size)
{
    float u = random_unit();
    if (f == FILL_DENORMAL) return (uint16_t)(random_u64() & 0x83ff);
    if (f == FILL_MAX) return u < 0 ? 0xbc00 : 0x3c00;
    return f == FILL_ZERO ? 0 : f32_to_f16(u * size);
}

static void put16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, 2);
}

/* Random weights; the scales follow the fill. */
static void fill_weights(int type, uint8_t *w, size_t bytes, enum fill f)
{
    const struct dtype_info *info = dtype_info(types[type].dtype);
    for (size_t i = 0; i < bytes; i++)
        w[i] = f == FILL_MAX ? 0xff : f == FILL_ZERO ? 0 : (uint8_t)(random_u64() >> 24);
    for (size_t b = 0; b + info->block_bytes <= bytes; b += info->block_bytes) {
        if (types[type].dtype == DT_F32) {
            float x;
            fill_floats(&x, 1, f);
            memcpy(w + b, &x, 4);
        } else if (types[type].dtype == DT_F16) {
            put16(w + b, half_of(f, 4));
        } else if (types[type].dtype == DT_BF16) {
            float x;
            fill_floats(&x, 1, f);
            put16(w + b, f32_to_bf16(x));
        } else {
            put16(w + b + types[type].d, half_of(f, 0.1f));
            if (types[type].m >= 0) put16(w + b + types[type].m, half_of(f, 0.5f));
        }
    }
}

static void encode(enum act_format act, const float *x, int64_t k, void *out)
{
    static struct kernels ref;
    kernels_select(&ref, 0, false);
    if (act == ACT_F32) memcpy(out, x, (size_t)k * 4);
    else if (act == ACT_BF16) ref.act_bf16(x, k, out);
    else if (act == ACT_Q8) ref.act_q8(x, k, out);
    else ref.act_q8k(x, k, out);
}

/* sums[t * n_rows + r] = sum |w x|, scales and mins apart, so that their cancelling counts;
 * lost: what a CPU may add or leave out that takes numbers below 2^-126 for zero. */
struct problem {
    int type;
    int64_t n_rows, n_x, k;
    size_t w_row_bytes, x_row_bytes, y_stride;
    struct input w, x;
    float *values, *want;
    double *sums, *lost;
};

static double lost_of(const struct problem *p, float w, float x)
{
    double term = (double)w * (double)x;
    if (types[p->type].act != ACT_BF16) return 0;
    return (fabsf(w) < FLT_MIN || fabsf(x) < FLT_MIN ? fabs(term) : 0) + 2 * (double)FLT_MIN;
}

static void add_terms(const struct problem *p, bool mins)
{
    const struct dtype_info *info = dtype_info(types[p->type].dtype);
    struct kernels ref;
    struct weight_kernels wk;
    kernels_select(&ref, 0, false);
    kernels_for_weight(&ref, types[p->type].dtype, &wk);
    size_t row_bytes = (size_t)p->k / info->block_weights * info->block_bytes;
    uint8_t *copy = xalloc(row_bytes);
    float *values = xalloc((size_t)p->k * 4);
    for (int64_t r = 0; r < p->n_rows; r++) {
        memcpy(copy, p->w.data + (size_t)r * p->w_row_bytes, row_bytes);
        int zero = mins ? types[p->type].d : types[p->type].m;
        for (size_t b = 0; zero >= 0 && b < row_bytes; b += info->block_bytes)
            put16(copy + b + zero, 0);
        wk.dequant(copy, p->k, values);
        for (int64_t t = 0; t < p->n_x; t++)
            for (int64_t i = 0; i < p->k; i++) {
                double term = (double)values[i] * (double)p->values[t * p->k + i];
                p->sums[t * p->n_rows + r] += term < 0 ? -term : term;
                p->lost[t * p->n_rows + r] += lost_of(p, values[i], p->values[t * p->k + i]);
            }
    }
    xfree(copy);
    xfree(values);
}

static struct problem problem_new(const struct variant *v, int type, int64_t n_rows, int64_t n_x,
                                  int64_t k, size_t gap, enum fill fw, enum fill fx)
{
    uint64_t row_bytes = 0;
    dtype_row_bytes(types[type].dtype, (uint64_t)k, &row_bytes);
    struct problem p = {.type = type, .n_rows = n_rows, .n_x = n_x, .k = k};
    p.w_row_bytes = row_bytes + gap;
    p.x_row_bytes = act_row_bytes(types[type].act, k);
    p.y_stride = (size_t)n_rows + 3;
    p.w = input_new((size_t)(n_rows - 1) * p.w_row_bytes + row_bytes);
    p.x = input_new((size_t)n_x * p.x_row_bytes);
    p.values = xalloc((size_t)(n_x * k) * 4);
    p.want = xalloc((size_t)n_x * p.y_stride * 4);
    p.sums = xalloc((size_t)(n_x * n_rows) * 8);
    p.lost = xalloc((size_t)(n_x * n_rows) * 8);
    memset(p.sums, 0, (size_t)(n_x * n_rows) * 8);
    memset(p.lost, 0, (size_t)(n_x * n_rows) * 8);
    for (int64_t r = 0; r < n_rows; r++)
        fill_weights(type, p.w.data + (size_t)r * p.w_row_bytes, row_bytes, fw);
    memset(p.x.data, 0xff, p.x.bytes); /* what pads the rows is NaN: nobody may use it */
    fill_floats(p.values, n_x * k, fx);
    for (int64_t t = 0; t < n_x; t++)
        encode(types[type].act, p.values + t * k, k, p.x.data + (size_t)t * p.x_row_bytes);
    ((kernel_mul_fn)v->ref)(p.w.data, p.w_row_bytes, n_rows, k, p.x.data, p.x_row_bytes, n_x,
                            p.want, p.y_stride);
    add_terms(&p, false);
    if (types[type].m >= 0) add_terms(&p, true);
    return p;
}

static void problem_free(struct problem *p)
{
    input_free(&p->w);
    input_free(&p->x);
    xfree(p->values);
    xfree(p->want);
    xfree(p->sums);
    xfree(p->lost);
}

/* Everything in one call, against the reference; y's gaps and surroundings stay as they were. */
static void check_values(const struct variant *v, const struct problem *p, const float *y,
                         const char *what)
{
    for (int64_t t = 0; t < p->n_x; t++)
        for (size_t r = 0; r < p->y_stride; r++) {
            const float *got = &y[(size_t)t * p->y_stride + r];
            if (r >= (size_t)p->n_rows) {
                uint8_t fill[4];
                memset(fill, OUTPUT_FILL, 4);
                if (!same_bits(got, fill, 4)) fail_check(v, "%s: wrote between rows of y", what);
                continue;
            }
            float want = p->want[(size_t)t * p->y_stride + r];
            double sum = p->sums[t * p->n_rows + (int64_t)r];
            double lost = p->lost[t * p->n_rows + (int64_t)r];
            if (!close_enough(v->bound, *got, want, sum + lost * 0x1p24 / (v->bound + !v->bound))) {
                fail_check(v, "%s: rows %lld x %lld k %lld: y[%lld][%zu] = %.9g, want %.9g, "
                           "sum of terms %.6g: %.1f units", what, (long long)p->n_rows,
                           (long long)p->n_x, (long long)p->k, (long long)t, r, (double)*got,
                           (double)want, sum,
                           ((double)*got - (double)want) / (sum * 0x1p-24 + 1e-300));
                return;
            }
        }
}

/* Every row and token alone gives the same bits as all together. */
static void check_alone(const struct variant *v, const struct problem *p, const float *y)
{
    kernel_mul_fn mul = (kernel_mul_fn)v->fn;
    for (int64_t t = 0; t < p->n_x; t++) {
        const uint8_t *x = p->x.data + (size_t)t * p->x_row_bytes;
        for (int64_t r = 0; r < p->n_rows; r += 1 + r % 3) {
            float one;
            mul(p->w.data + (size_t)r * p->w_row_bytes, p->w_row_bytes, 1, p->k, x, p->x_row_bytes,
                1, &one, 1);
            if (!same_bits(&one, &y[(size_t)t * p->y_stride + (size_t)r], 4)) {
                fail_check(v, "rows %lld x %lld k %lld: y[%lld][%lld] alone is %a, together %a",
                           (long long)p->n_rows, (long long)p->n_x, (long long)p->k, (long long)t,
                           (long long)r, (double)one,
                           (double)y[(size_t)t * p->y_stride + (size_t)r]);
                return;
            }
        }
    }
}

static void check_problem(const struct variant *v, int type, int64_t n_rows, int64_t n_x, int64_t k,
                          size_t gap, enum fill fw, enum fill fx)
{
    struct problem p = problem_new(v, type, n_rows, n_x, k, gap, fw, fx);
    struct output y = output_new(((size_t)(n_x - 1) * p.y_stride + (size_t)n_rows) * 4);
    /* the values after the last row belong to nobody */
    float *whole = xalloc((size_t)n_x * p.y_stride * 4);
    ((kernel_mul_fn)v->fn)(p.w.data, p.w_row_bytes, n_rows, k, p.x.data, p.x_row_bytes, n_x,
                           (float *)(void *)y.data, p.y_stride);
    count_check();
    char what[64];
    snprintf(what, sizeof what, "weights %s, x %s", fill_name(fw), fill_name(fx));
    if (!output_intact(&y)) fail_check(v, "%s: wrote outside of y", what);
    memset(whole, OUTPUT_FILL, (size_t)n_x * p.y_stride * 4);
    memcpy(whole, y.data, y.bytes);
    check_values(v, &p, whole, what);
    check_alone(v, &p, whole);
    xfree(whole);
    output_free(&y);
    problem_free(&p);
}

static void check_dequant(const struct variant *v, int type)
{
    const struct dtype_info *info = dtype_info(types[type].dtype);
    for (int n = 1; n <= 9; n++)
        for (int f = 0; f < FILL_N; f++) {
            int64_t k = n * (int64_t)info->block_weights;
            struct input w = input_new((size_t)n * info->block_bytes);
            struct output out = output_new((size_t)k * 4);
            float *want = xalloc((size_t)k * 4);
            fill_weights(type, w.data, w.bytes, (enum fill)f);
            ((kernel_dequant_fn)v->ref)(w.data, k, want);
            ((kernel_dequant_fn)v->fn)(w.data, k, (float *)(void *)out.data);
            count_check();
            if (!output_intact(&out)) fail_check(v, "wrote outside of its output");
            for (int64_t i = 0; i < k; i++) {
                float got = ((float *)(void *)out.data)[i];
                if (!close_enough(v->bound, got, want[i], want[i] < 0 ? -want[i] : want[i]))
                    fail_check(v, "out[%lld] = %a, want %a", (long long)i, (double)got,
                               (double)want[i]);
            }
            xfree(want);
            output_free(&out);
            input_free(&w);
        }
}

/* Whole tiles of 16 rows, 16 tokens and 32 inputs with every kind of rest; several chunks of inputs. */
static void check_tiles(const struct variant *v, int type)
{
    static const int64_t rows[] = {16, 32, 33, 48, 65}, tokens[] = {16, 17, 32, 48, 70}, inputs[] = {32, 96, 512, 544, 1600};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            for (int k = 0; k < 5; k++)
                check_problem(v, type, rows[i], tokens[j], inputs[k], (size_t)(k % 2) * 10, FILL_RANDOM, FILL_RANDOM);
    for (int f = 1; f < FILL_N; f++) {
        check_problem(v, type, 32, 32, 64, 0, (enum fill)f, FILL_RANDOM);
        check_problem(v, type, 32, 32, 64, 0, FILL_RANDOM, (enum fill)f);
    }
}

bool check_mul(const struct variant *v)
{
    static const int64_t rows[] = {1, 2, 3, 4, 5, 7, 8, 9, 33};
    static const int64_t tokens[] = {1, 2, 3, 4, 5, 7, 16, 33};
    static const int64_t blocks[] = {1, 2, 3, 5, 7, 15, 16, 17, 31, 64, 65, 130};
    static const int64_t plain[] = {0, 1, 3, 15, 16, 17, 31, 32, 33, 64, 100, 255, 1000, 4099};
    int type = type_of(v, "dequant_");
    if (type >= 0) {
        check_dequant(v, type);
        return true;
    }
    type = type_of(v, "mul_");
    if (type < 0) return false;
    int64_t unit = types[type].act == ACT_Q8 ? 32 : types[type].act == ACT_Q8K ? 256 : 0;
    int n_sizes = unit ? (int)(sizeof blocks / sizeof blocks[0])
                       : (int)(sizeof plain / sizeof plain[0]);
    for (int i = 0; i < n_sizes; i++) {
        int64_t k = unit ? blocks[i] * unit : plain[i];
        if (unit == 256 && blocks[i] > 17) continue;
        check_problem(v, type, 3, 1, k, 0, FILL_RANDOM, FILL_RANDOM);
        check_problem(v, type, 17, 5, k, 6, FILL_RANDOM, FILL_RANDOM);
        for (int f = 1; f < FILL_N; f++) {
            check_problem(v, type, 2, 2, k, 0, (enum fill)f, FILL_RANDOM);
            check_problem(v, type, 2, 2, k, 0, FILL_RANDOM, (enum fill)f);
            check_problem(v, type, 2, 1, k, 1, (enum fill)f, (enum fill)f);
        }
    }
    if (unit) check_problem(v, type, 2, 3, 0, 0, FILL_RANDOM, FILL_RANDOM);
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++)
        for (int j = 0; j < (int)(sizeof tokens / sizeof tokens[0]); j++)
            check_problem(v, type, rows[i], tokens[j], unit ? 5 * unit : 131, (size_t)(i % 2) * 10,
                          FILL_RANDOM, FILL_RANDOM);
    check_problem(v, type, 40, 3, unit == 256 ? 2816 : 3104, 0, FILL_RANDOM, FILL_RANDOM);
    if (types[type].act == ACT_BF16) check_tiles(v, type);
    return true;
}

struct bench {
    kernel_mul_fn mul;
    uint8_t *w, *x;
    float *y;
    size_t row_bytes, x_row_bytes;
    int64_t n_rows, k, n_x;
};

static void call_mul(void *arg)
{
    struct bench *b = arg;
    b->mul(b->w, b->row_bytes, b->n_rows, b->k, b->x, b->x_row_bytes, b->n_x, b->y,
           (size_t)b->n_rows);
}

bool bench_mul(const struct variant *v)
{
    int type = type_of(v, "mul_");
    if (type < 0) return type_of(v, "dequant_") >= 0;
    static const struct {
        const char *what;
        int64_t n_rows, n_x;
    } shapes[] = {{"1 token, from memory", 0, 1}, {"1 token, cached", 256, 1},
                  {"2 tokens, from memory", 0, 2}, {"2 tokens", 256, 2},           {"3 tokens", 256, 3},
                  {"4 tokens", 256, 4},           {"16 tokens", 256, 16},
                  {"128 tokens", 256, 128}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct bench b = {.mul = (kernel_mul_fn)v->fn, .k = 2048, .n_x = shapes[i].n_x};
        uint64_t row_bytes;
        dtype_row_bytes(types[type].dtype, (uint64_t)b.k, &row_bytes);
        b.row_bytes = row_bytes;
        b.n_rows = shapes[i].n_rows ? shapes[i].n_rows : (int64_t)((160u << 20) / row_bytes);
        if (strstr(v->name, "_ref") && (!shapes[i].n_rows || shapes[i].n_x > 16)) continue; /* too slow to wait for */
        b.x_row_bytes = act_row_bytes(types[type].act, b.k);
        b.w = xalloc((size_t)b.n_rows * b.row_bytes);
        b.x = xalloc((size_t)b.n_x * b.x_row_bytes);
        b.y = xalloc((size_t)(b.n_rows * b.n_x) * 4);
        float *values = xalloc((size_t)b.k * 4);
        fill_floats(values, b.k, FILL_RANDOM);
        fill_weights(type, b.w, 16 * b.row_bytes, FILL_RANDOM);
        for (int64_t r = 16; r < b.n_rows; r++)
            memcpy(b.w + (size_t)r * b.row_bytes, b.w + (size_t)(r % 16) * b.row_bytes,
                   b.row_bytes);
        for (int64_t t = 0; t < b.n_x; t++)
            encode(types[type].act, values, b.k, b.x + (size_t)t * b.x_row_bytes);
        double s = time_call(call_mul, &b);
        double n_products = (double)(b.n_rows * b.k * b.n_x);
        print_bench(v, shapes[i].what, s * 1e9 / n_products * 32, "32 weights",
                    b.n_x == 1 ? (double)b.n_rows * (double)b.row_bytes / s * 1e-9 : 0);
        xfree(b.w);
        xfree(b.x);
        xfree(b.y);
        xfree(values);
    }
    return true;
}
