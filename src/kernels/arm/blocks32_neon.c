/* SPDX-License-Identifier: Apache-2.0
 * blocks32_neon.c - products of quantized weights in blocks of 32 on AArch64's baseline. */
#include "src/kernels/arm/dot_neon.h"

#include "src/kernels/arm/blocks32_body.h"
