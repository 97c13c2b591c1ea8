/* SPDX-License-Identifier: Apache-2.0
 * tiles_vnni.h - pieces that the tiles of tiles32_vnni.c and tiles256_vnni.c share. */
#ifndef KERNELS_X86_TILES_VNNI_H
#define KERNELS_X86_TILES_VNNI_H
#include <string.h>
#include "src/kernels/x86/tiles.h"
#include "src/kernels/x86/wide.h"

INLINE __m512i shift_right(__m512i v, int n)
{
    return n > 0 ? _mm512_srli_epi16(v, (unsigned)n) : n < 0 ? _mm512_slli_epi16(v, (unsigned)-n) : v;
}

/* Where mask has a bit, that of a; else that of b. */
INLINE __m512i choose(__m512i mask, __m512i a, __m512i b)
{
    return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

INLINE __m512i bytes_of(int v) { return _mm512_set1_epi8((char)v); }
INLINE __m512i words_of(int v) { return _mm512_set1_epi32(v); }

/* The low or high f16 of every dword. */
INLINE __m512 low_half(__m512i v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }
INLINE __m512 high_half(__m512i v) { return low_half(_mm512_srli_epi32(v, 16)); }

INLINE const void *of_token(const void *p, size_t stride, int i)
{
    return (const char *)p + (size_t)i * stride;
}

INLINE __m512i broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

/* out[r] (+)= sum of row r, from the second stretch on to what stands there. */
INLINE void add_rows(const struct span *c, __m512 sum, float *out)
{
    __mmask16 rows = (__mmask16)((1u << c->n_rows) - 1);
    __m512 v = c->block ? _mm512_maskz_loadu_ps(rows, out) : _mm512_setzero_ps();
    _mm512_mask_storeu_ps(out, rows, _mm512_add_ps(v, sum));
}

#endif
