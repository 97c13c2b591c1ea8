/* SPDX-License-Identifier: Apache-2.0
 * attend_i8_body.h - attention over one span of keys of 8 bits (kv_i8.h), or, where CELL_BITS is 4, of 4
 * (kv_i4.h), in whatever vectors the file that includes it has chosen: vec_*.h for floats, and for integers
 *
 *   vi                     LANES 32-bit lanes
 *   vi_load(p)             four cells a lane, or eight
 *   vi_even(x) vi_odd(x)   cells 0, 1 and 2, 3 of a lane as two 16-bit numbers
 *   vi_nibbles(x, t)       cells 2t, 2t + 1 of 4 bits, in the same way; t is constant
 *   vi_join(lo, hi)        the lower bytes of both, those of hi above
 *   vi_pair(p)             two 16-bit numbers, in every lane
 *   vi_dot(sum, x, w)      sum + the two products of a lane
 *   vi_float(x)            as floats
 *   vi_round16(p, v)       floats to 16 bits at p
 *   vi_turn(p, bytes, x)   of 4 x 4 cells in 128 bits, keys and columns exchanged; the next 128 bits
 *                          `bytes` behind
 *
 * Keys are scored in integers, a scale per group of columns; weights are rounded to 16 bits once per
 * group, so values are added up in integers too. All those sums are exact: queries that share a tile,
 * and slots that one of them does not see (its weight is 0), change nothing. Scores add their groups
 * in order. */
#include <string.h>
#include "src/kernels/attend_soften.h"
#include "src/kernels/kv_i8.h"

#ifndef CELL_BITS
#define CELL_BITS 8
#endif

enum {
    TILE_QUERIES = 6,
    BLOCKS = KERNEL_SPAN / KV_I8_SLOTS, /* of a span */
    LANE_CELLS = 32 / CELL_BITS,
    GROUP_LANES = KV_I8_GROUP / LANE_CELLS, /* of a group's columns */
    FETCH_BLOCKS = 2
};

/* With room for the keys of a tile that begins in the last block. */
typedef float scores[KERNEL_MAX_Q][KERNEL_SPAN + 64];
typedef int16_t weights[KERNEL_MAX_Q][KERNEL_SPAN];

/* Where the blocks of a span lie, and their scales in group 0; as far as queries see them. */
struct blocks {
    const uint8_t *keys[BLOCKS];
    const float *scales[BLOCKS];
    int first, end;
};

/* One group of columns of the values: the slots of a lane, of all columns, are quad_bytes. */
struct group {
    const uint8_t *quads[BLOCKS];
    int first, end; /* blocks */
    int n_cols, col;
    int quad_bytes;
};

INLINE const struct attend_page *page_of(const struct attend_args *a, int block)
{
    return &a->pages[block * KV_I8_SLOTS >> __builtin_ctz((unsigned)a->page_tokens)];
}

INLINE int slot_of(const struct attend_args *a, int block)
{
    return block * KV_I8_SLOTS & (a->page_tokens - 1);
}

INLINE const int16_t *query(const struct attend_args *a, int j)
{
    return (const int16_t *)((const char *)a->q + (size_t)j * a->q_bytes);
}

INLINE const float *query_scales(const struct attend_args *a, int j)
{
    const char *row = (const char *)query(a, j);
    return (const float *)(const void *)(row + kv_i8_query_scales(a->k_dim));
}

INLINE int cell_bytes(int n) { return n * CELL_BITS / 8; }

/* What lies at [p, p + bytes), towards the second level of the cache. */
INLINE void fetch(const void *p, int bytes)
{
    for (int i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)p + i, 0, 2);
}

/* Group g of a block of keys. */
INLINE void fetch_keys(const struct attend_args *a, const struct attend_page *pages, int block, int g)
{
    const struct attend_page *page = pages + (page_of(a, block) - a->pages);
    int cols = kv_i8_cols(a->k_dim), left = cols - g * KV_I8_GROUP, slot = slot_of(a, block);
    int n = left < KV_I8_GROUP ? left : KV_I8_GROUP;
    fetch(page->k + cell_bytes(slot * cols + g * KV_I8_GROUP * KV_I8_SLOTS), cell_bytes(n * KV_I8_SLOTS));
    fetch(page->k_scales + g * a->page_tokens + slot, 64);
}

INLINE void fetch_values(const struct attend_args *a, int block)
{
    const struct attend_page *page = page_of(a, block);
    int cols = kv_i8_cols(a->v_dim), slot = slot_of(a, block);
    for (int g = 0; g < kv_i8_groups(a->v_dim); g++) {
        int at = g * KV_I8_GROUP, n = cols - at < KV_I8_GROUP ? cols - at : KV_I8_GROUP;
        fetch(page->v + cell_bytes(at * a->page_tokens + slot * n), cell_bytes(n * KV_I8_SLOTS));
        fetch(page->v_scales + g * a->page_tokens + slot, 64);
    }
}

