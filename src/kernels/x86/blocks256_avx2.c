/* SPDX-License-Identifier: Apache-2.0
 * blocks256_avx2.c - weights in superblocks of 256 times ACT_Q8K rows, for CPUs with AVX2.
 *
 * Why: vpmaddwd, which must follow vpmaddubsw anyway, multiplies by the 16-bit scale of the group
 * instead of by one, so the scales inside a superblock cost nothing; in tiles as many sums of pairs
 * as fit 16 bits are added before it (weights of 2 and 3 bits 4 and more, of 4 bits 8, of 5 bits 4,
 * of 6 bits 2). iq4_xs is signed: |w| and the sign moved to x.
 *
 * One token: one256_avx2.c. Canonical order: that of row256.h. */
#include "src/kernels/x86/ahead.h"
#include "src/kernels/x86/narrow.h"
#include "src/kernels/x86/one.h"
#include "src/tensor/blocks.h"

enum { CHUNK = 8, TOKENS = 4, ROWS = 8 };

/* One superblock: 8 vectors of 32 weights in order. mins: the type's own, or -offset * scale. */
struct super {
    __m256i q[8];
    __m256i scales, mins; /* int16, by group of 16 */
    float d, dmin;
};
typedef struct super (*super_fn)(const uint8_t *w);
struct type {
    super_fn load;
    int block_bytes;
    bool has_dmin, is_signed;
    int group; /* inputs that share a scale: 16 or 32 */
    int adds;  /* how many sums of pairs fit 16 bits */
};

INLINE __m256i load32(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

/* Bits of every byte: right shift, then mask. */
INLINE __m256i field(__m256i v, int shift, int mask)
{
    return _mm256_and_si256(_mm256_srli_epi16(v, shift), _mm256_set1_epi8((char)mask));
}

/* Eight bytes to sixteen 16-bit numbers, each twice. */
INLINE __m256i twice(__m128i v)
{
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(v, v));
}

INLINE void scales_k4(const uint8_t p[12], struct super *s)
{
    struct block_scales b = block_scales_k4(p);
    s->scales = twice(_mm_cvtsi64_si128((long long)b.a));
    s->mins = twice(_mm_cvtsi64_si128((long long)b.b));
}

INLINE __m256i times_minus(__m256i scales, int log2)
{
    return _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_slli_epi16(scales, log2));
}

INLINE struct super load_q4_k(const uint8_t *w)
{
    const struct block_q4_k *b = (const void *)w;
    struct super s;
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i v = load32(b->qs + 32 * i);
        s.q[2 * i] = field(v, 0, 15);
        s.q[2 * i + 1] = field(v, 4, 15);
    }
    scales_k4(b->scales, &s);
    s.d = _cvtsh_ss(block_u16(b->d));
    s.dmin = _cvtsh_ss(block_u16(b->dmin));
    return s;
}

INLINE struct super load_q5_k(const uint8_t *w)
{
    const struct block_q5_k *b = (const void *)w;
    __m256i h = load32(b->qh);
    struct super s;
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i v = load32(b->qs + 32 * i);
        __m256i h0 = _mm256_slli_epi16(field(h, 2 * i, 1), 4);
        __m256i h1 = _mm256_slli_epi16(field(h, 2 * i + 1, 1), 4);
        s.q[2 * i] = _mm256_or_si256(field(v, 0, 15), h0);
        s.q[2 * i + 1] = _mm256_or_si256(field(v, 4, 15), h1);
    }
    scales_k4(b->scales, &s);
    s.d = _cvtsh_ss(block_u16(b->d));
    s.dmin = _cvtsh_ss(block_u16(b->dmin));
    return s;
}

INLINE struct super load_q6_k(const uint8_t *w)
{
    const struct block_q6_k *b = (const void *)w;
    struct super s;
    for (int i = 0; i < 2; i++) {
        __m256i v0 = load32(b->ql + 64 * i), v1 = load32(b->ql + 64 * i + 32);
        __m256i h = load32(b->qh + 32 * i);
        s.q[4 * i] = _mm256_or_si256(field(v0, 0, 15), _mm256_slli_epi16(field(h, 0, 3), 4));
        s.q[4 * i + 1] = _mm256_or_si256(field(v1, 0, 15), _mm256_slli_epi16(field(h, 2, 3), 4));
        s.q[4 * i + 2] = _mm256_or_si256(field(v0, 4, 15), _mm256_slli_epi16(field(h, 4, 3), 4));
        s.q[4 * i + 3] = _mm256_or_si256(field(v1, 4, 15), _mm256_slli_epi16(field(h, 6, 3), 4));
    }
    s.scales = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)b->scales));
    s.mins = times_minus(s.scales, 5);
    s.d = _cvtsh_ss(block_u16(b->d));
    s.dmin = 0;
    return s;
}

