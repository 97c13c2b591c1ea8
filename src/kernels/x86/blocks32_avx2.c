/* SPDX-License-Identifier: Apache-2.0
 * blocks32_avx2.c - weights in blocks of 32 times ACT_Q8 rows, for CPUs with AVX2.
 *
 * Why: vpmaddubsw multiplies unsigned by signed bytes and adds pairs in 16 bits. Weights of 4 and 5
 * bits are unsigned and several such sums fit 16 bits (15 * 127 * 2 * 8 = 30480, 31 * 127 * 2 * 4 =
 * 31496); weights of 8 bits are taken as |w| with their sign moved to x, and nothing may be added
 * before vpmaddwd (128 * 127 * 2 = 32512).
 *
 * Canonical order, the same for one token and for tiles, in chunks of 64 blocks: as in
 * blocks32_vnni.c with 8 lanes, lane[b % 8].
 *
 * One token: two blocks at a time, elements 0..15 of both in one vector and 16..31 in another; 8
 * blocks share one conversion, scaling and fma. Tiles: 8 rows side by side, 16 KB of weights, read
 * once per 4 tokens. */
#include "src/kernels/x86/ahead.h"
#include "src/kernels/x86/narrow.h"
#include "src/kernels/x86/stream.h"
#include "src/tensor/blocks.h"

enum { CHUNK = 64, TOKENS = 4, ROWS = 8 };

/* Two blocks. */
struct pair {
    __m256i lo, hi;
};
typedef struct pair (*pair_fn)(const uint8_t *w);
struct type {
    pair_fn load;
    int block_bytes;
    int offset; /* of unsigned weights, taken back with the block sums */
    int adds;   /* how many sums of pairs fit 16 bits; 0: weights are signed */
    bool has_m; /* f16 behind d */
};

INLINE __m256i both(const uint8_t *a, const uint8_t *b)
{
    __m256i v = _mm256_castsi128_si256(_mm_loadu_si128((const void *)a));
    return _mm256_inserti128_si256(v, _mm_loadu_si128((const void *)b), 1);
}

INLINE struct pair split_nibbles(__m256i v)
{
    const __m256i low = _mm256_set1_epi8(15);
    return (struct pair){_mm256_and_si256(v, low),
                         _mm256_and_si256(_mm256_srli_epi16(v, 4), low)};
}

/* 16 where the bit of the element is set; bits a for the low lane, b for the high one */
INLINE __m256i fifth(uint32_t a, uint32_t b)
{
    const __m256i which = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0,
                                           0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    __m256i v = _mm256_set_m128i(_mm_cvtsi32_si128((int)b), _mm_cvtsi32_si128((int)a));
    v = _mm256_and_si256(_mm256_shuffle_epi8(v, which), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(v, bit), _mm256_set1_epi8(16));
}

INLINE struct pair add_fifth_bits(struct pair p, const uint8_t *a, const uint8_t *b)
{
    uint32_t u, v;
    memcpy(&u, a, 4);
    memcpy(&v, b, 4);
    return (struct pair){_mm256_or_si256(p.lo, fifth(u, v)),
                         _mm256_or_si256(p.hi, fifth(u >> 16, v >> 16))};
}

INLINE struct pair load_q4_0(const uint8_t *w)
{
    return split_nibbles(both(w + 2, w + 20));
}

INLINE struct pair load_q4_1(const uint8_t *w)
{
    return split_nibbles(both(w + 4, w + 24));
}

INLINE struct pair load_q5_0(const uint8_t *w)
{
    return add_fifth_bits(split_nibbles(both(w + 6, w + 28)), w + 2, w + 24);
}

INLINE struct pair load_q5_1(const uint8_t *w)
{
    return add_fifth_bits(split_nibbles(both(w + 8, w + 32)), w + 4, w + 28);
}

INLINE struct pair load_q8_0(const uint8_t *w)
{
    return (struct pair){both(w + 2, w + 36), both(w + 18, w + 52)};
}

INLINE struct pair load_iq4_nl(const uint8_t *w)
{
    static const int8_t values[16] = IQ4_TABLE;
    __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)values));
    struct pair p = load_q4_0(w);
    return (struct pair){_mm256_shuffle_epi8(table, p.lo), _mm256_shuffle_epi8(table, p.hi)};
}

