/* SPDX-License-Identifier: Apache-2.0
 * attend_i4_neon.c - attention over one span of keys of 4 bits with NEON. */
#include "src/kernels/arm/lanes_neon.h"
#define CELL_BITS 4
#include "src/kernels/attend_i8_body.h"
