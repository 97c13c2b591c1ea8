/* SPDX-License-Identifier: Apache-2.0
 * row256.h - one ACT_Q8K row times weights in superblocks of 256, for AVX2 and, where the file is
 * built for it, VNNI. Owns the order in which memory is read; row256_types.h knows the types.
 *
 * Why: decode is bound by memory, and what reads memory best is one stream of steady strides with
 * few operations in flight. So the rows of a call are one stream of superblocks, four at a time
 * whatever the length of a row: where a row ends among the four, its terms are masked apart. Four
 * superblocks share the decoding of their heads and one tree of additions.
 *
 * Canonical order, the same as in tiles of many tokens, in chunks of 8 superblocks of a row:
 *   S_b, M_b exact;  lane[b % 4] = fma(S_b, d_b dx_b, lane[b % 4]), then
 *   fma(-M_b, dmin_b dx_b, lane[b % 4]);
 *   (lane 0 + lane 2) + (lane 1 + lane 3); chunks one after the other.
 * The sum of lanes does not change when lanes are turned around, so a row may begin at any of them.
 *
 * Vectors of 32 bytes with VNNI too: on Zen 4 one of 64 costs two of 32, and 32 inputs that share
 * a scale fill one. Per 32 weights: 1 and a half for unpacking 4 bits, vpmaddubsw, vpshufd of the
 * scale, vpdpwssd (or vpmaddwd and vpaddd); about 36 (44) a superblock and 20 for all else. */
#ifndef KERNELS_X86_ROW256_H
#define KERNELS_X86_ROW256_H
#include <string.h>
#include "src/kernels/x86/narrow.h"
#include "src/kernels/x86/stream.h"
#include "src/tensor/blocks.h"

enum { CHUNK = 8, WRAP = 6 };

/* One activation row, from some superblock on. */
struct act {
    const int8_t *q;
    const float *d;
    const int16_t *sum16, *sum32;
};

/* What four superblocks say of their scales. A piece is 32 weights; dword j % 4 of scales[j / 4] is
 * the scale of piece j, twice in 16 bits, for the first 16 weights in the low lane, for the others
 * in the high one. */
struct heads {
    __m256i scales[4][2];
    __m256i minus[4]; /* sums to be taken from those of the superblock: an offset's share */
    __m128i mins;     /* M_b, for types that have them */
    __m128 d, dmin;
};
struct pieces {
    __m256i a, b;
};
struct type {
    struct heads (*heads)(const uint8_t *w, struct act x);
    struct pieces (*pieces)(const uint8_t *w, const int z); /* 2z and 2z + 1 */
    int block_bytes;
    bool has_dmin, has_offset;
    bool is_signed; /* the weights; else they are unsigned bytes */
};

INLINE __m256i add_products(struct type t, __m256i sum, __m256i w, const int8_t *x, __m256i scales)
{
    __m256i v = _mm256_loadu_si256((const void *)x);
    if (t.is_signed) v = _mm256_sign_epi8(v, w);
    __m256i p = _mm256_maddubs_epi16(t.is_signed ? _mm256_abs_epi8(w) : w, v);
#ifdef __AVX512VNNI__
    return _mm256_dpwssd_epi32(sum, p, scales);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(p, scales));
#endif
}

INLINE __m256i scale_of(const __m256i s[2], const int j)
{
    switch (j % 4) {
    case 0: return _mm256_shuffle_epi32(s[j / 4], 0x00);
    case 1: return _mm256_shuffle_epi32(s[j / 4], 0x55);
    case 2: return _mm256_shuffle_epi32(s[j / 4], 0xaa);
    default: return _mm256_shuffle_epi32(s[j / 4], 0xff);
    }
}

/* Adds up the lanes of four vectors: (sum a, sum b, sum c, sum d). */
INLINE __m128i add_lanes(const __m256i v[4])
{
    __m256i q = add_quads(v[0], v[1], v[2], v[3]);
    return _mm_add_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
}

