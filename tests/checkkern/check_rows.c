/* SPDX-License-Identifier: Apache-2.0
 * check_rows.c - activation formats and row operations, over all sizes up to 70 and some large. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/checkkern/check.h"

/* Two inputs that end at forbidden pages, two outputs with guards. */
struct rows {
    int64_t n;
    struct input a, b, c;
    struct output got, want;
};

static struct rows rows_new(int64_t n, int64_t n_in, size_t out_bytes, enum fill f)
{
    struct rows r = {.n = n};
    r.a = input_new((size_t)n_in * 4);
    r.b = input_new((size_t)n_in * 4);
    r.c = input_new((size_t)n_in * 4);
    fill_floats((float *)(void *)r.a.data, n_in, f);
    fill_floats((float *)(void *)r.b.data, n_in, FILL_RANDOM);
    fill_floats((float *)(void *)r.c.data, n_in, FILL_RANDOM);
    r.got = output_new(out_bytes);
    r.want = output_new(out_bytes);
    return r;
}

static void rows_free(struct rows *r)
{
    input_free(&r->a);
    input_free(&r->b);
    input_free(&r->c);
    output_free(&r->got);
    output_free(&r->want);
}

static const float *in(const struct input *p)
{
    return (const float *)(const void *)p->data;
}

static float *out(const struct output *p)
{
    return (float *)(void *)p->data;
}

/* Values that rounding and ranges trip over, sprinkled in. */
static void sprinkle(float *x, int64_t n, bool nonfinite)
{
    static const float odd[] = {0.5f,     1.5f,   -2.5f,     65504.0f, 65519.0f, 65520.0f,   1e-8f,
                                6.1e-5f,  -0.0f,  0x1p-24f,  0x1p-25f, -0x1.8p-25f, 3.4e38f, 1e-40f,
                                INFINITY, -INFINITY, NAN};
    int n_odd = (int)(sizeof odd / sizeof odd[0]) - (nonfinite ? 0 : 3);
    for (int64_t i = 0; i < n; i++)
        if (random_u64() % 5 == 0) x[i] = odd[random_u64() % (unsigned)n_odd];
}

static void check_exact(const struct variant *v, const struct rows *r, const char *what)
{
    count_check();
    if (!output_intact(&r->got)) fail_check(v, "n %lld: wrote outside", (long long)r->n);
    for (size_t i = 0; i < r->got.bytes; i++)
        if (r->got.data[i] != r->want.data[i]) {
            fail_check(v, "n %lld, %s: byte %zu is %02x, want %02x", (long long)r->n, what, i,
                       r->got.data[i], r->want.data[i]);
            return;
        }
}

static void check_acts(const struct variant *v, enum act_format f)
{
    int unit = f == ACT_Q8 ? 32 : f == ACT_Q8K ? 256 : 1;
    for (int n = 1; n <= (unit == 1 ? 70 : 24); n++)
        for (int fill = 0; fill < FILL_N + 2; fill++) {
            int64_t k = (int64_t)n * unit;
            struct rows r = rows_new(k, k, act_row_bytes(f, k), (enum fill)(fill % FILL_N));
            float *x = (float *)(void *)r.a.data;
            if (fill >= FILL_N) sprinkle(x, k, fill > FILL_N);
            if (fill == 0 && n > 1)
                for (int64_t i = 0; i < k; i++) /* exact halves: ties go to even */
                    x[i] = i % unit == 0 ? 127 : (float)(int)(random_u64() % 200) - 99.5f;
            ((kernel_act_fn)v->ref)(x, k, r.want.data);
            ((kernel_act_fn)v->fn)(x, k, r.got.data);
            check_exact(v, &r, fill < FILL_N ? fill_name((enum fill)fill) : "odd values");
            rows_free(&r);
        }
}

static const int64_t large[] = {127, 128, 129, 576, 1000, 4096, 5003};

static int64_t size_at(int i)
{
    return i <= 70 ? i : large[i - 71];
}
enum { N_SIZES = 71 + sizeof large / sizeof large[0] };

