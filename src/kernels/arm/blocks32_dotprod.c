/* SPDX-License-Identifier: Apache-2.0
 * blocks32_dotprod.c - products of quantized weights in blocks of 32 on SDOT. */
#include "src/kernels/arm/dot_dotprod.h"

#include "src/kernels/arm/blocks32_body.h"
