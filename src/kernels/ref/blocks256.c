/* SPDX-License-Identifier: Apache-2.0
 * blocks256.c - the weight types with superblocks of 256: what their bits mean, their dequant and
 * their product with ACT_Q8K rows. Sixteen groups of 16 for all types; those whose groups are 32
 * long have each scale twice. Integers inside a superblock are exact and fit 32 bits:
 * |sum| <= 256 * 127 * 127 * 128 / 2 at the most (q6_k: 63 * 127 * 128 * 256 < 2^29). */
#include "src/kernels/variants.h"
#include "src/tensor/blocks.h"

struct unpacked {
    int8_t q[256];
    int8_t scale[16], min[16];
    float d, dmin; /* w = d scale q - dmin min */
};
typedef void (*unpack_fn)(const void *block, struct unpacked *u);

static float half_at(const uint8_t p[2])
{
    return f16_to_f32(block_u16(p));
}

static void unpack_q2_k(const void *block, struct unpacked *u)
{
    const struct block_q2_k *b = block;
    for (int i = 0; i < 256; i++)
        u->q[i] = (int8_t)(b->qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3);
    for (int i = 0; i < 16; i++) {
        u->scale[i] = (int8_t)(b->scales[i] & 15);
        u->min[i] = (int8_t)(b->scales[i] >> 4);
    }
    u->d = half_at(b->d);
    u->dmin = half_at(b->dmin);
}

static void unpack_q3_k(const void *block, struct unpacked *u)
{
    const struct block_q3_k *b = block;
    struct block_scales packed = block_scales_q3(b->scales);
    uint8_t scale[16];
    memcpy(scale, &packed, 16);
    for (int i = 0; i < 256; i++) {
        int low = b->qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;
        u->q[i] = (int8_t)(low + 4 * (b->hmask[i % 32] >> (i / 32) & 1) - 4);
    }
    for (int i = 0; i < 16; i++) {
        u->scale[i] = (int8_t)(scale[i] - 32);
        u->min[i] = 0;
    }
    u->d = half_at(b->d);
    u->dmin = 0;
}

static void scales_k4(const uint8_t packed[12], struct unpacked *u)
{
    struct block_scales s = block_scales_k4(packed);
    uint8_t sc[8], mn[8];
    memcpy(sc, &s.a, 8);
    memcpy(mn, &s.b, 8);
    for (int i = 0; i < 16; i++) {
        u->scale[i] = (int8_t)sc[i / 2];
        u->min[i] = (int8_t)mn[i / 2];
    }
}

static void unpack_q4_k(const void *block, struct unpacked *u)
{
    const struct block_q4_k *b = block;
    for (int i = 0; i < 256; i++)
        u->q[i] = (int8_t)(b->qs[32 * (i / 64) + i % 32] >> (4 * (i % 64 / 32)) & 15);
    scales_k4(b->scales, u);
    u->d = half_at(b->d);
    u->dmin = half_at(b->dmin);
}

static void unpack_q5_k(const void *block, struct unpacked *u)
{
    const struct block_q5_k *b = block;
    for (int i = 0; i < 256; i++) {
        int low = b->qs[32 * (i / 64) + i % 32] >> (4 * (i % 64 / 32)) & 15;
        u->q[i] = (int8_t)(low + 16 * (b->qh[i % 32] >> (i / 32) & 1));
    }
    scales_k4(b->scales, u);
    u->d = half_at(b->d);
    u->dmin = half_at(b->dmin);
}

static void unpack_q6_k(const void *block, struct unpacked *u)
{
    const struct block_q6_k *b = block;
    for (int i = 0; i < 256; i++) {
        int half = i / 128, part = i % 128 / 32, l = i % 32;
        int low = b->ql[64 * half + 32 * (part % 2) + l] >> (4 * (part / 2)) & 15;
        int high = b->qh[32 * half + l] >> (2 * part) & 3;
        u->q[i] = (int8_t)((low | high << 4) - 32);
    }
    memcpy(u->scale, b->scales, 16);
    memset(u->min, 0, 16);
    u->d = half_at(b->d);
    u->dmin = 0;
}