static void check_to_f16(const struct variant *v)
{
    for (int i = 0; i < N_SIZES; i++) {
        int64_t n = size_at(i);
        struct rows r = rows_new(n, n, (size_t)n * 2, FILL_RANDOM);
        sprinkle((float *)(void *)r.a.data, n, true);
        for (int64_t j = 0; j < n; j++) { /* NaNs keep their upper bits in both */
            float *x = (float *)(void *)r.a.data + j;
            if (*x != *x) *x = NAN;
        }
        ((void (*)(const float *, int64_t, uint16_t *))v->ref)(in(&r.a), n, (void *)r.want.data);
        ((void (*)(const float *, int64_t, uint16_t *))v->fn)(in(&r.a), n, (void *)r.got.data);
        check_exact(v, &r, "odd values");
        rows_free(&r);
    }
}

/* to_i8, to_i4 and to_i16: bytes of a number, and the scales of its groups of 64 */
static void check_to_int(const struct variant *v, size_t bytes)
{
    typedef void (*fn)(const float *, int64_t, void *, float *);
    for (int i = 0; i < N_SIZES; i++)
        for (int fill = 0; fill < FILL_N + 2; fill++) {
            int64_t n = size_at(i);
            struct rows r = rows_new(n, n, (size_t)n * bytes, (enum fill)(fill % FILL_N));
            struct output want = output_new((size_t)((n + 63) / 64) * 4), got = output_new(want.bytes);
            if (fill >= FILL_N) sprinkle((float *)(void *)r.a.data, n, fill > FILL_N);
            ((fn)v->ref)(in(&r.a), n, r.want.data, out(&want));
            ((fn)v->fn)(in(&r.a), n, r.got.data, out(&got));
            check_exact(v, &r, "quants");
            for (int64_t g = 0; g < (n + 63) / 64; g++) {
                float a = out(&got)[g], b = out(&want)[g];
                if (!same_bits(&a, &b, 4) && !(a != a && b != b))
                    fail_check(v, "n %lld: scale %lld is %a, want %a", (long long)n, (long long)g,
                               (double)a, (double)b);
            }
            if (!output_intact(&got)) fail_check(v, "n %lld: wrote outside of scales", (long long)n);
            output_free(&want);
            output_free(&got);
            rows_free(&r);
        }
}

/* The bits of ref, in place too; twice is the row again. */
static void check_rotate(const struct variant *v)
{
    typedef void (*fn)(const float *, int64_t, int64_t, float *);
    for (int64_t block = 1; block <= 256; block *= 2)
        for (int64_t n = block; n <= 5 * block; n += block) {
            struct rows r = rows_new(n, n, (size_t)n * 4, FILL_RANDOM);
            ((fn)v->ref)(in(&r.a), n, block, out(&r.want));
            ((fn)v->fn)(in(&r.a), n, block, out(&r.got));
            check_exact(v, &r, "rotated");
            memcpy(r.got.data, r.a.data, r.got.bytes);
            ((fn)v->fn)(out(&r.got), n, block, out(&r.got));
            check_exact(v, &r, "rotated in place");
            ((fn)v->fn)(out(&r.got), n, block, out(&r.got));
            for (int64_t i = 0; i < n; i++)
                if (fabsf(out(&r.got)[i] - in(&r.a)[i]) > 1e-5f)
                    fail_check(v, "block %lld: element %lld is %g after two turns, was %g",
                               (long long)block, (long long)i, (double)out(&r.got)[i],
                               (double)in(&r.a)[i]);
            rows_free(&r);
        }
}

static void check_read(const struct variant *v)
{
    typedef uint64_t (*fn)(const void *, size_t);
    for (int64_t i = 0; i < 2100; i += i < 300 ? 1 : 97) {
        struct input p = input_new((size_t)i);
        for (int64_t j = 0; j < i; j++)
            p.data[j] = (uint8_t)random_u64();
        count_check();
        if (((fn)v->fn)(p.data, (size_t)i) != ((fn)v->ref)(p.data, (size_t)i))
            fail_check(v, "%lld bytes: another sum", (long long)i);
        input_free(&p);
    }
}

/* Every product is counted once: the sum says so. */
static void check_peak(const struct variant *v)
{
    typedef uint64_t (*fn)(uint64_t, uint32_t *);
    for (uint64_t n = 0; n < 3000000; n = 3 * n + 1) {
        uint32_t sum;
        uint64_t done = ((fn)v->fn)(n, &sum);
        count_check();
        if (done < n || done > n + 4096 || sum != (uint32_t)done * (uint32_t)(PEAK_W * PEAK_X))
            fail_check(v, "%llu products: did %llu with sum %u", (unsigned long long)n,
                       (unsigned long long)done, sum);
    }
}

