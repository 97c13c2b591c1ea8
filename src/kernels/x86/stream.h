/* SPDX-License-Identifier: Apache-2.0
 * stream.h - reading weights from memory. Included by files built with any x86 flags. */
#ifndef KERNELS_X86_STREAM_H
#define KERNELS_X86_STREAM_H
#include <immintrin.h>
#include <stdint.h>
#include "src/kernels/variants.h"
#include "src/tensor/planes.h"

/* Called with every `step` bytes that a kernel is about to read, in order. In the middle of a page
 * it fetches the beginning of the next one: prefetchers of hardware follow a stream to the end of
 * its 4 KB page and have to find it again behind it. */
INLINE void next_page(const uint8_t *p, size_t step)
{
    uintptr_t at = (uintptr_t)p;
    if (((at + 2048) & 4095) >= step) return;
    const char *next = (const char *)((at & ~(uintptr_t)4095) + 4096);
    _mm_prefetch(next, _MM_HINT_T0);
    _mm_prefetch(next + 64, _MM_HINT_T0);
}

/* The same for a kernel that computes: it has too few loads in flight to keep memory busy, so lines
 * that come AHEAD bytes later are asked for as well, at the furthest level, which takes no place
 * among the misses of L1. step is a constant. Zen 4, q4_k, share of a plain read with one and two
 * threads: 0.69 and 0.80 without any of this, 0.89 and 0.90 with next_page alone, 0.97 and 1.0 with
 * both; lines ahead alone 0.62 and 0.68; nearer than 4 KB or into L1 they made it slower, and so
 * did reading several rows at once (0.3 to 0.6). The kernels of 32-blocks do so on Intel's CPUs only
 * (CPU_AHEAD): there the dense Q8_0 file decodes 1.2 to 1.5 times as fast (Emerald Rapids, 2 threads), on
 * Zen 4 it became slower. Level and distance (3 to 12 KB) make no difference on Emerald Rapids. */
#ifndef STREAM_AHEAD
#define STREAM_AHEAD 6144
#endif
INLINE void stream_ahead(const uint8_t *p, const size_t step)
{
    next_page(p, step);
    UNROLL
    for (size_t i = 0; i < step; i += 64)
        _mm_prefetch((const char *)p + STREAM_AHEAD + i, _MM_HINT_T2);
}

/* For tile `at` of planes 0..i: lines are asked for by the first tile that reaches into them. */
INLINE void planes_ahead(const struct planes *p, int i, size_t at)
{
    stream_ahead(p->plane[0] + 64 * at, 64);
    if (i > 4) stream_ahead(p->plane[5] + 64 * at, 64);
    for (int k = 1; k <= (i < 4 ? i : 4); k++)
        if ((at & 1) != (k & 1)) stream_ahead(p->plane[k] + 32 * at, 64);
    if (!(at & 7)) stream_ahead((const uint8_t *)p->scales + 8 * at, 64);
}

/* The two variants of a kernel of 32-blocks: mul_NAME_ISA and mul_NAME_ISA_ahead, from mul_NAME(..., ahead). */
#define AHEAD_VARIANT(name, variant, ahead)                                                        \
    void mul_##name##_##variant(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,      \
                                const void *x, size_t x_row_bytes, int64_t n_x, float *y,          \
                                size_t y_stride)                                                   \
    {                                                                                              \
        mul_##name(w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride, ahead);            \
    }
#define AHEAD_VARIANTS(name, isa)                                                                  \
    AHEAD_VARIANT(name, isa, false)                                                                \
    AHEAD_VARIANT(name, isa##_ahead, true)

#endif
