/* SPDX-License-Identifier: Apache-2.0
 * planes_dotprod.c - weights in planes with SDOT (Armv8.2). */
#include "src/kernels/arm/dot_dotprod.h"

#include "src/kernels/arm/planes_body.h"

MUL_PLANES(dotprod)
