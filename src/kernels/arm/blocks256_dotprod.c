/* SPDX-License-Identifier: Apache-2.0
 * blocks256_dotprod.c - products of quantized weights in superblocks of 256 on SDOT. */
#include "src/kernels/arm/dot_dotprod.h"

#include "src/kernels/arm/blocks256_body.h"
