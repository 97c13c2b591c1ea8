/* SPDX-License-Identifier: Apache-2.0
 * lanes_avx2.h - eight 32-bit lanes of cells of 8 or 4 bits: the integers that attend_i8_body.h is written
 * in. */
#ifndef KERNELS_X86_LANES_AVX2_H
#define KERNELS_X86_LANES_AVX2_H
#include "src/kernels/x86/vec_avx2.h"

typedef __m256i vi;

INLINE vi vi_zero(void) { return _mm256_setzero_si256(); }
INLINE vi vi_load(const uint8_t *p) { return _mm256_loadu_si256((const void *)p); }
INLINE vi vi_even(vi x) { return _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8); }
INLINE vi vi_odd(vi x) { return _mm256_srai_epi16(x, 8); }
INLINE vi vi_nibbles(vi x, const int t)
{
    switch (t) {
    case 0: return _mm256_srai_epi16(_mm256_slli_epi16(x, 12), 12);
    case 1: return _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 12);
    case 2: return _mm256_srai_epi16(_mm256_slli_epi16(x, 4), 12);
    default: return _mm256_srai_epi16(x, 12);
    }
}
INLINE vi vi_join(vi lo, vi hi)
{
    return _mm256_or_si256(_mm256_and_si256(lo, _mm256_set1_epi16(255)), _mm256_slli_epi16(hi, 8));
}
INLINE vi vi_pair(const int16_t *p)
{
    int32_t two;
    memcpy(&two, p, 4);
    return _mm256_set1_epi32(two);
}
INLINE vi vi_dot(vi sum, vi x, vi w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w)); }
INLINE vf vi_float(vi x) { return _mm256_cvtepi32_ps(x); }
INLINE void vi_round16(int16_t *p, vf v)
{
    vi x = _mm256_cvtps_epi32(v);
    _mm_storeu_si128((void *)p, _mm_packs_epi32(_mm256_castsi256_si128(x),
                                                _mm256_extracti128_si256(x, 1)));
}
INLINE void vi_turn(uint8_t *p, int bytes, vi x)
{
    x = _mm256_shuffle_epi8(x, _mm256_broadcastsi128_si256(_mm_setr_epi8(
                                   0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)));
    _mm_storeu_si128((void *)p, _mm256_castsi256_si128(x));
    _mm_storeu_si128((void *)(p + bytes), _mm256_extracti128_si256(x, 1));
}

#endif
