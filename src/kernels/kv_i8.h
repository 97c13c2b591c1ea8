/* SPDX-License-Identifier: Apache-2.0
 * kv_i8.h - how int8 keys and values lie in a page, and the queries that meet them.
 *
 * A row is rotated (kernels.h, rotate) in blocks of kv_i8_rotation columns, so that no column is much
 * larger than others, then rounded to x = scale * cell, |cell| <= 127, with a scale per KV_I8_GROUP
 * columns. The products of integers are what attention spends its time with; for them a 32-bit lane
 * takes four cells at once, and lanes are what nothing has to be summed over:
 *
 *   keys    [slot / 16][col / 4][slot % 16][4 columns]     a lane is a key
 *   values  [col / 64][slot / 4][col % 64][4 slots]        a lane is a column
 *   scales  [col / 64][slot]                               floats, behind the cells
 *
 * The four cells stand in the order 0, 2, 1, 3: shifts then make pairs (0, 1) and (2, 3) of 16-bit
 * numbers of them. Rows have a multiple of 16 columns; what the last ones hold does not matter.
 *
 * A query is 16-bit numbers in the same groups: x = scale * q, |q| <= 32767. Of q and keys all sums over
 * a group fit into 32 bits, and of KERNEL_SPAN values and 16-bit weights too: they are exact. */
#ifndef KERNELS_KV_I8_H
#define KERNELS_KV_I8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_I8_GROUP 64
#define KV_I8_SLOTS 16 /* of a block of keys: pages have a multiple of it */
#define KV_I8_CHUNK 256 /* columns, a multiple of all rotations and of a group */

static inline int kv_i8_cols(int dim) { return (dim + 15) & ~15; }
static inline int kv_i8_groups(int dim) { return (dim + KV_I8_GROUP - 1) / KV_I8_GROUP; }

/* The largest power of two up to KV_I8_CHUNK that divides dim. */
static inline int kv_i8_rotation(int dim)
{
    int block = dim & -dim;
    return block < KV_I8_CHUNK ? block : KV_I8_CHUNK;
}

static inline int kv_i8_in_four(int i) { return (i & 1) << 1 | (i >> 1 & 1); }

/* Where a cell lies, in bytes from the first of its kv head. */
static inline size_t kv_i8_key(int cols, int slot, int col)
{
    return (size_t)(slot / KV_I8_SLOTS) * (size_t)cols * KV_I8_SLOTS +
           (size_t)(col / 4 * 64 + slot % KV_I8_SLOTS * 4 + kv_i8_in_four(col));
}

static inline size_t kv_i8_value(int cols, int page_tokens, int slot, int col)
{
    int before = col / KV_I8_GROUP * KV_I8_GROUP;
    int n = cols - before < KV_I8_GROUP ? cols - before : KV_I8_GROUP;
    return (size_t)before * (size_t)page_tokens +
           (size_t)(slot / 4 * n * 4 + (col - before) * 4 + kv_i8_in_four(slot));
}

/* An encoded query: int16_t q[cols], of which those from k_dim on are 0; float scales[groups]; a
 * multiple of 64 bytes. */
static inline size_t kv_i8_query_scales(int k_dim) { return (size_t)kv_i8_cols(k_dim) * 2; }
static inline size_t kv_i8_query_bytes(int k_dim)
{
    return (kv_i8_query_scales(k_dim) + (size_t)kv_i8_groups(k_dim) * 4 + 63) & ~(size_t)63;
}

#endif
