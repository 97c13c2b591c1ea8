/* SPDX-License-Identifier: Apache-2.0
 * check_attend.c - attention over one span of keys, and the merge of two spans. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/kernels/kv_i4.h"
#include "tests/checkkern/check.h"

static size_t element_bytes(const char *slot)
{
    return !strcmp(slot, "attend_f32") ? 4 : !strcmp(slot, "attend_f16") ? 2 : 1;
}

static size_t pad16(size_t n)
{
    return (n + 15) / 16 * 16;
}

struct span {
    struct attend_args a;
    struct attend_page pages[KERNEL_SPAN];
    int first[KERNEL_MAX_Q], end[KERNEL_MAX_Q];
    struct input q, k, v, ks, vs;
    size_t bytes;
    int bits; /* of a cell: 4 and 8 have scales */
};

struct shape {
    int n_q, first, end, step; /* query j sees keys [first + j * step, end + j * step) of the span */
    int k_dim, v_dim, page_tokens;
    bool v_in_k;
    float softcap;
};

static void fill_cells(uint8_t *p, size_t n, size_t bytes)
{
    for (size_t i = 0; i < n / bytes; i++) {
        float u = random_unit();
        if (bytes == 4) ((float *)(void *)p)[i] = u;
        else ((uint16_t *)(void *)p)[i] = f32_to_f16(u);
    }
}

static double cell_at(const uint8_t *row, size_t bytes, int c)
{
    if (bytes == 4) return (double)((const float *)(const void *)row)[c];
    return (double)f16_to_f32(((const uint16_t *)(const void *)row)[c]);
}

static double query_value(const struct span *p, int j, int c)
{
    const uint8_t *row = (const uint8_t *)p->a.q + (size_t)j * p->a.q_bytes;
    if (p->bytes > 1) return cell_at(row, 4, c);
    const float *scales = (const float *)(const void *)(row + kv_i8_query_scales(p->a.k_dim));
    return (double)((const int16_t *)(const void *)row)[c] * (double)scales[c / KV_I8_GROUP];
}

static double key_value(const struct span *p, int i, int c)
{
    const struct attend_args *a = &p->a;
    const struct attend_page *page = &a->pages[i / a->page_tokens];
    int slot = i % a->page_tokens;
    if (p->bytes > 1) return cell_at(page->k + (size_t)slot * a->k_row_bytes, p->bytes, c);
    int cols = kv_i8_cols(a->k_dim);
    int cell = p->bits == 4 ? kv_i4_get(page->k, kv_i4_key(cols, slot, c))
                            : (int8_t)page->k[kv_i8_key(cols, slot, c)];
    return cell * (double)page->k_scales[c / KV_I8_GROUP * a->page_tokens + slot];
}

/* Of one page: n slots of n_cols cells, and their scales. */
static void fill_ints(int bits, uint8_t *cells, float *scales, bool keys, int dim, int page, int n)
{
    for (int i = 0; i < n; i++) {
        for (int c = 0; c < dim; c++) {
            int cols = kv_i8_cols(dim);
            if (bits == 4) {
                kv_i4_put(cells, keys ? kv_i4_key(cols, i, c) : kv_i4_value(cols, page, i, c),
                          (int)floorf(random_unit() * 7.99f));
                continue;
            }
            size_t at = keys ? kv_i8_key(cols, i, c) : kv_i8_value(cols, page, i, c);
            cells[at] = (uint8_t)(int8_t)(random_unit() * 127.9f);
        }
        for (int g = 0; g < kv_i8_groups(dim); g++) {
            float sign = bits == 4 && random_unit() < 0 ? -1 : 1;
            scales[g * page + i] = sign * (0.01f + 0.005f * random_unit());
        }
    }
}

