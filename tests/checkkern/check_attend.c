/* SPDX-License-Identifier: Apache-2.0
 * check_attend.c - attention over one page, and the merge of two pages. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/checkkern/check.h"

static size_t element_bytes(const char *slot)
{
    return !strcmp(slot, "attend_f32") ? 4 : !strcmp(slot, "attend_f16") ? 2 : 1;
}

static double value_at(const uint8_t *row, size_t bytes, int i)
{
    if (bytes == 4) return (double)((const float *)(const void *)row)[i];
    if (bytes == 2) return (double)f16_to_f32(((const uint16_t *)(const void *)row)[i]);
    return (double)((const int8_t *)row)[i];
}

static size_t pad16(size_t n)
{
    return (n + 15) / 16 * 16;
}

struct page {
    struct attend_args a;
    struct input q, k, v, ks, vs;
    size_t bytes;
};

static void fill_cells(struct input *in, size_t bytes)
{
    for (size_t i = 0; i < in->bytes / bytes; i++) {
        float u = random_unit();
        if (bytes == 4) ((float *)(void *)in->data)[i] = u;
        else if (bytes == 2) ((uint16_t *)(void *)in->data)[i] = f32_to_f16(u);
        else in->data[i] = (uint8_t)(int8_t)(u * 127);
    }
}

/* Slots 0 .. end-1 exist; those before first must not matter. */
static struct page page_new(const char *slot, int n_q, int first, int end, int k_dim, int v_dim,
                            bool v_in_k, float softcap)
{
    struct page p = {.bytes = element_bytes(slot)};
    size_t k_row = pad16((size_t)k_dim * p.bytes), v_row = pad16((size_t)v_dim * p.bytes);
    p.q = input_new((size_t)n_q * (size_t)(k_dim + 3) * 4);
    p.k = input_new((size_t)end * k_row);
    p.v = input_new((size_t)end * v_row);
    p.ks = input_new((size_t)end * 4);
    p.vs = input_new((size_t)end * 4);
    fill_floats((float *)(void *)p.q.data, (int64_t)p.q.bytes / 4, FILL_RANDOM);
    fill_cells(&p.k, p.bytes);
    fill_cells(&p.v, p.bytes);
    for (int i = 0; i < end; i++) {
        ((float *)(void *)p.ks.data)[i] = 0.01f + 0.005f * random_unit();
        ((float *)(void *)p.vs.data)[i] = 0.01f + 0.005f * random_unit();
    }
    p.a = (struct attend_args){.q = (float *)(void *)p.q.data, .q_stride = (size_t)k_dim + 3,
                               .n_q = n_q, .first = first, .end = end, .k_dim = k_dim,
                               .v_dim = v_dim, .k = p.k.data, .v = v_in_k ? p.k.data : p.v.data,
                               .k_row_bytes = k_row, .v_row_bytes = v_in_k ? k_row : v_row,
                               .scale = 1 / sqrtf((float)k_dim) * 3, .softcap = softcap};
    if (p.bytes == 1) {
        p.a.k_scales = (float *)(void *)p.ks.data;
        p.a.v_scales = v_in_k ? p.a.k_scales : (float *)(void *)p.vs.data;
    }
    return p;
}

static void page_free(struct page *p)
{
    input_free(&p->q);
    input_free(&p->k);
    input_free(&p->v);
    input_free(&p->ks);
    input_free(&p->vs);
}

struct result {
    struct output m, l, acc;
};

static struct result run(void (*fn)(void), struct attend_args a)
{
    struct result r = {output_new((size_t)a.n_q * 4), output_new((size_t)a.n_q * 4),
                       output_new((size_t)(a.n_q * a.v_dim) * 4)};
    a.m = (float *)(void *)r.m.data;
    a.l = (float *)(void *)r.l.data;
    a.acc = (float *)(void *)r.acc.data;
    ((kernel_attend_fn)fn)(&a);
    return r;
}

static void result_free(struct result *r)
{
    output_free(&r->m);
    output_free(&r->l);
    output_free(&r->acc);
}

static float at(const struct output *o, size_t i)
{
    return ((const float *)(const void *)o->data)[i];
}

/* How far a score can be off, in units of 2^-24, is bound * sum |q k| * scale; the exponentials are
 * off by that much relatively, and the sums by their own rounding on top. */
