/* SPDX-License-Identifier: Apache-2.0
 * attend.c - attention of some queries over one span of keys: scores, their maximum, the exponentials
 * relative to it, and the weighted sum of values. Each query stands alone. */
#include <math.h>
#include <string.h>
#include "src/kernels/variants.h"

typedef float (*at_fn)(const uint8_t *row, int i);

static float f32_at(const uint8_t *row, int i)
{
    float f;
    memcpy(&f, row + 4 * (size_t)i, 4);
    return f;
}

static float f16_at(const uint8_t *row, int i)
{
    uint16_t h;
    memcpy(&h, row + 2 * (size_t)i, 2);
    return f16_to_f32(h);
}

static float i8_at(const uint8_t *row, int i)
{
    return (float)(int8_t)row[i];
}

static const struct attend_page *page_of(const struct attend_args *a, int i)
{
    return &a->pages[i / a->page_tokens];
}

static float score(at_fn at, const struct attend_args *a, const float *q, int i)
{
    const struct attend_page *page = page_of(a, i);
    const uint8_t *row = page->k + (size_t)(i % a->page_tokens) * a->k_row_bytes;
    double sum = 0;
    for (int c = 0; c < a->k_dim; c++)
        sum += (double)q[c] * (double)at(row, c);
    float s = a->scale * (float)sum;
    if (page->k_scales) s *= page->k_scales[i % a->page_tokens];
    return a->softcap > 0 ? a->softcap * tanhf(s / a->softcap) : s;
}

static double weighted_sum(at_fn at, const struct attend_args *a, int j, const float *s, int c)
{
    double sum = 0;
    for (int i = a->first[j]; i < a->end[j]; i++) {
        const struct attend_page *page = page_of(a, i);
        int slot = i % a->page_tokens;
        float v = at(page->v + (size_t)slot * a->v_row_bytes, c);
        sum += (double)(page->v_scales ? s[i] * page->v_scales[slot] : s[i]) * (double)v;
    }
    return sum;
}

static void attend(at_fn at, const struct attend_args *a)
{
    for (int j = 0; j < a->n_q; j++) {
        float s[KERNEL_SPAN], m = -INFINITY;
        double l = 0;
        for (int i = a->first[j]; i < a->end[j]; i++) {
            s[i] = score(at, a, a->q + (size_t)j * a->q_stride, i);
            if (!(s[i] <= m)) m = s[i];
        }
        for (int i = a->first[j]; i < a->end[j]; i++) {
            /* inf - inf is NaN, and a NaN must reach the logits; only -inf among numbers is zero */
            s[i] = s[i] == m ? 1.0f : expf(s[i] - m);
            l += (double)s[i];
        }
        a->m[j] = m;
        a->l[j] = (float)l;
        for (int c = 0; c < a->v_dim; c++)
            a->acc[(size_t)j * (size_t)a->v_dim + (size_t)c] = (float)weighted_sum(at, a, j, s, c);
    }
}

void attend_f32_ref(const struct attend_args *a)
{
    attend(f32_at, a);
}

void attend_f16_ref(const struct attend_args *a)
{
    attend(f16_at, a);
}

void attend_i8_ref(const struct attend_args *a)
{
    attend(i8_at, a);
}

void attend_merge_ref(float *m, float *l, float *acc, float m2, float l2, const float *acc2,
                      int64_t n)
{
    float max = *m >= m2 ? *m : m2;
    float a = *m == max ? 1.0f : expf(*m - max), b = m2 == max ? 1.0f : expf(m2 - max);
    *m = max;
    *l = *l * a + l2 * b;
    for (int64_t i = 0; i < n; i++)
        acc[i] = acc[i] * a + acc2[i] * b;
}
