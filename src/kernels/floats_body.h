/* SPDX-License-Identifier: Apache-2.0
 * floats_body.h - plain weights (f32, f16, bf16) times ACT_F32 rows, in whatever vector the file
 * that includes it has chosen (vec_*.h), with BLOCK_ROWS x BLOCK_TOKENS pairs of accumulators in
 * registers.
 *
 * Canonical order, the same for every shape of block: lane[c % (2 LANES)] = fma(W[r,c], x[c], lane)
 * with c ascending; the upper half of the lanes is added to the lower, then vf_sum.
 *
 * Two vectors per sum because one token streams one row at a time: with 8 rows side by side, which
 * hides the latency of fma better, f16 came from memory at 5 GB/s on Zen 4, with one at 23, as fast
 * as plain reading: one stream is what the prefetchers follow. */
#include "src/kernels/variants.h"

typedef vf (*load_fn)(const void *p);

/* Weights and activations [i, i + n) of a row, n <= LANES; zeros where n < LANES. */
INLINE vf load_w(load_fn load, int bytes, const uint8_t *row, int64_t i, int64_t n)
{
    const uint8_t *p = row + (size_t)i * (size_t)bytes;
    if (n >= LANES) return load(p);
    uint8_t copy[LANES * 4] = {0};
    memcpy(copy, p, (size_t)n * (size_t)bytes);
    return load(copy);
}

INLINE vf load_x(const char *row, int64_t i, int64_t n)
{
    const float *p = (const float *)(const void *)row + i;
    return n >= LANES ? vf_load(p) : vf_load_part(p, n);
}

/* One weight matrix block and its activations. */
struct block {
    load_fn load;
    int bytes;
    const uint8_t *w;
    size_t w_row_bytes;
    const char *x;
    size_t x_row_bytes;
};

/* sum[r][t][half] += W[r, i .. i + n) x[t, i .. i + n), n <= LANES */
INLINE void add_vectors(struct block b, const int n_rows, const int n_x, int64_t i, int64_t n,
                        const int half, vf sum[BLOCK_ROWS][BLOCK_TOKENS][2])
{
    vf xs[BLOCK_TOKENS];
    UNROLL
    for (int t = 0; t < n_x; t++)
        xs[t] = load_x(b.x + (size_t)t * b.x_row_bytes, i, n);
    UNROLL
    for (int r = 0; r < n_rows; r++) {
        vf ws = load_w(b.load, b.bytes, b.w + (size_t)r * b.w_row_bytes, i, n);
        UNROLL
        for (int t = 0; t < n_x; t++)
            sum[r][t][half] = vf_fma(ws, xs[t], sum[r][t][half]);
    }
}

/* The same columns of the block that comes next, towards the second level of the cache. */
INLINE void fetch_rows(struct block b, const int n_rows, int64_t i)
{
    UNROLL
    for (int r = 0; r < n_rows; r++) {
        const uint8_t *p = b.w + (size_t)(n_rows + r) * b.w_row_bytes + i * b.bytes;
        UNROLL
        for (int e = 0; e < 2 * LANES * b.bytes; e += 64)
            __builtin_prefetch(p + e, 0, 2);
    }
}

/* y[t*y_stride + r] for n_rows x n_x, both constants where this is called */
INLINE void mul_block(struct block b, const int n_rows, int64_t k, const int n_x, bool fetch,
                      float *y, size_t y_stride)
{
    vf sum[BLOCK_ROWS][BLOCK_TOKENS][2];
    UNROLL
    for (int r = 0; r < n_rows; r++)
        UNROLL
        for (int t = 0; t < n_x; t++)
            sum[r][t][0] = sum[r][t][1] = vf_zero();
    int64_t i = 0;
    for (; i + 2 * LANES <= k; i += 2 * LANES) {
        if (fetch) fetch_rows(b, n_rows, i);
        add_vectors(b, n_rows, n_x, i, LANES, 0, sum);
        add_vectors(b, n_rows, n_x, i + LANES, LANES, 1, sum);
    }
    if (i < k) add_vectors(b, n_rows, n_x, i, k - i, 0, sum);
    if (i + LANES < k) add_vectors(b, n_rows, n_x, i + LANES, k - i - LANES, 1, sum);
    UNROLL
    for (int t = 0; t < n_x; t++) {
        vf both[BLOCK_ROWS];
        UNROLL
        for (int r = 0; r < n_rows; r++) both[r] = vf_add(sum[r][t][0], sum[r][t][1]);
        vf_sum_each(both, n_rows, y + (size_t)t * y_stride);
    }
}

INLINE void mul_rows(struct block b, const int n_rows, int64_t k, int64_t n_x, float *y,
                     size_t y_stride)
{
    int64_t t = 0;
    for (; t + BLOCK_TOKENS <= n_x; t += BLOCK_TOKENS, b.x += BLOCK_TOKENS * b.x_row_bytes)
        mul_block(b, n_rows, k, BLOCK_TOKENS, n_rows > 1 && t == 0, y + (size_t)t * y_stride, y_stride);
    for (; t < n_x; t++, b.x += b.x_row_bytes)
        mul_block(b, n_rows, k, 1, n_rows > 1 && t == 0, y + (size_t)t * y_stride, y_stride);
}

INLINE void mul(load_fn load, int bytes, const void *w, size_t w_row_bytes, int64_t n_rows,
                int64_t k, const void *x, size_t x_row_bytes, int64_t n_x, float *y,
                size_t y_stride)
{
    struct block b = {load, bytes, w, w_row_bytes, x, x_row_bytes};
    int64_t r = 0;
    for (; n_x > 1 && r + BLOCK_ROWS <= n_rows; r += BLOCK_ROWS, b.w += BLOCK_ROWS * w_row_bytes)
        mul_rows(b, BLOCK_ROWS, k, n_x, y + r, y_stride);
    for (; r < n_rows; r++, b.w += w_row_bytes)
        mul_rows(b, 1, k, n_x, y + r, y_stride);
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
