/* SPDX-License-Identifier: Apache-2.0
 * tiles256_fill.h - fills a tile: superblocks of 16 rows, their words transposed so that dword lane r of
 * every vector belongs to row r. What follows (bit fields, scales) is then the same work for 16 rows at
 * once. Included by the kernels that go over such tiles. */
#ifndef KERNELS_X86_TILES256_FILL_H
#define KERNELS_X86_TILES256_FILL_H
#include "src/kernels/x86/tiles_vnni.h"
#include "src/tensor/blocks.h"

enum { CHUNK = 8 };

/* One superblock of 16 rows: dword lane r belongs to row r. */
struct super {
    __m512i w[64];      /* four inputs each, in order; types of 4 bits: 32, packed as in the file */
    __m512i scales[16]; /* int32, of group g */
    __m512i mins[8];    /* int16, of groups 2g and 2g + 1 */
    __m512 d, dmin;
};

enum layout {
    BYTES,     /* w[c] has inputs 4c .. 4c + 3 */
    NIBBLES64, /* q4_k: w[8z + c] has 64z + 4c .. and, in the high nibbles, 64z + 32 + 4c .. */
    NIBBLES32, /* iq4_xs: w[4g + c] has 32g + 4c .. and 32g + 16 + 4c .., numbers of a table */
};

/* Bytes of v, the first in the lowest byte, to four vectors of int32. */
INLINE void spread_unsigned(__m512i v, __m512i out[4])
{
    const __m512i low = words_of(255);
    out[0] = _mm512_and_si512(v, low);
    out[1] = _mm512_and_si512(_mm512_srli_epi32(v, 8), low);
    out[2] = _mm512_and_si512(_mm512_srli_epi32(v, 16), low);
    out[3] = _mm512_srli_epi32(v, 24);
}

INLINE void spread_signed(__m512i v, __m512i out[4])
{
    out[0] = _mm512_srai_epi32(_mm512_slli_epi32(v, 24), 24);
    out[1] = _mm512_srai_epi32(_mm512_slli_epi32(v, 16), 24);
    out[2] = _mm512_srai_epi32(_mm512_slli_epi32(v, 8), 24);
    out[3] = _mm512_srai_epi32(v, 24);
}

/* Bytes 0, 1 and 2, 3 of v as two 16-bit numbers each. */
INLINE void spread_pairs(__m512i v, __m512i out[2])
{
    const __m512i even = words_of(0x00ff00ff);
    __m512i e = _mm512_and_si512(v, even), o = _mm512_and_si512(_mm512_srli_epi16(v, 8), even);
    out[0] = _mm512_mask_mov_epi16(_mm512_slli_epi32(o, 16), 0x55555555, e);
    out[1] = _mm512_mask_mov_epi16(o, 0x55555555, _mm512_srli_epi32(e, 16));
}

/* q4_k's and q5_k's first 16 bytes, as in block_scales_k4: 16 rows at once. */
INLINE void fill_head_k4(struct super *s, const uint8_t *const row[16], size_t at)
{
    const __m512i six = words_of(0x3f3f3f3f), four = words_of(0x0f0f0f0f),
                  top = words_of(0x30303030);
    __m512i h[4];
    transpose4(row, at, h);
    s->d = low_half(h[0]);
    s->dmin = high_half(h[0]);
    __m512i a = h[1], b = h[2], c = h[3];
    spread_unsigned(_mm512_and_si512(a, six), s->scales);
    spread_unsigned(_mm512_or_si512(_mm512_and_si512(c, four),
                                    _mm512_and_si512(_mm512_srli_epi32(a, 2), top)),
                    s->scales + 4);
    spread_pairs(_mm512_and_si512(b, six), s->mins);
    spread_pairs(_mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(c, 4), four),
                                 _mm512_and_si512(_mm512_srli_epi32(b, 2), top)),
                 s->mins + 2);
}

INLINE void fill_q4_k(struct super *s, const uint8_t *const row[16], size_t at)
{
    fill_head_k4(s, row, at);
    UNROLL
    for (int z = 0; z < 4; z++)
        transpose8(row, at + offsetof(struct block_q4_k, qs) + 32 * (size_t)z, s->w + 8 * z);
}

