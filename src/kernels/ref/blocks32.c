/* SPDX-License-Identifier: Apache-2.0
 * blocks32.c - the weight types with blocks of 32: what their bits mean, their dequant and their
 * product with ACT_Q8 rows. Integers inside a block are exact; blocks are summed in double. */
#include "src/kernels/variants.h"
#include "src/tensor/blocks.h"

struct unpacked {
    int8_t q[32];
    float d, m; /* w = d q + m */
};
typedef void (*unpack_fn)(const void *block, struct unpacked *u);

static float half_at(const uint8_t p[2])
{
    return f16_to_f32(block_u16(p));
}

static void nibbles(const uint8_t qs[16], int offset, int8_t q[32])
{
    for (int i = 0; i < 16; i++) {
        q[i] = (int8_t)((qs[i] & 15) - offset);
        q[i + 16] = (int8_t)((qs[i] >> 4) - offset);
    }
}

static void fifth_bits(const uint8_t qh[4], int8_t q[32])
{
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)(q[i] + 16 * (qh[i / 8] >> (i % 8) & 1));
}

static void unpack_q4_0(const void *block, struct unpacked *u)
{
    const struct block_q4_0 *b = block;
    nibbles(b->qs, 8, u->q);
    u->d = half_at(b->d);
    u->m = 0;
}

static void unpack_q4_1(const void *block, struct unpacked *u)
{
    const struct block_q4_1 *b = block;
    nibbles(b->qs, 0, u->q);
    u->d = half_at(b->d);
    u->m = half_at(b->m);
}

static void unpack_q5_0(const void *block, struct unpacked *u)
{
    const struct block_q5_0 *b = block;
    nibbles(b->qs, 16, u->q);
    fifth_bits(b->qh, u->q);
    u->d = half_at(b->d);
    u->m = 0;
}

static void unpack_q5_1(const void *block, struct unpacked *u)
{
    const struct block_q5_1 *b = block;
    nibbles(b->qs, 0, u->q);
    fifth_bits(b->qh, u->q);
    u->d = half_at(b->d);
    u->m = half_at(b->m);
}

static void unpack_q8_0(const void *block, struct unpacked *u)
{
    const struct block_q8_0 *b = block;
    memcpy(u->q, b->qs, 32);
    u->d = half_at(b->d);
    u->m = 0;
}

static void unpack_iq4_nl(const void *block, struct unpacked *u)
{
    static const int8_t values[16] = IQ4_TABLE;
    const struct block_iq4_nl *b = block;
    for (int i = 0; i < 16; i++) {
        u->q[i] = values[b->qs[i] & 15];
        u->q[i + 16] = values[b->qs[i] >> 4];
    }
    u->d = half_at(b->d);
    u->m = 0;
}

static void dequant(unpack_fn unpack, size_t block_bytes, const void *w, int64_t k, float *out)
{
    const char *p = w;
    for (int64_t b = 0; b < k / 32; b++) {
        struct unpacked u;
        unpack(p + (size_t)b * block_bytes, &u);
        for (int i = 0; i < 32; i++)
            out[32 * b + i] = u.d * (float)u.q[i] + u.m;
    }
}

static int32_t dot32(const int8_t *a, const int8_t *b)
{
    int32_t s = 0;
    for (int i = 0; i < 32; i++)
        s += a[i] * b[i];
    return s;
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
            for (int64_t b = 0; b < k / 32; b++) {
                struct unpacked u;
                unpack(row + (size_t)b * block_bytes, &u);
                for (int64_t t = 0; t < n; t++) {
                    const char *act = (const char *)x + (size_t)(t0 + t) * x_row_bytes;
                    const float *d = (const float *)(const void *)(act + act_q8_d(k));
                    const float *s = (const float *)(const void *)(act + act_q8_s(k));
                    int32_t dot = dot32(u.q, (const int8_t *)act + 32 * b);
                    sum[t] += (double)(u.d * d[b]) * dot + (double)u.m * s[b];
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
TYPE(q4_0)
TYPE(q4_1)
TYPE(q5_0)
TYPE(q5_1)
TYPE(q8_0)
TYPE(iq4_nl)
