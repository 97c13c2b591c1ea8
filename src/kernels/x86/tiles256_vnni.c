/* SPDX-License-Identifier: Apache-2.0
 * tiles256_vnni.c - weights in superblocks of 256 times two and more ACT_Q8K rows, for CPUs with
 * AVX-512 VNNI.
 *
 * Why: vpdpbusd multiplies 64 pairs of bytes, and one such instruction (of any multiplication) fits
 * in a cycle, so what counts is how many others share its pipe. 16 rows stand side by side, four
 * bytes of each in a vector, and 8 tokens pass over them as broadcasts from memory. A superblock of
 * 16 rows times one token takes 64 vpdpbusd, one vpmulld per scale (8 or 16), four vpdpwssd for
 * mins of 32 inputs, and four float operations. Offsets cost none: sums begin at -offset * sum16.
 *
 * A tile is filled by transposing the file's words; what follows (bit fields, scales) is then the
 * same work for 16 rows at once. Weights of 4 bits stay packed in the tile and are spread over 8
 * tokens: two operations per 16 vpdpbusd, half the memory.
 *
 * Two to four tokens of q4_k, two and three of q6_k, skip the tile: transposed words meet the tokens
 * while they are in registers, since storing a tile would cost more than the products.
 *
 * The order of float additions is that of row256.h. */
#include "src/kernels/x86/tiles256_fill.h"

enum { TOKENS = TILE_TOKENS };

struct dots;
struct acts;
struct type {
    void (*fill)(struct super *s, const uint8_t *const row[16], size_t at);
    /* A superblock without a tile, for a constant n of 2 to n_few tokens; NULL: by way of the tile. */
    void (*few)(struct dots *r, const uint8_t *const row[16], size_t at, const struct acts *x,
                const int n);
    int block_bytes;
    enum layout layout;
    int group;     /* inputs that share a scale: 16 or 32 */
    bool has_dmin; /* mins per group */
    int offset;    /* of the unsigned weights */
    int n_few;     /* up to 4 */
};

/* p[i] += w (four inputs of 16 rows) times inputs at.. of token i */
INLINE void add_products(__m512i w, const struct acts *x, int at, const int n, __m512i p[TOKENS])
{
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = _mm512_dpbusd_epi32(p[i], w, broadcast4(of_token(x->q + at, x->stride, i)));
}

/* dot[i] += scale * p[i] */
INLINE void add_scaled(__m512i scale, const int n, const __m512i p[TOKENS], __m512i dot[TOKENS])
{
    UNROLL
    for (int i = 0; i < n; i++)
        dot[i] = _mm512_add_epi32(dot[i], _mm512_mullo_epi32(p[i], scale));
}

/* Where the sums of the group of inputs at.. begin. */
INLINE void begin_group(struct type t, const struct acts *x, int at, const int n,
                        __m512i p[TOKENS])
{
    UNROLL
    for (int i = 0; i < n; i++) {
        if (!t.offset) {
            p[i] = _mm512_setzero_si512();
            continue;
        }
        const int16_t *sum = t.group == 16 ? x->sum16 + at / 16 : x->sum32 + at / 32;
        int16_t v;
        memcpy(&v, of_token(sum, x->stride, i), 2);
        p[i] = _mm512_set1_epi32(-t.offset * v);
    }
}

INLINE void dot_bytes(struct type t, const struct super *s, const struct acts *x, const int n,
                      __m512i dot[TOKENS])
{
    for (int g = 0; g < 256 / t.group; g++) {
        __m512i p[TOKENS];
        begin_group(t, x, t.group * g, n, p);
        UNROLL
        for (int c = 0; c < t.group / 4; c++)
            add_products(s->w[t.group / 4 * g + c], x, t.group * g + 4 * c, n, p);
        add_scaled(s->scales[g], n, p, dot);
    }
}