INLINE void fill_q5_k(struct super *s, const uint8_t *const row[16], size_t at)
{
    const __m512i low = bytes_of(15), five = bytes_of(31);
    __m512i h[8];
    fill_head_k4(s, row, at);
    transpose8(row, at + offsetof(struct block_q5_k, qh), h);
    UNROLL
    for (int z = 0; z < 4; z++) {
        __m512i v[8];
        transpose8(row, at + offsetof(struct block_q5_k, qs) + 32 * (size_t)z, v);
        UNROLL
        for (int c = 0; c < 8; c++) {
            /* bits 2z and 2z + 1 as bit 4 */
            __m512i lo = choose(low, v[c], shift_right(h[c], 2 * z - 4));
            __m512i hi = choose(low, shift_right(v[c], 4), shift_right(h[c], 2 * z - 3));
            s->w[16 * z + c] = _mm512_and_si512(lo, five);
            s->w[16 * z + 8 + c] = _mm512_and_si512(hi, five);
        }
    }
}

/* Half i of 16 rows' superblocks as words of four weights: v[16] their low bits, h[8] the high ones. */
INLINE void words_q6_k(const uint8_t *const row[16], size_t at, int i, __m512i v[16], __m512i h[8])
{
    size_t ql = at + offsetof(struct block_q6_k, ql) + 64 * (size_t)i;
    transpose8(row, ql, v);
    transpose8(row, ql + 32, v + 8);
    transpose8(row, at + offsetof(struct block_q6_k, qh) + 32 * (size_t)i, h);
}

INLINE void fill_q6_k(struct super *s, const uint8_t *const row[16], size_t at)
{
    const __m512i low = bytes_of(15), six = bytes_of(63);
    UNROLL
    for (int i = 0; i < 2; i++) {
        __m512i v[16], h[8];
        words_q6_k(row, at, i, v, h);
        UNROLL
        for (int c = 0; c < 8; c++) {
            __m512i q[4] = {choose(low, v[c], shift_right(h[c], -4)),
                            choose(low, v[8 + c], shift_right(h[c], -2)),
                            choose(low, shift_right(v[c], 4), h[c]),
                            choose(low, shift_right(v[8 + c], 4), shift_right(h[c], 2))};
            UNROLL
            for (int e = 0; e < 4; e++)
                s->w[32 * i + 8 * e + c] = _mm512_and_si512(q[e], six);
        }
    }
    __m512i h[4];
    transpose4(row, at + offsetof(struct block_q6_k, scales), h);
    UNROLL
    for (int i = 0; i < 4; i++)
        spread_signed(h[i], s->scales + 4 * i);
    transpose4(row, at + offsetof(struct block_q6_k, d) - 14, h); /* d is in their last two bytes */
    s->d = high_half(h[3]);
}

INLINE void fill_q2_k(struct super *s, const uint8_t *const row[16], size_t at)
{
    const __m512i low = bytes_of(3), four = bytes_of(15);
    UNROLL
    for (int i = 0; i < 2; i++) {
        __m512i v[8];
        transpose8(row, at + offsetof(struct block_q2_k, qs) + 32 * (size_t)i, v);
        UNROLL
        for (int c = 0; c < 8; c++)
            UNROLL
            for (int e = 0; e < 4; e++)
                s->w[32 * i + 8 * e + c] = _mm512_and_si512(shift_right(v[c], 2 * e), low);
    }
    __m512i h[4];
    transpose4(row, at + offsetof(struct block_q2_k, scales), h);
    UNROLL
    for (int i = 0; i < 4; i++) {
        spread_unsigned(_mm512_and_si512(h[i], four), s->scales + 4 * i);
        spread_pairs(_mm512_and_si512(shift_right(h[i], 4), four), s->mins + 2 * i);
    }
    transpose4(row, at + offsetof(struct block_q2_k, d) - 12, h); /* the last dword: d and dmin */
    s->d = low_half(h[3]);
    s->dmin = high_half(h[3]);
}

