/* SPDX-License-Identifier: Apache-2.0
 * attend_body.h - attention over one span of f32 or f16 keys, in whatever vector the file that includes
 * it has chosen (vec_*.h).
 *
 * The queries go in tiles of up to TILE_QUERIES, so that a key or value is converted to floats once
 * for all of a tile. Canonical order, whatever the tile: a score by lanes over the dimensions and
 * one tree; l by lanes over the keys (key i of the span in lane i % LANES) and one tree; acc by fma
 * over the keys, ascending. */
#include "src/kernels/attend_soften.h"

typedef vf (*load_fn)(const void *p);
enum { TILE_QUERIES = 6, FETCH_KEYS = 16 };

struct cells {
    load_fn load;
    int bytes;
};

/* Scores, then weights, of a tile; with room for those of keys that repeat the last one. */
typedef float scores[TILE_QUERIES][KERNEL_SPAN + 16];

INLINE vf load_end(struct cells c, const uint8_t *p, int64_t n)
{
    uint8_t copy[LANES * 4] = {0};
    memcpy(copy, p, (size_t)n * (size_t)c.bytes);
    return c.load(copy);
}

/* page_tokens is a power of two: no division for every key. */
INLINE int page_of(const struct attend_args *a, int i)
{
    return i >> __builtin_ctz((unsigned)a->page_tokens);
}

INLINE const uint8_t *key_row(const struct attend_args *a, int i)
{
    return a->pages[page_of(a, i)].k + (size_t)(i & (a->page_tokens - 1)) * a->k_row_bytes;
}

INLINE const uint8_t *value_row(const struct attend_args *a, int i)
{
    return a->pages[page_of(a, i)].v + (size_t)(i & (a->page_tokens - 1)) * a->v_row_bytes;
}

/* What lies at [p, p + bytes), towards the second level of the cache. */
INLINE void fetch(const uint8_t *p, int bytes)
{
    for (int i = 0; i < bytes; i += 64)
        __builtin_prefetch(p + i, 0, 2);
}

/* Keys and values that the tile of keys at i is followed by, as the caller asks. */
INLINE void fetch_rows(struct cells c, const struct attend_args *a, int i, int end, const int n_keys)
{
    for (int stop = i + n_keys < end ? i + n_keys : end; i < stop; i++) {
        if (a->fetch_k && i + FETCH_KEYS < end)
            fetch(key_row(a, i + FETCH_KEYS), a->k_dim * c.bytes);
        if (a->fetch_v) fetch(value_row(a, i), a->v_dim * c.bytes);
    }
}

/* s[j][i0 + i] = q_j . k_(i0 + i), both counts constant, n_keys 4 or 8, or 2 for an even n_q. Keys
 * beyond `end` repeat the last one. */
INLINE void score_tile(struct cells c, const struct attend_args *a, int j0, int i0, int end,
                       const int n_q, const int n_keys, scores s)
{
    const uint8_t *keys[8];
    vf sum[24];
    UNROLL
    for (int i = 0; i < n_keys; i++)
        keys[i] = key_row(a, i0 + i < end ? i0 + i : end - 1);
    UNROLL
    for (int i = 0; i < n_q * n_keys; i++)
        sum[i] = vf_zero();
    const size_t stride = a->q_bytes / sizeof(float);
    const float *q = (const float *)a->q + (size_t)j0 * stride;
    int d = 0;
    for (; d + LANES <= a->k_dim; d += LANES) {
        vf k[8];
        UNROLL
        for (int i = 0; i < n_keys; i++)
            k[i] = c.load(keys[i] + (size_t)d * (size_t)c.bytes);
        UNROLL
        for (int j = 0; j < n_q; j++) {
            vf x = vf_load(q + (size_t)j * stride + d);
            UNROLL
            for (int i = 0; i < n_keys; i++)
                sum[n_keys * j + i] = vf_fma(x, k[i], sum[n_keys * j + i]);
        }
    }
    if (d < a->k_dim)
        UNROLL
        for (int i = 0; i < n_keys; i++) {
            vf k = load_end(c, keys[i] + (size_t)d * (size_t)c.bytes, a->k_dim - d);
            UNROLL
            for (int j = 0; j < n_q; j++) {
                vf x = vf_load_part(q + (size_t)j * stride + d, a->k_dim - d);
                sum[n_keys * j + i] = vf_fma(x, k, sum[n_keys * j + i]);
            }
        }
    UNROLL
    for (int j = 0; j < n_q; j += n_keys == 2 ? 2 : 1)
        UNROLL
        for (int i = 0; i < n_keys; i += 4) {
            const vf *x = sum + n_keys * j + i;
            float two[4], *out = n_keys == 2 ? two : s[j] + i0 + i;
            vf_sum4(x[0], x[1], x[2], x[3], out);
            if (n_keys > 2) continue;
            memcpy(s[j] + i0, two, 8);
            memcpy(s[j + 1] + i0, two + 2, 8);
        }
}

