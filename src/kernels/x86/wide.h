/* SPDX-License-Identifier: Apache-2.0
 * wide.h - pieces that the AVX-512 kernels share. Included by AVX-512 files only. */
#ifndef KERNELS_X86_WIDE_H
#define KERNELS_X86_WIDE_H
#include <immintrin.h>
#include "src/kernels/variants.h"

/* 64 bytes of weights as two loads of 32. Weights are seldom aligned, so that nearly every load of
 * 64 bytes splits two cache lines, and split loads that miss hold up those behind them: streaming
 * from memory on Zen 4, 64-byte loads took 1.67 and 2.24 ns per 32 weights of q4_1 and q6_k, these
 * 1.18 and 1.59 (plain reading: 1.03 and 1.45). Software prefetch on top of it made it slower. */
INLINE __m512i load64(const void *p)
{
    const __m256i *v = p;
    __m512i lo = _mm512_castsi256_si512(_mm256_loadu_si256(v));
    return _mm512_inserti64x4(lo, _mm256_loadu_si256(v + 1), 1);
}

/* Adds the four 32-bit partial sums in each 128-bit lane of a, b, c, d: lane j is (a_j, b_j, c_j,
 * d_j). */
INLINE __m512i add_quads(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* Adds up the lanes of four vectors: (sum a, sum b, sum c, sum d). */
INLINE __m128i add_lanes_i32(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i q = add_quads(a, b, c, d);
    __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(q), _mm512_extracti64x4_epi64(q, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
}

INLINE __m128 add_lanes_f32(__m512 a, __m512 b, __m512 c, __m512 d)
{
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    __m512d abd = _mm512_castps_pd(ab), cdd = _mm512_castps_pd(cd);
    __m512 q = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(abd, cdd)),
                             _mm512_castpd_ps(_mm512_unpackhi_pd(abd, cdd)));
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(q), _mm512_extractf32x8_ps(q, 1));
    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

/* The one tree in which 16 lanes are added: halves, quarters, eighths. Tiles, which hold lane e of
 * 16 rows in one vector, add their vectors in the same order. */
INLINE float add_lanes_tree(__m512 v)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

/* 4x4 transpose of dwords in every 128-bit lane */
INLINE void transpose_lanes(const __m512i in[4], __m512i out[4])
{
    __m512i p = _mm512_unpacklo_epi32(in[0], in[1]), q = _mm512_unpackhi_epi32(in[0], in[1]);
    __m512i r = _mm512_unpacklo_epi32(in[2], in[3]), s = _mm512_unpackhi_epi32(in[2], in[3]);
    out[0] = _mm512_unpacklo_epi64(p, r);
    out[1] = _mm512_unpackhi_epi64(p, r);
    out[2] = _mm512_unpacklo_epi64(q, s);
    out[3] = _mm512_unpackhi_epi64(q, s);
}

/* dword i of 16 bytes at `at` of every row: out[i], in lane r that of row[r] */
INLINE void transpose4(const uint8_t *const row[16], size_t at, __m512i out[4])
{
    __m512i z[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        z[i] = _mm512_castsi128_si512(_mm_loadu_si128((const void *)(row[i] + at)));
        z[i] = _mm512_inserti32x4(z[i], _mm_loadu_si128((const void *)(row[i + 4] + at)), 1);
        z[i] = _mm512_inserti32x4(z[i], _mm_loadu_si128((const void *)(row[i + 8] + at)), 2);
        z[i] = _mm512_inserti32x4(z[i], _mm_loadu_si128((const void *)(row[i + 12] + at)), 3);
    }
    transpose_lanes(z, out);
}

/* The same of 32 bytes. */
INLINE void transpose8(const uint8_t *const row[16], size_t at, __m512i out[8])
{
    __m512i half[2][4];
    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i z[4];
        UNROLL
        for (int i = 0; i < 4; i++) {
            const uint8_t *a = row[8 * h + i] + at, *b = row[8 * h + i + 4] + at;
            z[i] = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)a));
            z[i] = _mm512_inserti64x4(z[i], _mm256_loadu_si256((const void *)b), 1);
        }
        transpose_lanes(z, half[h]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        out[i] = _mm512_shuffle_i32x4(half[0][i], half[1][i], 0x88);
        out[i + 4] = _mm512_shuffle_i32x4(half[0][i], half[1][i], 0xdd);
    }
}

/* 16x16 transpose of 32-bit words */
INLINE void transpose16(const __m512i in[16], __m512i out[16])
{
    __m512i a[16], b[16];
    UNROLL
    for (int i = 0; i < 16; i += 4)
        transpose_lanes(in + i, a + i);
    UNROLL
    for (int i = 0; i < 4; i++) {
        b[i] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
        b[i + 4] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
        b[i + 8] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
        b[i + 12] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        out[i] = _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88);
        out[i + 4] = _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0x88);
        out[i + 8] = _mm512_shuffle_i32x4(b[i], b[i + 8], 0xdd);
        out[i + 12] = _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0xdd);
    }
}

#endif
