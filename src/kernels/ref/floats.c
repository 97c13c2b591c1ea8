/* SPDX-License-Identifier: Apache-2.0
 * floats.c - the plain weight types: products with ACT_F32 and ACT_BF16 rows, summed in double. */
#include <string.h>
#include "src/kernels/variants.h"

static float f32_at(const char *row, int64_t i)
{
    float f;
    memcpy(&f, row + 4 * i, 4);
    return f;
}

static float f16_at(const char *row, int64_t i)
{
    uint16_t h;
    memcpy(&h, row + 2 * i, 2);
    return f16_to_f32(h);
}

static float bf16_at(const char *row, int64_t i)
{
    uint16_t h;
    memcpy(&h, row + 2 * i, 2);
    return bf16_to_f32(h);
}

typedef float (*at_fn)(const char *row, int64_t i);

static void mul(at_fn at, at_fn x_at, const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                const void *x, size_t x_row_bytes, int64_t n_x, float *y, size_t y_stride)
{
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t t = 0; t < n_x; t++) {
            const char *row = (const char *)w + (size_t)r * w_row_bytes;
            const char *act = (const char *)x + (size_t)t * x_row_bytes;
            double sum = 0;
            for (int64_t i = 0; i < k; i++)
                sum += (double)at(row, i) * (double)x_at(act, i);
            y[(size_t)t * y_stride + (size_t)r] = (float)sum;
        }
}

#define TYPE(name, at, x_at)                                                                      \
    void mul_##name##_ref(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,           \
                          const void *x, size_t x_row_bytes, int64_t n_x, float *y,               \
                          size_t y_stride)                                                        \
    {                                                                                             \
        mul(at, x_at, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);              \
    }
TYPE(f32, f32_at, f32_at)
TYPE(f16, f16_at, f32_at)
TYPE(bf16, bf16_at, f32_at)
TYPE(bf16_bf16, bf16_at, bf16_at)

void dequant_f16_ref(const void *w, int64_t k, float *out)
{
    for (int64_t i = 0; i < k; i++)
        out[i] = f16_at(w, i);
}

void dequant_bf16_ref(const void *w, int64_t k, float *out)
{
    for (int64_t i = 0; i < k; i++)
        out[i] = bf16_at(w, i);
}