/* Cells 2t and 2t + 1 of every lane as 16-bit numbers. */
INLINE vi two_cells(vi x, const int t, const int bits)
{
#if CELL_BITS == 4
    if (bits == 4) return vi_nibbles(x, t);
#endif
    (void)bits;
    return t == 0 ? vi_even(x) : vi_odd(x);
}

/* sum[j][e] += the products of query (or weights) j, at w + j * stride, in every lane of the cells at
 * at[e]; both counts and the bits of a cell constant, at most 12 sums. */
INLINE void multiply(const uint8_t *const *at, int offset, const int16_t *w, size_t stride,
                     const int n_q, const int n_vecs, const int bits, vi *sum)
{
    vi x[4];
    UNROLL
    for (int t = 0; t < 16 / bits; t++) {
        UNROLL
        for (int e = 0; e < n_vecs; e++)
            x[e] = two_cells(vi_load(at[e] + offset), t, bits);
        UNROLL
        for (int j = 0; j < n_q; j++) {
            vi pair = vi_pair(w + (size_t)j * stride + 2 * t);
            UNROLL
            for (int e = 0; e < n_vecs; e++)
                sum[n_vecs * j + e] = vi_dot(sum[n_vecs * j + e], x[e], pair);
        }
    }
}

/* s[j][i] = q_j . k_i for n_vecs vectors of keys from i0 on; those beyond the last block repeat its end. */
INLINE void score_keys(const struct attend_args *a, const struct blocks *b, int j0, int i0,
                       const int n_q, const int n_vecs, scores s)
{
    const uint8_t *at[4];
    const float *scales[4], *q_scales = query_scales(a, j0);
    const int16_t *q = query(a, j0);
    const size_t stride = a->q_bytes / 2, scale_stride = a->q_bytes / 4;
    const int last = b->end * KV_I8_SLOTS - LANES, n_steps = (a->k_dim + LANE_CELLS - 1) / LANE_CELLS;
    UNROLL
    for (int e = 0; e < n_vecs; e++) {
        int i = i0 + e * LANES < last ? i0 + e * LANES : last;
        at[e] = b->keys[i / KV_I8_SLOTS] + i % KV_I8_SLOTS * 4;
        scales[e] = b->scales[i / KV_I8_SLOTS] + i % KV_I8_SLOTS;
    }
    for (int g = 0, c = 0; c < n_steps; g++) {
        const int stop = c + GROUP_LANES < n_steps ? c + GROUP_LANES : n_steps;
        vi sum[12];
        UNROLL
        for (int i = 0; i < n_q * n_vecs; i++)
            sum[i] = vi_zero();
        for (; c < stop; c++)
            multiply(at, c * 4 * KV_I8_SLOTS, q + LANE_CELLS * c, stride, n_q, n_vecs, CELL_BITS, sum);
        UNROLL
        for (int e = 0; e < n_vecs; e++) {
            vf k = vf_load(scales[e] + g * a->page_tokens);
            UNROLL
            for (int j = 0; j < n_q; j++) {
                float *out = s[j0 + j] + i0 + e * LANES;
                vf t = vf_mul(k, vf_set1(q_scales[(size_t)j * scale_stride + (size_t)g]));
                vf before = g ? vf_load(out) : vf_zero();
                vf_store(out, vf_fma(vi_float(sum[n_vecs * j + e]), t, before));
            }
        }
    }
}

INLINE void score_tile(const struct attend_args *a, const struct blocks *b, int j0, const int n_q,
                       const int n_vecs, scores s)
{
    int fetched = b->first;
    for (int i = b->first * KV_I8_SLOTS; i < b->end * KV_I8_SLOTS; i += n_vecs * LANES) {
        for (; j0 == 0 && fetched < b->end && fetched * KV_I8_SLOTS < i + n_vecs * LANES; fetched++) {
            for (int g = 0; a->fetch_k && fetched + FETCH_BLOCKS < b->end && g < kv_i8_groups(a->k_dim); g++)
                fetch_keys(a, a->pages, fetched + FETCH_BLOCKS, g);
            if (a->fetch_v) fetch_values(a, fetched);
        }
        score_keys(a, b, j0, i, n_q, n_vecs, s);
    }
}