INLINE void dot_nibbles64(struct type t, const struct super *s, const struct acts *x, const int n,
                          __m512i dot[TOKENS])
{
    const __m512i low = bytes_of(15);
    for (int z = 0; z < 4; z++) {
        __m512i p[TOKENS], q[TOKENS];
        begin_group(t, x, 64 * z, n, p);
        begin_group(t, x, 64 * z + 32, n, q);
        UNROLL
        for (int c = 0; c < 8; c++) {
            __m512i v = s->w[8 * z + c];
            add_products(_mm512_and_si512(v, low), x, 64 * z + 4 * c, n, p);
            add_products(_mm512_and_si512(shift_right(v, 4), low), x, 64 * z + 32 + 4 * c, n, q);
        }
        add_scaled(s->scales[2 * z], n, p, dot);
        add_scaled(s->scales[2 * z + 1], n, q, dot);
    }
}

INLINE void dot_nibbles32(struct type t, const struct super *s, const struct acts *x, const int n,
                          __m512i dot[TOKENS])
{
    static const int8_t values[16] = IQ4_TABLE;
    const __m512i low = bytes_of(15);
    const __m512i table = _mm512_xor_si512(
        _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)values)), bytes_of(-128));
    for (int g = 0; g < 8; g++) {
        __m512i p[TOKENS];
        begin_group(t, x, 32 * g, n, p);
        UNROLL
        for (int c = 0; c < 4; c++) {
            __m512i v = s->w[4 * g + c], hi = _mm512_and_si512(shift_right(v, 4), low);
            add_products(_mm512_shuffle_epi8(table, _mm512_and_si512(v, low)), x, 32 * g + 4 * c, n,
                         p);
            add_products(_mm512_shuffle_epi8(table, hi), x, 32 * g + 16 + 4 * c, n, p);
        }
        add_scaled(s->scales[g], n, p, dot);
    }
}

/* mins[i] = sum over groups of min * sum of x */
INLINE void sum_mins(struct type t, const struct super *s, const struct acts *x, const int n,
                     __m512i mins[TOKENS])
{
    const int16_t *sums = t.group == 16 ? x->sum16 : x->sum32;
    UNROLL
    for (int i = 0; i < n; i++)
        mins[i] = _mm512_setzero_si512();
    UNROLL
    for (int g = 0; g < 128 / t.group; g++)
        UNROLL
        for (int i = 0; i < n; i++)
            mins[i] = _mm512_dpwssd_epi32(mins[i], s->mins[g],
                                          broadcast4(of_token(sums + 2 * g, x->stride, i)));
}

/* One superblock of 16 rows times some tokens, as integers, and what scales them. */
struct dots {
    __m512i dot[TOKENS], mins[TOKENS];
    __m512 d, dmin;
};

/* to[i] = from[i] + r of token i */
INLINE void add_terms(struct type t, const struct dots *r, const struct acts *x, const int n,
                      const __m512 from[TOKENS], __m512 to[TOKENS])
{
    UNROLL
    for (int i = 0; i < n; i++) {
        float d;
        memcpy(&d, of_token(x->d, x->stride, i), 4);
        __m512 dx = _mm512_set1_ps(d);
        __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(r->dot[i]), _mm512_mul_ps(r->d, dx), from[i]);
        if (t.has_dmin)
            v = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(r->mins[i]), _mm512_mul_ps(r->dmin, dx), v);
        to[i] = v;
    }
}

/* to[i] = from[i] + one superblock of 16 rows times token i */
INLINE void add_super(struct type t, const struct super *s, const struct acts *x, const int n,
                      const __m512 from[TOKENS], __m512 to[TOKENS])
{
    struct dots r = {.d = s->d, .dmin = s->dmin};
    UNROLL
    for (int i = 0; i < n; i++)
        r.dot[i] = _mm512_setzero_si512();
    if (t.layout == NIBBLES64) dot_nibbles64(t, s, x, n, r.dot);
    else if (t.layout == NIBBLES32) dot_nibbles32(t, s, x, n, r.dot);
    else dot_bytes(t, s, x, n, r.dot);
    if (t.has_dmin) sum_mins(t, s, x, n, r.mins);
    add_terms(t, &r, x, n, from, to);
}

/* y[t*y_stride + r] (+)= the lanes of n tokens, added up */
INLINE void add_lanes(const struct span *c, __m512 lanes[4][TOKENS], const int n, float *y)
{
    UNROLL
    for (int i = 0; i < n; i++)
        add_rows(c, add_four(lanes[0][i], lanes[1][i], lanes[2][i], lanes[3][i]),
                 y + (size_t)i * c->y_stride);
}

