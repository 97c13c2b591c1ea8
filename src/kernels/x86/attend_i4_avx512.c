/* SPDX-License-Identifier: Apache-2.0
 * attend_i4_avx512.c - attention over one span of keys of 4 bits with AVX-512. */
#include "src/kernels/x86/lanes_avx512.h"

INLINE vi vi_dot(vi sum, vi x, vi w) { return _mm512_add_epi32(sum, _mm512_madd_epi16(x, w)); }

#define CELL_BITS 4
#include "src/kernels/attend_i8_body.h"
