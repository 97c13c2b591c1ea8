/* SPDX-License-Identifier: Apache-2.0
 * blocks256_body.h - weights in superblocks of 256 times ACT_Q8K rows for AArch64, on the dot16()
 * that the file that includes it has chosen.
 *
 * One superblock is unpacked to signed bytes and multiplied with all tokens; one token takes the
 * same path. Canonical order: y = fma(S_b, d_b dx_b, y), then fma(-M_b, dmin_b dx_b, y). */
#include <math.h>
#include <string.h>
#include "src/kernels/variants.h"
#include "src/tensor/blocks.h"

struct super {
    int8_t q[256];
    int16_t scales[16], mins[16]; /* by group of 16 */
    float d, dmin;
};
typedef void (*unpack_fn)(const uint8_t *w, struct super *s);
struct type {
    unpack_fn unpack;
    int block_bytes;
    bool has_dmin;
    int group; /* inputs that share a scale: 16 or 32 */
};

INLINE float half_at(const uint8_t *p)
{
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(block_u16(p)))), 0);
}

INLINE void unpack_q4_k(const uint8_t *w, struct super *s)
{
    const struct block_q4_k *b = (const void *)w;
    for (int i = 0; i < 8; i++) {
        uint8x16_t v = vld1q_u8(b->qs + 16 * i);
        int8_t *q = s->q + 64 * (i / 2) + 16 * (i % 2);
        vst1q_s8(q, vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15))));
        vst1q_s8(q + 32, vreinterpretq_s8_u8(vshrq_n_u8(v, 4)));
    }
    struct block_scales p = block_scales_k4(b->scales);
    uint16x8_t sc = vmovl_u8(vcreate_u8(p.a)), mn = vmovl_u8(vcreate_u8(p.b));
    vst1q_s16(s->scales, vreinterpretq_s16_u16(vzip1q_u16(sc, sc)));
    vst1q_s16(s->scales + 8, vreinterpretq_s16_u16(vzip2q_u16(sc, sc)));
    vst1q_s16(s->mins, vreinterpretq_s16_u16(vzip1q_u16(mn, mn)));
    vst1q_s16(s->mins + 8, vreinterpretq_s16_u16(vzip2q_u16(mn, mn)));
    s->d = half_at(b->d);
    s->dmin = half_at(b->dmin);
}

INLINE void unpack_q6_k(const uint8_t *w, struct super *s)
{
    const struct block_q6_k *b = (const void *)w;
    const uint8x16_t low = vdupq_n_u8(15), two = vdupq_n_u8(48);
    const int8x16_t offset = vdupq_n_s8(32);
    for (int i = 0; i < 4; i++) {
        int at = 128 * (i / 2) + 16 * (i % 2);
        const uint8_t *ql = b->ql + 64 * (i / 2) + 16 * (i % 2);
        uint8x16_t h = vld1q_u8(b->qh + 16 * i), v0 = vld1q_u8(ql), v1 = vld1q_u8(ql + 32);
        uint8x16_t q[4] = {vorrq_u8(vandq_u8(v0, low), vandq_u8(vshlq_n_u8(h, 4), two)),
                           vorrq_u8(vandq_u8(v1, low), vandq_u8(vshlq_n_u8(h, 2), two)),
                           vorrq_u8(vshrq_n_u8(v0, 4), vandq_u8(h, two)),
                           vorrq_u8(vshrq_n_u8(v1, 4), vandq_u8(vshrq_n_u8(h, 2), two))};
        for (int e = 0; e < 4; e++)
            vst1q_s8(s->q + at + 32 * e, vsubq_s8(vreinterpretq_s8_u8(q[e]), offset));
    }
    int8x16_t sc = vreinterpretq_s8_u8(vld1q_u8(b->scales));
    vst1q_s16(s->scales, vmovl_s8(vget_low_s8(sc)));
    vst1q_s16(s->scales + 8, vmovl_high_s8(sc));
    s->d = half_at(b->d);
    s->dmin = 0;
}

/* One superblock times one token, added to y. */
INLINE float add_super(struct type t, const struct super *s, const int8_t *x, float dx,
                       const int16_t *sum16, float y)
{
    int32x4_t sum = vdupq_n_s32(0);
    for (int g = 0; g < 16; g += t.group / 16) {
        int32x4_t p = vdupq_n_s32(0);
        for (int e = g; e < g + t.group / 16; e++)
            p = dot16(p, vld1q_s8(s->q + 16 * e), vld1q_s8(x + 16 * e));
        sum = vmlaq_n_s32(sum, p, s->scales[g]);
    }
    y = fmaf((float)vaddvq_s32(sum), s->d * dx, y);
    if (!t.has_dmin) return y;
    int32x4_t m = vdupq_n_s32(0);
    for (int i = 0; i < 16; i += 8) {
        int16x8_t a = vld1q_s16(s->mins + i), b = vld1q_s16(sum16 + i);
        m = vmlal_high_s16(vmlal_s16(m, vget_low_s16(a), vget_low_s16(b)), a, b);
    }
    return fmaf(-(float)vaddvq_s32(m), s->dmin * dx, y);
}

INLINE void mul(struct type t, const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                const void *x, size_t x_row_bytes, int64_t n_x, float *y, size_t y_stride)
{
    for (int64_t r = 0; r < n_rows; r++) {
        const uint8_t *row = (const uint8_t *)w + (size_t)r * w_row_bytes;
        for (int64_t i = 0; i < n_x; i++)
            y[(size_t)i * y_stride + (size_t)r] = 0;
        for (int64_t b = 0; b < k / 256; b++) {
            struct super s;
            t.unpack(row + (size_t)b * (size_t)t.block_bytes, &s);
            for (int64_t i = 0; i < n_x; i++) {
                const char *p = (const char *)x + (size_t)i * x_row_bytes;
                const float *d = (const float *)(const void *)(p + act_q8k_d(k)) + b;
                const int16_t *m = (const int16_t *)(const void *)(p + act_q8k_sum16(k)) + 16 * b;
                float *out = y + (size_t)i * y_stride + (size_t)r;
                *out = add_super(t, &s, (const int8_t *)p + 256 * b, *d, m, *out);
            }
        }
    }
}

#define TYPE(name, has_dmin, group)                                                                \
    void VARIANT(mul_##name)(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,         \
                             const void *x, size_t x_row_bytes, int64_t n_x, float *y,             \
                             size_t y_stride)                                                      \
    {                                                                                              \
        struct type t = {unpack_##name, sizeof(struct block_##name), has_dmin, group};             \
        mul(t, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);                       \
    }
TYPE(q4_k, true, 32)
TYPE(q6_k, false, 16)
