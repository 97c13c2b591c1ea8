/* SPDX-License-Identifier: Apache-2.0
 * blocks32_neon.c - products of quantized weights in blocks of 32 for AArch64 as every CPU has it. */
#include "src/kernels/arm/dot_neon.h"

#include "src/kernels/arm/blocks32_body.h"
