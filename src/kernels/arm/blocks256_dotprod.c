/* SPDX-License-Identifier: Apache-2.0
 * blocks256_dotprod.c - products of quantized weights in superblocks of 256 for AArch64 with SDOT. */
#include "src/kernels/arm/dot_dotprod.h"

#include "src/kernels/arm/blocks256_body.h"
