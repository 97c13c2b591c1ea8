/* SPDX-License-Identifier: Apache-2.0
 * floats_body.h - plain weights (f32, f16, bf16) times ACT_F32 rows, in whatever vector the file
 * that includes it has chosen (vec_*.h), with BLOCK_ROWS x BLOCK_TOKENS accumulators in registers.
 *
 * Canonical order, the same for every shape of block: lane[c % LANES] = fma(W[r,c], x[c], lane)
 * with c ascending, then vf_sum. */
#include "src/kernels/variants.h"

typedef vf (*load_fn)(const void *p);

/* The last n < LANES weights, zeros behind them. */
INLINE vf load_end(load_fn load, int bytes, const uint8_t *p, int64_t n)
{
    uint8_t copy[LANES * 4] = {0};
    memcpy(copy, p, (size_t)n * (size_t)bytes);
    return load(copy);
}

/* y[t*y_stride + r] for n_rows x n_x, both constants where this is called */
INLINE void mul_block(load_fn load, int bytes, const uint8_t *w, size_t w_row_bytes,
                      const int n_rows, int64_t k, const char *x, size_t x_row_bytes, const int n_x,
                      float *y, size_t y_stride)
{
    vf sum[8][BLOCK_TOKENS];
    for (int r = 0; r < n_rows; r++)
        for (int t = 0; t < n_x; t++)
            sum[r][t] = vf_zero();
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES) {
        vf xs[BLOCK_TOKENS];
        for (int t = 0; t < n_x; t++)
            xs[t] = vf_load((const float *)(const void *)(x + (size_t)t * x_row_bytes) + i);
        for (int r = 0; r < n_rows; r++) {
            vf ws = load(w + (size_t)r * w_row_bytes + (size_t)i * (size_t)bytes);
            for (int t = 0; t < n_x; t++)
                sum[r][t] = vf_fma(ws, xs[t], sum[r][t]);
        }
    }
    if (i < k)
        for (int r = 0; r < n_rows; r++) {
            vf ws = load_end(load, bytes, w + (size_t)r * w_row_bytes + (size_t)i * (size_t)bytes,
                             k - i);
            for (int t = 0; t < n_x; t++) {
                const float *row = (const float *)(const void *)(x + (size_t)t * x_row_bytes);
                sum[r][t] = vf_fma(ws, vf_load_part(row + i, k - i), sum[r][t]);
            }
        }
    for (int t = 0; t < n_x; t++)
        for (int r = 0; r < n_rows; r++)
            y[(size_t)t * y_stride + (size_t)r] = vf_sum(sum[r][t]);
}

INLINE void mul_rows(load_fn load, int bytes, const uint8_t *w, size_t w_row_bytes,
                     const int n_rows, int64_t k, const char *x, size_t x_row_bytes, int64_t n_x,
                     float *y, size_t y_stride)
{
    int64_t t = 0;
    for (; t + BLOCK_TOKENS <= n_x; t += BLOCK_TOKENS)
        mul_block(load, bytes, w, w_row_bytes, n_rows, k, x + (size_t)t * x_row_bytes, x_row_bytes,
                  BLOCK_TOKENS, y + (size_t)t * y_stride, y_stride);
    for (; t < n_x; t++)
        mul_block(load, bytes, w, w_row_bytes, n_rows, k, x + (size_t)t * x_row_bytes, x_row_bytes,
                  1, y + (size_t)t * y_stride, y_stride);
}

INLINE void mul(load_fn load, int bytes, const void *weights, size_t w_row_bytes, int64_t n_rows,
                int64_t k, const void *x, size_t x_row_bytes, int64_t n_x, float *y,
                size_t y_stride)
{
    const uint8_t *w = weights;
    int64_t r = 0;
    for (; n_x == 1 && r + 8 <= n_rows; r += 8) /* one token: more rows hide the latency of fma */
        mul_block(load, bytes, w + (size_t)r * w_row_bytes, w_row_bytes, 8, k, x, x_row_bytes, 1,
                  y + r, y_stride);
    for (; r + BLOCK_ROWS <= n_rows; r += BLOCK_ROWS)
        mul_rows(load, bytes, w + (size_t)r * w_row_bytes, w_row_bytes, BLOCK_ROWS, k, x,
                 x_row_bytes, n_x, y + r, y_stride);
    for (; r < n_rows; r++)
        mul_rows(load, bytes, w + (size_t)r * w_row_bytes, w_row_bytes, 1, k, x, x_row_bytes, n_x,
                 y + r, y_stride);
}

#define TYPE(name, bytes)                                                                          \
    void VARIANT(mul_##name)(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,         \
                             const void *x, size_t x_row_bytes, int64_t n_x, float *y,             \
                             size_t y_stride)                                                      \
    {                                                                                              \
        mul(vf_load_##name, bytes, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);   \
    }
TYPE(f32, 4)
TYPE(f16, 2)
TYPE(bf16, 2)
