/* SPDX-License-Identifier: Apache-2.0
 * floats_avx2.c - plain weights with AVX2 and FMA: two rows by three tokens, two vectors each, fill
 * 12 of the 16 registers. */
#include "src/kernels/x86/vec_avx2.h"

enum { BLOCK_ROWS = 2, BLOCK_TOKENS = 3 };
#include "src/kernels/floats_body.h"
