/* SPDX-License-Identifier: Apache-2.0
 * planes_neon.c - weights in planes on AArch64's baseline. */
#include "src/kernels/arm/dot_neon.h"

#include "src/kernels/arm/planes_body.h"

MUL_PLANES(neon)
