/* SPDX-License-Identifier: Apache-2.0
 * acts_avx2.c - activation rows to int8 and 16-bit floats. The bytes are those of ref.
 *
 * Why AVX2 only: this is one pass over data in L1, 32 elements in about 12 operations; wider
 * vectors do not show beside the products that follow. */
#include <math.h>
#include <string.h>
#include "src/kernels/kv_i8.h"
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

/* d for a block whose largest |x| has these bits and becomes `limit`; *inverse is 0 where all quants
 * are 0. */
INLINE float scale_of(uint32_t max, float limit, float *inverse)
{
    float m;
    memcpy(&m, &max, 4);
    *inverse = 0;
    if (max >= 0x7f800000u) return NAN;
    if (!(m >= 0x1p-100f)) return 0;
    *inverse = limit / m;
    return m / limit;
}

/* 32 quants. Multiplying an infinity by the inverse 0 gives NaN, which converts to INT_MIN and
 * would be packed to -128: the mask keeps such blocks zero. */
INLINE __m256i quants32(const float *x, float inverse)
{
    const __m256 f = _mm256_set1_ps(inverse);
    const __m256i keep = _mm256_set1_epi32(inverse > 0 || inverse < 0 ? -1 : 0);
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
        d[b] = scale_of(max_lanes(max32(x + 32 * b, _mm256_setzero_si256())), 127, &inverse);
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
        d[b] = scale_of(max_lanes(max), 127, &inverse);
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

/* n <= 64 numbers with zeros up to 64: bits of the largest */
INLINE uint32_t max64(const float *x)
{
    return max_lanes(max32(x + 32, max32(x, _mm256_setzero_si256())));
}

void to_i8_avx2(const float *x, int64_t n, int8_t *out, float *scales)
{
    for (int64_t at = 0; at < n; at += KV_I8_GROUP, x += KV_I8_GROUP, out += KV_I8_GROUP) {
        float copy[KV_I8_GROUP] = {0}, inverse;
        int8_t quants[KV_I8_GROUP];
        bool whole = n - at >= KV_I8_GROUP;
        if (!whole) memcpy(copy, x, (size_t)(n - at) * 4);
        const float *from = whole ? x : copy;
        int8_t *to = whole ? out : quants;
        *scales++ = scale_of(max64(from), 127, &inverse);
        _mm256_storeu_si256((void *)to, quants32(from, inverse));
        _mm256_storeu_si256((void *)(to + 32), quants32(from + 32, inverse));
        if (!whole) memcpy(out, quants, (size_t)(n - at));
    }
}

/* Whether the first of 64 numbers whose size has these bits is above 0. */
INLINE bool first_is_positive(const float *x, uint32_t max)
{
    const __m256i want = _mm256_set1_epi32((int)max);
    for (int i = 0; i < KV_I8_GROUP; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        int is = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(abs_bits(v), want)));
        if (is) return !(_mm256_movemask_ps(v) & is & -is);
    }
    return false;
}

void to_i4_avx2(const float *x, int64_t n, int8_t *out, float *scales)
{
    const __m256i most = _mm256_set1_epi8(7);
    for (int64_t at = 0; at < n; at += KV_I8_GROUP, x += KV_I8_GROUP, out += KV_I8_GROUP) {
        float copy[KV_I8_GROUP] = {0}, inverse;
        int8_t quants[KV_I8_GROUP];
        bool whole = n - at >= KV_I8_GROUP;
        if (!whole) memcpy(copy, x, (size_t)(n - at) * 4);
        const float *from = whole ? x : copy;
        int8_t *to = whole ? out : quants;
        uint32_t max = max64(from);
        float size = scale_of(max, 8, &inverse);
        bool turn = inverse > 0 && first_is_positive(from, max);
        if (turn) inverse = -inverse;
        *scales++ = turn ? -size : size;
        _mm256_storeu_si256((void *)to, _mm256_min_epi8(quants32(from, inverse), most));
        _mm256_storeu_si256((void *)(to + 32), _mm256_min_epi8(quants32(from + 32, inverse), most));
        if (!whole) memcpy(out, quants, (size_t)(n - at));
    }
}

/* 16 numbers to 16 bits; as quants32, zero where the inverse is */
INLINE __m256i quants16(const float *x, float inverse)
{
    const __m256 f = _mm256_set1_ps(inverse);
    const __m256i keep = _mm256_set1_epi32(inverse > 0 ? -1 : 0);
    __m256i lo = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), f));
    __m256i hi = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), f));
    __m256i p = _mm256_packs_epi32(_mm256_and_si256(lo, keep), _mm256_and_si256(hi, keep));
    return _mm256_permute4x64_epi64(p, 0xd8);
}

void to_i16_avx2(const float *x, int64_t n, int16_t *out, float *scales)
{
    for (int64_t at = 0; at < n; at += KV_I8_GROUP, x += KV_I8_GROUP, out += KV_I8_GROUP) {
        float copy[KV_I8_GROUP] = {0}, inverse;
        int16_t quants[KV_I8_GROUP];
        bool whole = n - at >= KV_I8_GROUP;
        if (!whole) memcpy(copy, x, (size_t)(n - at) * 4);
        const float *from = whole ? x : copy;
        int16_t *to = whole ? out : quants;
        *scales++ = scale_of(max64(from), 32767, &inverse);
        for (int i = 0; i < KV_I8_GROUP; i += 16)
            _mm256_storeu_si256((void *)(to + i), quants16(from + i, inverse));
        if (!whole) memcpy(out, quants, (size_t)(n - at) * 2);
    }
}

/* Butterflies of the distances 1, 2 and 4 inside of a vector: the lanes of the second of a pair are
 * subtracted from those of the first. */
INLINE __m256 butterflies(__m256 v, __m256 other, const __m256 sign)
{
    return _mm256_add_ps(other, _mm256_xor_ps(v, sign));
}

void rotate_avx2(const float *x, int64_t n, int64_t block, float *out)
{
    const __m256 norm = _mm256_set1_ps(1.0f / sqrtf((float)block));
    const __m256 one = _mm256_setr_ps(0, -0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f);
    const __m256 two = _mm256_setr_ps(0, 0, -0.0f, -0.0f, 0, 0, -0.0f, -0.0f);
    const __m256 four = _mm256_setr_ps(0, 0, 0, 0, -0.0f, -0.0f, -0.0f, -0.0f);
    if (block < 16) {
        rotate_ref(x, n, block, out);
        return;
    }
    for (int64_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        v = butterflies(v, _mm256_permute_ps(v, 0xb1), one);
        v = butterflies(v, _mm256_permute_ps(v, 0x4e), two);
        v = butterflies(v, _mm256_permute2f128_ps(v, v, 1), four);
        _mm256_storeu_ps(out + i, v);
    }
    for (int64_t h = 8; h < block; h *= 2) {
        const bool last = 2 * h == block;
        for (int64_t at = 0; at < n; at += 2 * h)
            for (int64_t i = at; i < at + h; i += 8) {
                __m256 a = _mm256_loadu_ps(out + i), b = _mm256_loadu_ps(out + i + h);
                __m256 sum = _mm256_add_ps(a, b), rest = _mm256_sub_ps(a, b);
                _mm256_storeu_ps(out + i, last ? _mm256_mul_ps(sum, norm) : sum);
                _mm256_storeu_ps(out + i + h, last ? _mm256_mul_ps(rest, norm) : rest);
            }
    }
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
