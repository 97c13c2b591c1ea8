/* SPDX-License-Identifier: Apache-2.0
 * planes_body.h - mul_planes* for AArch64, on the quads16() that the file that includes it has chosen. A tile
 * is two halves of 4 rows, a half two vectors of 2 rows for each part of 8 columns; a table look-up turns
 * codes into signed levels.
 *
 * A vector holds row r of its two in lanes 2r (columns 0..3 of a part) and 2r+1 (4..7); both meet at the end
 * of a block, blocks are added in order, for one token or many. */
#include <string.h>
#include "src/kernels/variants.h"

#define MOST_TOKENS 4

struct luts {
    int8x16_t level, step, step8; /* step: of 5 or 6 bits, by class and two bits */
    uint8x16_t leaf_class;
};

struct half {
    int8x16_t hi[2][4], lo[2][4];
};

static struct luts make_luts(const struct planes_tables *t, int i)
{
    int8_t level[16], step5[16];
    uint8_t leaf_class[16];
    for (int k = 0; k < 16; k++) {
        level[k] = i == 0   ? t->level2[k & 3]
                   : i == 1 ? t->level3[k >> 1]
                   : i == 2 ? t->level4[k]
                            : t->base[k];
        leaf_class[k] = (uint8_t)(t->leaf_class[k] << 2);
        step5[k] = t->step5[k >> 1];
    }
    return (struct luts){vld1q_s8(level), vld1q_s8(i == 3 ? step5 : t->step6), vld1q_s8(t->step8),
                         vld1q_u8(leaf_class)};
}

/* Bits 2k and 2k + 1 of every byte; k is a constant, as vector shifts by one want it. */
INLINE uint8x16_t pair_of_bits(uint8x16_t v, const int k)
{
    if (k == 3) return vshrq_n_u8(v, 6);
    return vandq_u8(k == 2 ? vshrq_n_u8(v, 4) : k == 1 ? vshrq_n_u8(v, 2) : v, vdupq_n_u8(3));
}

/* Codes of 4 bits of part k: the upper two of plane 0 (a), the lower two of planes 1 and 2 (two). */
INLINE void codes4(uint8x16_t a, uint8x16_t two, uint8x16_t n[4])
{
    const uint8x16_t upper = vdupq_n_u8(0xcc), low = vdupq_n_u8(15);
    uint8x16_t n02 = vbslq_u8(upper, vshlq_n_u8(a, 2), two);
    uint8x16_t n13 = vbslq_u8(upper, a, vshrq_n_u8(two, 2));
    n[0] = vandq_u8(n02, low);
    n[1] = vandq_u8(n13, low);
    n[2] = vshrq_n_u8(n02, 4);
    n[3] = vshrq_n_u8(n13, 4);
}

/* Two planes of one bit from k on, side by side: even bits of a plane are the first half's, odd bits the
 * second's. Of a width without the second plane the odd bits count, the others are zero. */
INLINE uint8x16_t load_pair(const struct planes *p, int i, const int k, size_t at, const int h)
{
    const uint8x16_t odd = vdupq_n_u8(0xaa);
    uint8x16_t x = vld1q_u8(p->plane[k] + at);
    if (!h) x = vshlq_n_u8(x, 1);
    if (i == k) return vandq_u8(x, odd);
    uint8x16_t y = vld1q_u8(p->plane[k + 1] + at);
    return vbslq_u8(odd, x, h ? vshrq_n_u8(y, 1) : y);
}