INLINE struct super load_q2_k(const uint8_t *w)
{
    const struct block_q2_k *b = (const void *)w;
    struct super s;
    UNROLL
    for (int i = 0; i < 8; i++)
        s.q[i] = field(load32(b->qs + 32 * (i / 4)), 2 * (i % 4), 3);
    __m256i sc = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)b->scales));
    s.scales = _mm256_and_si256(sc, _mm256_set1_epi16(15));
    s.mins = _mm256_srli_epi16(sc, 4);
    s.d = _cvtsh_ss(block_u16(b->d));
    s.dmin = _cvtsh_ss(block_u16(b->dmin));
    return s;
}

INLINE struct super load_q3_k(const uint8_t *w)
{
    const struct block_q3_k *b = (const void *)w;
    __m256i h = load32(b->hmask);
    struct super s;
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m256i high = _mm256_slli_epi16(field(h, i, 1), 2);
        s.q[i] = _mm256_or_si256(field(load32(b->qs + 32 * (i / 4)), 2 * (i % 4), 3), high);
    }
    struct block_scales p3 = block_scales_q3(b->scales);
    s.scales = _mm256_cvtepu8_epi16(_mm_set_epi64x((long long)p3.b, (long long)p3.a));
    s.scales = _mm256_sub_epi16(s.scales, _mm256_set1_epi16(32));
    s.mins = times_minus(s.scales, 2);
    s.d = _cvtsh_ss(block_u16(b->d));
    s.dmin = 0;
    return s;
}

INLINE struct super load_iq4_xs(const uint8_t *w)
{
    static const int8_t values[16] = IQ4_TABLE;
    const struct block_iq4_xs *b = (const void *)w;
    const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)values));
    struct super s;
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m128i v = _mm_loadu_si128((const void *)(b->qs + 16 * i));
        __m256i n = _mm256_set_m128i(_mm_srli_epi16(v, 4), v);
        s.q[i] = _mm256_shuffle_epi8(table, field(n, 0, 15));
    }
    uint32_t l;
    memcpy(&l, b->scales_l, 4);
    uint64_t lo = _pdep_u64(l, 0x0f0f0f0f0f0f0f0full);
    uint64_t hi = _pdep_u64(block_u16(b->scales_h), 0x3030303030303030ull);
    s.scales = _mm256_sub_epi16(twice(_mm_cvtsi64_si128((long long)(lo | hi))),
                                _mm256_set1_epi16(32));
    s.mins = _mm256_setzero_si256();
    s.d = _cvtsh_ss(block_u16(b->d));
    s.dmin = 0;
    return s;
}

/* One activation row, from some superblock on. */
struct act {
    const int8_t *q;
    const float *d;
    const int16_t *sum16;
};

INLINE struct act act_at(const void *row, int64_t k, int64_t block)
{
    const char *p = row;
    return (struct act){(const int8_t *)p + 256 * block,
                        (const float *)(const void *)(p + act_q8k_d(k)) + block,
                        (const int16_t *)(const void *)(p + act_q8k_sum16(k)) + 16 * block};
}

/* Pairs of products in 16 bits; signed weights lend their sign to x. */
INLINE __m256i products(struct type t, __m256i w, __m256i x)
{
    if (!t.is_signed) return _mm256_maddubs_epi16(w, x);
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}

/* Up to 8 superblocks of 8 rows. */
struct tile {
    _Alignas(64) uint8_t w[CHUNK * 64][ROWS][4]; /* [superblock, four inputs][row][input] */
    _Alignas(64) int16_t scales[CHUNK * 16][ROWS][2]; /* twice the same */
    _Alignas(64) int16_t mins[CHUNK * 8][ROWS][2];    /* of two groups */
    _Alignas(64) float d[CHUNK][ROWS], dmin[CHUNK][ROWS];
};

