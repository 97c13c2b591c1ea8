/* SPDX-License-Identifier: Apache-2.0
 * lanes_neon.h - four 32-bit lanes of cells of 8 or 4 bits: the integers that attend_i8_body.h is written
 * in. */
#ifndef KERNELS_ARM_LANES_NEON_H
#define KERNELS_ARM_LANES_NEON_H
#include "src/kernels/arm/vec_neon.h"

typedef int32x4_t vi;

INLINE vi vi_zero(void) { return vdupq_n_s32(0); }
INLINE vi vi_load(const uint8_t *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
INLINE vi vi_even(vi x)
{
    int16x8_t v = vreinterpretq_s16_s32(x);
    return vreinterpretq_s32_s16(vshrq_n_s16(vshlq_n_s16(v, 8), 8));
}
INLINE vi vi_odd(vi x)
{
    return vreinterpretq_s32_s16(vshrq_n_s16(vreinterpretq_s16_s32(x), 8));
}
INLINE vi vi_nibbles(vi x, const int t)
{
    int16x8_t v = vreinterpretq_s16_s32(x);
    v = t == 0 ? vshlq_n_s16(v, 12) : t == 1 ? vshlq_n_s16(v, 8) : t == 2 ? vshlq_n_s16(v, 4) : v;
    return vreinterpretq_s32_s16(vshrq_n_s16(v, 12));
}
INLINE vi vi_join(vi lo, vi hi)
{
    int16x8_t l = vandq_s16(vreinterpretq_s16_s32(lo), vdupq_n_s16(255));
    return vreinterpretq_s32_s16(vorrq_s16(l, vshlq_n_s16(vreinterpretq_s16_s32(hi), 8)));
}
INLINE vi vi_pair(const int16_t *p)
{
    int32_t two;
    memcpy(&two, p, 4);
    return vdupq_n_s32(two);
}
INLINE vi vi_dot(vi sum, vi x, vi w)
{
    int16x8_t a = vreinterpretq_s16_s32(x), b = vreinterpretq_s16_s32(w);
    int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
    return vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(a, b)));
}
INLINE vf vi_float(vi x) { return vcvtq_f32_s32(x); }
INLINE void vi_round16(int16_t *p, vf v) { vst1_s16(p, vmovn_s32(vcvtnq_s32_f32(v))); }
INLINE void vi_turn(uint8_t *p, int bytes, vi x)
{
    static const uint8_t order[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    (void)bytes; /* there are no further 128 bits */
    vst1q_u8(p, vqtbl1q_u8(vreinterpretq_u8_s32(x), vld1q_u8(order)));
}

#endif
