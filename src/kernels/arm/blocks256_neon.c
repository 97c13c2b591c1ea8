/* SPDX-License-Identifier: Apache-2.0
 * blocks256_neon.c - products of quantized weights in superblocks of 256 on AArch64's
 * baseline. */
#include "src/kernels/arm/dot_neon.h"

#include "src/kernels/arm/blocks256_body.h"
