/* SPDX-License-Identifier: Apache-2.0
 * attend.c - attention of some queries over one page: scores, their maximum, the exponentials
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

static float score(at_fn at, const struct attend_args *a, const float *q, int slot)
{
    const uint8_t *row = a->k + (size_t)slot * a->k_row_bytes;
    double sum = 0;
    for (int i = 0; i < a->k_dim; i++)
        sum += (double)q[i] * (double)at(row, i);
    float s = a->scale * (float)sum;
    if (a->k_scales) s *= a->k_scales[slot];
    return a->softcap > 0 ? a->softcap * tanhf(s / a->softcap) : s;
}

static void attend(at_fn at, const struct attend_args *a)
{
    for (int j = 0; j < a->n_q; j++) {
        float s[KERNEL_MAX_PAGE], m = -INFINITY;
        double l = 0;
        for (int i = a->first; i < a->end; i++) {
            s[i] = score(at, a, a->q + (size_t)j * a->q_stride, i);
            if (!(s[i] <= m)) m = s[i];
        }
        for (int i = a->first; i < a->end; i++) {
            /* inf - inf is NaN, and a NaN must reach the logits; only -inf among numbers is zero */
            s[i] = s[i] == m ? 1.0f : expf(s[i] - m);
            l += (double)s[i];
        }
        a->m[j] = m;
        a->l[j] = (float)l;
        for (int c = 0; c < a->v_dim; c++) {
            double sum = 0;
            for (int i = a->first; i < a->end; i++) {
                float v = at(a->v + (size_t)i * a->v_row_bytes, c);
                sum += (double)(a->v_scales ? s[i] * a->v_scales[i] : s[i]) * (double)v;
            }
            a->acc[(size_t)j * (size_t)a->v_dim + (size_t)c] = (float)sum;
        }
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