/* The f16 at the same place of 8 blocks. */
INLINE __m256 halves8(const uint8_t *w, int block_bytes)
{
    __m128i v = _mm_cvtsi32_si128(block_u16(w));
    v = _mm_insert_epi16(v, block_u16(w + block_bytes), 1);
    v = _mm_insert_epi16(v, block_u16(w + 2 * block_bytes), 2);
    v = _mm_insert_epi16(v, block_u16(w + 3 * block_bytes), 3);
    v = _mm_insert_epi16(v, block_u16(w + 4 * block_bytes), 4);
    v = _mm_insert_epi16(v, block_u16(w + 5 * block_bytes), 5);
    v = _mm_insert_epi16(v, block_u16(w + 6 * block_bytes), 6);
    v = _mm_insert_epi16(v, block_u16(w + 7 * block_bytes), 7);
    return _mm256_cvtph_ps(v);
}

/* One activation row, from some block on. */
struct act {
    const int8_t *q;
    const float *d, *s;
    const int32_t *sum;
};

INLINE struct act act_at(const void *row, int64_t k, int64_t block)
{
    const char *p = row;
    return (struct act){(const int8_t *)p + 32 * block,
                        (const float *)(const void *)(p + act_q8_d(k)) + block,
                        (const float *)(const void *)(p + act_q8_s(k)) + block,
                        (const int32_t *)(const void *)(p + act_q8_sum(k)) + block};
}

/* Pairs of products in 16 bits; signed weights lend their sign to x. */
INLINE __m256i products(struct type t, __m256i w, __m256i x)
{
    if (t.adds) return _mm256_maddubs_epi16(w, x);
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}

/* lanes += up to 8 blocks, in n_pairs (a constant) times two, of one row times one token. Blocks
 * outside of the mask may hold anything: their activations and scales count as zero. */
INLINE __m256 dot_pairs(struct type t, const uint8_t *w, struct act x, __m256 lanes,
                        const int n_pairs, __m256 blocks)
{
    const __m256i one = _mm256_set1_epi16(1), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i sums[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        if (i >= n_pairs) {
            sums[i] = _mm256_setzero_si256();
            continue;
        }
        struct pair p = t.load(w + 2 * i * t.block_bytes);
        __m256i x0 = _mm256_loadu_si256((const void *)(x.q + 64 * i));
        __m256i x1 = _mm256_loadu_si256((const void *)(x.q + 64 * i + 32));
        __m256i a = products(t, p.lo, _mm256_permute2x128_si256(x0, x1, 0x20));
        __m256i b = products(t, p.hi, _mm256_permute2x128_si256(x0, x1, 0x31));
        sums[i] = t.adds ? _mm256_madd_epi16(_mm256_add_epi16(a, b), one)
                         : _mm256_add_epi32(_mm256_madd_epi16(a, one), _mm256_madd_epi16(b, one));
    }
    __m256i sum = _mm256_permutevar8x32_epi32(add_quads(sums[0], sums[1], sums[2], sums[3]), order);
    if (t.offset)
        sum = _mm256_sub_epi32(sum, _mm256_mullo_epi32(_mm256_loadu_si256((const void *)x.sum),
                                                       _mm256_set1_epi32(t.offset)));
    __m256 d = _mm256_and_ps(halves8(w, t.block_bytes), blocks);
    __m256 scale = _mm256_mul_ps(d, _mm256_loadu_ps(x.d));
    lanes = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, lanes);
    if (t.has_m)
        lanes = _mm256_fmadd_ps(_mm256_and_ps(halves8(w + 2, t.block_bytes), blocks),
                                _mm256_loadu_ps(x.s), lanes);
    return lanes;
}

/* The last, incomplete 8 blocks, filled up with zeros: a zero block adds nothing to its lane. */
struct tail {
    int8_t q[256];
    float d[8], s[8];
    int32_t sum[8];
};

INLINE void fill_tail(struct tail *z, struct act x, int64_t n)
{
    memset(z, 0, sizeof *z);
    memcpy(z->q, x.q, (size_t)n * 32);
    memcpy(z->d, x.d, (size_t)n * 4);
    memcpy(z->s, x.s, (size_t)n * 4);
    memcpy(z->sum, x.sum, (size_t)n * 4);
}

/* The last blocks of a row: a row's load may reach into the rows behind it, but not beyond them. */
INLINE __m256 dot_tail(struct type t, const uint8_t *w, size_t n_readable, const struct tail *z,
                       int64_t rest, __m256 lanes, const int n_pairs)
{
    struct act x = {z->q, z->d, z->s, z->sum};
    uint8_t copy[8 * 34];
    if (n_readable < (size_t)(8 * t.block_bytes)) {
        memset(copy, 0, sizeof copy);
        memcpy(copy, w, (size_t)rest * (size_t)t.block_bytes);
        w = copy;
    }
    return dot_pairs(t, w, x, lanes, n_pairs, _mm256_castsi256_ps(tail_mask(rest)));
}