/* y[t*y_stride + r] (+)= tile times n tokens; n is a constant where this is called */
INLINE void mul_tokens(struct type t, const struct super *tile, const struct span *c,
                       struct ahead *ahead, const char *x, const int n, float *y)
{
    static const __m512 zero[TOKENS];
    __m512 lanes[4][TOKENS];
    struct acts a = acts_of(c, x);
    fetch_y(y, c->y_stride, n);
    for (int64_t b = 0; b < c->n_blocks; b++) {
        fetch_ahead(ahead);
        add_super(t, tile + b, &a, n, b < 4 ? zero : lanes[b % 4], lanes[b % 4]);
        a = acts_next(a);
    }
    for (int64_t e = c->n_blocks; e < 4; e++)
        memcpy(lanes[e], zero, sizeof zero);
    add_lanes(c, lanes, n, y);
}

/* The superblock at `at` of every row times n tokens. */
INLINE void few_q4_k(struct dots *r, const uint8_t *const row[16], size_t at, const struct acts *x,
                     const int n)
{
    const struct type t = {.group = 32};
    const __m512i six = words_of(0x3f3f3f3f), four = words_of(0x0f0f0f0f),
                  top = words_of(0x30303030), low = bytes_of(15), byte = words_of(255);
    struct super s;
    __m512i h[4];
    transpose4(row, at, h);
    r->d = low_half(h[0]);
    r->dmin = high_half(h[0]);
    __m512i scales[2] = {_mm512_and_si512(h[1], six),
                         _mm512_or_si512(_mm512_and_si512(h[3], four),
                                         _mm512_and_si512(_mm512_srli_epi32(h[1], 2), top))};
    spread_pairs(_mm512_and_si512(h[2], six), s.mins);
    spread_pairs(_mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(h[3], 4), four),
                                 _mm512_and_si512(_mm512_srli_epi32(h[2], 2), top)),
                 s.mins + 2);
    sum_mins(t, &s, x, n, r->mins);
    UNROLL
    for (int i = 0; i < n; i++)
        r->dot[i] = _mm512_setzero_si512();
    UNROLL
    for (int z = 0; z < 4; z++) {
        __m512i v[8], p[TOKENS], q[TOKENS], sc = scales[z / 2];
        transpose8(row, at + offsetof(struct block_q4_k, qs) + 32 * (size_t)z, v);
        UNROLL
        for (int i = 0; i < n; i++)
            p[i] = q[i] = _mm512_setzero_si512();
        UNROLL
        for (int c = 0; c < 8; c++) {
            add_products(_mm512_and_si512(v[c], low), x, 64 * z + 4 * c, n, p);
            add_products(_mm512_and_si512(shift_right(v[c], 4), low), x, 64 * z + 32 + 4 * c, n, q);
        }
        sc = _mm512_srli_epi32(sc, 16 * (unsigned)(z % 2));
        add_scaled(_mm512_and_si512(sc, byte), n, p, r->dot);
        add_scaled(_mm512_and_si512(_mm512_srli_epi32(sc, 8), byte), n, q, r->dot);
    }
}

INLINE void few_q6_k(struct dots *r, const uint8_t *const row[16], size_t at, const struct acts *x,
                     const int n)
{
    const struct type t = {.group = 16, .offset = 32};
    const __m512i low = bytes_of(15), six = bytes_of(63);
    __m512i scales[4];
    transpose4(row, at + offsetof(struct block_q6_k, d) - 14, scales); /* d is in their last two bytes */
    r->d = high_half(scales[3]);
    transpose4(row, at + offsetof(struct block_q6_k, scales), scales);
    UNROLL
    for (int i = 0; i < n; i++)
        r->dot[i] = _mm512_setzero_si512();
    UNROLL
    for (int i = 0; i < 2; i++) {
        __m512i v[16], h[8];
        words_q6_k(row, at, i, v, h);
        UNROLL
        for (int e = 0; e < 8; e++) { /* groups of 16: 4 words each */
            __m512i p[TOKENS], sc[4];
            int in = 128 * i + 16 * e, g = 8 * i + e;
            begin_group(t, x, in, n, p);
            UNROLL
            for (int c = 0; c < 4; c++) {
                int w = e % 2 * 4 + c;
                __m512i a = v[w + e / 2 % 2 * 8];
                __m512i q = choose(low, e < 4 ? a : shift_right(a, 4), shift_right(h[w], e / 2 * 2 - 4));
                add_products(_mm512_and_si512(q, six), x, in + 4 * c, n, p);
            }
            spread_signed(scales[g / 4], sc);
            add_scaled(sc[g % 4], n, p, r->dot);
        }
    }
}