enum shape { NORM, NORM_ONES, TWO, SCALE, AXPY, GLU, ROPE };

static void call(void (*fn)(void), enum shape s, const struct rows *r, float *to)
{
    const float *a = in(&r->a), *b = in(&r->b), *c = in(&r->c);
    switch (s) {
    case NORM:
    case NORM_ONES:
        ((void (*)(const float *, const float *, int64_t, float, float *))fn)(
            a, s == NORM ? b : NULL, r->n, 1e-5f, to);
        break;
    case TWO:
    case GLU:
        ((void (*)(const float *, const float *, int64_t, float *))fn)(a, b, r->n, to);
        break;
    case SCALE:
        ((void (*)(const float *, float, int64_t, float *))fn)(a, 1.7f, r->n, to);
        break;
    case AXPY:
        memcpy(to, b, (size_t)r->n * 4);
        ((void (*)(float, const float *, int64_t, float *))fn)(-1.3f, a, r->n, to);
        break;
    case ROPE:
        ((void (*)(const float *, const float *, const float *, int64_t, float *))fn)(a, b, c, r->n,
                                                                                      to);
        break;
    }
}

/* The size that an element's error is measured by. */
static double size_of(enum shape s, const struct rows *r, int64_t i, bool interleaved)
{
    /* results of the exponential may be zero where they would be denormal */
    if (s != ROPE) return fabs((double)out(&r->want)[i]) + (s == GLU ? 0x1p-100 : 0);
    const float *x = in(&r->a);
    int64_t p = interleaved ? i / 2 : i % r->n;
    double a = fabs((double)x[interleaved ? 2 * p : p]);
    double b = fabs((double)x[interleaved ? 2 * p + 1 : p + r->n]);
    return (a + b) * (fabs((double)in(&r->b)[p]) + fabs((double)in(&r->c)[p]));
}

static void check_shape(const struct variant *v, enum shape s)
{
    bool interleaved = strstr(v->slot, "interleaved") != NULL;
    for (int i = s == NORM || s == NORM_ONES ? 1 : 0; i < N_SIZES; i++)
        for (int fill = 0; fill < FILL_N; fill++) {
            int64_t n = size_at(i), n_out = s == ROPE ? 2 * n : n;
            struct rows r = rows_new(n, n_out, (size_t)n_out * 4, (enum fill)fill);
            float *a = (float *)(void *)r.a.data;
            for (int64_t j = 0; s == GLU && fill == FILL_RANDOM && j < n; j++)
                a[j] *= j % 3 ? 9.0f : 120.0f;
            call(v->ref, s, &r, out(&r.want));
            call(v->fn, s, &r, out(&r.got));
            count_check();
            if (!output_intact(&r.got)) fail_check(v, "n %lld: wrote outside", (long long)n);
            for (int64_t j = 0; j < n_out; j++)
                if (!close_enough(v->bound, out(&r.got)[j], out(&r.want)[j],
                                  size_of(s, &r, j, interleaved))) {
                    fail_check(v, "n %lld, %s: out[%lld] = %a, want %a (input %a)", (long long)n,
                               fill_name((enum fill)fill), (long long)j, (double)out(&r.got)[j],
                               (double)out(&r.want)[j], (double)a[j]);
                    break;
                }
            if (s == ROPE || s == TWO || s == SCALE) { /* in place */
                memcpy(r.want.data, r.a.data, (size_t)n_out * 4);
                struct rows same = r;
                same.a = (struct input){.data = r.want.data};
                call(v->fn, s, &same, out(&r.want));
                check_exact(v, &r, "in place");
            }
            rows_free(&r);
        }
}

static void check_nonfinite(const struct variant *v, enum shape s)
{
    for (int64_t n = 1; n < 40; n++)
        for (int64_t at = 0; at < n; at++) {
            struct rows r = rows_new(n, 2 * n, (size_t)n * 8, FILL_RANDOM);
            ((float *)(void *)r.a.data)[at] = at % 2 ? NAN : INFINITY;
            call(v->fn, s, &r, out(&r.got));
            count_check();
            float y = out(&r.got)[at];
            if (y - y == 0) fail_check(v, "n %lld: lost a NaN or infinity", (long long)n);
            rows_free(&r);
        }
}

