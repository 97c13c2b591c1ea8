/* SPDX-License-Identifier: Apache-2.0
 * bf16_avx512bf16.c - BF16 weights times ACT_BF16 rows. vdpbf16ps multiplies 32 pairs a cycle where
 * a float fma multiplies 16, and nothing has to be converted; four rows by six tokens fill 24 of
 * the 32 registers. The first tokens to meet four rows fetch the next four: without that, batches
 * waited for memory (SmolLM2 in BF16, Zen 4, 2 threads, 8 sequences: 370 tokens/s, with it 607).
 *
 * Canonical order, the same for every shape of block: lane[c / 2 % 16] += W[r,c] x[c] for the pairs
 * (c, c + 1) as the instruction adds them, c ascending; the lanes in one tree. Numbers below 2^-126,
 * weights, activations and sums, count as zero: the instruction knows no others. */
#include "src/kernels/x86/wide.h"

enum { PAIRS = 32, BLOCK_ROWS = 4, BLOCK_TOKENS = 6 };

/* To nearest, ties to even, as integers: vcvtneps2bf16 would lose small numbers. A NaN stays one. */
INLINE __m256i round_bf16(__m512 x)
{
    __m512i u = _mm512_castps_si512(x), odd = _mm512_srli_epi32(u, 16);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    __m512i half = _mm512_add_epi32(_mm512_and_si512(odd, _mm512_set1_epi32(1)),
                                    _mm512_set1_epi32(0x7fff));
    __m512i h = _mm512_srli_epi32(_mm512_add_epi32(u, half), 16);
    h = _mm512_mask_or_epi32(h, nan, odd, _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(h);
}

void act_bf16_avx512bf16(const float *x, int64_t k, void *out)
{
    uint16_t *h = out;
    int64_t i = 0;
    for (; i + 16 <= k; i += 16)
        _mm256_storeu_si256((void *)(h + i), round_bf16(_mm512_loadu_ps(x + i)));
    __mmask16 rest = (__mmask16)((1u << (k - i)) - 1);
    _mm256_mask_storeu_epi16(h + i, rest, round_bf16(_mm512_maskz_loadu_ps(rest, x + i)));
}

/* One block of weights and its activations. */
struct block {
    const char *w, *x;
    size_t w_row_bytes, x_row_bytes;
};

INLINE __m512i load_part(const char *p, int64_t n)
{
    return _mm512_maskz_loadu_epi16(0xffffffffu >> (PAIRS - n), p);
}

/* sum[r][t] += W[r, i .. i + n) x[t, i .. i + n), n <= PAIRS and 0 for all of them */
INLINE void add_pairs(struct block b, const int n_rows, const int n_x, int64_t i, int64_t n,
                      bool fetch, __m512 sum[BLOCK_ROWS][BLOCK_TOKENS])
{
    __m512i ws[BLOCK_ROWS];
    b.w += 2 * i;
    b.x += 2 * i;
    UNROLL
    for (int r = 0; r < n_rows; r++) {
        const char *p = b.w + (size_t)r * b.w_row_bytes;
        ws[r] = n ? load_part(p, n) : load64(p);
        if (fetch) _mm_prefetch(p + BLOCK_ROWS * b.w_row_bytes, _MM_HINT_T1);
    }
    UNROLL
    for (int t = 0; t < n_x; t++) {
        const char *p = b.x + (size_t)t * b.x_row_bytes;
        __m512i x = n ? load_part(p, n) : _mm512_load_si512(p);
        UNROLL
        for (int r = 0; r < n_rows; r++)
            sum[r][t] = _mm512_dpbf16_ps(sum[r][t], (__m512bh)ws[r], (__m512bh)x);
    }
}

/* y[t*y_stride + r] for n_rows x n_x, both constants where this is called */
INLINE void mul_block(struct block b, const int n_rows, int64_t k, const int n_x, bool fetch,
                      float *y, size_t y_stride)
{
    __m512 sum[BLOCK_ROWS][BLOCK_TOKENS];
    UNROLL
    for (int r = 0; r < n_rows; r++)
        UNROLL
        for (int t = 0; t < n_x; t++)
            sum[r][t] = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + PAIRS <= k; i += PAIRS)
        add_pairs(b, n_rows, n_x, i, 0, fetch, sum);
    if (i < k) add_pairs(b, n_rows, n_x, i, k - i, fetch, sum);
    const __m512 none = _mm512_setzero_ps();
    UNROLL
    for (int t = 0; t < n_x; t++, y += y_stride) {
        if (n_rows == BLOCK_ROWS)
            _mm_storeu_ps(y, add_lanes_f32(sum[0][t], sum[1][t], sum[2][t], sum[3][t]));
        else
            *y = _mm_cvtss_f32(add_lanes_f32(sum[0][t], none, none, none));
    }
}

/* n_rows constant */
INLINE void mul_rows(struct block b, const int n_rows, int64_t k, int64_t n_x, float *y,
                     size_t y_stride)
{
    int64_t t = 0;
    for (; t + BLOCK_TOKENS <= n_x; t += BLOCK_TOKENS, b.x += BLOCK_TOKENS * b.x_row_bytes)
        mul_block(b, n_rows, k, BLOCK_TOKENS, n_rows > 1 && t == 0, y + (size_t)t * y_stride, y_stride);
    y += (size_t)t * y_stride;
    switch (n_x - t) {
    case 1: mul_block(b, n_rows, k, 1, n_rows > 1 && t == 0, y, y_stride); break;
    case 2: mul_block(b, n_rows, k, 2, n_rows > 1 && t == 0, y, y_stride); break;
    case 3: mul_block(b, n_rows, k, 3, n_rows > 1 && t == 0, y, y_stride); break;
    case 4: mul_block(b, n_rows, k, 4, n_rows > 1 && t == 0, y, y_stride); break;
    case 5: mul_block(b, n_rows, k, 5, n_rows > 1 && t == 0, y, y_stride); break;
    default: break;
    }
}

void mul_bf16_bf16_avx512bf16(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                              const void *x, size_t x_row_bytes, int64_t n_x, float *y,
                              size_t y_stride)
{
    struct block b = {w, x, w_row_bytes, x_row_bytes};
    int64_t r = 0;
    for (; n_x > 1 && r + BLOCK_ROWS <= n_rows; r += BLOCK_ROWS, b.w += BLOCK_ROWS * w_row_bytes)
        mul_rows(b, BLOCK_ROWS, k, n_x, y + r, y_stride);
    for (; r < n_rows; r++, b.w += w_row_bytes)
        mul_rows(b, 1, k, n_x, y + r, y_stride);
}