static void fill_queries(struct span *p, const struct shape *s)
{
    for (int j = 0; j < s->n_q && p->bytes == 1; j++) {
        uint8_t *row = p->q.data + (size_t)j * p->a.q_bytes;
        float *scales = (float *)(void *)(row + kv_i8_query_scales(s->k_dim));
        for (int c = 0; c < kv_i8_cols(s->k_dim); c++)
            ((int16_t *)(void *)row)[c] = c < s->k_dim ? (int16_t)(random_unit() * 32767.9f) : 0;
        for (int g = 0; g < kv_i8_groups(s->k_dim); g++)
            scales[g] = (1 + 0.5f * random_unit()) / 32767;
    }
    if (p->bytes > 1) fill_floats((float *)(void *)p->q.data, (int64_t)p->q.bytes / 4, FILL_RANDOM);
}

/* Keys up to the last that a query sees exist; those before the first must not matter. Pages lie
 * in reverse order, so that no kernel takes them for neighbours. */
static void span_new(struct span *p, const char *slot, const struct shape *s)
{
    int n_keys = s->end + (s->n_q - 1) * s->step, page = s->page_tokens;
    int n_pages = (n_keys + page - 1) / page;
    p->bytes = element_bytes(slot);
    p->bits = strcmp(slot, "attend_i4") ? 8 * (int)p->bytes : 4;
    bool i8 = p->bytes == 1;
    size_t k_row = pad16((size_t)s->k_dim * p->bytes), v_row = pad16((size_t)s->v_dim * p->bytes);
    if (p->bits == 4) {
        k_row /= 2;
        v_row /= 2;
    }
    size_t k_groups = i8 ? (size_t)kv_i8_groups(s->k_dim) : 0, slots = (size_t)(n_pages * page);
    size_t v_groups = i8 ? (size_t)kv_i8_groups(s->v_dim) : 0;
    size_t q_bytes = i8 ? kv_i8_query_bytes(s->k_dim) : (size_t)(s->k_dim + 3) * 4;
    p->q = input_new((size_t)s->n_q * q_bytes);
    p->k = input_new(slots * k_row);
    p->v = input_new(slots * v_row);
    p->ks = input_new(slots * k_groups * 4);
    p->vs = input_new(slots * v_groups * 4);
    memset(p->k.data, 0xff, p->k.bytes); /* NaN where nothing was written */
    memset(p->v.data, 0xff, p->v.bytes);
    memset(p->ks.data, 0xff, p->ks.bytes);
    memset(p->vs.data, 0xff, p->vs.bytes);
    p->a = (struct attend_args){.q = p->q.data, .q_bytes = q_bytes, .n_q = s->n_q, .k_dim = s->k_dim,
                                .v_dim = s->v_dim, .v_in_k = s->v_in_k, .page_tokens = page,
                                .first = p->first, .end = p->end, .pages = p->pages,
                                .k_row_bytes = k_row, .v_row_bytes = s->v_in_k ? k_row : v_row,
                                .scale = 1 / sqrtf((float)s->k_dim) * 3, .softcap = s->softcap};
    fill_queries(p, s);
    for (int j = 0; j < s->n_q; j++) {
        p->first[j] = s->first + j * s->step;
        p->end[j] = s->end + j * s->step;
    }
    for (int i = 0; i < n_pages; i++) {
        size_t at = (size_t)((n_pages - 1 - i) * page);
        float *ks = (float *)(void *)p->ks.data + at * k_groups;
        float *vs = (float *)(void *)p->vs.data + at * v_groups;
        uint8_t *k = p->k.data + at * k_row, *v = p->v.data + at * v_row;
        int n = n_keys - i * page < page ? n_keys - i * page : page;
        p->pages[i] = (struct attend_page){.k = k, .v = s->v_in_k ? k : v};
        if (!i8) {
            fill_cells(k, (size_t)n * k_row, p->bytes);
            fill_cells(v, (size_t)n * v_row, p->bytes);
            continue;
        }
        fill_ints(p->bits, k, ks, true, s->k_dim, page, n);
        fill_ints(p->bits, v, vs, false, s->v_dim, page, n);
        p->pages[i].k_scales = ks;
        p->pages[i].v_scales = s->v_in_k ? ks : vs;
    }
}

