/* SPDX-License-Identifier: Apache-2.0
 * tiles32_vnni.c - weights in blocks of 32 times two and more ACT_Q8 rows, for CPUs with AVX-512
 * VNNI. Why and how: as in tiles256_vnni.c.
 *
 * A block of 16 rows times one token: 8 vpdpbusd, one product of scales, one fma (two where blocks
 * have a minimum). Offsets cost none: sums begin at -offset * sum.
 *
 * The order of float additions is that of blocks32_vnni.c. */
#include "src/kernels/x86/tiles_vnni.h"
#include "src/tensor/blocks.h"

enum { CHUNK = 64, TOKENS = TILE_TOKENS };

/* One block of 16 rows: dword lane r belongs to row r. */
struct block {
    __m512i w[8]; /* four inputs each; packed types: 4, inputs 4c .. and, high, 16 + 4c .. */
    __m512 d, m;
};

enum layout { BYTES, NIBBLES, TABLE };
struct type {
    void (*fill)(struct block *s, const uint8_t *const row[16], size_t at);
    int block_bytes;
    enum layout layout;
    bool has_m;
    int offset; /* of the unsigned weights */
};

INLINE void fill_q4_0(struct block *s, const uint8_t *const row[16], size_t at)
{
    transpose4(row, at + 2, s->w);
}

INLINE void fill_q4_1(struct block *s, const uint8_t *const row[16], size_t at)
{
    transpose4(row, at + 4, s->w);
}

/* 16 bytes of nibbles at qs and the fifth bits at qh. */
INLINE void fill_q5(struct block *s, const uint8_t *const row[16], size_t qh, size_t qs)
{
    const __m512i low = bytes_of(15);
    const __m512i bits[2] = {words_of(0x08040201), words_of((int)0x80402010)};
    _Alignas(64) uint32_t h[16];
    __m512i v[4];
    for (int r = 0; r < 16; r++)
        memcpy(&h[r], row[r] + qh, 4);
    transpose4(row, qs, v);
    __m512i fifth = _mm512_load_si512(h);
    UNROLL
    for (int c = 0; c < 8; c++) {
        /* byte c/2 of h in all four bytes; bits 4(c%2) + i belong to byte i */
        const __m512i pick = _mm512_add_epi32(
            _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c)),
            words_of(0x01010101 * (c / 2)));
        __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(fifth, pick), bits[c % 2]);
        __m512i q = _mm512_and_si512(c < 4 ? v[c] : shift_right(v[c - 4], 4), low);
        s->w[c] = _mm512_mask_add_epi8(q, set, q, bytes_of(16));
    }
}

INLINE void fill_q5_0(struct block *s, const uint8_t *const row[16], size_t at)
{
    fill_q5(s, row, at + 2, at + 6);
}

INLINE void fill_q5_1(struct block *s, const uint8_t *const row[16], size_t at)
{
    fill_q5(s, row, at + 4, at + 8);
}

INLINE void fill_q8_0(struct block *s, const uint8_t *const row[16], size_t at)
{
    __m512i v[8];
    transpose8(row, at + 2, v);
    UNROLL
    for (int c = 0; c < 8; c++)
        s->w[c] = _mm512_xor_si512(v[c], bytes_of(-128));
}

/* d and m are two bytes each at the block's beginning: words are cheaper to copy one by one than to
 * transpose, if they are not loaded back at once. */
INLINE void copy_heads(const uint8_t *const row[16], size_t at, uint32_t head[16])
{
    UNROLL
    for (int r = 0; r < 16; r++)
        memcpy(&head[r], row[r] + at, 4);
}

INLINE void scales_of(struct type t, const uint32_t head[16], struct block *s)
{
    __m512i h = _mm512_load_si512(head);
    s->d = low_half(h);
    if (t.has_m) s->m = high_half(h);
}

