/* SPDX-License-Identifier: Apache-2.0
 * narrow.h - pieces that the AVX2 kernels share. Included by files built with AVX2 flags only. */
#ifndef KERNELS_X86_NARROW_H
#define KERNELS_X86_NARROW_H
#include <immintrin.h>
#include "src/kernels/variants.h"

/* Lane mask for the last n < 8 elements. */
INLINE __m256i tail_mask(int64_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

/* The one tree in which 8 lanes are added: halves, quarters, eighths. */
INLINE float add_lanes_tree(__m256 v)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

/* e^x, about 2 ulp. Below -87.3 the result is 0 (also for -infinity), above 88.7 infinity; a NaN
 * stays one. x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7, whose
 * remainder is below 2^-27. */
INLINE __m256 exp8(__m256 x)
{
    const __m256 most = _mm256_set1_ps(88.722839f), least = _mm256_set1_ps(-87.336540f);
    /* min and max return their second operand when one is a NaN */
    __m256 c = _mm256_min_ps(most, _mm256_max_ps(least, x));
    __m256 n = _mm256_round_ps(_mm256_mul_ps(c, _mm256_set1_ps(1.44269504f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693145752f), c);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(1.42860677e-6f), r);
    __m256 p = _mm256_fmadd_ps(r, _mm256_set1_ps(1.0f / 5040), _mm256_set1_ps(1.0f / 720));
    p = _mm256_fmadd_ps(r, p, _mm256_set1_ps(1.0f / 120));
    p = _mm256_fmadd_ps(r, p, _mm256_set1_ps(1.0f / 24));
    p = _mm256_fmadd_ps(r, p, _mm256_set1_ps(1.0f / 6));
    p = _mm256_fmadd_ps(r, p, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), p, r);
    p = _mm256_add_ps(p, _mm256_set1_ps(1));
    /* n is -126 .. 128: 2^n in two factors, since 2^128 is no float */
    __m256i e = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(e, 1);
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(e, half), bias), 23);
    p = _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
    p = _mm256_andnot_ps(_mm256_cmp_ps(x, least, _CMP_LT_OQ), p);
    return _mm256_blendv_ps(p, _mm256_set1_ps(__builtin_inff()),
                            _mm256_cmp_ps(x, most, _CMP_GT_OQ));
}

/* tanh x = 1 - 2 / (e^2x + 1), and near zero x - x^3/3 + ..., where that would cancel. */
INLINE __m256 tanh8(__m256 x)
{
    __m256 e = exp8(_mm256_add_ps(x, x));
    __m256 far = _mm256_sub_ps(_mm256_set1_ps(1), _mm256_div_ps(_mm256_set1_ps(2),
                                                    _mm256_add_ps(e, _mm256_set1_ps(1))));
    __m256 s = _mm256_mul_ps(x, x);
    __m256 p = _mm256_fmadd_ps(s, _mm256_set1_ps(62.0f / 2835), _mm256_set1_ps(-17.0f / 315));
    p = _mm256_fmadd_ps(s, p, _mm256_set1_ps(2.0f / 15));
    p = _mm256_fmadd_ps(s, p, _mm256_set1_ps(-1.0f / 3));
    __m256 near = _mm256_fmadd_ps(_mm256_mul_ps(x, s), p, x);
    __m256 small = _mm256_cmp_ps(s, _mm256_set1_ps(0.04f), _CMP_LT_OQ);
    return _mm256_blendv_ps(far, near, small);
}

/* Adds the four 32-bit partial sums in each 128-bit lane of a, b, c, d: lane j is (a_j, b_j, c_j,
 * d_j). */
INLINE __m256i add_quads(__m256i a, __m256i b, __m256i c, __m256i d)
{
    __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
}

/* 8x8 transpose of 32-bit words; row i of the result goes to out + 32 * slot[i]. */
INLINE void transpose8(const __m256i in[8], uint8_t *out, const uint8_t slot[8])
{
    __m256i a[8];
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        __m256i p = _mm256_unpacklo_epi32(in[i], in[i + 1]);
        __m256i q = _mm256_unpackhi_epi32(in[i], in[i + 1]);
        __m256i r = _mm256_unpacklo_epi32(in[i + 2], in[i + 3]);
        __m256i s = _mm256_unpackhi_epi32(in[i + 2], in[i + 3]);
        a[i] = _mm256_unpacklo_epi64(p, r);
        a[i + 1] = _mm256_unpackhi_epi64(p, r);
        a[i + 2] = _mm256_unpacklo_epi64(q, s);
        a[i + 3] = _mm256_unpackhi_epi64(q, s);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        _mm256_store_si256((void *)(out + 32 * slot[i]),
                           _mm256_permute2x128_si256(a[i], a[i + 4], 0x20));
        _mm256_store_si256((void *)(out + 32 * slot[i + 4]),
                           _mm256_permute2x128_si256(a[i], a[i + 4], 0x31));
    }
}

#endif