/* acc[j][d ...] of n_vecs vectors of the group's columns from `at` on, in cells of `bits` */
INLINE void sum_values(const struct attend_args *a, const struct group *g, int j0, int at,
                       const int n_q, const int n_vecs, const int bits, weights w, const float *units)
{
    vi sum[12];
    UNROLL
    for (int i = 0; i < n_q * n_vecs; i++)
        sum[i] = vi_zero();
    for (int b = g->first; b < g->end; b++) {
        const uint8_t *cells[4];
        UNROLL
        for (int e = 0; e < n_vecs; e++)
            cells[e] = g->quads[b] + (at + e * LANES) * 4;
        if (a->next && j0 == 0 && at == 0) fetch_keys(a, a->next, b, g->col / KV_I8_GROUP);
        for (int i = 0; i < KV_I8_SLOTS * bits / 32; i++)
            multiply(cells, i * g->quad_bytes, w[j0] + b * KV_I8_SLOTS + 32 / bits * i, KERNEL_SPAN, n_q,
                     n_vecs, bits, sum);
    }
    UNROLL
    for (int j = 0; j < n_q; j++)
        UNROLL
        for (int e = 0; e < n_vecs; e++) {
            const int d = g->col + at + e * LANES;
            float *out = a->acc + (size_t)(j0 + j) * (size_t)a->v_dim + d;
            vf v = vf_mul(vi_float(sum[n_vecs * j + e]), vf_set1(units[j0 + j]));
            if (d + LANES <= a->v_dim) vf_store(out, v);
            else if (d < a->v_dim) vf_store_part(out, a->v_dim - d, v);
        }
}

INLINE void values_tile(const struct attend_args *a, const struct group *g, int j0, const int n_q,
                        const int n_vecs, const int bits, weights w, const float *units)
{
    int at = 0;
    for (; at + n_vecs * LANES <= g->n_cols; at += n_vecs * LANES)
        sum_values(a, g, j0, at, n_q, n_vecs, bits, w, units);
    for (; at < g->n_cols; at += LANES)
        sum_values(a, g, j0, at, n_q, 1, bits, w, units);
}

/* Weights p of query j times the values' scales, as 16-bit numbers in units of what is returned. */
INLINE float round_weights(const struct attend_args *a, const struct group *g, int j, float *p,
                           const float *const *scales, int16_t *out)
{
    float product[KERNEL_SPAN];
    vf most = vf_zero(), sum = vf_zero();
    const int from = g->first * KV_I8_SLOTS, to = g->end * KV_I8_SLOTS;
    for (int i = from; i < to; i += LANES) {
        vf v = vf_mul(vf_load(p + i), vf_load(scales[i / KV_I8_SLOTS] + i % KV_I8_SLOTS));
        v = vf_keep(v, a->first[j] - i, a->end[j] - i, vf_zero());
        vf_store(product + i, v);
        most = vf_max(vf_max(v, vf_sub(vf_zero(), v)), most);
        sum = vf_add(sum, v);
    }
    const float largest = vf_largest(most);
    const bool is_number = vf_sum(sum) < INFINITY; /* no weight and no scale is NaN */
    if (!is_number || !(largest >= 0x1p-100f)) {
        memset(out + from, 0, (size_t)(to - from) * sizeof *out);
        return is_number ? 0 : NAN;
    }
    const vf f = vf_set1(32767 / largest);
    for (int i = from; i < to; i += LANES)
        vi_round16(out + i, vf_mul(vf_load(product + i), f));
    return largest / 32767;
}

/* Four columns of LANES keys, as bytes: those from 4 c on. */
INLINE vi key_bytes(const uint8_t *keys, int c, int k)
{
#if CELL_BITS == 4
    vi x = vi_load(keys + c / 2 * 4 * KV_I8_SLOTS + k * 4);
    return c % 2 ? vi_join(vi_nibbles(x, 2), vi_nibbles(x, 3)) : vi_join(vi_nibbles(x, 0), vi_nibbles(x, 1));
#else
    return vi_load(keys + c * 4 * KV_I8_SLOTS + k * 4);
#endif
}

/* The group of the values that are columns of the keys: turned, so that a lane is a column, of 4 bytes. */
INLINE void turn_keys(const struct blocks *b, struct group *g, uint8_t *out)
{
    g->quad_bytes = 4 * g->n_cols;
    for (int i = b->first; i < b->end; i++, out += g->n_cols * KV_I8_SLOTS) {
        const uint8_t *keys = b->keys[i] + cell_bytes(g->col * KV_I8_SLOTS);
        g->quads[i] = out;
        for (int c = 0; c < g->n_cols / 4; c++)
            for (int k = 0; k < KV_I8_SLOTS; k += LANES)
                vi_turn(out + k / 4 * g->quad_bytes + c * 16, g->quad_bytes, key_bytes(keys, c, k));
    }
}

