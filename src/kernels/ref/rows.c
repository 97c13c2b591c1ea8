/* SPDX-License-Identifier: Apache-2.0
 * rows.c - what happens to a row of activations between the products. */
#include <math.h>
#include <string.h>
#include "src/kernels/variants.h"

void rmsnorm_ref(const float *x, const float *w, int64_t n, float eps, float *out)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    float r = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
    for (int64_t i = 0; i < n; i++)
        out[i] = w ? x[i] * r * w[i] : x[i] * r;
}

void add_ref(const float *a, const float *b, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] + b[i];
}

void scale_ref(const float *a, float s, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] * s;
}

void axpy_ref(float a, const float *x, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fmaf(a, x[i], y[i]);
}

/* silu(g) = g / (1 + exp(-g)) */
void glu_silu_ref(const float *gate, const float *up, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

/* gelu(g) = g/2 (1 + tanh u) = g / (1 + exp(-2u)), u = sqrt(2/pi) (g + 0.044715 g^3), Hendrycks and
 * Gimpel 2016; the second form does not cancel where g is far below zero. */
void glu_gelu_ref(const float *gate, const float *up, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        double g = (double)gate[i], u = 0.79788456080286535588 * (g + 0.044715 * g * g * g);
        out[i] = (float)(g / (1 + exp(-2 * u))) * up[i];
    }
}

void rope_interleaved_ref(const float *x, const float *cos, const float *sin, int64_t n_pairs,
                          float *out)
{
    for (int64_t i = 0; i < n_pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        out[2 * i] = a * cos[i] - b * sin[i];
        out[2 * i + 1] = a * sin[i] + b * cos[i];
    }
}

void rope_halves_ref(const float *x, const float *cos, const float *sin, int64_t n_pairs,
                     float *out)
{
    for (int64_t i = 0; i < n_pairs; i++) {
        float a = x[i], b = x[i + n_pairs];
        out[i] = a * cos[i] - b * sin[i];
        out[i + n_pairs] = a * sin[i] + b * cos[i];
    }
}

void to_f16_ref(const float *x, int64_t n, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = f32_to_f16(x[i]);
}

uint64_t read_bytes_ref(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t sum = 0, last = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, b + i, 8);
        sum += v;
    }
    if (i < n) memcpy(&last, b + i, n - i);
    return sum + last;
}
