/* SPDX-License-Identifier: Apache-2.0
 * attend_i4_vnni.c - attention over one span of keys of 4 bits with AVX-512 VNNI. */
#include "src/kernels/x86/lanes_avx512.h"
#undef VARIANT
#define VARIANT(name) name##_vnni

INLINE vi vi_dot(vi sum, vi x, vi w) { return _mm512_dpwssd_epi32(sum, x, w); }

#define CELL_BITS 4
#include "src/kernels/attend_i8_body.h"
