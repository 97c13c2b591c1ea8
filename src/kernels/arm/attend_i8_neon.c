/* SPDX-License-Identifier: Apache-2.0
 * attend_i8_neon.c - attention over one span of int8 keys with NEON. */
#include "src/kernels/arm/lanes_neon.h"
#include "src/kernels/attend_i8_body.h"
