/* SPDX-License-Identifier: Apache-2.0
 * dot_neon.h - adds 16 products of signed bytes to four 32-bit lanes. Which product goes to which
 * lane differs from dot_dotprod.h; only the total of a block is used, which is exact. */
#ifndef KERNELS_ARM_DOT_NEON_H
#define KERNELS_ARM_DOT_NEON_H
#include <arm_neon.h>
#include "src/kernels/variants.h"

#define VARIANT(name) name##_neon

INLINE int32x4_t dot16(int32x4_t sum, int8x16_t w, int8x16_t x)
{
    /* |w| <= 128, |x| <= 127: two products fit 16 bits */
    int16x8_t p = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    return vpadalq_s16(sum, vmlal_high_s8(p, w, x));
}

/* Four neighbours to each lane, as SDOT adds them. */
INLINE int32x4_t quads16(int32x4_t sum, int8x16_t w, int8x16_t x)
{
    int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}

#endif
