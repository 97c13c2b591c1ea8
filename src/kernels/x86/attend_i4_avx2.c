/* SPDX-License-Identifier: Apache-2.0
 * attend_i4_avx2.c - attention over one span of keys of 4 bits with AVX2: half the bytes of int8 for
 * one shift more a pair of products. */
#include "src/kernels/x86/lanes_avx2.h"
#define CELL_BITS 4
#include "src/kernels/attend_i8_body.h"
