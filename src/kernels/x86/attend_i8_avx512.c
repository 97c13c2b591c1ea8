/* SPDX-License-Identifier: Apache-2.0
 * attend_i8_avx512.c - attention over one span of int8 keys with AVX-512: 32 products in two operations,
 * where floats take two for 16 and a conversion. */
#include "src/kernels/x86/lanes_avx512.h"

INLINE vi vi_dot(vi sum, vi x, vi w) { return _mm512_add_epi32(sum, _mm512_madd_epi16(x, w)); }

#include "src/kernels/attend_i8_body.h"
