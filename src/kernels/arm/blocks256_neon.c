/* SPDX-License-Identifier: Apache-2.0
 * blocks256_neon.c - products of quantized weights in superblocks of 256 for AArch64 as every CPU has it. */
#include "src/kernels/arm/dot_neon.h"

#include "src/kernels/arm/blocks256_body.h"
