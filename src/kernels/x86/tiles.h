/* SPDX-License-Identifier: Apache-2.0
 * tiles.h - how the mul kernels go over weights when there is more than one token: which tiles of 16
 * rows, in which order, and what is fetched ahead. The tiles themselves are in tiles*.c. */
#ifndef KERNELS_X86_TILES_H
#define KERNELS_X86_TILES_H
#include <string.h>
#include "src/kernels/variants.h"
#include "src/kernels/x86/ahead.h"

/* Inputs that a tile holds of its rows: up to n_blocks blocks. */
struct stretch {
    int block_weights, block_bytes, n_blocks;
};

/* One tile and its tokens. */
struct span {
    int64_t k, block, n_blocks; /* of the rows; where this stretch begins, how many blocks it has */
    int64_t n_rows, n_x;
    size_t w_row_bytes, x_row_bytes, y_stride;
    const char *x;
};

/* y[t*y_stride + r] (+)= the tile of row[r] times token t; row: 16 of them, beyond n_rows the last
 * again. next: where the weights of the next tile begin. */
typedef void (*tile_fn)(const struct span *c, const uint8_t *const row[16], const uint8_t *next,
                        float *y);

enum { TILE_TOKENS = 8 }; /* of one pass over a tile */

/* The next tile of c, fetched in n_steps. */
INLINE struct ahead ahead_of(const struct span *c, const uint8_t *next, int block_bytes, int64_t n_steps)
{
    return ahead_begin(next, (size_t)c->n_blocks * (size_t)block_bytes, c->w_row_bytes, 16, n_steps);
}

/* Fetches what a pass will write: a store that misses holds up all later ones. */
INLINE void fetch_y(const float *y, size_t y_stride, int n)
{
    for (int i = 0; i < n; i++)
        __builtin_prefetch(y + (size_t)i * y_stride, 0, 3);
}

/* Few tokens: rows outside, since their weights stream from memory. Many: stretches outside, so that
 * a stretch of all tokens stays in the L2 cache. */
INLINE void mul_tiles(tile_fn tile, struct stretch s, const uint8_t *w, size_t w_row_bytes,
                      int64_t n_rows, int64_t k, const void *x, size_t x_row_bytes, int64_t n_x,
                      float *y, size_t y_stride)
{
    const int64_t n_blocks = k / s.block_weights, n_tiles = (n_rows + 15) / 16;
    const int64_t n_stretches = n_blocks ? (n_blocks + s.n_blocks - 1) / s.n_blocks : 1;
    const bool rows_outside = (size_t)n_x * x_row_bytes <= (size_t)256 << 10;
    const size_t bytes = (size_t)s.n_blocks * (size_t)s.block_bytes;
    struct span c = {.k = k, .n_x = n_x, .w_row_bytes = w_row_bytes, .x_row_bytes = x_row_bytes,
                     .y_stride = y_stride, .x = x};
    int64_t row = 0, stretch = 0;
    while (row < n_tiles && stretch < n_stretches) {
        int64_t next_row = rows_outside ? row : row + 1;
        int64_t next_stretch = rows_outside ? stretch + 1 : stretch;
        if (rows_outside && next_stretch == n_stretches) next_stretch = 0, next_row++;
        if (!rows_outside && next_row == n_tiles) next_row = 0, next_stretch++;
        c.block = stretch * s.n_blocks;
        c.n_blocks = n_blocks - c.block < s.n_blocks ? n_blocks - c.block : s.n_blocks;
        c.n_rows = n_rows - 16 * row < 16 ? n_rows - 16 * row : 16;
        const uint8_t *rows[16];
        for (int64_t r = 0; r < 16; r++)
            rows[r] = w + (size_t)(16 * row + (r < c.n_rows ? r : c.n_rows - 1)) * w_row_bytes;
        tile(&c, rows, w + (size_t)(16 * next_row) * w_row_bytes + (size_t)next_stretch * bytes,
             y + 16 * row);
        row = next_row;
        stretch = next_stretch;
    }
}

#define TILES(name, isa) __typeof__(*((struct kernels *)0)->mul_f32) tiles_##name##_##isa;
TILES(q4_0, vnni)
TILES(q4_1, vnni)
TILES(q5_0, vnni)
TILES(q5_1, vnni)
TILES(q8_0, vnni)
TILES(iq4_nl, vnni)
TILES(q2_k, vnni)
TILES(q3_k, vnni)
TILES(q4_k, vnni)
TILES(q5_k, vnni)
TILES(q6_k, vnni)
TILES(iq4_xs, vnni)
#undef TILES

#endif
