/* SPDX-License-Identifier: Apache-2.0
 * attend_i8_avx2.c - attention over one span of int8 keys with AVX2: 16 products in two operations, where
 * floats take two for 8 and a conversion. Products of bytes (vpmaddubsw) would saturate. */
#include "src/kernels/x86/lanes_avx2.h"
#include "src/kernels/attend_i8_body.h"
