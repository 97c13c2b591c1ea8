/* SPDX-License-Identifier: Apache-2.0
 * peak_avx2.c - the most products of bytes that AVX2 does when nothing else is done: vpmaddubsw,
 * vpmaddwd and an addition per 32. Kernels of 4-bit weights add several products in 16 bits first
 * and may come out above it. */
#include "src/kernels/x86/narrow.h"

uint64_t peak_i8_avx2(uint64_t n, uint32_t *sum)
{
    enum { SUMS = 8 };
    __m256i w = _mm256_set1_epi8(PEAK_W), x = _mm256_set1_epi8(PEAK_X);
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i v[SUMS];
    for (int i = 0; i < SUMS; i++)
        v[i] = _mm256_setzero_si256();
    uint64_t done = 0;
    for (; done < n; done += 32 * SUMS)
        UNROLL
        for (int i = 0; i < SUMS; i++) {
            __asm__("" : "+x"(w)); /* or the product is computed once for all */
            v[i] = _mm256_add_epi32(v[i], _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), ones));
        }
    uint32_t lanes[8];
    *sum = 0;
    for (int i = 0; i < SUMS; i++) {
        _mm256_storeu_si256((void *)lanes, v[i]);
        for (int j = 0; j < 8; j++)
            *sum += lanes[j];
    }
    return done;
}