static void compare(const struct variant *v, const struct page *p, const struct result *got,
                    const struct result *want)
{
    const struct attend_args *a = &p->a;
    for (int j = 0; j < a->n_q; j++) {
        double worst = 0;
        for (int i = a->first; i < a->end; i++) {
            double sum = 0;
            for (int c = 0; c < a->k_dim; c++)
                sum += fabs((double)a->q[(size_t)j * a->q_stride + (size_t)c] *
                            value_at(a->k + (size_t)i * a->k_row_bytes, p->bytes, c));
            sum *= (double)a->scale * (a->k_scales ? (double)a->k_scales[i] : 1);
            if (sum > worst) worst = sum;
        }
        double slack = 2 * worst + 4;
        float m = at(&got->m, (size_t)j), l = at(&got->l, (size_t)j);
        if (!close_enough(v->bound, m, at(&want->m, (size_t)j), worst + 1))
            fail_check(v, "m[%d] = %.9g, want %.9g", j, (double)m, (double)at(&want->m, (size_t)j));
        if (!close_enough(v->bound, l, at(&want->l, (size_t)j),
                          slack * (double)at(&want->l, (size_t)j)))
            fail_check(v, "l[%d] = %.9g, want %.9g", j, (double)l, (double)at(&want->l, (size_t)j));
        for (int c = 0; c < a->v_dim; c++) {
            size_t i = (size_t)(j * a->v_dim + c);
            double most = (double)at(&want->l, (size_t)j) *
                          (p->bytes == 1 ? 127 * 0.015 : 1.0);
            if (!close_enough(v->bound, at(&got->acc, i), at(&want->acc, i), slack * most)) {
                fail_check(v, "n_q %d keys %d..%d dims %d %d: acc[%d][%d] = %.9g, want %.9g",
                           a->n_q, a->first, a->end, a->k_dim, a->v_dim, j, c,
                           (double)at(&got->acc, i), (double)at(&want->acc, i));
                break;
            }
        }
    }
    if (!output_intact(&got->m) || !output_intact(&got->l) || !output_intact(&got->acc))
        fail_check(v, "wrote outside of m, l or acc");
}

static void check_alone(const struct variant *v, const struct page *p, const struct result *all)
{
    for (int j = 0; j < p->a.n_q; j++) {
        struct attend_args a = p->a;
        a.q += (size_t)j * a.q_stride;
        a.n_q = 1;
        struct result one = run(v->fn, a);
        if (!same_bits(one.m.data, all->m.data + 4 * j, 4) ||
            !same_bits(one.l.data, all->l.data + 4 * j, 4) ||
            !same_bits(one.acc.data, all->acc.data + (size_t)(4 * j * a.v_dim), one.acc.bytes))
            fail_check(v, "query %d of %d has other bits alone", j, p->a.n_q);
        result_free(&one);
    }
}

static void check_page(const struct variant *v, int n_q, int first, int end, int k_dim, int v_dim,
                       bool v_in_k, float softcap)
{
    struct page p = page_new(v->slot, n_q, first, end, k_dim, v_dim, v_in_k, softcap);
    struct result got = run(v->fn, p.a), want = run(v->ref, p.a);
    count_check();
    compare(v, &p, &got, &want);
    check_alone(v, &p, &got);
    result_free(&got);
    result_free(&want);
    page_free(&p);
}

/* A NaN among the keys shows in l or acc; it is never taken for -infinity. */
static void check_nan(const struct variant *v)
{
    if (!strcmp(v->slot, "attend_i8")) return;
    for (int i = 0; i < 9; i++) {
        struct page p = page_new(v->slot, 2, 0, 9, 24, 16, false, 0);
        uint8_t *cell = p.k.data + (size_t)i * p.a.k_row_bytes;
        if (p.bytes == 4) *(float *)(void *)cell = NAN;
        else *(uint16_t *)(void *)cell = 0x7e00;
        struct result got = run(v->fn, p.a);
        count_check();
        for (size_t j = 0; j < 2; j++)
            if (at(&got.l, j) == at(&got.l, j) && at(&got.acc, 16 * j) == at(&got.acc, 16 * j))
                fail_check(v, "lost a NaN in key %d", i);
        result_free(&got);
        page_free(&p);
    }
}

