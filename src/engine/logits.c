/* SPDX-License-Identifier: Apache-2.0
 * logits.c - see logits.h. Vectors of 16 floats, whatever the CPU has: a vocabulary of 129,280 in
 * registers of 4 took 0.2 ms a token, for 16 sequences on two threads a twelfth of a step. */
#include "src/engine/logits.h"
#include <math.h>
#include <string.h>
#include "src/base/clones.h"

enum { LANES = 16 };
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));

/* A piece of a clone is compiled with it. */
#define INLINE static inline __attribute__((always_inline))

/* Loads at any address. */
INLINE void load(floats *v, const float *x)
{
    memcpy(v, x, sizeof *v);
}

/* *m = x where that is larger */
INLINE void raise(floats *m, const float *x)
{
    floats v;
    load(&v, x);
    ints above = v > *m;
    *m = (floats)(((ints)v & above) | ((ints)*m & ~above));
}

/* *v = e^*v for *v <= 0: 2^whole times a polynomial on [-1/2, 1/2] */
INLINE void exp_negative(floats *v)
{
    floats x = *v, least = (floats){0} - 87.0f;
    ints above = x > least;
    x = (floats)(((ints)x & above) | ((ints)least & ~above));
    floats t = x * 1.44269504f;
    ints whole = __builtin_convertvector(t - 0.5f, ints);
    floats f = t - __builtin_convertvector(whole, floats);
    floats r = f * 1.5403530e-4f + 1.3333558e-3f;
    r = r * f + 9.6181291e-3f;
    r = r * f + 5.5504109e-2f;
    r = r * f + 2.4022651e-1f;
    r = r * f + 6.9314718e-1f;
    r = r * f + 1.0f;
    *v = r * (floats)((whole + 127) << 23);
}

INLINE float max_of(const float *x, int n)
{
    float best = x[0];
    floats m[4];
    int i = 0;
    for (int j = 0; j < 4; j++) m[j] = (floats){0} + best;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        for (int j = 0; j < 4; j++) raise(&m[j], x + i + LANES * j);
    for (int j = 0; j < 4; j++)
        for (int l = 0; l < LANES; l++) best = m[j][l] > best ? m[j][l] : best;
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    return best;
}

CLONES float logits_max(const float *x, int n)
{
    return max_of(x, n);
}

CLONES float logits_block_max(const float *x, int n, float *out)
{
    int n_blocks = 0;
    for (int i = 0; i < n; i += LOGITS_BLOCK)
        out[n_blocks++] = max_of(x + i, n - i < LOGITS_BLOCK ? n - i : LOGITS_BLOCK);
    return max_of(out, n_blocks);
}

CLONES int32_t logits_first_of(const float *x, int n, float value)
{
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        int any = 0;
        for (int j = 0; j < LANES; j++) any |= x[i + j] == value;
        if (any) break;
    }
    while (i < n - 1 && x[i] != value) i++;
    return i;
}

CLONES void logits_exp_of(const float *x, const int32_t *ids, int n, float max, float scale,
                          float *out)
{
    for (int i = 0; i < n; i += LANES) {
        int n_here = n - i < LANES ? n - i : LANES;
        floats v = {0};
        for (int j = 0; j < n_here; j++) v[j] = (x[ids[i + j]] - max) * scale;
        exp_negative(&v);
        memcpy(out + i, &v, (size_t)n_here * sizeof *out);
    }
}

CLONES double logits_sum_exp(const float *x, int n, float max, float scale)
{
    double sum = 0;
    for (int i = 0; i < n;) {
        floats part = {0}, v;
        int end = n - i > 4096 ? i + 4096 : n; /* floats add up a short way only */
        for (; i + LANES <= end; i += LANES) {
            load(&v, x + i);
            v = (v - max) * scale;
            exp_negative(&v);
            part += v;
        }
        if (i < end) {
            v = (floats){0} - INFINITY; /* what is beyond the end counts for less than 1e-37 */
            for (int j = 0; i < end; j++, i++) v[j] = (x[i] - max) * scale;
            exp_negative(&v);
            part += v;
        }
        for (int j = 0; j < LANES; j++) sum += (double)part[j];
    }
    return sum;
}

CLONES void logits_softmax(float *x, int n, float max)
{
    float inv = (float)(1 / logits_sum_exp(x, n, max, 1));
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        floats v;
        load(&v, x + i);
        v = v - max;
        exp_negative(&v);
        v = v * inv;
        memcpy(x + i, &v, sizeof v);
    }
    if (i < n) {
        floats v = {0};
        for (int j = 0; i + j < n; j++) v[j] = x[i + j] - max;
        exp_negative(&v);
        for (int j = 0; i + j < n; j++) x[i + j] = v[j] * inv;
    }
}

float logits_logprob(const float *x, int n, int32_t id)
{
    float max = logits_max(x, n);
    return (float)((double)(x[id] - max) - log(logits_sum_exp(x, n, max, 1)));
}
