/* SPDX-License-Identifier: Apache-2.0
 * rows_neon.c - activations to int8 (the bytes of ref) and the row operations that take time. */
#include <math.h>
#include "src/kernels/arm/vec_neon.h"

INLINE uint32x4_t max32(const float *x, uint32x4_t max)
{
    for (int i = 0; i < 8; i++) {
        uint32x4_t u = vreinterpretq_u32_f32(vld1q_f32(x + 4 * i));
        max = vmaxq_u32(max, vandq_u32(u, vdupq_n_u32(0x7fffffffu)));
    }
    return max;
}

/* d for a block whose largest |x| has these bits; *inverse is 0 where all quants are 0. */
INLINE float scale_of(uint32_t max, float *inverse)
{
    float m;
    memcpy(&m, &max, 4);
    *inverse = 0;
    if (max >= 0x7f800000u) return NAN;
    if (!(m >= 0x1p-100f)) return 0;
    *inverse = 127.0f / m;
    return m / 127.0f;
}

/* 16 quants; NaN converts to 0, and with the inverse 0 every other product is 0 too. */
INLINE int8x16_t quants16(const float *x, float inverse)
{
    int16x8_t h[2];
    for (int i = 0; i < 2; i++) {
        int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 8 * i), inverse));
        int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 8 * i + 4), inverse));
        h[i] = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
    }
    return vcombine_s8(vqmovn_s16(h[0]), vqmovn_s16(h[1]));
}

void act_q8_neon(const float *x, int64_t k, void *out)
{
    char *row = out;
    int8_t *q = out;
    float *d = (float *)(void *)(row + act_q8_d(k)), *s = (float *)(void *)(row + act_q8_s(k));
    int32_t *sum = (int32_t *)(void *)(row + act_q8_sum(k));
    for (int64_t b = 0; b < k / 32; b++) {
        float inverse;
        d[b] = scale_of(vmaxvq_u32(max32(x + 32 * b, vdupq_n_u32(0))), &inverse);
        int8x16_t lo = quants16(x + 32 * b, inverse), hi = quants16(x + 32 * b + 16, inverse);
        vst1q_s8(q + 32 * b, lo);
        vst1q_s8(q + 32 * b + 16, hi);
        sum[b] = vaddlvq_s8(lo) + vaddlvq_s8(hi);
        s[b] = d[b] * (float)sum[b];
    }
}

void act_q8k_neon(const float *x, int64_t k, void *out)
{
    char *row = out;
    int8_t *q = out;
    float *d = (float *)(void *)(row + act_q8k_d(k));
    int16_t *sum16 = (int16_t *)(void *)(row + act_q8k_sum16(k));
    int16_t *sum32 = (int16_t *)(void *)(row + act_q8k_sum32(k));
    for (int64_t b = 0; b < k / 256; b++) {
        uint32x4_t max = vdupq_n_u32(0);
        for (int i = 0; i < 8; i++)
            max = max32(x + 256 * b + 32 * i, max);
        float inverse;
        d[b] = scale_of(vmaxvq_u32(max), &inverse);
        for (int64_t g = 16 * b; g < 16 * b + 16; g++) {
            int8x16_t v = quants16(x + 16 * g, inverse);
            vst1q_s8(q + 16 * g, v);
            sum16[g] = vaddlvq_s8(v);
        }
        for (int64_t g = 8 * b; g < 8 * b + 8; g++)
            sum32[g] = (int16_t)(sum16[2 * g] + sum16[2 * g + 1]);
    }
}

void rmsnorm_neon(const float *x, const float *w, int64_t n, float eps, float *out)
{
    float64x2_t sum[2] = {vdupq_n_f64(0), vdupq_n_f64(0)};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t v = vld1q_f32(x + i);
        float64x2_t a = vcvt_f64_f32(vget_low_f32(v)), b = vcvt_high_f64_f32(v);
        sum[0] = vfmaq_f64(sum[0], a, a);
        sum[1] = vfmaq_f64(sum[1], b, b);
    }
    double s = vaddvq_f64(vaddq_f64(sum[0], sum[1]));
    for (; i < n; i++)
        s += (double)x[i] * (double)x[i];
    float r = (float)(1.0 / sqrt(s / (double)n + (double)eps));
    for (i = 0; i + 4 <= n; i += 4) {
        float32x4_t v = vmulq_n_f32(vld1q_f32(x + i), r);
        vst1q_f32(out + i, w ? vmulq_f32(v, vld1q_f32(w + i)) : v);
    }
    for (; i < n; i++)
        out[i] = w ? x[i] * r * w[i] : x[i] * r;
}

INLINE vf silu4(vf g)
{
    return vdivq_f32(g, vaddq_f32(vdupq_n_f32(1), vf_exp(vnegq_f32(g))));
}

/* g / (1 + e^-2u), u = sqrt(2/pi) (g + 0.044715 g^3) */
INLINE vf gelu4(vf g)
{
    vf c = vfmaq_f32(vdupq_n_f32(-2 * 0.797884561f), vmulq_f32(g, g),
                     vdupq_n_f32(-2 * 0.0356774081f));
    return vdivq_f32(g, vaddq_f32(vdupq_n_f32(1), vf_exp(vmulq_f32(g, c))));
}

INLINE void glu(vf (*act)(vf), const float *gate, const float *up, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(out + i, vmulq_f32(act(vld1q_f32(gate + i)), vld1q_f32(up + i)));
    if (i < n)
        vf_store_part(out + i, n - i, vmulq_f32(act(vf_load_part(gate + i, n - i)),
                                                vf_load_part(up + i, n - i)));
}

void glu_silu_neon(const float *gate, const float *up, int64_t n, float *out)
{
    glu(silu4, gate, up, n, out);
}

void glu_gelu_neon(const float *gate, const float *up, int64_t n, float *out)
{
    glu(gelu4, gate, up, n, out);
}

void rope_interleaved_neon(const float *x, const float *cos, const float *sin, int64_t n_pairs,
                           float *out)
{
    int64_t i = 0;
    for (; i + 4 <= n_pairs; i += 4) {
        float32x4x2_t v = vld2q_f32(x + 2 * i), y;
        float32x4_t c = vld1q_f32(cos + i), s = vld1q_f32(sin + i);
        y.val[0] = vsubq_f32(vmulq_f32(v.val[0], c), vmulq_f32(v.val[1], s));
        y.val[1] = vaddq_f32(vmulq_f32(v.val[0], s), vmulq_f32(v.val[1], c));
        vst2q_f32(out + 2 * i, y);
    }
    for (; i < n_pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        out[2 * i] = a * cos[i] - b * sin[i];
        out[2 * i + 1] = a * sin[i] + b * cos[i];
    }
}

void rope_halves_neon(const float *x, const float *cos, const float *sin, int64_t n_pairs,
                      float *out)
{
    int64_t i = 0;
    for (; i + 4 <= n_pairs; i += 4) {
        float32x4_t a = vld1q_f32(x + i), b = vld1q_f32(x + i + n_pairs);
        float32x4_t c = vld1q_f32(cos + i), s = vld1q_f32(sin + i);
        vst1q_f32(out + i, vsubq_f32(vmulq_f32(a, c), vmulq_f32(b, s)));
        vst1q_f32(out + i + n_pairs, vaddq_f32(vmulq_f32(a, s), vmulq_f32(b, c)));
    }
    for (; i < n_pairs; i++) {
        float a = x[i], b = x[i + n_pairs];
        out[i] = a * cos[i] - b * sin[i];
        out[i + n_pairs] = a * sin[i] + b * cos[i];
    }
}
