/* SPDX-License-Identifier: Apache-2.0
 * peak_vnni.c - the most products of bytes that AVX-512 VNNI does when nothing else is done: 64 per
 * vpdpbusd, in 16 sums that do not wait for each other. */
#include <immintrin.h>
#include "src/kernels/variants.h"

uint64_t peak_i8_vnni(uint64_t n, uint32_t *sum)
{
    enum { SUMS = 16 };
    __m512i w = _mm512_set1_epi8(PEAK_W), x = _mm512_set1_epi8(PEAK_X);
    __m512i v[SUMS];
    for (int i = 0; i < SUMS; i++)
        v[i] = _mm512_setzero_si512();
    uint64_t done = 0;
    for (; done < n; done += 64 * SUMS)
        UNROLL
        for (int i = 0; i < SUMS; i++) {
            __asm__("" : "+v"(w)); /* or a compiler may add up in advance */
            v[i] = _mm512_dpbusd_epi32(v[i], w, x);
        }
    *sum = 0;
    for (int i = 0; i < SUMS; i++)
        *sum += (uint32_t)_mm512_reduce_add_epi32(v[i]);
    return done;
}