/* S_b of four superblocks, piece by piece of all four: their sums wait for each other less. */
INLINE __m128i dots(struct type t, const struct heads *h, const uint8_t *w, const int8_t *x)
{
    __m256i sum[4], other[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        sum[i] = other[i] = _mm256_setzero_si256();
    UNROLL
    for (int z = 0; z < 4; z++)
        UNROLL
        for (int i = 0; i < 4; i++) {
            struct pieces p = t.pieces(w + i * t.block_bytes, z);
            const int8_t *v = x + 256 * i + 64 * z;
            sum[i] = add_products(t, sum[i], p.a, v, scale_of(h->scales[i], 2 * z));
            other[i] = add_products(t, other[i], p.b, v + 32, scale_of(h->scales[i], 2 * z + 1));
        }
    UNROLL
    for (int i = 0; i < 4; i++) {
        sum[i] = _mm256_add_epi32(sum[i], other[i]);
        if (t.has_offset) sum[i] = _mm256_sub_epi32(sum[i], h->minus[i]);
    }
    return add_lanes(sum);
}

/* S_b, M_b of four superblocks as floats, and what scales them. */
struct terms {
    __m128 s, m, d, dmin;
};

INLINE struct terms terms_of(struct type t, const uint8_t *w, struct act x)
{
    struct heads h = t.heads(w, x);
    __m128i s = dots(t, &h, w, x.q);
    __m128 dx = _mm_loadu_ps(x.d);
    struct terms r = {.s = _mm_cvtepi32_ps(s), .d = _mm_mul_ps(h.d, dx)};
    if (t.has_dmin) {
        r.m = _mm_cvtepi32_ps(h.mins);
        r.dmin = _mm_mul_ps(h.dmin, dx);
    }
    return r;
}

INLINE __m128 add_terms(struct type t, const struct terms *r, __m128 mask, __m128 lanes)
{
    lanes = _mm_fmadd_ps(r->s, _mm_and_ps(r->d, mask), lanes);
    return t.has_dmin ? _mm_fnmadd_ps(r->m, _mm_and_ps(r->dmin, mask), lanes) : lanes;
}

INLINE float add_four(__m128 v)
{
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}

/* Ones in lanes [first, end) of four. */
INLINE __m128 lane_mask(int64_t first, int64_t end)
{
    const __m128i lane = _mm_setr_epi32(0, 1, 2, 3);
    return _mm_castsi128_ps(_mm_andnot_si128(_mm_cmpgt_epi32(_mm_set1_epi32((int)first), lane),
                                             _mm_cmpgt_epi32(_mm_set1_epi32((int)end), lane)));
}

INLINE struct act act_at(const void *row, int64_t k, int64_t block)
{
    const char *p = row;
    return (struct act){(const int8_t *)p + 256 * block,
                        (const float *)(const void *)(p + act_q8k_d(k)) + block,
                        (const int16_t *)(const void *)(p + act_q8k_sum16(k)) + 16 * block,
                        (const int16_t *)(const void *)(p + act_q8k_sum32(k)) + 8 * block};
}

INLINE struct act act_skip(struct act a, int64_t n)
{
    return (struct act){a.q + 256 * n, a.d + n, a.sum16 + 16 * n, a.sum32 + 8 * n};
}

/* The activations of a row's end and, behind them, of its beginning: for four superblocks that
 * belong to two rows or more. */
struct wrap {
    int8_t q[WRAP * 256];
    int16_t sum16[WRAP * 16], sum32[WRAP * 8];
    float d[WRAP];
};

INLINE struct act fill_wrap(struct wrap *z, const void *x, int64_t k, int64_t first)
{
    for (int64_t i = 0, n = k / 256, b = first; i < WRAP; i++, b = b + 1 < n ? b + 1 : 0) {
        struct act a = act_at(x, k, b);
        memcpy(z->q + 256 * i, a.q, 256);
        memcpy(z->sum16 + 16 * i, a.sum16, 32);
        memcpy(z->sum32 + 8 * i, a.sum32, 16);
        z->d[i] = *a.d;
    }
    return (struct act){z->q, z->d, z->sum16, z->sum32};
}

/* A row on its way: what is summed of it, and where it stands. */
struct sums {
    __m128 lanes;
    float total;          /* of the chunks that are done */
    int64_t n, b, left;   /* superblocks of a row; the next one; until the chunk ends */
    float *y;
};

INLINE int64_t chunk_of(int64_t n)
{
    return n < CHUNK ? n : CHUNK;
}

/* Adds n_terms superblocks, among which chunks and rows end. */
INLINE void add_ends(struct type t, struct sums *s, const struct terms *r, int64_t n_terms)
{
    for (int64_t at = 0; at < n_terms;) {
        int64_t m = s->left < n_terms - at ? s->left : n_terms - at;
        s->lanes = add_terms(t, r, lane_mask(at, at + m), s->lanes);
        at += m;
        s->b += m;
        s->left -= m;
        if (s->left) return;
        s->total += add_four(s->lanes);
        s->lanes = _mm_setzero_ps();
        if (s->b == s->n) {
            *s->y++ = s->total;
            s->total = 0;
            s->b = 0;
        }
        s->left = chunk_of(s->n - s->b);
    }
}

/* y[r] = sum_c W[r,c] x[c], rows without gaps. Needs four superblocks in one go: the last ones are
 * copied where fewer are left. */
INLINE void mul_stream(struct type t, const uint8_t *w, int64_t n_rows, int64_t k, const void *x,
                       float *y)
{
    const __m128 all = _mm_castsi128_ps(_mm_set1_epi32(-1));
    const int64_t n = k / 256, n_all = n_rows * n, first = n > 3 ? n - 3 : 0;
    const size_t step = 4 * (size_t)t.block_bytes;
    struct sums s = {_mm_setzero_ps(), 0, n, 0, chunk_of(n), y};
    struct act row = act_at(x, k, 0), end = row;
    struct wrap z;
    if (n % 4) end = fill_wrap(&z, x, k, first);
    uint8_t copy[4 * sizeof(struct block_q6_k)];
    for (int64_t i = 0; i < n_all; i += 4, w += step) {
        int64_t n_terms = n_all - i < 4 ? n_all - i : 4;
        const uint8_t *p = w;
        if (n_terms < 4) {
            memset(copy, 0, sizeof copy);
            p = memcpy(copy, w, (size_t)n_terms * (size_t)t.block_bytes);
        }
        stream_ahead(w, step);
        struct act a = s.b + 4 <= n ? act_skip(row, s.b) : act_skip(end, s.b - first);
        struct terms r = terms_of(t, p, a);
        if (s.left <= 4) {
            add_ends(t, &s, &r, n_terms);
            continue;
        }
        s.lanes = add_terms(t, &r, all, s.lanes);
        s.left -= 4;
        s.b += 4;
    }
}

INLINE void mul_row(struct type t, const uint8_t *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                    const void *x, float *y)
{
    if (k == 0) memset(y, 0, (size_t)n_rows * sizeof *y);
    if (k == 0 || w_row_bytes == (size_t)(k / 256) * (size_t)t.block_bytes) {
        mul_stream(t, w, n_rows, k, x, y);
        return;
    }
    for (int64_t r = 0; r < n_rows; r++)
        mul_stream(t, w + (size_t)r * w_row_bytes, 1, k, x, y + r);
}

#endif