typedef void (*merge_fn)(float *, float *, float *, float, float, const float *, int64_t);

static void check_merge(const struct variant *v)
{
    static const float ms[] = {0, 1.5f, -3, 40, -200, -INFINITY};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
            for (int64_t n = 1; n < 600; n += n < 40 ? 1 : 111) {
                struct input acc2 = input_new((size_t)n * 4);
                struct output got = output_new((size_t)n * 4), want = output_new((size_t)n * 4);
                fill_floats((float *)(void *)acc2.data, n, FILL_RANDOM);
                fill_floats((float *)(void *)got.data, n, FILL_RANDOM);
                memcpy(want.data, got.data, want.bytes);
                float m[2] = {ms[i], ms[i]}, l[2] = {2.5f, 2.5f};
                ((merge_fn)v->fn)(&m[0], &l[0], (float *)(void *)got.data, ms[j], 1.25f,
                                  (float *)(void *)acc2.data, n);
                ((merge_fn)v->ref)(&m[1], &l[1], (float *)(void *)want.data, ms[j], 1.25f,
                                   (float *)(void *)acc2.data, n);
                count_check();
                bool good = m[0] == m[1] && close_enough(v->bound, l[0], l[1], 4);
                for (int64_t c = 0; c < n; c++)
                    good = good && close_enough(v->bound, at(&got, (size_t)c), at(&want, (size_t)c),
                                                2);
                if (!good || !output_intact(&got))
                    fail_check(v, "m %g and %g, n %lld", (double)ms[i], (double)ms[j],
                               (long long)n);
                input_free(&acc2);
                output_free(&got);
                output_free(&want);
            }
}

bool check_attend(const struct variant *v)
{
    if (!strcmp(v->slot, "attend_merge")) {
        check_merge(v);
        return true;
    }
    if (strncmp(v->slot, "attend_", 7)) return false;
    static const int dims[][2] = {{64, 64}, {1, 1},   {16, 16},  {15, 17},   {40, 24},
                                  {96, 96}, {128, 128}, {192, 128}, {256, 256}, {80, 33}};
    for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
        for (int n_q = 1; n_q <= KERNEL_MAX_Q; n_q += n_q < 5 ? 1 : 3) {
            check_page(v, n_q, 0, 1 + (int)d, dims[d][0], dims[d][1], false, 0);
            check_page(v, n_q, 3, 37, dims[d][0], dims[d][1], false, d % 2 ? 5.0f : 0);
        }
    for (int end = 1; end < 40; end++)
        check_page(v, 3, end / 3, end, 64, 64, false, 0);
    check_page(v, 16, 0, KERNEL_MAX_PAGE, 128, 128, false, 0);
    check_page(v, 16, 0, 64, 576, 512, true, 0);
    check_page(v, 1, 200, 256, 576, 512, true, 30.0f);
    check_nan(v);
    return true;
}

struct bench {
    const struct variant *v;
    struct page p;
};

static void call_attend(void *arg)
{
    struct bench *b = arg;
    ((kernel_attend_fn)b->v->fn)(&b->p.a);
}

bool bench_attend(const struct variant *v)
{
    if (!strcmp(v->slot, "attend_merge") || strncmp(v->slot, "attend_", 7)) return false;
    static const int shapes[][4] = {{1, 128, 128, 0}, {4, 128, 128, 0}, {16, 128, 128, 0},
                                    {3, 64, 64, 0},   {16, 576, 512, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int *s = shapes[i];
        struct bench b = {v, page_new(v->slot, s[0], 0, 256, s[1], s[2], s[3] != 0, 0)};
        b.p.a.m = xalloc(64);
        b.p.a.l = xalloc(64);
        b.p.a.acc = xalloc(16 * 512 * 4);
        double seconds = time_call(call_attend, &b);
        char what[64];
        snprintf(what, sizeof what, "%d q x 256 keys of %d", s[0], s[1]);
        double bytes = (double)(256 * (s[1] + (s[3] ? 0 : s[2]))) * (double)b.p.bytes;
        print_bench(v, what, seconds * 1e9 / (256.0 * s[0]), "query, key", bytes / seconds * 1e-9);
        xfree(b.p.a.m);
        xfree(b.p.a.l);
        xfree(b.p.a.acc);
        page_free(&b.p);
    }
    return true;
}