/* acc[j][d ...] (+)= sum_i p_j[i] v_i[d ...] over keys [i0, i1) and n_vecs vectors of values, n_q and
 * n_vecs constant; from_zero: acc is not added to. */
INLINE void values_tile(struct cells c, const struct attend_args *a, int j0, int d, int i0, int i1,
                        const int n_q, const int n_vecs, bool from_zero, scores p)
{
    vf sum[24];
    float *acc = a->acc + (size_t)j0 * (size_t)a->v_dim + d;
    UNROLL
    for (int j = 0; j < n_q; j++)
        UNROLL
        for (int e = 0; e < n_vecs; e++)
            sum[n_vecs * j + e] = from_zero ? vf_zero() : vf_load(acc + j * a->v_dim + e * LANES);
    for (int i = i0; i < i1;) {
        int stop = (i | (a->page_tokens - 1)) + 1;
        const uint8_t *v = value_row(a, i) + (size_t)d * (size_t)c.bytes;
        const uint8_t *next = v; /* to fetch what is there costs nothing */
        size_t next_row_bytes = a->v_row_bytes;
        if (a->next && j0 == 0) {
            next = a->next[page_of(a, i)].k + (size_t)(i & (a->page_tokens - 1)) * a->k_row_bytes +
                   (size_t)d * (size_t)c.bytes;
            next_row_bytes = a->k_row_bytes;
        }
        if (stop > i1) stop = i1;
        for (; i < stop; i++, v += a->v_row_bytes, next += next_row_bytes) {
            vf x[8];
            UNROLL
            for (int e = 0; e < n_vecs * LANES * c.bytes; e += 64)
                __builtin_prefetch(next + e, 0, 2);
            UNROLL
            for (int e = 0; e < n_vecs; e++)
                x[e] = c.load(v + e * LANES * c.bytes);
            UNROLL
            for (int j = 0; j < n_q; j++) {
                vf w = vf_set1(p[j][i]);
                UNROLL
                for (int e = 0; e < n_vecs; e++)
                    sum[n_vecs * j + e] = vf_fma(w, x[e], sum[n_vecs * j + e]);
            }
        }
    }
    UNROLL
    for (int j = 0; j < n_q; j++)
        UNROLL
        for (int e = 0; e < n_vecs; e++)
            vf_store(acc + j * a->v_dim + e * LANES, sum[n_vecs * j + e]);
}

/* The last columns, fewer than LANES. */
INLINE void values_end(struct cells c, const struct attend_args *a, int j, int d, const float *p)
{
    vf sum = vf_zero();
    for (int i = a->first[j]; i < a->end[j]; i++) {
        const uint8_t *v = value_row(a, i) + (size_t)d * (size_t)c.bytes;
        sum = vf_fma(vf_set1(p[i]), load_end(c, v, a->v_dim - d), sum);
    }
    vf_store_part(a->acc + (size_t)j * (size_t)a->v_dim + d, a->v_dim - d, sum);
}

/* All whole vectors of values of keys [i0, i1), none if the range is empty */
INLINE void values(struct cells c, const struct attend_args *a, int j0, int i0, int i1,
                   const int n_q, const int n_vecs, bool from_zero, scores p)
{
    int d = 0;
    for (; d + n_vecs * LANES <= a->v_dim; d += n_vecs * LANES)
        values_tile(c, a, j0, d, i0, i1, n_q, n_vecs, from_zero, p);
    for (; d + LANES <= a->v_dim; d += LANES)
        values_tile(c, a, j0, d, i0, i1, n_q, 1, from_zero, p);
}

/* Keys [i0, i1) of one query */
typedef void (*single_fn)(const struct attend_args *a, int j, int i0, int i1, bool from_zero,
                          scores p);

/* n_keys and n_vecs fill the registers for this n_q. Queries of a tile may see different keys: what
 * all of them see goes together, what some see before and after it goes query by query. */