INLINE void fill_tile(struct type t, struct block *tile, const struct span *c,
                      const uint8_t *const row[16], struct ahead *ahead)
{
    _Alignas(64) uint32_t heads[CHUNK][16];
    size_t at = (size_t)c->block * (size_t)t.block_bytes;
    for (int64_t b = 0; b < c->n_blocks; b++, at += (size_t)t.block_bytes) {
        fetch_ahead(ahead);
        copy_heads(row, at, heads[b]);
        t.fill(&tile[b], row, at);
    }
    for (int64_t b = 0; b < c->n_blocks; b++)
        scales_of(t, heads[b], &tile[b]);
}

/* sum[i] += w (four inputs of 16 rows) times inputs at.. of token i */
INLINE void add_products(__m512i w, const char *const token[TOKENS], size_t at, const int n,
                         __m512i sum[TOKENS])
{
    UNROLL
    for (int i = 0; i < n; i++)
        sum[i] = _mm512_dpbusd_epi32(sum[i], w, broadcast4(token[i] + at));
}

/* sum[i] += one block of 16 rows times token i */
INLINE void add_block(struct type t, const struct block *s, const char *const token[TOKENS],
                      size_t q, const int n, __m512i sum[TOKENS])
{
    static const int8_t values[16] = IQ4_TABLE;
    const __m512i low = bytes_of(15);
    if (t.layout == BYTES) {
        UNROLL
        for (int c = 0; c < 8; c++)
            add_products(s->w[c], token, q + 4 * (size_t)c, n, sum);
        return;
    }
    UNROLL
    for (int c = 0; c < 4; c++) {
        __m512i v = s->w[c];
        __m512i lo = _mm512_and_si512(v, low), hi = _mm512_and_si512(shift_right(v, 4), low);
        if (t.layout == TABLE) {
            const __m512i table = _mm512_xor_si512(
                _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)values)), bytes_of(-128));
            lo = _mm512_shuffle_epi8(table, lo);
            hi = _mm512_shuffle_epi8(table, hi);
        }
        add_products(lo, token, q + 4 * (size_t)c, n, sum);
        add_products(hi, token, q + 16 + 4 * (size_t)c, n, sum);
    }
}

INLINE __m512 broadcast_float(const void *p)
{
    float v;
    memcpy(&v, p, 4);
    return _mm512_set1_ps(v);
}

/* lanes[b % 16] (+)= block b of the stretch times n tokens */
INLINE void add_to_lanes(struct type t, const struct block *s, const struct span *c,
                         const char *const token[TOKENS], int64_t b, const int n,
                         __m512 lanes[16][TOKENS])
{
    static const __m512 zero[TOKENS];
    size_t q = 32 * (size_t)(c->block + b);
    size_t d = act_q8_d(c->k) + q / 8, m = act_q8_s(c->k) + q / 8, sums = act_q8_sum(c->k) + q / 8;
    __m512i sum[TOKENS];
    UNROLL
    for (int i = 0; i < n; i++) {
        int32_t v = 0;
        if (t.offset) memcpy(&v, token[i] + sums, 4);
        sum[i] = t.offset ? _mm512_set1_epi32(-t.offset * v) : _mm512_setzero_si512();
    }
    add_block(t, s, token, q, n, sum);
    const __m512 *from = b < 16 ? zero : lanes[b % 16];
    UNROLL
    for (int i = 0; i < n; i++) {
        __m512 dx = broadcast_float(token[i] + d);
        __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i]), _mm512_mul_ps(s->d, dx), from[i]);
        if (t.has_m) v = _mm512_fmadd_ps(s->m, broadcast_float(token[i] + m), v);
        lanes[b % 16][i] = v;
    }
}

/* y[t*y_stride + r] (+)= the lanes of n tokens, added up */
INLINE void add_lanes(const struct span *c, __m512 lanes[16][TOKENS], const int n, float *y)
{
    static const __m512 zero[TOKENS];
    for (int64_t e = c->n_blocks; e < 16; e++)
        memcpy(lanes[e], zero, sizeof zero);
    UNROLL
    for (int i = 0; i < n; i++) {
        for (int half = 8; half; half /= 2)
            UNROLL
            for (int e = 0; e < half; e++)
                lanes[e][i] = _mm512_add_ps(lanes[e][i], lanes[e + half][i]);
        add_rows(c, lanes[0][i], y + (size_t)i * c->y_stride);
    }
}

