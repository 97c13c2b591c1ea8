/* SPDX-License-Identifier: Apache-2.0
 * acts_avx2.c - activation rows to int8 and 16-bit floats. The bytes are those of ref.
 *
 * Why AVX2 only: this is one pass over data in L1, 32 elements in about 12 operations; wider
 * vectors do not show beside the products that follow. */
#include <math.h>
#include <string.h>
#include "src/kernels/x86/narrow.h"

INLINE __m256i abs_bits(__m256 x)
{
    return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
}

INLINE uint32_t max_lanes(__m256i v)
{
    __m128i q = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    q = _mm_max_epu32(q, _mm_shuffle_epi32(q, 0x4e));
    q = _mm_max_epu32(q, _mm_shuffle_epi32(q, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(q);
}

INLINE __m256i max32(const float *x, __m256i max)
{
    UNROLL
    for (int i = 0; i < 4; i++)
        max = _mm256_max_epu32(max, abs_bits(_mm256_loadu_ps(x + 8 * i)));
    return max;
}

/* d for a block whose largest |x| has these bits; *inverse is 0 where all quants are 0. */
INLINE float scale_of(uint32_t max, float *inverse)
{
    float m;
    memcpy(&m, &max, 4);
    *inverse = 0;
    if (max >= 0x7f800000u) return NAN;
    if (!(m >= 0x1p-100f)) return 0;
    *inverse = 127.0f / m;
    return m / 127.0f;
}

/* 32 quants. Multiplying an infinity by the inverse 0 gives NaN, which converts to INT_MIN and
 * would be packed to -128: the mask keeps such blocks zero. */
INLINE __m256i quants32(const float *x, float inverse)
{
    const __m256 f = _mm256_set1_ps(inverse);
    const __m256i keep = _mm256_set1_epi32(inverse > 0 ? -1 : 0);
    __m256i v[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = _mm256_and_si256(
            keep, _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), f)));
    __m256i p = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    return _mm256_permutevar8x32_epi32(p, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Sums of the two halves of 32 quants, in the low lanes of the two halves. */
INLINE __m256i sums16(__m256i q)
{
    __m256i s = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q),
                                  _mm256_set1_epi16(1));
    s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0x4e));
    return _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0xb1));
}

void act_q8_avx2(const float *x, int64_t k, void *out)
{
    char *row = out;
    int8_t *q = out;
    float *d = (float *)(void *)(row + act_q8_d(k)), *s = (float *)(void *)(row + act_q8_s(k));
    int32_t *sum = (int32_t *)(void *)(row + act_q8_sum(k));
    for (int64_t b = 0; b < k / 32; b++) {
        float inverse;
        d[b] = scale_of(max_lanes(max32(x + 32 * b, _mm256_setzero_si256())), &inverse);
        __m256i v = quants32(x + 32 * b, inverse), two = sums16(v);
        _mm256_storeu_si256((void *)(q + 32 * b), v);
        sum[b] = _mm256_cvtsi256_si32(two) + _mm256_extract_epi32(two, 4);
        s[b] = d[b] * (float)sum[b];
    }
}

void act_q8k_avx2(const float *x, int64_t k, void *out)
{
    char *row = out;
    int8_t *q = out;
    float *d = (float *)(void *)(row + act_q8k_d(k));
    int16_t *sum16 = (int16_t *)(void *)(row + act_q8k_sum16(k));
    int16_t *sum32 = (int16_t *)(void *)(row + act_q8k_sum32(k));
    for (int64_t b = 0; b < k / 256; b++) {
        __m256i max = _mm256_setzero_si256();
        UNROLL
        for (int i = 0; i < 8; i++)
            max = max32(x + 256 * b + 32 * i, max);
        float inverse;
        d[b] = scale_of(max_lanes(max), &inverse);
        UNROLL
        for (int i = 0; i < 8; i++) {
            __m256i v = quants32(x + 256 * b + 32 * i, inverse), two = sums16(v);
            _mm256_storeu_si256((void *)(q + 256 * b + 32 * i), v);
            int lo = _mm256_cvtsi256_si32(two), hi = _mm256_extract_epi32(two, 4);
            sum16[16 * b + 2 * i] = (int16_t)lo;
            sum16[16 * b + 2 * i + 1] = (int16_t)hi;
            sum32[8 * b + i] = (int16_t)(lo + hi);
        }
    }
}

float to_i8_avx2(const float *x, int64_t n, int8_t *out)
{
    float copy[32] = {0};
    int64_t whole = n / 32 * 32;
    memcpy(copy, x + whole, (size_t)(n - whole) * 4);
    __m256i max = max32(copy, _mm256_setzero_si256());
    for (int64_t i = 0; i < whole; i += 32)
        max = max32(x + i, max);
    float inverse, d = scale_of(max_lanes(max), &inverse);
    for (int64_t i = 0; i < whole; i += 32)
        _mm256_storeu_si256((void *)(out + i), quants32(x + i, inverse));
    int8_t rest[32];
    _mm256_storeu_si256((void *)rest, quants32(copy, inverse));
    memcpy(out + whole, rest, (size_t)(n - whole));
    return d;
}

void to_f16_avx2(const float *x, int64_t n, uint16_t *out)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((void *)(out + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++)
        out[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}
