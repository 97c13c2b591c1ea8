/* SPDX-License-Identifier: Apache-2.0
 * attend_neon.c - attention over one span of keys with NEON. */
#include "src/kernels/arm/vec_neon.h"

#include "src/kernels/attend_body.h"
