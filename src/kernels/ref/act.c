/* SPDX-License-Identifier: Apache-2.0
 * act.c - activation rows in the formats that mul kernels want: the meaning of act_*.
 *
 * The integers and d are part of the contract: every variant gives these very bytes. The maximum is
 * taken over the bits of |x| as integers, so a NaN is larger than everything and is not lost. */
#include <math.h>
#include <string.h>
#include "src/kernels/variants.h"

void act_bf16_ref(const float *x, int64_t k, void *out)
{
    uint16_t *h = out;
    for (int64_t i = 0; i < k; i++)
        h[i] = f32_to_bf16(x[i]);
}

/* Encodes n values with one scale; returns it. */
static float encode(const float *x, int n, int8_t *q)
{
    uint32_t max = 0;
    for (int i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], 4);
        u &= 0x7fffffffu;
        if (u > max) max = u;
    }
    float m;
    memcpy(&m, &max, 4);
    if (!(m >= 0x1p-100f) || max >= 0x7f800000u) {
        memset(q, 0, (size_t)n);
        return max >= 0x7f800000u ? NAN : 0;
    }
    float inverse = 127.0f / m;
    for (int i = 0; i < n; i++)
        q[i] = (int8_t)rintf(x[i] * inverse);
    return m / 127.0f;
}

static int32_t sum_of(const int8_t *q, int n)
{
    int32_t s = 0;
    for (int i = 0; i < n; i++)
        s += q[i];
    return s;
}

void act_q8_ref(const float *x, int64_t k, void *out)
{
    char *row = out;
    int8_t *q = out;
    float *d = (float *)(void *)(row + act_q8_d(k)), *s = (float *)(void *)(row + act_q8_s(k));
    int32_t *sum = (int32_t *)(void *)(row + act_q8_sum(k));
    for (int64_t b = 0; b < k / 32; b++) {
        d[b] = encode(x + 32 * b, 32, q + 32 * b);
        sum[b] = sum_of(q + 32 * b, 32);
        s[b] = d[b] * (float)sum[b];
    }
}

void act_q8k_ref(const float *x, int64_t k, void *out)
{
    char *row = out;
    int8_t *q = out;
    float *d = (float *)(void *)(row + act_q8k_d(k));
    int16_t *sum16 = (int16_t *)(void *)(row + act_q8k_sum16(k));
    int16_t *sum32 = (int16_t *)(void *)(row + act_q8k_sum32(k));
    for (int64_t b = 0; b < k / 256; b++)
        d[b] = encode(x + 256 * b, 256, q + 256 * b);
    for (int64_t i = 0; i < k / 16; i++)
        sum16[i] = (int16_t)sum_of(q + 16 * i, 16);
    for (int64_t i = 0; i < k / 32; i++)
        sum32[i] = (int16_t)sum_of(q + 32 * i, 32);
}
