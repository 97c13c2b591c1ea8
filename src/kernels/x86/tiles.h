/* SPDX-License-Identifier: Apache-2.0
 * tiles.h - the many-token halves of the mul kernels, which live in files of their own: called by
 * mul_* where n_x > 1. */
#ifndef KERNELS_X86_TILES_H
#define KERNELS_X86_TILES_H
#include "src/kernels/kernels.h"

/* What the tiles of a stretch of inputs share. */
struct span {
    int64_t k, block, n_blocks; /* of the row; the stretch's first block and its length */
    int64_t n_rows;             /* of the tile */
    size_t w_row_bytes, x_row_bytes, y_stride;
};

/* Where a tile begins. */
struct place {
    int64_t row, chunk;
};

/* Few tokens: rows outside, since their weights stream from memory. Many: chunks outside, so that a
 * chunk of all tokens stays in the L2 cache. */
#define TILES_STREAM_BYTES ((size_t)256 << 10)
static inline struct place place_of(int64_t i, int64_t n_chunks, int64_t n_tiles, bool rows_outside)
{
    if (rows_outside) return (struct place){16 * (i / n_chunks), i % n_chunks};
    return (struct place){16 * (i % n_tiles), i / n_tiles};
}

#define TILES(name, isa) __typeof__(*((struct kernels *)0)->mul_f32) tiles_##name##_##isa;
TILES(q2_k, vnni)
TILES(q3_k, vnni)
TILES(q4_k, vnni)
TILES(q5_k, vnni)
TILES(q6_k, vnni)
TILES(iq4_xs, vnni)
#undef TILES

#endif