bool check_rows(const struct variant *v)
{
    static const struct {
        const char *slot;
        enum shape shape;
    } shapes[] = {{"rmsnorm", NORM},  {"add", TWO},      {"scale", SCALE},
                  {"axpy", AXPY},     {"glu_silu", GLU}, {"glu_gelu", GLU},
                  {"rope_interleaved", ROPE}, {"rope_halves", ROPE}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (!strcmp(v->slot, shapes[i].slot)) {
            check_shape(v, shapes[i].shape);
            if (shapes[i].shape == NORM) check_shape(v, NORM_ONES);
            if (shapes[i].shape != ROPE) check_nonfinite(v, shapes[i].shape);
            return true;
        }
    if (!strcmp(v->slot, "act_q8")) check_acts(v, ACT_Q8);
    else if (!strcmp(v->slot, "act_q8k")) check_acts(v, ACT_Q8K);
    else if (!strcmp(v->slot, "act_bf16")) check_acts(v, ACT_BF16);
    else if (!strcmp(v->slot, "to_f16")) check_to_f16(v);
    else if (!strcmp(v->slot, "to_i8") || !strcmp(v->slot, "to_i4")) check_to_int(v, 1);
    else if (!strcmp(v->slot, "to_i16")) check_to_int(v, 2);
    else if (!strcmp(v->slot, "rotate")) check_rotate(v);
    else if (!strcmp(v->slot, "read_bytes")) check_read(v);
    else if (!strcmp(v->slot, "peak_i8")) check_peak(v);
    else return false;
    return true;
}

struct bench {
    const struct variant *v;
    struct rows r;
    int shape; /* -1: act, -2: to_f16, -3: to_i8, to_i16, -4: read_bytes, -5: peak_i8, -6: rotate */
};
static volatile uint64_t sink;

static void call_rows(void *arg)
{
    struct bench *b = arg;
    void (*fn)(void) = b->v->fn;
    if (b->shape == -1) ((kernel_act_fn)fn)(in(&b->r.a), b->r.n, b->r.got.data);
    else if (b->shape == -2)
        ((void (*)(const float *, int64_t, uint16_t *))fn)(in(&b->r.a), b->r.n,
                                                           (void *)b->r.got.data);
    else if (b->shape == -3)
        ((void (*)(const float *, int64_t, void *, float *))fn)(in(&b->r.a), b->r.n, b->r.got.data,
                                                                out(&b->r.want));
    else if (b->shape == -6)
        ((void (*)(const float *, int64_t, int64_t, float *))fn)(in(&b->r.a), b->r.n, 128,
                                                                 out(&b->r.got));
    else if (b->shape == -4)
        sink = ((uint64_t (*)(const void *, size_t))fn)(b->r.a.data, b->r.a.bytes);
    else if (b->shape == -5) {
        uint32_t sum;
        sink = ((uint64_t (*)(uint64_t, uint32_t *))fn)((uint64_t)b->r.n, &sum);
        sink = sum;
    }
    else call(fn, (enum shape)b->shape, &b->r, out(&b->r.got));
}

bool bench_rows(const struct variant *v)
{
    static const struct {
        const char *prefix;
        int shape;
    } all[] = {{"rmsnorm", NORM}, {"add", TWO}, {"scale", SCALE}, {"axpy", AXPY}, {"glu_", GLU},
               {"rope_", ROPE}, {"act_", -1}, {"to_f16", -2}, {"to_i", -3}, {"read_bytes", -4},
               {"peak_i8", -5}, {"rotate", -6}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strncmp(v->slot, all[i].prefix, strlen(all[i].prefix))) continue;
        int64_t n = all[i].shape == -4 ? 40 << 20 : all[i].shape == -5 ? 1 << 20 : 2048;
        struct bench b = {v, rows_new(n, all[i].shape == ROPE ? 2 * n : n, (size_t)n * 8,
                                      FILL_RANDOM), all[i].shape};
        double s = time_call(call_rows, &b);
        print_bench(v, all[i].shape == -4   ? "160 MB"
                       : all[i].shape == -5 ? "registers"
                                            : "2048 elements, cached",
                    s * 1e9 / (double)n * 32, "32 elements",
                    all[i].shape == -4 ? (double)b.r.a.bytes / s * 1e-9 : 0);
        rows_free(&b.r);
        return true;
    }
    return false;
}
