/* SPDX-License-Identifier: Apache-2.0
 * dot_dotprod.h - adds 16 products of signed bytes to four 32-bit lanes with one SDOT (Armv8.2). */
#ifndef KERNELS_ARM_DOT_DOTPROD_H
#define KERNELS_ARM_DOT_DOTPROD_H
#include <arm_neon.h>
#include "src/kernels/variants.h"

#define VARIANT(name) name##_dotprod

INLINE int32x4_t dot16(int32x4_t sum, int8x16_t w, int8x16_t x)
{
    return vdotq_s32(sum, w, x);
}

/* Four neighbours to each lane. */
INLINE int32x4_t quads16(int32x4_t sum, int8x16_t w, int8x16_t x)
{
    return dot16(sum, w, x);
}

#endif
