/* SPDX-License-Identifier: Apache-2.0
 * vec_neon.h - four floats: the vector that floats_body.h and attend_body.h are written in, and the
 * exponential that other NEON kernels share. AArch64 baseline. */
#ifndef KERNELS_ARM_VEC_NEON_H
#define KERNELS_ARM_VEC_NEON_H
#include <arm_neon.h>
#include <string.h>
#include "src/kernels/variants.h"

typedef float32x4_t vf;
enum { LANES = 4, VECTORS = 32 }; /* of the registers */
#define VARIANT(name) name##_neon

INLINE vf vf_zero(void) { return vdupq_n_f32(0); }
INLINE vf vf_set1(float x) { return vdupq_n_f32(x); }
INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
INLINE vf vf_load_part(const float *p, int64_t n)
{
    float copy[4] = {0};
    memcpy(copy, p, (size_t)n * 4);
    return vld1q_f32(copy);
}
INLINE void vf_store(float *p, vf v) { vst1q_f32(p, v); }
INLINE void vf_store_part(float *p, int64_t n, vf v)
{
    float copy[4];
    vst1q_f32(copy, v);
    memcpy(p, copy, (size_t)n * 4);
}
INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
INLINE vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); } /* a b + c */

/* x86/narrow.h's exp8 in four lanes */
INLINE vf vf_exp(vf x)
{
    const vf most = vdupq_n_f32(88.722839f), least = vdupq_n_f32(-87.336540f);
    vf c = vminq_f32(most, vmaxq_f32(least, x)); /* a NaN stays */
    vf n = vrndnq_f32(vmulq_f32(c, vdupq_n_f32(1.44269504f)));
    vf r = vfmsq_f32(c, n, vdupq_n_f32(0.693145752f));
    r = vfmsq_f32(r, n, vdupq_n_f32(1.42860677e-6f));
    vf p = vfmaq_f32(vdupq_n_f32(1.0f / 720), r, vdupq_n_f32(1.0f / 5040));
    p = vfmaq_f32(vdupq_n_f32(1.0f / 120), r, p);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 24), r, p);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 6), r, p);
    p = vfmaq_f32(vdupq_n_f32(0.5f), r, p);
    p = vfmaq_f32(r, vmulq_f32(r, r), p);
    p = vaddq_f32(p, vdupq_n_f32(1));
    int32x4_t e = vcvtq_s32_f32(n), half = vshrq_n_s32(e, 1);
    const int32x4_t bias = vdupq_n_s32(127);
    int32x4_t a = vshlq_n_s32(vaddq_s32(half, bias), 23);
    int32x4_t b = vshlq_n_s32(vaddq_s32(vsubq_s32(e, half), bias), 23);
    p = vmulq_f32(vmulq_f32(p, vreinterpretq_f32_s32(a)), vreinterpretq_f32_s32(b));
    p = vbslq_f32(vcltq_f32(x, least), vdupq_n_f32(0), p);
    return vbslq_f32(vcgtq_f32(x, most), vdupq_n_f32(__builtin_inff()), p);
}

/* x86/narrow.h's tanh8 in four lanes */
INLINE vf vf_tanh(vf x)
{
    vf e = vf_exp(vaddq_f32(x, x)), one = vdupq_n_f32(1);
    vf far = vsubq_f32(one, vdivq_f32(vdupq_n_f32(2), vaddq_f32(e, one)));
    vf s = vmulq_f32(x, x);
    vf p = vfmaq_f32(vdupq_n_f32(-17.0f / 315), s, vdupq_n_f32(62.0f / 2835));
    p = vfmaq_f32(vdupq_n_f32(2.0f / 15), s, p);
    p = vfmaq_f32(vdupq_n_f32(-1.0f / 3), s, p);
    vf near = vfmaq_f32(x, vmulq_f32(x, s), p);
    return vbslq_f32(vcltq_f32(s, vdupq_n_f32(0.04f)), near, far);
}
/* v, but 1 in the lanes where a equals b */
INLINE vf vf_one_where_equal(vf v, vf a, vf b)
{
    return vbslq_f32(vceqq_f32(a, b), vdupq_n_f32(1), v);
}
/* v in the lanes [lo, hi), other elsewhere; lo may be negative, hi beyond the lanes */
INLINE vf vf_keep(vf v, int lo, int hi, vf other)
{
    static const int32_t lanes[4] = {0, 1, 2, 3};
    int32x4_t lane = vld1q_s32(lanes);
    uint32x4_t low = vcgtq_s32(vdupq_n_s32(lo), lane), inside = vcgtq_s32(vdupq_n_s32(hi), lane);
    return vbslq_f32(vbicq_u32(inside, low), v, other);
}
INLINE float vf_sum(vf v) { return vaddvq_f32(v); }
/* out[i] = vf_sum(v[i]) */
INLINE void vf_sum_each(const vf v[], const int n, float *out)
{
    UNROLL
    for (int i = 0; i < n; i++) out[i] = vf_sum(v[i]);
}
INLINE float vf_largest(vf v) { return vmaxvq_f32(v); }
/* The sums of four vectors, each in the same order. */
INLINE void vf_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}
INLINE vf vf_load_f32(const void *p)
{
    return vreinterpretq_f32_u8(vld1q_u8(p));
}
INLINE vf vf_load_f16(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}
INLINE vf vf_load_bf16(const void *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}
INLINE vf vf_load_i8(const void *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    int16x8_t v = vmovl_s8(vcreate_s8((uint32_t)four));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(v)));
}

#endif
