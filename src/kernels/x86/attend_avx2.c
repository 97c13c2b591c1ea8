/* SPDX-License-Identifier: Apache-2.0
 * attend_avx2.c - attention over one span of keys with AVX2, FMA and F16C. */
#include "src/kernels/x86/vec_avx2.h"

#include "src/kernels/attend_body.h"
