/* SPDX-License-Identifier: Apache-2.0
 * attend_avx512.c - attention over one span of keys with AVX-512: rows of 64 to 576 values are
 * wide enough for it. */
#include "src/kernels/x86/vec_avx512.h"

#include "src/kernels/attend_body.h"