INLINE void fill_super(struct type t, struct tile *tile, const uint8_t *w, size_t w_row_bytes,
                       int64_t n_rows, int64_t b)
{
    static const uint8_t plain[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    __m256i q[8][ROWS];
    for (int64_t r = 0; r < ROWS; r++) {
        struct super s = t.load(w + (size_t)(r < n_rows ? r : n_rows - 1) * w_row_bytes);
        int16_t scales[16], mins[16];
        UNROLL
        for (int z = 0; z < 8; z++)
            q[z][r] = s.q[z];
        _mm256_storeu_si256((void *)scales, s.scales);
        _mm256_storeu_si256((void *)mins, s.mins);
        for (int g = 0; g < 16; g += t.group / 16)
            tile->scales[16 * b + g][r][0] = tile->scales[16 * b + g][r][1] = scales[g];
        UNROLL
        for (int g = 0; g < 8; g++)
            memcpy(tile->mins[8 * b + g][r], mins + 2 * g, 4);
        tile->d[b][r] = s.d;
        tile->dmin[b][r] = s.dmin;
    }
    UNROLL
    for (int z = 0; z < 8; z++)
        transpose8(q[z], (uint8_t *)tile->w[64 * b + 8 * z], plain);
}

/* One superblock of a tile times n tokens: exact sums. */
INLINE void sum_super(struct type t, const struct tile *tile, int64_t b, const struct act *acts,
                      const int n, __m256i dot[TOKENS], __m256i mins[TOKENS])
{
    UNROLL
    for (int i = 0; i < n; i++)
        dot[i] = mins[i] = _mm256_setzero_si256();
    for (int c = 0; c < 64; c += t.adds) {
        __m256i p[TOKENS];
        UNROLL
        for (int e = 0; e < t.adds; e++) {
            __m256i w = _mm256_load_si256((const void *)tile->w[64 * b + c + e]);
            UNROLL
            for (int i = 0; i < n; i++) {
                int32_t four;
                memcpy(&four, acts[i].q + 256 * b + 4 * (c + e), 4);
                __m256i v = products(t, w, _mm256_set1_epi32(four));
                p[i] = e ? _mm256_add_epi16(p[i], v) : v;
            }
        }
        int g = c / (t.group / 4) * (t.group / 16);
        __m256i scale = _mm256_load_si256((const void *)tile->scales[16 * b + g]);
        UNROLL
        for (int i = 0; i < n; i++)
            dot[i] = _mm256_add_epi32(dot[i], _mm256_madd_epi16(p[i], scale));
    }
    for (int g = 0; g < 8 && !t.is_signed; g++) {
        __m256i m = _mm256_load_si256((const void *)tile->mins[8 * b + g]);
        UNROLL
        for (int i = 0; i < n; i++) {
            int32_t two;
            memcpy(&two, acts[i].sum16 + 16 * b + 2 * g, 4);
            mins[i] = _mm256_add_epi32(mins[i], _mm256_madd_epi16(m, _mm256_set1_epi32(two)));
        }
    }
}

/* y[t*y_stride + r] (+)= tile times n tokens; n is a constant where this is called */
INLINE void mul_tokens(struct type t, const struct tile *tile, struct ahead *ahead,
                       int64_t n_blocks, const char *x, size_t x_row_bytes, int64_t k, int64_t block,
                       const int n, float *y, size_t y_stride, int64_t n_rows, bool first)
{
    __m256 lanes[4][TOKENS];
    struct act acts[TOKENS];
    UNROLL
    for (int i = 0; i < n; i++) {
        acts[i] = act_at(x + (size_t)i * x_row_bytes, k, block);
        UNROLL
        for (int e = 0; e < 4; e++)
            lanes[e][i] = _mm256_setzero_ps();
    }
    for (int64_t b = 0; b < n_blocks; b++) {
        __m256i dot[TOKENS], mins[TOKENS];
        fetch_ahead(ahead);
        sum_super(t, tile, b, acts, n, dot, mins);
        __m256 d = _mm256_load_ps(tile->d[b]), dmin = _mm256_load_ps(tile->dmin[b]);
        UNROLL
        for (int i = 0; i < n; i++) {
            __m256 dx = _mm256_set1_ps(acts[i].d[b]), v = lanes[b % 4][i];
            __m256i s = t.has_dmin ? dot[i] : _mm256_add_epi32(dot[i], mins[i]);
            v = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), _mm256_mul_ps(d, dx), v);
            if (t.has_dmin)
                v = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(mins[i]), _mm256_mul_ps(dmin, dx), v);
            lanes[b % 4][i] = v;
        }
    }
    const __m256i rows = tail_mask(n_rows);
    UNROLL
    for (int i = 0; i < n; i++) {
        float *out = y + (size_t)i * y_stride;
        __m256 v = first ? _mm256_setzero_ps() : _mm256_maskload_ps(out, rows);
        __m256 s = _mm256_add_ps(_mm256_add_ps(lanes[0][i], lanes[2][i]),
                                 _mm256_add_ps(lanes[1][i], lanes[3][i]));
        _mm256_maskstore_ps(out, rows, _mm256_add_ps(v, s));
    }
}