/* y[r] = sum_c W[r,c] x[c];  n_pairs (a constant) pairs of blocks are the row's tail */
INLINE void mul_rows(struct type t, const uint8_t *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                     const void *x, float *y, bool ahead, const int n_pairs)
{
    const __m256 all = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    int64_t n_blocks = k / 32, whole = n_blocks / 8 * 8, rest = n_blocks - whole;
    size_t tail_at = (size_t)whole * (size_t)t.block_bytes;
    size_t end = (size_t)(n_rows - 1) * w_row_bytes + (size_t)n_blocks * (size_t)t.block_bytes;
    struct tail z;
    if (n_pairs) fill_tail(&z, act_at(x, k, whole), rest);
    for (int64_t r = 0; r < n_rows; r++) {
        size_t at = (size_t)r * w_row_bytes;
        __m256 lanes = _mm256_setzero_ps();
        float total = 0;
        for (int64_t b = 0; b < whole; b += 8) {
            if (b && b % CHUNK == 0) {
                total += add_lanes_tree(lanes);
                lanes = _mm256_setzero_ps();
            }
            const uint8_t *p = w + at + (size_t)b * (size_t)t.block_bytes;
            if (ahead) stream_ahead(p, 8 * (size_t)t.block_bytes);
            lanes = dot_pairs(t, p, act_at(x, k, b), lanes, 4, all);
        }
        if (n_pairs) {
            if (whole && whole % CHUNK == 0) {
                total += add_lanes_tree(lanes);
                lanes = _mm256_setzero_ps();
            }
            if (ahead) stream_ahead(w + at + tail_at, 2 * (size_t)(n_pairs * t.block_bytes));
            lanes = dot_tail(t, w + at + tail_at, end - at - tail_at, &z, rest, lanes, n_pairs);
        }
        y[r] = total + add_lanes_tree(lanes);
    }
}

INLINE void mul_one(struct type t, const uint8_t *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                    const void *x, float *y, bool ahead)
{
    switch ((k / 32 % 8 + 1) / 2) {
    case 0: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 0); break;
    case 1: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 1); break;
    case 2: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 2); break;
    case 3: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 3); break;
    default: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 4); break;
    }
}

/* Up to 64 blocks of 8 rows, ready to be multiplied. */
struct tile {
    _Alignas(64) uint8_t w[CHUNK * 8][ROWS][4]; /* [block, four inputs][row][input] */
    _Alignas(64) float d[CHUNK][ROWS], m[CHUNK][ROWS];
};

static const uint8_t lo_slots[8] = {0, 1, 2, 3, 8, 9, 10, 11};
static const uint8_t hi_slots[8] = {4, 5, 6, 7, 12, 13, 14, 15};

INLINE void fill_tile(struct type t, struct tile *tile, struct ahead *ahead, const uint8_t *w,
                      size_t w_row_bytes, int64_t n_rows, int64_t n_blocks)
{
    for (int64_t b = 0; b < n_blocks; b += 2) {
        __m256i lo[ROWS], hi[ROWS];
        fetch_ahead(ahead);
        for (int64_t r = 0; r < ROWS; r++) {
            const uint8_t *p = w + (size_t)(r < n_rows ? r : n_rows - 1) * w_row_bytes +
                               (size_t)b * (size_t)t.block_bytes;
            uint8_t copy[2 * 34] = {0};
            if (n_blocks - b < 2) {
                memcpy(copy, p, (size_t)t.block_bytes);
                p = copy;
            }
            struct pair q = t.load(p);
            lo[r] = q.lo;
            hi[r] = q.hi;
            for (int i = 0; i < 2; i++) {
                const uint8_t *head = p + i * t.block_bytes;
                tile->d[b + i][r] = _cvtsh_ss(block_u16(head));
                if (t.has_m) tile->m[b + i][r] = _cvtsh_ss(block_u16(head + 2));
            }
        }
        transpose8(lo, (uint8_t *)tile->w[8 * b], lo_slots);
        transpose8(hi, (uint8_t *)tile->w[8 * b], hi_slots);
    }
}

