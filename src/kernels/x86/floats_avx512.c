/* SPDX-License-Identifier: Apache-2.0
 * floats_avx512.c - plain weights with AVX-512: four rows by six tokens fill 24 of the 32
 * registers, so that loads (10 per 24 fma) do not hold up the multipliers. */
#include "src/kernels/x86/vec_avx512.h"

enum { BLOCK_ROWS = 4, BLOCK_TOKENS = 6 };
#include "src/kernels/floats_body.h"
