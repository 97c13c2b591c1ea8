/* SPDX-License-Identifier: Apache-2.0
 * attend_i8_vnni.c - attention over one span of int8 keys with AVX-512 VNNI: 32 products in one operation.
 * vpdpbusd would do 64, but 8 bits are too few for weights, and a query in two halves takes it twice. */
#include "src/kernels/x86/lanes_avx512.h"
#undef VARIANT
#define VARIANT(name) name##_vnni

INLINE vi vi_dot(vi sum, vi x, vi w) { return _mm512_dpwssd_epi32(sum, x, w); }

#include "src/kernels/attend_i8_body.h"