/* y[t*y_stride + r] (+)= tile times n tokens; n is a constant where this is called */
INLINE void mul_tokens(struct type t, const struct block *tile, const struct span *c,
                       struct ahead *ahead, const char *x, const int n, float *y)
{
    __m512 lanes[16][TOKENS];
    const char *token[TOKENS];
    UNROLL
    for (int i = 0; i < n; i++)
        token[i] = x + (size_t)i * c->x_row_bytes;
    fetch_y(y, c->y_stride, n);
    for (int64_t b = 0; b < c->n_blocks; b++) {
        fetch_ahead(ahead);
        add_to_lanes(t, tile + b, c, token, b, n, lanes);
    }
    add_lanes(c, lanes, n, y);
}

/* The same for all tokens, n of them (a constant), without a tile: storing it would cost more than the
 * products. */
INLINE void mul_few(struct type t, const struct span *c, const uint8_t *const row[16],
                    const uint8_t *next, const int n, float *y)
{
    _Alignas(64) uint32_t heads[16][16];
    __m512 lanes[16][TOKENS];
    const char *token[TOKENS];
    struct ahead ahead = ahead_of(c, next, t.block_bytes, c->n_blocks);
    const size_t first = (size_t)c->block * (size_t)t.block_bytes;
    UNROLL
    for (int i = 0; i < n; i++)
        token[i] = c->x + (size_t)i * c->x_row_bytes;
    fetch_y(y, c->y_stride, n);
    for (int64_t b0 = 0; b0 < c->n_blocks; b0 += 16) {
        int64_t end = c->n_blocks - b0 < 16 ? c->n_blocks : b0 + 16;
        for (int64_t b = b0; b < end; b++)
            copy_heads(row, first + (size_t)b * (size_t)t.block_bytes, heads[b - b0]);
        for (int64_t b = b0; b < end; b++) {
            struct block s;
            fetch_ahead(&ahead);
            t.fill(&s, row, first + (size_t)b * (size_t)t.block_bytes);
            scales_of(t, heads[b - b0], &s);
            add_to_lanes(t, &s, c, token, b, n, lanes);
        }
    }
    add_lanes(c, lanes, n, y);
}

INLINE void mul_tile(struct type t, const struct span *c, const uint8_t *const row[16],
                     const uint8_t *next, float *y)
{
    switch (c->n_x) {
    case 2: mul_few(t, c, row, next, 2, y); return;
    case 3: mul_few(t, c, row, next, 3, y); return;
    case 4: mul_few(t, c, row, next, 4, y); return;
    default: break;
    }
    struct block tile[CHUNK];
    struct ahead ahead = ahead_of(c, next, t.block_bytes, c->n_blocks * (1 + n_passes(c->n_x, TOKENS)));
    fill_tile(t, tile, c, row, &ahead);
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

#define TYPE(name, like, ...)                                                                      \
    static void mul_tile_##name(const struct span *c, const uint8_t *const row[16],                \
                                const uint8_t *next, float *y)                                     \
    {                                                                                              \
        const struct type t = {fill_##like, sizeof(struct block_##name), __VA_ARGS__};             \
        mul_tile(t, c, row, next, y);                                                              \
    }                                                                                              \
    void tiles_##name##_vnni(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,         \
                             const void *x, size_t x_row_bytes, int64_t n_x, float *y,             \
                             size_t y_stride)                                                      \
    {                                                                                              \
        const struct stretch s = {32, sizeof(struct block_##name), CHUNK};                         \
        mul_tiles(mul_tile_##name, s, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y,           \
                  y_stride);                                                                       \
    }
TYPE(q4_0, q4_0, NIBBLES, false, 8)
TYPE(q4_1, q4_1, NIBBLES, true, 0)
TYPE(q5_0, q5_0, BYTES, false, 16)
TYPE(q5_1, q5_1, BYTES, true, 0)
TYPE(q8_0, q8_0, BYTES, false, 128)
TYPE(iq4_nl, q4_0, TABLE, false, 128)