static void span_free(struct span *p)
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
 * off by that much relatively, and the sums by their own rounding on top. Of int8 values, whose scales
 * are at most 0.015, a variant's weight may be off by half of 0.015 / 32767. */
static void compare(const struct variant *v, const struct span *p, const struct result *got,
                    const struct result *want)
{
    const struct attend_args *a = &p->a;
    for (int j = 0; j < a->n_q; j++) {
        double worst = 0, rounding = 0, largest = 0.015 * (p->bits == 4 ? 8 : 127);
        for (int i = a->first[j]; i < a->end[j]; i++) {
            double sum = 0;
            for (int c = 0; c < a->k_dim; c++)
                sum += fabs(query_value(p, j, c) * key_value(p, i, c));
            sum *= (double)a->scale;
            if (sum > worst) worst = sum;
            if (p->bytes == 1 && v->bound > 0) rounding += largest / 32767 / 2 * 0x1p24 / v->bound;
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
                          (p->bytes == 1 ? largest : 1.0);
            if (!close_enough(v->bound, at(&got->acc, i), at(&want->acc, i),
                              slack * most + rounding)) {
                fail_check(v, "n_q %d keys %d..%d dims %d %d: acc[%d][%d] = %.9g, want %.9g",
                           a->n_q, a->first[j], a->end[j], a->k_dim, a->v_dim, j, c,
                           (double)at(&got->acc, i), (double)at(&want->acc, i));
                break;
            }
        }
    }
    if (!output_intact(&got->m) || !output_intact(&got->l) || !output_intact(&got->acc))
        fail_check(v, "wrote outside of m, l or acc");
}

static void check_alone(const struct variant *v, const struct span *p, const struct result *all)
{
    for (int j = 0; j < p->a.n_q; j++) {
        struct attend_args a = p->a;
        a.q = (const uint8_t *)a.q + (size_t)j * a.q_bytes;
        a.first += j;
        a.end += j;
        a.n_q = 1;
        struct result one = run(v->fn, a);
        if (!same_bits(one.m.data, all->m.data + 4 * j, 4) ||
            !same_bits(one.l.data, all->l.data + 4 * j, 4) ||
            !same_bits(one.acc.data, all->acc.data + (size_t)(4 * j * a.v_dim), one.acc.bytes))
            fail_check(v, "query %d of %d has other bits alone", j, p->a.n_q);
        result_free(&one);
    }
}

static void check_span(const struct variant *v, struct shape s)
{
    static struct span p;
    span_new(&p, v->slot, &s);
    struct result got = run(v->fn, p.a), want = run(v->ref, p.a);
    count_check();
    compare(v, &p, &got, &want);
    check_alone(v, &p, &got);
    result_free(&got);
    result_free(&want);
    span_free(&p);
}

static void put_nan(struct span *p, int key, int c, bool of_value)
{
    const struct attend_page *page = &p->pages[key / p->a.page_tokens];
    int slot = key % p->a.page_tokens;
    const uint8_t *cell = of_value ? page->v + (size_t)slot * p->a.v_row_bytes
                                   : page->k + (size_t)slot * p->a.k_row_bytes;
    const float *scales = of_value ? page->v_scales : page->k_scales;
    if (p->bytes == 1) ((float *)(uintptr_t)scales)[c / KV_I8_GROUP * p->a.page_tokens + slot] = NAN;
    else if (p->bytes == 4) ((float *)(uintptr_t)cell)[c] = NAN;
    else ((uint16_t *)(uintptr_t)cell)[c] = 0x7e00;
}

