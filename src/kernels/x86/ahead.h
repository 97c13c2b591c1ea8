/* SPDX-License-Identifier: Apache-2.0
 * ahead.h - fetching the tile of weights that comes next, while this one is worked on. */
#ifndef KERNELS_X86_AHEAD_H
#define KERNELS_X86_AHEAD_H
#include <stddef.h>
#include <stdint.h>
#include "src/kernels/variants.h"

/* n_left segments of `segment` bytes, and how many of their lines to fetch in a step. */
struct ahead {
    const uint8_t *p;
    size_t at, segment, stride;
    int64_t n_left, lines;
};

/* `bytes` of each of n_rows rows, w_row_bytes apart, from p on, spread over n_steps calls of
 * fetch_ahead() (none, if rows are empty). Whole rows are one piece of memory and are fetched from one
 * end to the other, as memory likes it: q4_k, 2 tokens, from memory, Zen 5, one thread: 1.35 ns per 32
 * weights when all rows were fetched side by side, 0.60 so. */
INLINE struct ahead ahead_begin(const uint8_t *p, size_t bytes, size_t w_row_bytes, int64_t n_rows,
                                int64_t n_steps)
{
    bool is_whole = bytes == w_row_bytes;
    struct ahead a = {p, 0, is_whole ? (size_t)n_rows * bytes : bytes, w_row_bytes,
                      is_whole ? 1 : n_rows, 0};
    int64_t lines = a.n_left * (int64_t)((a.segment + 63) / 64);
    if (n_steps) a.lines = (lines + n_steps - 1) / n_steps;
    return a;
}

/* How many passes go over a tile if n_x tokens are taken `most` (a power of two) at a time, the rest
 * by ever smaller powers of two. */
INLINE int64_t n_passes(int64_t n_x, int most)
{
    return n_x / most + __builtin_popcountll((uint64_t)(n_x % most));
}

/* Fetches into the L2 cache. Into the L1 cache it was no faster than no fetching: these reads wait in
 * line before those that are needed now. */
INLINE void fetch_ahead(struct ahead *a)
{
    for (int64_t i = 0; i < a->lines; i++) {
        __builtin_prefetch(a->p + a->at, 0, 2);
        a->at += 64;
        if (a->at < a->segment) continue;
        a->at = 0;
        a->p += a->stride;
        if (!--a->n_left) a->lines = 0;
    }
}

#endif