/* y[t*y_stride + r] (+)= a stretch of 16 rows times all tokens, n of them (a constant). */
INLINE void mul_few(struct type t, const struct span *c, const uint8_t *const row[16],
                    const uint8_t *next, const int n, float *y)
{
    static const __m512 zero[TOKENS];
    __m512 lanes[4][TOKENS];
    struct acts a = acts_of(c, c->x);
    struct ahead ahead = ahead_of(c, next, t.block_bytes, c->n_blocks);
    fetch_y(y, c->y_stride, n);
    for (int64_t b = 0; b < c->n_blocks; b++) {
        struct dots r;
        fetch_ahead(&ahead);
        t.few(&r, row, (size_t)(c->block + b) * (size_t)t.block_bytes, &a, n);
        add_terms(t, &r, &a, n, b < 4 ? zero : lanes[b % 4], lanes[b % 4]);
        a = acts_next(a);
    }
    for (int64_t e = c->n_blocks; e < 4; e++)
        memcpy(lanes[e], zero, sizeof zero);
    add_lanes(c, lanes, n, y);
}

INLINE void mul_tile(struct type t, const struct span *c, const uint8_t *const row[16],
                     const uint8_t *next, float *y)
{
    if (t.n_few >= 2 && c->n_x == 2) {
        mul_few(t, c, row, next, 2, y);
        return;
    }
    if (t.n_few >= 3 && c->n_x == 3) {
        mul_few(t, c, row, next, 3, y);
        return;
    }
    if (t.n_few >= 4 && c->n_x == 4) {
        mul_few(t, c, row, next, 4, y);
        return;
    }
    struct super tile[CHUNK];
    struct ahead ahead = ahead_of(c, next, t.block_bytes, c->n_blocks * (1 + n_passes(c->n_x, TOKENS)));
    for (int64_t b = 0; b < c->n_blocks; b++) {
        fetch_ahead(&ahead);
        t.fill(&tile[b], row, (size_t)(c->block + b) * (size_t)t.block_bytes);
    }
    int64_t i = 0;
#define TOKENS_OF(n)                                                                               \
    for (; i + n <= c->n_x; i += n)                                                                \
        mul_tokens(t, tile, c, &ahead, c->x + (size_t)i * c->x_row_bytes, n,         \
                   y + (size_t)i * c->y_stride);
    TOKENS_OF(8)
    TOKENS_OF(4)
    TOKENS_OF(2)
    TOKENS_OF(1)
#undef TOKENS_OF
}

#define TYPE(name, few, ...)                                                                            \
    static void mul_tile_##name(const struct span *c, const uint8_t *const row[16],                \
                                const uint8_t *next, float *y)                                     \
    {                                                                                              \
        const struct type t = {fill_##name, few, sizeof(struct block_##name), __VA_ARGS__};             \
        mul_tile(t, c, row, next, y);                                                              \
    }                                                                                              \
    void tiles_##name##_vnni(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,         \
                             const void *x, size_t x_row_bytes, int64_t n_x, float *y,             \
                             size_t y_stride)                                                      \
    {                                                                                              \
        const struct stretch s = {256, sizeof(struct block_##name), CHUNK};                        \
        mul_tiles(mul_tile_##name, s, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y,           \
                  y_stride);                                                                       \
    }
TYPE(q2_k, NULL, BYTES, 16, true, 0, 0)
TYPE(q3_k, NULL, BYTES, 16, false, 4, 0)
TYPE(q4_k, few_q4_k, NIBBLES64, 32, true, 0, 4)
TYPE(q5_k, NULL, BYTES, 32, true, 0, 0)
TYPE(q6_k, few_q6_k, BYTES, 16, false, 32, 3)
TYPE(iq4_xs, NULL, NIBBLES32, 32, false, 128, 0)