INLINE void mul_tile(struct type t, const struct tile *tile, struct ahead *ahead, int64_t n_blocks,
                     const char *x, size_t x_row_bytes, int64_t n_x, int64_t k, int64_t block,
                     float *y, size_t y_stride, int64_t n_rows, bool first)
{
    int64_t i = 0;
#define TOKENS_OF(n)                                                                               \
    for (; i + n <= n_x; i += n)                                                                   \
        mul_tokens(t, tile, ahead, n_blocks, x + (size_t)i * x_row_bytes, x_row_bytes, k, block, n,       \
                   y + (size_t)i * y_stride, y_stride, n_rows, first);
    TOKENS_OF(4)
    TOKENS_OF(2)
    TOKENS_OF(1)
}

INLINE void mul(struct type t, const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                const void *x, size_t x_row_bytes, int64_t n_x, float *y, size_t y_stride)
{
    struct tile tile;
    int64_t n_blocks = k / 256;
    for (int64_t r = 0; r < n_rows; r += ROWS) {
        int64_t n = n_rows - r < ROWS ? n_rows - r : ROWS;
        for (int64_t b = 0; b == 0 || b < n_blocks; b += CHUNK) {
            int64_t n_b = n_blocks - b < CHUNK ? n_blocks - b : CHUNK;
            const uint8_t *p = (const uint8_t *)w + (size_t)r * w_row_bytes +
                               (size_t)b * (size_t)t.block_bytes;
            bool is_last = b + CHUNK >= n_blocks;
            const uint8_t *next = is_last ? (const uint8_t *)w + (size_t)(r + ROWS) * w_row_bytes
                                          : p + CHUNK * t.block_bytes;
            struct ahead ahead = ahead_begin(next, (size_t)(n_b * t.block_bytes), w_row_bytes, ROWS,
                                             n_b + n_b * n_passes(n_x, TOKENS));
            for (int64_t i = 0; i < n_b; i++) {
                fetch_ahead(&ahead);
                fill_super(t, &tile, p + i * t.block_bytes, w_row_bytes, n, i);
            }
            mul_tile(t, &tile, &ahead, n_b, x, x_row_bytes, n_x, k, b, y + r, y_stride, n, b == 0);
        }
    }
}

/* Up to MAX_ONES tokens are cheaper one by one, while some rows are in the cache, than by way of a
 * tile. */
enum { MAX_ONES = 3, ROWS_OF_ONES = 16 };

INLINE void mul_ones(kernel_mul_fn one, const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                     const void *x, size_t x_row_bytes, int64_t n_x, float *y, size_t y_stride)
{
    for (int64_t r = 0; r < n_rows; r += ROWS_OF_ONES) {
        int64_t n = n_rows - r < ROWS_OF_ONES ? n_rows - r : ROWS_OF_ONES;
        for (int64_t t = 0; t < n_x; t++)
            one((const uint8_t *)w + (size_t)r * w_row_bytes, w_row_bytes, n, k,
                (const uint8_t *)x + (size_t)t * x_row_bytes, x_row_bytes, 1,
                y + (size_t)t * y_stride + r, y_stride);
    }
}

#define TYPE(name, has_dmin, is_signed, group, adds)                                               \
    void mul_##name##_avx2(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,           \
                           const void *x, size_t x_row_bytes, int64_t n_x, float *y,               \
                           size_t y_stride)                                                        \
    {                                                                                              \
        struct type t = {load_##name, sizeof(struct block_##name), has_dmin, is_signed, group,     \
                         adds};                                                                    \
        if (n_x == 1)                                                                              \
            one_##name##_avx2(w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);        \
        else if (n_x <= MAX_ONES)                                                                  \
            mul_ones(one_##name##_avx2, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y,         \
                     y_stride);                                                                    \
        else                                                                                       \
            mul(t, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);                   \
    }
TYPE(q2_k, true, false, 16, 4)
TYPE(q3_k, false, false, 16, 4)
TYPE(q4_k, true, false, 32, 8)
TYPE(q5_k, true, false, 32, 4)
TYPE(q6_k, false, false, 16, 2)
TYPE(iq4_xs, false, true, 32, 1)
