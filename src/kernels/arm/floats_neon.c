/* SPDX-License-Identifier: Apache-2.0
 * floats_neon.c - plain weights with NEON: four rows by three tokens, two vectors each, fill 24 of
 * the 32 registers. */
#include "src/kernels/arm/vec_neon.h"

enum { BLOCK_ROWS = 4, BLOCK_TOKENS = 3 };
#include "src/kernels/floats_body.h"
