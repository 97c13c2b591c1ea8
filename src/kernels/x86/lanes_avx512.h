/* SPDX-License-Identifier: Apache-2.0
 * lanes_avx512.h - sixteen 32-bit lanes of cells of 8 or 4 bits: the integers that attend_i8_body.h is written in,
 * but for vi_dot. */
#ifndef KERNELS_X86_LANES_AVX512_H
#define KERNELS_X86_LANES_AVX512_H
#include "src/kernels/x86/vec_avx512.h"

typedef __m512i vi;

INLINE vi vi_zero(void) { return _mm512_setzero_si512(); }
INLINE vi vi_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE vi vi_even(vi x) { return _mm512_srai_epi16(_mm512_slli_epi16(x, 8), 8); }
INLINE vi vi_odd(vi x) { return _mm512_srai_epi16(x, 8); }
INLINE vi vi_nibbles(vi x, const int t)
{
    switch (t) {
    case 0: return _mm512_srai_epi16(_mm512_slli_epi16(x, 12), 12);
    case 1: return _mm512_srai_epi16(_mm512_slli_epi16(x, 8), 12);
    case 2: return _mm512_srai_epi16(_mm512_slli_epi16(x, 4), 12);
    default: return _mm512_srai_epi16(x, 12);
    }
}
INLINE vi vi_join(vi lo, vi hi)
{
    return _mm512_or_si512(_mm512_and_si512(lo, _mm512_set1_epi16(255)), _mm512_slli_epi16(hi, 8));
}
INLINE vi vi_pair(const int16_t *p)
{
    int32_t two;
    memcpy(&two, p, 4);
    return _mm512_set1_epi32(two);
}
INLINE vf vi_float(vi x) { return _mm512_cvtepi32_ps(x); }
INLINE void vi_round16(int16_t *p, vf v)
{
    _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
}
INLINE void vi_turn(uint8_t *p, int bytes, vi x)
{
    const vi order = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15));
    x = _mm512_shuffle_epi8(x, order);
    _mm_storeu_si128((void *)p, _mm512_castsi512_si128(x));
    _mm_storeu_si128((void *)(p + bytes), _mm512_extracti32x4_epi32(x, 1));
    _mm_storeu_si128((void *)(p + 2 * bytes), _mm512_extracti32x4_epi32(x, 2));
    _mm_storeu_si128((void *)(p + 3 * bytes), _mm512_extracti32x4_epi32(x, 3));
}

#endif