INLINE void attend_tile(struct cells c, single_fn single, const struct attend_args *a, int j0,
                        const int n_q, const int n_more, const int n_keys, const int n_vecs)
{
    _Alignas(64) scores s;
    const int *first = a->first + j0, *end = a->end + j0;
    int lo = first[n_q - 1], hi = end[0];
    for (int i = first[0]; i < end[n_q - 1]; i += n_keys) {
        if (j0 == 0) fetch_rows(c, a, i, end[n_q - 1], n_keys);
        score_tile(c, a, j0, i, end[n_q - 1], n_q - n_more, n_keys, s);
        if (n_more)
            score_tile(c, a, j0 + n_q - n_more, i, end[n_q - 1], n_more, n_keys, s + n_q - n_more);
    }
    for (int j = 0; j < n_q; j++)
        soften(a, j0 + j, s[j]);
    if (lo >= hi) {
        for (int j = 0; j < n_q; j++)
            single(a, j0 + j, first[j], end[j], true, s + j);
    } else {
        for (int j = 0; j < n_q && first[0] < lo; j++)
            single(a, j0 + j, first[j], lo, true, s + j);
        values(c, a, j0, lo, hi, n_q, n_vecs, first[0] == lo, s);
        for (int j = 0; j < n_q; j++)
            if (hi < end[j]) single(a, j0 + j, hi, end[j], false, s + j);
    }
    int d = a->v_dim / LANES * LANES;
    for (int j = 0; d < a->v_dim && j < n_q; j++)
        values_end(c, a, j0 + j, d, s[j]);
}

/* How many keys and how many vectors of values go with n queries. With 16 registers 12 sums leave
 * room for what is added to them, with 32 registers 24. MORE of a tile's queries come second, over the
 * same keys. */
#define BY_REGISTERS(few, many) VECTORS > 16 ? many : few
enum {
    KEYS_1 = 8, KEYS_2 = 4, KEYS_3 = 4, KEYS_4 = BY_REGISTERS(2, 4), KEYS_5 = 4,
    KEYS_6 = BY_REGISTERS(2, 4),
    MORE_1 = 0, MORE_2 = 0, MORE_3 = 0, MORE_4 = 0, MORE_5 = BY_REGISTERS(2, 0), MORE_6 = 0,
    VALUES_1 = 8, VALUES_2 = BY_REGISTERS(4, 8), VALUES_3 = BY_REGISTERS(4, 8),
    VALUES_4 = BY_REGISTERS(2, 4), VALUES_5 = BY_REGISTERS(2, 4), VALUES_6 = BY_REGISTERS(2, 4)
};

#define TILE(name, bytes, n)                                                                       \
    static void tile##n##_##name(const struct attend_args *a, int j)                               \
    {                                                                                              \
        attend_tile((struct cells){vf_load_##name, bytes}, single_##name, a, j, n, MORE_##n,       \
                    KEYS_##n, VALUES_##n);                                                         \
    }

typedef void (*tile_fn)(const struct attend_args *a, int j);

static void attend(const tile_fn tiles[TILE_QUERIES], const struct attend_args *a)
{
    for (int j = 0, n; j < a->n_q; j += n) {
        int left = a->n_q - j, n_tiles = (left + TILE_QUERIES - 1) / TILE_QUERIES;
        n = (left + n_tiles - 1) / n_tiles;
        tiles[n - 1](a, j);
    }
}

#define ATTEND(name, bytes)                                                                        \
    static void single_##name(const struct attend_args *a, int j, int i0, int i1, bool from_zero,  \
                              scores p)                                                      \
    {                                                                                              \
        values((struct cells){vf_load_##name, bytes}, a, j, i0, i1, 1, VALUES_1, from_zero, p);    \
    }                                                                                              \
    TILE(name, bytes, 1)                                                                           \
    TILE(name, bytes, 2)                                                                           \
    TILE(name, bytes, 3)                                                                           \
    TILE(name, bytes, 4)                                                                           \
    TILE(name, bytes, 5)                                                                           \
    TILE(name, bytes, 6)                                                                           \
    void VARIANT(attend_##name)(const struct attend_args *a)                                       \
    {                                                                                              \
        static const tile_fn tiles[TILE_QUERIES] = {tile1_##name, tile2_##name, tile3_##name,      \
                                                    tile4_##name, tile5_##name, tile6_##name};     \
        attend(tiles, a);                                                                          \
    }
ATTEND(f32, 4)
ATTEND(f16, 2)