/* At most 12 sums: with 16 registers what is added to them has just room; with 32, 24 sums were slower
 * (49 and 70 cycles a key of 6 queries, Zen 4). */
enum { VECS_1 = 4, VECS_2 = 4, VECS_3 = 4, VECS_4 = 2, VECS_5 = 2, VECS_6 = 2 };

#define TILE(n)                                                                                    \
    static void scores##n(const struct attend_args *a, const struct blocks *b, int j0, scores s)   \
    {                                                                                              \
        score_tile(a, b, j0, n, VECS_##n, s);                                                      \
    }                                                                                              \
    static void values##n(const struct attend_args *a, const struct group *g, int j0, weights w,   \
                          const float *units)                                                      \
    {                                                                                              \
        values_tile(a, g, j0, n, VECS_##n, CELL_BITS, w, units);                                   \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

static void (*const score_tiles[])(const struct attend_args *a, const struct blocks *b, int j0,
                                   scores s) = {scores1, scores2, scores3, scores4, scores5, scores6};
typedef void (*value_tile)(const struct attend_args *a, const struct group *g, int j0, weights w,
                           const float *units);
static const value_tile value_tiles[] = {values1, values2, values3, values4, values5, values6};

#if CELL_BITS == 4
#define TURNED(n)                                                                                  \
    static void turned##n(const struct attend_args *a, const struct group *g, int j0, weights w,   \
                          const float *units)                                                      \
    {                                                                                              \
        values_tile(a, g, j0, n, VECS_##n, 8, w, units);                                           \
    }
TURNED(1)
TURNED(2)
TURNED(3)
TURNED(4)
TURNED(5)
TURNED(6)
static const value_tile turned_tiles[] = {turned1, turned2, turned3, turned4, turned5, turned6};
#define ATTEND VARIANT(attend_i4)
#else
#define turned_tiles value_tiles
#define ATTEND VARIANT(attend_i8)
#endif

/* Queries of the tile that begins with query j: tiles of about the same size. */
INLINE int tile_size(const struct attend_args *a, int j)
{
    int left = a->n_q - j, n_tiles = (left + TILE_QUERIES - 1) / TILE_QUERIES;
    return (left + n_tiles - 1) / n_tiles;
}

void ATTEND(const struct attend_args *a)
{
    _Alignas(64) scores s;
    _Alignas(64) weights w;
    _Alignas(64) uint8_t turned[KERNEL_SPAN * KV_I8_GROUP];
    float units[KERNEL_MAX_Q];
    struct blocks b = {.first = a->first[0] / KV_I8_SLOTS,
                       .end = (a->end[a->n_q - 1] + KV_I8_SLOTS - 1) / KV_I8_SLOTS};
    const int k_cols = kv_i8_cols(a->k_dim), v_cols = kv_i8_cols(a->v_dim);
    for (int i = b.first; i < b.end; i++) {
        b.keys[i] = page_of(a, i)->k + cell_bytes(slot_of(a, i) * k_cols);
        b.scales[i] = page_of(a, i)->k_scales + slot_of(a, i);
    }
    for (int j = 0, n; j < a->n_q; j += n) {
        n = tile_size(a, j);
        score_tiles[n - 1](a, &b, j, s);
    }
    for (int j = 0; j < a->n_q; j++)
        soften(a, j, s[j]);
    for (int col = 0; col < a->v_dim; col += KV_I8_GROUP) {
        struct group g = {.first = b.first, .end = b.end, .col = col, .n_cols = v_cols - col};
        const float *scales[BLOCKS];
        if (g.n_cols > KV_I8_GROUP) g.n_cols = KV_I8_GROUP;
        g.quad_bytes = 4 * g.n_cols;
        for (int i = b.first; i < b.end; i++) {
            const struct attend_page *page = page_of(a, i);
            g.quads[i] = page->v + cell_bytes(col * a->page_tokens + slot_of(a, i) * g.n_cols);
            scales[i] = (a->v_in_k ? page->k_scales : page->v_scales) + slot_of(a, i) +
                        col / KV_I8_GROUP * a->page_tokens;
        }
        if (a->v_in_k) turn_keys(&b, &g, turned);
        for (int j = 0; j < a->n_q; j++)
            units[j] = round_weights(a, &g, j, s[j], scales, w[j]);
        for (int j = 0, n; j < a->n_q; j += n) {
            n = tile_size(a, j);
            (a->v_in_k ? turned_tiles : value_tiles)[n - 1](a, &g, j, w, units);
        }
    }
}
