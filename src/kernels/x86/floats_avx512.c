/* SPDX-License-Identifier: Apache-2.0
 * floats_avx512.c - plain weights with AVX-512: four rows by three tokens, two vectors each, fill
 * 24 of the 32 registers. */
#include "src/kernels/x86/vec_avx512.h"

enum { BLOCK_ROWS = 4, BLOCK_TOKENS = 3 };
#include "src/kernels/floats_body.h"