INLINE void fill_q3_k(struct super *s, const uint8_t *const row[16], size_t at)
{
    const __m512i low = bytes_of(3), three = bytes_of(7), four = words_of(0x0f0f0f0f),
                  top = words_of(0x30303030);
    __m512i m[8], h[4];
    transpose8(row, at + offsetof(struct block_q3_k, hmask), m);
    UNROLL
    for (int i = 0; i < 2; i++) {
        __m512i v[8];
        transpose8(row, at + offsetof(struct block_q3_k, qs) + 32 * (size_t)i, v);
        UNROLL
        for (int c = 0; c < 8; c++)
            UNROLL
            for (int e = 0; e < 4; e++) {
                /* bit 4i + e of the mask as bit 2 */
                __m512i bit = shift_right(m[c], 4 * i + e - 2);
                __m512i q = choose(low, shift_right(v[c], 2 * e), bit);
                s->w[32 * i + 8 * e + c] = _mm512_and_si512(q, three);
            }
    }
    /* as in block_scales_q3 */
    transpose4(row, at + offsetof(struct block_q3_k, scales) - 4, h);
    __m512i a = h[1], b = h[2], c = h[3];
    __m512i sc[4] = {choose(four, a, _mm512_and_si512(_mm512_slli_epi32(c, 4), top)),
                     choose(four, b, _mm512_and_si512(_mm512_slli_epi32(c, 2), top)),
                     choose(four, _mm512_srli_epi32(a, 4), _mm512_and_si512(c, top)),
                     choose(four, _mm512_srli_epi32(b, 4),
                            _mm512_and_si512(_mm512_srli_epi32(c, 2), top))};
    UNROLL
    for (int i = 0; i < 4; i++)
        spread_signed(_mm512_sub_epi8(sc[i], bytes_of(32)), s->scales + 4 * i);
    transpose4(row, at + offsetof(struct block_q3_k, d) - 14, h);
    s->d = high_half(h[3]);
}

INLINE void fill_iq4_xs(struct super *s, const uint8_t *const row[16], size_t at)
{
    UNROLL
    for (int z = 0; z < 4; z++)
        transpose8(row, at + offsetof(struct block_iq4_xs, qs) + 32 * (size_t)z, s->w + 8 * z);
    __m512i h[4];
    transpose4(row, at, h); /* d and scales_h; scales_l */
    s->d = low_half(h[0]);
    UNROLL
    for (int g = 0; g < 8; g++) {
        __m512i lo = _mm512_and_si512(_mm512_srli_epi32(h[1], 4 * (unsigned)g), words_of(15));
        __m512i hi = _mm512_and_si512(_mm512_srli_epi32(h[0], 16 + 2 * (unsigned)g), words_of(3));
        s->scales[g] = _mm512_sub_epi32(_mm512_or_si512(lo, _mm512_slli_epi32(hi, 4)),
                                        words_of(32));
    }
}

/* Some tokens' activations of one superblock: token i's bytes begin at q + i * stride. */
struct acts {
    const int8_t *q;
    const int16_t *sum16, *sum32;
    const float *d;
    size_t stride; /* in bytes, of all four */
};

/* The activations of token x and those behind it, from the stretch on. */
INLINE struct acts acts_of(const struct span *c, const char *x)
{
    return (struct acts){(const int8_t *)x + 256 * c->block,
                     (const int16_t *)(const void *)(x + act_q8k_sum16(c->k)) + 16 * c->block,
                     (const int16_t *)(const void *)(x + act_q8k_sum32(c->k)) + 8 * c->block,
                     (const float *)(const void *)(x + act_q8k_d(c->k)) + c->block, c->x_row_bytes};
}

INLINE struct acts acts_next(struct acts a)
{
    return (struct acts){a.q + 256, a.sum16 + 16, a.sum32 + 8, a.d + 1, a.stride};
}

/* The lanes of a row, in row256.h's order. */
INLINE __m512 add_four(__m512 a, __m512 b, __m512 c, __m512 d)
{
    return _mm512_add_ps(_mm512_add_ps(a, c), _mm512_add_ps(b, d));
}

#endif
