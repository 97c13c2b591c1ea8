/* SPDX-License-Identifier: Apache-2.0
 * blocks32_body.h - weights in blocks of 32 times ACT_Q8 rows for AArch64, on the dot16() that the
 * file that includes it has chosen.
 *
 * One row at a time is unpacked, 64 blocks at once, to signed bytes in L1 (2 KB) and multiplied
 * with up to four tokens together; one token takes the same path.
 *
 * Canonical order, in chunks of 64 blocks: lane[b % 4] = fma(S_b, dw_b dx_b, lane[b % 4]), then
 * fma(mw_b, s_b, lane[b % 4]); (0 + 1) + (2 + 3); chunks one after the other. */
#include <string.h>
#include "src/kernels/variants.h"
#include "src/tensor/blocks.h"

enum { CHUNK = 64, TOKENS = 4 };

struct row {
    int8_t q[CHUNK * 32];
    float d[CHUNK], m[CHUNK];
};
typedef void (*unpack_fn)(const uint8_t *block, int8_t q[32]);
struct type {
    unpack_fn unpack;
    int block_bytes;
    bool has_m;
};

INLINE void unpack_q4_0(const uint8_t *block, int8_t q[32])
{
    uint8x16_t v = vld1q_u8(block + 2);
    const int8x16_t eight = vdupq_n_s8(8);
    vst1q_s8(q, vsubq_s8(vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15))), eight));
    vst1q_s8(q + 16, vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(v, 4)), eight));
}

INLINE void unpack_q4_1(const uint8_t *block, int8_t q[32])
{
    uint8x16_t v = vld1q_u8(block + 4);
    vst1q_s8(q, vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15))));
    vst1q_s8(q + 16, vreinterpretq_s8_u8(vshrq_n_u8(v, 4)));
}

INLINE void unpack_q8_0(const uint8_t *block, int8_t q[32])
{
    memcpy(q, block + 2, 32);
}

INLINE float half_at(const uint8_t *p)
{
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(block_u16(p)))), 0);
}

INLINE void unpack_row(struct type t, const uint8_t *w, int64_t n_blocks, struct row *row)
{
    for (int64_t b = 0; b < n_blocks; b++) {
        const uint8_t *p = w + (size_t)b * (size_t)t.block_bytes;
        t.unpack(p, row->q + 32 * b);
        row->d[b] = half_at(p);
        row->m[b] = t.has_m ? half_at(p + 2) : 0;
    }
}

/* One activation row, from some block on. */
struct act {
    const int8_t *q;
    const float *d, *s;
};

INLINE struct act act_at(const void *row, int64_t k, int64_t block)
{
    const char *p = row;
    return (struct act){(const int8_t *)p + 32 * block,
                        (const float *)(const void *)(p + act_q8_d(k)) + block,
                        (const float *)(const void *)(p + act_q8_s(k)) + block};
}

INLINE float32x4_t load_part(const float *p, int64_t n)
{
    if (n >= 4) return vld1q_f32(p);
    float copy[4] = {0};
    memcpy(copy, p, (size_t)n * 4);
    return vld1q_f32(copy);
}

/* y[t*y_stride] (+)= row times n tokens; n is a constant where this is called */
INLINE void mul_tokens(struct type t, const struct row *row, int64_t n_blocks, const char *x,
                       size_t x_row_bytes, int64_t k, int64_t block, const int n, float *y,
                       size_t y_stride, bool first)
{
    float32x4_t lanes[TOKENS];
    struct act acts[TOKENS];
    for (int i = 0; i < n; i++) {
        acts[i] = act_at(x + (size_t)i * x_row_bytes, k, block);
        lanes[i] = vdupq_n_f32(0);
    }
    for (int64_t b = 0; b < n_blocks; b += 4) {
        int64_t left = n_blocks - b;
        int32x4_t sums[TOKENS][4];
        for (int e = 0; e < 4; e++)
            for (int i = 0; i < n; i++) {
                sums[i][e] = vdupq_n_s32(0);
                if (e >= left) continue;
                const int8_t *q = row->q + 32 * (b + e), *p = acts[i].q + 32 * (b + e);
                sums[i][e] = dot16(sums[i][e], vld1q_s8(q), vld1q_s8(p));
                sums[i][e] = dot16(sums[i][e], vld1q_s8(q + 16), vld1q_s8(p + 16));
            }
        float32x4_t d = load_part(row->d + b, left), m = load_part(row->m + b, left);
        for (int i = 0; i < n; i++) {
            int32x4_t s = vpaddq_s32(vpaddq_s32(sums[i][0], sums[i][1]),
                                     vpaddq_s32(sums[i][2], sums[i][3]));
            float32x4_t scale = vmulq_f32(d, load_part(acts[i].d + b, left));
            lanes[i] = vfmaq_f32(lanes[i], vcvtq_f32_s32(s), scale);
            if (t.has_m) lanes[i] = vfmaq_f32(lanes[i], m, load_part(acts[i].s + b, left));
        }
    }
    for (int i = 0; i < n; i++) {
        float *out = y + (size_t)i * y_stride;
        *out = (first ? 0 : *out) + vaddvq_f32(lanes[i]);
    }
}

INLINE void mul(struct type t, const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                const void *x, size_t x_row_bytes, int64_t n_x, float *y, size_t y_stride)
{
    int64_t n_blocks = k / 32;
    struct row row;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t b = 0; b == 0 || b < n_blocks; b += CHUNK) {
            int64_t n_b = n_blocks - b < CHUNK ? n_blocks - b : CHUNK, i = 0;
            unpack_row(t, (const uint8_t *)w + (size_t)r * w_row_bytes +
                              (size_t)b * (size_t)t.block_bytes, n_b, &row);
            for (; i + TOKENS <= n_x; i += TOKENS)
                mul_tokens(t, &row, n_b, (const char *)x + (size_t)i * x_row_bytes, x_row_bytes, k,
                           b, TOKENS, y + (size_t)i * y_stride + r, y_stride, b == 0);
            for (; i < n_x; i++)
                mul_tokens(t, &row, n_b, (const char *)x + (size_t)i * x_row_bytes, x_row_bytes, k,
                           b, 1, y + (size_t)i * y_stride + r, y_stride, b == 0);
        }
}

#define TYPE(name, has_m)                                                                          \
    void VARIANT(mul_##name)(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,         \
                             const void *x, size_t x_row_bytes, int64_t n_x, float *y,             \
                             size_t y_stride)                                                      \
    {                                                                                              \
        struct type t = {unpack_##name, sizeof(struct block_##name), has_m};                       \
        mul(t, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);                       \
    }
TYPE(q4_0, false)
TYPE(q4_1, true)
TYPE(q8_0, false)