static void unpack_iq4_xs(const void *block, struct unpacked *u)
{
    static const int8_t values[16] = IQ4_TABLE;
    const struct block_iq4_xs *b = block;
    for (int i = 0; i < 256; i++)
        u->q[i] = values[b->qs[16 * (i / 32) + i % 16] >> (4 * (i % 32 / 16)) & 15];
    for (int i = 0; i < 16; i++) {
        int j = i / 2, low = b->scales_l[j / 2] >> (4 * (j % 2)) & 15;
        int high = block_u16(b->scales_h) >> (2 * j) & 3;
        u->scale[i] = (int8_t)((low | high << 4) - 32);
    }
    memset(u->min, 0, 16);
    u->d = half_at(b->d);
    u->dmin = 0;
}

static void dequant(unpack_fn unpack, size_t block_bytes, const void *w, int64_t k, float *out)
{
    const char *p = w;
    for (int64_t b = 0; b < k / 256; b++) {
        struct unpacked u;
        unpack(p + (size_t)b * block_bytes, &u);
        for (int i = 0; i < 256; i++)
            out[256 * b + i] = u.d * (float)u.scale[i / 16] * (float)u.q[i] -
                               u.dmin * (float)u.min[i / 16];
    }
}

/* sum scale q x, and sum min x, over one superblock */
static void dot256(const struct unpacked *u, const int8_t *x, const int16_t *sum16, int32_t *dot,
                   int32_t *mins)
{
    *dot = *mins = 0;
    for (int g = 0; g < 16; g++) {
        int32_t s = 0;
        for (int i = 0; i < 16; i++)
            s += u->q[16 * g + i] * x[16 * g + i];
        *dot += u->scale[g] * s;
        *mins += u->min[g] * sum16[g];
    }
}

/* Unpacks a row once for up to 16 activation rows. */
enum { TILE = 16 };

static void mul(unpack_fn unpack, size_t block_bytes, const void *w, size_t w_row_bytes,
                int64_t n_rows, int64_t k, const void *x, size_t x_row_bytes, int64_t n_x, float *y,
                size_t y_stride)
{
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t t0 = 0; t0 < n_x; t0 += TILE) {
            const char *row = (const char *)w + (size_t)r * w_row_bytes;
            int64_t n = n_x - t0 < TILE ? n_x - t0 : TILE;
            double sum[TILE] = {0};
            for (int64_t b = 0; b < k / 256; b++) {
                struct unpacked u;
                unpack(row + (size_t)b * block_bytes, &u);
                for (int64_t t = 0; t < n; t++) {
                    const char *act = (const char *)x + (size_t)(t0 + t) * x_row_bytes;
                    const float *d = (const float *)(const void *)(act + act_q8k_d(k));
                    const int16_t *s = (const int16_t *)(const void *)(act + act_q8k_sum16(k));
                    int32_t dot, mins;
                    dot256(&u, (const int8_t *)act + 256 * b, s + 16 * b, &dot, &mins);
                    sum[t] += (double)(u.d * d[b]) * dot - (double)(u.dmin * d[b]) * mins;
                }
            }
            for (int64_t t = 0; t < n; t++)
                y[(size_t)(t0 + t) * y_stride + (size_t)r] = (float)sum[t];
        }
}

#define TYPE(name)                                                                                \
    void dequant_##name##_ref(const void *w, int64_t k, float *out)                               \
    {                                                                                             \
        dequant(unpack_##name, sizeof(struct block_##name), w, k, out);                           \
    }                                                                                             \
    void mul_##name##_ref(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,           \
                          const void *x, size_t x_row_bytes, int64_t n_x, float *y,               \
                          size_t y_stride)                                                        \
    {                                                                                             \
        mul(unpack_##name, sizeof(struct block_##name), w, w_row_bytes, n_rows, k, x,             \
            x_row_bytes, n_x, y, y_stride);                                                       \
    }
TYPE(q2_k)
TYPE(q3_k)
TYPE(q4_k)
TYPE(q5_k)
TYPE(q6_k)
TYPE(iq4_xs)
