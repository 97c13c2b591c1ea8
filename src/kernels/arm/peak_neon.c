/* SPDX-License-Identifier: Apache-2.0
 * peak_neon.c - peak_body.h with the products of dot_neon.h. */
#include "src/kernels/arm/dot_neon.h"

#include "src/kernels/arm/peak_body.h"
