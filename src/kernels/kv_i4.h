/* SPDX-License-Identifier: Apache-2.0
 * kv_i4.h - how keys and values of 4 bits lie in a page: as those of kv_i8.h, rotated, with a scale per
 * KV_I8_GROUP columns, but eight cells to a 32-bit lane:
 *
 *   keys    [slot / 16][col / 8][slot % 16][8 columns]
 *   values  [col / 64][slot / 8][col % 64][8 slots]
 *   scales  [col / 64][slot]                               floats, behind the cells
 *
 * x = scale * cell, -8 <= cell <= 7; the largest |x| of a group becomes -8, so a scale may be negative.
 * Cell i of a lane stands in its lower (even i) or upper (odd i) 16 bits, i / 2 cells of 4 bits up: shifts
 * then make pairs (0, 1), (2, 3), (4, 5) and (6, 7) of 16-bit numbers. Rows have a multiple of 16 columns. */
#ifndef KERNELS_KV_I4_H
#define KERNELS_KV_I4_H
#include "src/kernels/kv_i8.h"

/* Where the byte with a cell is, from the first of its kv head, and whether the cell is its upper half. */
struct kv_i4_place {
    size_t byte;
    bool is_high;
};

static inline struct kv_i4_place kv_i4_in_lane(size_t lane, int i)
{
    return (struct kv_i4_place){4 * lane + (size_t)(i & 1) * 2 + (size_t)(i >> 2), i & 2};
}

static inline struct kv_i4_place kv_i4_key(int cols, int slot, int col)
{
    size_t lane = (size_t)(slot / KV_I8_SLOTS * (cols / 8) * KV_I8_SLOTS + col / 8 * KV_I8_SLOTS +
                           slot % KV_I8_SLOTS);
    return kv_i4_in_lane(lane, col % 8);
}

static inline struct kv_i4_place kv_i4_value(int cols, int page_tokens, int slot, int col)
{
    int before = col / KV_I8_GROUP * KV_I8_GROUP;
    int n = cols - before < KV_I8_GROUP ? cols - before : KV_I8_GROUP;
    size_t lane = (size_t)(before * (page_tokens / 8) + slot / 8 * n + col - before);
    return kv_i4_in_lane(lane, slot % 8);
}

static inline void kv_i4_put(uint8_t *cells, struct kv_i4_place at, int cell)
{
    uint8_t *b = cells + at.byte;
    *b = at.is_high ? (uint8_t)((*b & 0x0f) | (cell & 15) << 4) : (uint8_t)((*b & 0xf0) | (cell & 15));
}

static inline int kv_i4_get(const uint8_t *cells, struct kv_i4_place at)
{
    int cell = cells[at.byte] >> (at.is_high ? 4 : 0) & 15;
    return cell < 8 ? cell : cell - 16;
}

#endif