/* Rows 4h + 2v and the one behind it. */
INLINE void decode_rows(const struct planes *p, int i, size_t at, const int h, const int v,
                        const struct luts *t, int8x16_t hi[4], int8x16_t lo[4])
{
    size_t wide = 64 * at + 32 * (size_t)h + 16 * (size_t)v, narrow = 32 * at + 16 * (size_t)v;
    uint8x16_t a = vld1q_u8(p->plane[0] + wide);
    if (i == 0) {
        UNROLL for (int k = 0; k < 4; k++) hi[k] = vqtbl1q_s8(t->level, pair_of_bits(a, k));
        return;
    }
    uint8x16_t n[4];
    codes4(a, load_pair(p, i, 1, narrow, h), n);
    UNROLL for (int k = 0; k < 4; k++) hi[k] = vqtbl1q_s8(t->level, n[k]);
    if (i < 3) return;
    uint8x16_t r = load_pair(p, i, 3, narrow, h);
    UNROLL for (int k = 0; k < 4; k++) {
        n[k] = vqtbl1q_u8(t->leaf_class, n[k]);
        hi[k] = vaddq_s8(hi[k], vqtbl1q_s8(t->step, vorrq_u8(n[k], pair_of_bits(r, k))));
    }
    if (i < 5) return;
    uint8x16_t e = vld1q_u8(p->plane[5] + wide);
    UNROLL for (int k = 0; k < 4; k++)
        lo[k] = vqtbl1q_s8(t->step8, vorrq_u8(n[k], pair_of_bits(e, k)));
}

/* A block of one token, each part of 8 columns twice, as it meets two rows. */
INLINE void load_columns(const int8_t *q, int8x16_t x[4])
{
    UNROLL for (int k = 0; k < 4; k++) {
        int8x8_t part = vld1_s8(q + 8 * k);
        x[k] = vcombine_s8(part, part);
    }
}

INLINE int32x4_t dot_rows(int8x16_t w[2][4], const int8x16_t x[4])
{
    int32x4_t sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
    UNROLL for (int k = 0; k < 4; k++) {
        sum[0] = quads16(sum[0], w[0][k], x[k]);
        sum[1] = quads16(sum[1], w[1][k], x[k]);
    }
    return vpaddq_s32(sum[0], sum[1]);
}

struct acts {
    const uint8_t *x;
    size_t row_bytes, d, sum; /* signed levels need no sum */
};

/* n_t tokens (a constant) of one group. */
INLINE void mul_group(const struct planes *p, const int i, const struct luts *t, int64_t group,
                      int64_t n_rows, const struct acts *a, const int n_t, float *y, size_t y_stride)
{
    float32x4_t acc[4][2];
    UNROLL for (int k = 0; k < n_t; k++) acc[k][0] = acc[k][1] = vdupq_n_f32(0);
    for (int64_t b = 0; b < p->n_blocks; b++) {
        size_t at = (size_t)(group * p->n_blocks + b);
        int16x8_t scales8 = vmovl_s8(vld1_s8(p->scales + 8 * at));
        UNROLL for (int h = 0; h < 2; h++) {
            struct half w;
            UNROLL for (int v = 0; v < 2; v++) decode_rows(p, i, at, h, v, t, w.hi[v], w.lo[v]);
            float32x4_t scales =
                vcvtq_f32_s32(vmovl_s16(h ? vget_high_s16(scales8) : vget_low_s16(scales8)));
            UNROLL for (int k = 0; k < n_t; k++) {
                const uint8_t *row = a->x + (size_t)k * a->row_bytes;
                const float *d = (const float *)(const void *)(row + a->d);
                int8x16_t x[4];
                load_columns((const int8_t *)row + 32 * b, x);
                int32x4_t n = dot_rows(w.hi, x);
                if (i == 5) n = vaddq_s32(vshlq_n_s32(n, 3), dot_rows(w.lo, x));
                acc[k][h] = vfmaq_f32(acc[k][h], vcvtq_f32_s32(n), vmulq_n_f32(scales, d[b]));
            }
        }
    }
    float16x8_t factors = vreinterpretq_f16_u8(vld1q_u8(p->rows + 16 * group));
    UNROLL for (int h = 0; h < 2; h++) {
        float32x4_t factor = vmulq_n_f32(vcvt_f32_f16(h ? vget_high_f16(factors) : vget_low_f16(factors)),
                                         p->tables.unit[i]);
        int64_t n = n_rows - 4 * h < 4 ? n_rows - 4 * h : 4;
        if (n <= 0) return;
        UNROLL for (int k = 0; k < n_t; k++) {
            float rows[4];
            vst1q_f32(rows, vmulq_f32(acc[k][h], factor));
            memcpy(y + (size_t)k * y_stride + 4 * h, rows, (size_t)n * sizeof(float));
        }
    }
}

#include "src/kernels/planes_tokens.h"
