/* SPDX-License-Identifier: Apache-2.0
 * floats_neon.c - plain weights with NEON: four rows by four tokens fill 16 of the 32 registers. */
#include "src/kernels/arm/vec_neon.h"

enum { BLOCK_ROWS = 4, BLOCK_TOKENS = 4 };
#include "src/kernels/floats_body.h"
