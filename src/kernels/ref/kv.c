/* SPDX-License-Identifier: Apache-2.0
 * kv.c - rows on their way into a cache of 8 or 4 bits, and the queries that meet them: rotated, then rounded. */
#include <math.h>
#include <string.h>
#include "src/kernels/kv_i8.h"
#include "src/kernels/variants.h"

/* Bits of the largest |x|; the bits of NaNs and infinities are above those of all numbers. */
static uint32_t largest(const float *x, int64_t n)
{
    uint32_t max = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], 4);
        u &= 0x7fffffffu;
        if (u > max) max = u;
    }
    return max;
}

/* The scale of n numbers that become -limit ... limit; what they are multiplied by, 0 where all become 0. */
static float scale_of(const float *x, int64_t n, float limit, float *inverse)
{
    uint32_t max = largest(x, n);
    float m;
    memcpy(&m, &max, 4);
    *inverse = 0;
    if (max >= 0x7f800000u) return NAN;
    if (!(m >= 0x1p-100f)) return 0;
    *inverse = limit / m;
    return m / limit;
}

void to_i8_ref(const float *x, int64_t n, int8_t *out, float *scales)
{
    for (int64_t at = 0; at < n; at += KV_I8_GROUP) {
        int64_t end = n - at < KV_I8_GROUP ? n : at + KV_I8_GROUP;
        float inverse;
        *scales++ = scale_of(x + at, end - at, 127, &inverse);
        for (int64_t i = at; i < end; i++)
            out[i] = inverse > 0 ? (int8_t)rintf(x[i] * inverse) : 0;
    }
}

/* The sign of the scale is that of the largest number, which takes the one level more below zero. */
void to_i4_ref(const float *x, int64_t n, int8_t *out, float *scales)
{
    for (int64_t at = 0; at < n; at += KV_I8_GROUP) {
        int64_t end = n - at < KV_I8_GROUP ? n : at + KV_I8_GROUP, i = at;
        float size, inverse;
        size = scale_of(x + at, end - at, 8, &inverse);
        if (inverse > 0) {
            while (fabsf(x[i]) < size * 8) i++;
            if (x[i] > 0) {
                size = -size;
                inverse = -inverse;
            }
        }
        *scales++ = size;
        for (i = at; i < end; i++) {
            float cell = size < 0 || size > 0 ? rintf(x[i] * inverse) : 0;
            out[i] = (int8_t)(cell > 7 ? 7 : cell);
        }
    }
}

void to_i16_ref(const float *x, int64_t n, int16_t *out, float *scales)
{
    for (int64_t at = 0; at < n; at += KV_I8_GROUP) {
        int64_t end = n - at < KV_I8_GROUP ? n : at + KV_I8_GROUP;
        float inverse;
        *scales++ = scale_of(x + at, end - at, 32767, &inverse);
        for (int64_t i = at; i < end; i++)
            out[i] = inverse > 0 ? (int16_t)rintf(x[i] * inverse) : 0;
    }
}

/* The butterflies of distance 1, 2, 4, ...: the order is what makes the bits. */
void rotate_ref(const float *x, int64_t n, int64_t block, float *out)
{
    float norm = 1.0f / sqrtf((float)block);
    memmove(out, x, (size_t)n * sizeof *out);
    for (int64_t h = 1; h < block; h *= 2)
        for (int64_t at = 0; at < n; at += 2 * h)
            for (int64_t i = at; i < at + h; i++) {
                float a = out[i], b = out[i + h];
                out[i] = a + b;
                out[i + h] = a - b;
            }
    for (int64_t i = 0; i < n; i++)
        out[i] *= norm;
}
