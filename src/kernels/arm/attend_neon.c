/* SPDX-License-Identifier: Apache-2.0
 * attend_neon.c - attention over one page with NEON. */
#include "src/kernels/arm/vec_neon.h"

#include "src/kernels/attend_body.h"