/* Exact sums of one block of a tile times n tokens. */
INLINE void sum_block(struct type t, const struct tile *tile, int64_t b, const struct act *acts,
                      const int n, __m256i sum[TOKENS])
{
    const __m256i one = _mm256_set1_epi16(1);
    const int step = t.adds ? t.adds : 1;
    UNROLL
    for (int i = 0; i < n; i++)
        sum[i] = t.offset ? _mm256_set1_epi32(-t.offset * acts[i].sum[b]) : _mm256_setzero_si256();
    UNROLL
    for (int c = 0; c < 8; c += step) {
        __m256i p[TOKENS];
        UNROLL
        for (int e = 0; e < step; e++) {
            __m256i w = _mm256_load_si256((const void *)tile->w[8 * b + c + e]);
            UNROLL
            for (int i = 0; i < n; i++) {
                int32_t four;
                memcpy(&four, acts[i].q + 32 * b + 4 * (c + e), 4);
                __m256i v = products(t, w, _mm256_set1_epi32(four));
                p[i] = e ? _mm256_add_epi16(p[i], v) : v;
            }
        }
        UNROLL
        for (int i = 0; i < n; i++)
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(p[i], one));
    }
}

/* y[t*y_stride + r] (+)= tile times n tokens; n is a constant where this is called */
INLINE void mul_tokens(struct type t, const struct tile *tile, struct ahead *ahead,
                       int64_t n_blocks, const char *x, size_t x_row_bytes, int64_t k, int64_t block,
                       const int n, float *y, size_t y_stride, int64_t n_rows, bool first)
{
    __m256 lanes[8][TOKENS];
    struct act acts[TOKENS];
    UNROLL
    for (int i = 0; i < n; i++) {
        acts[i] = act_at(x + (size_t)i * x_row_bytes, k, block);
        UNROLL
        for (int e = 0; e < 8; e++)
            lanes[e][i] = _mm256_setzero_ps();
    }
    for (int64_t b = 0; b < n_blocks; b++) {
        __m256i sum[TOKENS];
        fetch_ahead(ahead);
        sum_block(t, tile, b, acts, n, sum);
        __m256 d = _mm256_load_ps(tile->d[b]);
        UNROLL
        for (int i = 0; i < n; i++) {
            __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(acts[i].d[b]));
            __m256 v = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i]), scale, lanes[b % 8][i]);
            if (t.has_m)
                v = _mm256_fmadd_ps(_mm256_load_ps(tile->m[b]), _mm256_set1_ps(acts[i].s[b]), v);
            lanes[b % 8][i] = v;
        }
    }
    const __m256i rows = tail_mask(n_rows);
    UNROLL
    for (int i = 0; i < n; i++) {
        for (int half = 4; half; half /= 2)
            UNROLL
            for (int e = 0; e < half; e++)
                lanes[e][i] = _mm256_add_ps(lanes[e][i], lanes[e + half][i]);
        float *out = y + (size_t)i * y_stride;
        __m256 v = first ? _mm256_setzero_ps() : _mm256_maskload_ps(out, rows);
        _mm256_maskstore_ps(out, rows, _mm256_add_ps(v, lanes[0][i]));
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

INLINE void mul_tiles(struct type t, const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                      const void *x, size_t x_row_bytes, int64_t n_x, float *y, size_t y_stride)
{
    struct tile tile;
    int64_t n_blocks = k / 32;
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
                                             (n_b + 1) / 2 + n_b * n_passes(n_x, TOKENS));
            fill_tile(t, &tile, &ahead, p, w_row_bytes, n, n_b);
            mul_tile(t, &tile, &ahead, n_b, x, x_row_bytes, n_x, k, b, y + r, y_stride, n, b == 0);
        }
    }
}

#define TYPE(name, offset, adds, has_m)                                                            \
    static void mul_##name(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,           \
                           const void *x, size_t x_row_bytes, int64_t n_x, float *y,               \
                           size_t y_stride, bool ahead)                                            \
    {                                                                                              \
        struct type t = {load_##name, sizeof(struct block_##name), offset, adds, has_m};           \
        if (n_x == 1)                                                                              \
            mul_one(t, w, w_row_bytes, n_rows, k, x, y, ahead);                                    \
        else                                                                                       \
            mul_tiles(t, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);             \
    }                                                                                              \
    AHEAD_VARIANTS(name, avx2)
TYPE(q4_0, 8, 8, false)
TYPE(q4_1, 0, 8, true)
TYPE(q5_0, 16, 4, false)
TYPE(q5_1, 0, 4, true)
TYPE(q8_0, 0, 0, false)
TYPE(iq4_nl, 0, 0, false)
