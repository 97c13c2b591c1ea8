/* SPDX-License-Identifier: Apache-2.0
 * floats_avx2.c - plain weights with AVX2 and FMA: four rows by three tokens fill 12 of the 16
 * registers, so that loads (7 per 12 fma) do not hold up the multipliers. */
#include "src/kernels/x86/vec_avx2.h"

enum { BLOCK_ROWS = 4, BLOCK_TOKENS = 3 };
#include "src/kernels/floats_body.h"
