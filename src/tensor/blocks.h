/* SPDX-License-Identifier: Apache-2.0
 * blocks.h - how the quantized weight types lie in a GGUF file, as structs of bytes.
 *
 * Owns the layouts and their static asserts; the values they stand for are defined by
 * kernels/ref/blocks32.c and blocks256.c. Every member is a byte or an array of bytes, so a block
 * may stand at any address. Two-byte fields are little-endian; d, m and dmin are f16.
 * All supported machines are little-endian. */
#ifndef TENSOR_BLOCKS_H
#define TENSOR_BLOCKS_H
#include <stdint.h>
#include <string.h>

/* 32 weights. w = d * (nibble - 8); low nibbles are elements 0..15, high nibbles 16..31. */
struct block_q4_0 {
    uint8_t d[2], qs[16];
};
/* w = d * nibble + m */
struct block_q4_1 {
    uint8_t d[2], m[2], qs[16];
};
/* w = d * (nibble + 16 * bit - 16); bit i of qh belongs to element i */
struct block_q5_0 {
    uint8_t d[2], qh[4], qs[16];
};
/* w = d * (nibble + 16 * bit) + m */
struct block_q5_1 {
    uint8_t d[2], m[2], qh[4], qs[16];
};
/* w = d * q */
struct block_q8_0 {
    uint8_t d[2], qs[32];
};
/* w = d * table[nibble] */
struct block_iq4_nl {
    uint8_t d[2], qs[16];
};

/* 256 weights, groups of 16. w = d * (scale & 15) * q2 - dmin * (scale >> 4) */
struct block_q2_k {
    uint8_t scales[16], qs[64], d[2], dmin[2];
};
/* w = d * (scale6 - 32) * (q2 + 4 * bit - 4); hmask bit (4 * half + shift / 2) */
struct block_q3_k {
    uint8_t hmask[32], qs[64], scales[12], d[2];
};
/* groups of 32. w = d * scale6 * nibble - dmin * min6 */
struct block_q4_k {
    uint8_t d[2], dmin[2], scales[12], qs[128];
};
/* w = d * scale6 * (nibble + 16 * bit) - dmin * min6 */
struct block_q5_k {
    uint8_t d[2], dmin[2], scales[12], qh[32], qs[128];
};
/* groups of 16. w = d * scale8 * (q6 - 32) */
struct block_q6_k {
    uint8_t ql[128], qh[64], scales[16], d[2];
};
/* groups of 32. w = d * (scale6 - 32) * table[nibble] */
struct block_iq4_xs {
    uint8_t d[2], scales_h[2], scales_l[4], qs[128];
};

_Static_assert(sizeof(struct block_q4_0) == 18, "block_q4_0");
_Static_assert(sizeof(struct block_q4_1) == 20, "block_q4_1");
_Static_assert(sizeof(struct block_q5_0) == 22, "block_q5_0");
_Static_assert(sizeof(struct block_q5_1) == 24, "block_q5_1");
_Static_assert(sizeof(struct block_q8_0) == 34, "block_q8_0");
_Static_assert(sizeof(struct block_iq4_nl) == 18, "block_iq4_nl");
_Static_assert(sizeof(struct block_q2_k) == 84, "block_q2_k");
_Static_assert(sizeof(struct block_q3_k) == 110, "block_q3_k");
_Static_assert(sizeof(struct block_q4_k) == 144, "block_q4_k");
_Static_assert(sizeof(struct block_q5_k) == 176, "block_q5_k");
_Static_assert(sizeof(struct block_q6_k) == 210, "block_q6_k");
_Static_assert(sizeof(struct block_iq4_xs) == 136, "block_iq4_xs");

/* The 16 values of iq4_nl and iq4_xs. */
#define IQ4_TABLE                                                                                 \
    {                                                                                             \
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113                  \
    }

static inline uint16_t block_u16(const uint8_t p[2])
{
    return (uint16_t)(p[0] | p[1] << 8);
}

/* Small scales as the bytes of words, the first in the lowest byte: in registers, since a vector
 * load of bytes just stored one by one has to wait for them. */
struct block_scales {
    uint64_t a, b;
};

static inline struct block_scales block_scales_words(const uint32_t v[4])
{
    return (struct block_scales){v[0] | (uint64_t)v[1] << 32, v[2] | (uint64_t)v[3] << 32};
}

/* The eight 6-bit scales (a) and mins (b) of q4_k and q5_k from 12 packed bytes.
 *   bytes 0..3: scale 0..3 (low 6 bits), top bits of scale 4..7;  bytes 4..7: the same for mins;
 *   bytes 8..11: low nibbles of scale 4..7, then of min 4..7. */
static inline struct block_scales block_scales_k4(const uint8_t p[12])
{
    uint32_t a, b, c;
    memcpy(&a, p, 4);
    memcpy(&b, p + 4, 4);
    memcpy(&c, p + 8, 4);
    const uint32_t v[4] = {a & 0x3f3f3f3fu, (c & 0x0f0f0f0fu) | (a >> 2 & 0x30303030u),
                           b & 0x3f3f3f3fu, (c >> 4 & 0x0f0f0f0fu) | (b >> 2 & 0x30303030u)};
    return block_scales_words(v);
}

/* The sixteen 6-bit scales of q3_k, still with their offset of 32: low nibbles of bytes 0..7, then
 * their high nibbles; the top two bits of scale i are bits 2(i/4).. of byte 8 + i%4. */
static inline struct block_scales block_scales_q3(const uint8_t p[12])
{
    uint32_t a, b, c;
    memcpy(&a, p, 4);
    memcpy(&b, p + 4, 4);
    memcpy(&c, p + 8, 4);
    const uint32_t v[4] = {(a & 0x0f0f0f0fu) | (c << 4 & 0x30303030u),
                           (b & 0x0f0f0f0fu) | (c << 2 & 0x30303030u),
                           (a >> 4 & 0x0f0f0f0fu) | (c & 0x30303030u),
                           (b >> 4 & 0x0f0f0f0fu) | (c >> 2 & 0x30303030u)};
    return block_scales_words(v);
}

#endif