/* A NaN among the keys shows in l or acc, one among the values in acc; it is never taken for -infinity. */
static void check_nan(const struct variant *v)
{
    static struct span p;
    for (int i = 0; i < 36; i++) {
        bool of_value = i % 2;
        int c = i % 4 / 2 * 70; /* in the first and in the second group */
        span_new(&p, v->slot, &(struct shape){2, 0, 9, 0, 96, 80, 16, false, 0});
        put_nan(&p, i / 4, c, of_value);
        struct result got = run(v->fn, p.a);
        count_check();
        for (size_t j = 0; j < 2; j++) {
            float l = at(&got.l, j), acc = at(&got.acc, 80 * j + (size_t)(of_value ? c : 0));
            if (acc == acc && (of_value || l == l)) fail_check(v, "lost a NaN of key %d", i / 4);
        }
        result_free(&got);
        span_free(&p);
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
        for (int n_q = 1; n_q <= KERNEL_MAX_Q; n_q++) {
            int k = dims[d][0], w = dims[d][1];
            check_span(v, (struct shape){n_q, 0, 1 + (int)d, 0, k, w, 64, false, 0});
            check_span(v, (struct shape){n_q, 3, 37, 0, k, w, 16, false, d % 2 ? 5.0f : 0});
            if (n_q % 5 == 1) check_span(v, (struct shape){n_q, 90, 150, 1, k, w, 32, false, 0});
        }
    for (int end = 1; end < 40; end++) {
        check_span(v, (struct shape){3, end / 3, end, 0, 64, 64, 16, false, 0});
        check_span(v, (struct shape){5, 0, end, 2, 64, 64, 32, false, 0}); /* windows that do not meet */
        check_span(v, (struct shape){6, 7, 7 + end, 3, 64, 48, 16, false, 0});
    }
    check_span(v, (struct shape){16, 0, KERNEL_SPAN, 0, 128, 128, 256, false, 0});
    check_span(v, (struct shape){16, 0, KERNEL_SPAN - 15, 1, 128, 128, 16, false, 0});
    check_span(v, (struct shape){16, 0, 64, 0, 576, 512, 64, true, 0});
    check_span(v, (struct shape){7, 21, 100, 2, 90, 75, 32, true, 0});
    check_span(v, (struct shape){9, 0, KERNEL_SPAN, 0, 576, 512, 64, true, 0});
    check_span(v, (struct shape){1, 200, 256, 0, 576, 512, 128, true, 30.0f});
    check_nan(v);
    return true;
}

struct bench {
    const struct variant *v;
    struct span p;
};

static void call_attend(void *arg)
{
    struct bench *b = arg;
    ((kernel_attend_fn)b->v->fn)(&b->p.a);
}

bool bench_attend(const struct variant *v)
{
    static struct bench b;
    if (!strcmp(v->slot, "attend_merge") || strncmp(v->slot, "attend_", 7)) return false;
    static const int shapes[][4] = {{1, 128, 128, 0}, {6, 128, 128, 0}, {16, 128, 128, 0},
                                    {3, 64, 64, 0},   {16, 576, 512, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int *s = shapes[i];
        b.v = v;
        span_new(&b.p, v->slot,
                 &(struct shape){s[0], 0, KERNEL_SPAN, 0, s[1], s[2], 64, s[3] != 0, 0});
        if (b.p.bytes > 1) b.p.a.q_bytes = (size_t)s[1] * 4; /* aligned, as the device has them */
        b.p.a.m = xalloc(64);
        b.p.a.l = xalloc(64);
        b.p.a.acc = xalloc(16 * 512 * 4);
        double seconds = time_call(call_attend, &b);
        char what[64];
        snprintf(what, sizeof what, "%d q x 256 keys of %d", s[0], s[1]);
        double bytes = (double)(256 * (s[1] + (s[3] ? 0 : s[2]))) * b.p.bits / 8;
        print_bench(v, what, seconds * 1e9 / (256.0 * s[0]), "query, key", bytes / seconds * 1e-9);
        xfree(b.p.a.m);
        xfree(b.p.a.l);
        xfree(b.p.a.acc);
        span_free(&b.p);
    }
    return true;
}
