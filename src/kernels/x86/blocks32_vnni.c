/* SPDX-License-Identifier: Apache-2.0
 * blocks32_vnni.c - weights in blocks of 32 times ACT_Q8 rows, for CPUs with AVX-512 VNNI.
 *
 * Why: vpdpbusd adds four byte products per 32-bit lane in one operation. It wants one unsigned
 * side, so weights carry an offset (8, 16, 128) that the activations' block sums take back.
 *
 * Canonical order, the same for one token and for tiles, in chunks of 64 blocks:
 *   S_b = sum over the block, exact in 32 bits
 *   lane[b % 16] = fma(S_b, dw_b dx_b, lane[b % 16]), then fma(mw_b, s_b, lane[b % 16])
 *   lanes are added as a tree (add_lanes_tree), chunks one after the other.
 *
 * One token: four blocks at a time, elements 0..15 of each in one vector and 16..31 in another,
 * so that each 128-bit lane belongs to one block. 16 blocks share one conversion, scaling and fma:
 * about 3.5 vector operations per block.
 * Several tokens: tiles32_vnni.c. */
#include "src/kernels/x86/stream.h"
#include "src/kernels/x86/tiles.h"
#include "src/kernels/x86/wide.h"
#include "src/tensor/blocks.h"

enum { CHUNK = 64 };

/* Four blocks, as bytes with their offset, and their headers: d of 4 blocks, m of 4 (f16). */
struct group {
    __m512i lo, hi;
    __m128i head;
};
typedef struct group (*group_fn)(const uint8_t *w);
struct type {
    group_fn load;
    int block_bytes, offset;
    bool has_m;
};

/* Word index into two loads, of the first and of the last 64 bytes of a group, for byte p. */
#define AT(bytes, p) ((p) + 2 <= 64 ? (p) / 2 : 32 + ((p) - (4 * (bytes) - 64)) / 2)
#define FOUR(bytes, p) AT(bytes, p), AT(bytes, p + 2), AT(bytes, p + 4), AT(bytes, p + 6)
#define EIGHT(bytes, p) FOUR(bytes, p), FOUR(bytes, p + 8)
#define NIBBLES(bytes, p)                                                                          \
    {                                                                                              \
        EIGHT(bytes, p), EIGHT(bytes, bytes + p), EIGHT(bytes, 2 * bytes + p),                     \
            EIGHT(bytes, 3 * bytes + p)                                                            \
    }
#define EACH(bytes, p)                                                                             \
    AT(bytes, p), AT(bytes, bytes + p), AT(bytes, 2 * bytes + p), AT(bytes, 3 * bytes + p)

struct raw {
    __m512i a, b;
};
INLINE struct raw load_raw(const uint8_t *w, int block_bytes)
{
    return (struct raw){load64(w), load64(w + 4 * block_bytes - 64)};
}

INLINE __m512i pick(struct raw r, const uint16_t index[32])
{
    return _mm512_permutex2var_epi16(r.a, _mm512_loadu_si512(index), r.b);
}

INLINE __m128i pick8(struct raw r, const uint16_t index[8])
{
    __m512i i = _mm512_castsi128_si512(_mm_loadu_si128((const void *)index));
    return _mm512_castsi512_si128(_mm512_permutex2var_epi16(r.a, i, r.b));
}

INLINE void split_nibbles(__m512i v, struct group *g)
{
    const __m512i low = _mm512_set1_epi8(15);
    g->lo = _mm512_and_si512(v, low);
    g->hi = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
}

/* bits: the low 16 of four blocks, then the high 16 of four blocks */
INLINE void add_fifth_bits(__m128i bits, struct group *g)
{
    const __m512i v = _mm512_set1_epi8(16);
    __mmask64 lo = (__mmask64)_mm_cvtsi128_si64(bits);
    __mmask64 hi = (__mmask64)_mm_extract_epi64(bits, 1);
    g->lo = _mm512_mask_add_epi8(g->lo, lo, g->lo, v);
    g->hi = _mm512_mask_add_epi8(g->hi, hi, g->hi, v);
}

INLINE struct group load_q4_0(const uint8_t *w)
{
    static const uint16_t nibbles[32] = NIBBLES(18, 2), head[8] = {EACH(18, 0)};
    struct raw r = load_raw(w, 18);
    struct group g;
    split_nibbles(pick(r, nibbles), &g);
    g.head = pick8(r, head);
    return g;
}

INLINE struct group load_iq4_nl(const uint8_t *w)
{
    static const int8_t values[16] = IQ4_TABLE;
    struct group g = load_q4_0(w);
    __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)values));
    table = _mm512_xor_si512(table, _mm512_set1_epi8(-128));
    g.lo = _mm512_shuffle_epi8(table, g.lo);
    g.hi = _mm512_shuffle_epi8(table, g.hi);
    return g;
}

INLINE struct group load_q4_1(const uint8_t *w)
{
    static const uint16_t nibbles[32] = NIBBLES(20, 4), head[8] = {EACH(20, 0), EACH(20, 2)};
    struct raw r = load_raw(w, 20);
    struct group g;
    split_nibbles(pick(r, nibbles), &g);
    g.head = pick8(r, head);
    return g;
}

INLINE struct group load_q5_0(const uint8_t *w)
{
    static const uint16_t nibbles[32] = NIBBLES(22, 6), head[8] = {EACH(22, 0)};
    static const uint16_t bits[8] = {EACH(22, 2), EACH(22, 4)};
    struct raw r = load_raw(w, 22);
    struct group g;
    split_nibbles(pick(r, nibbles), &g);
    add_fifth_bits(pick8(r, bits), &g);
    g.head = pick8(r, head);
    return g;
}

INLINE struct group load_q5_1(const uint8_t *w)
{
    static const uint16_t nibbles[32] = NIBBLES(24, 8), head[8] = {EACH(24, 0), EACH(24, 2)};
    static const uint16_t bits[8] = {EACH(24, 4), EACH(24, 6)};
    struct raw r = load_raw(w, 24);
    struct group g;
    split_nibbles(pick(r, nibbles), &g);
    add_fifth_bits(pick8(r, bits), &g);
    g.head = pick8(r, head);
    return g;
}

INLINE __m512i load_pair_q8_0(const uint8_t *w)
{
    __m256i a = _mm256_loadu_si256((const void *)(w + 2));
    __m256i b = _mm256_loadu_si256((const void *)(w + 36));
    __m512i ab = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
    return _mm512_xor_si512(ab, _mm512_set1_epi8(-128));
}

INLINE struct group load_q8_0(const uint8_t *w)
{
    __m512i p = load_pair_q8_0(w), q = load_pair_q8_0(w + 68);
    uint64_t d = (uint64_t)block_u16(w) | (uint64_t)block_u16(w + 34) << 16 |
                 (uint64_t)block_u16(w + 68) << 32 | (uint64_t)block_u16(w + 102) << 48;
    return (struct group){_mm512_shuffle_i64x2(p, q, 0x88), _mm512_shuffle_i64x2(p, q, 0xdd),
                          _mm_cvtsi64_si128((long long)d)};
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

/* lanes += up to 16 blocks, in n_groups (a constant) times four, of one row times one token. Blocks
 * outside of the mask may hold anything: their activations and scales count as zero. */
INLINE __m512 dot_groups(struct type t, const uint8_t *w, struct act x, __m512 lanes,
                         const int n_groups, __mmask16 blocks)
{
    const __m512i order =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i sums[4];
    __m128i heads[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        if (i >= n_groups) {
            sums[i] = _mm512_setzero_si512();
            heads[i] = _mm_setzero_si128();
            continue;
        }
        struct group g = t.load(w + 4 * i * t.block_bytes);
        __m512i x0 = _mm512_loadu_si512(x.q + 128 * i);
        __m512i x1 = _mm512_loadu_si512(x.q + 128 * i + 64);
        __m512i s = _mm512_dpbusd_epi32(_mm512_setzero_si512(), g.lo,
                                        _mm512_shuffle_i64x2(x0, x1, 0x88));
        sums[i] = _mm512_dpbusd_epi32(s, g.hi, _mm512_shuffle_i64x2(x0, x1, 0xdd));
        heads[i] = g.head;
    }
    __m512i sum = _mm512_permutexvar_epi32(order, add_quads(sums[0], sums[1], sums[2], sums[3]));
    if (t.offset) {
        __m512i o = _mm512_mullo_epi32(_mm512_loadu_si512(x.sum), _mm512_set1_epi32(t.offset));
        sum = _mm512_sub_epi32(sum, o);
    }
    __m256i d = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_unpacklo_epi64(heads[0], heads[1])),
        _mm_unpacklo_epi64(heads[2], heads[3]), 1);
    __m512 scale = _mm512_mul_ps(_mm512_maskz_cvtph_ps(blocks, d), _mm512_loadu_ps(x.d));
    lanes = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, lanes);
    if (t.has_m) {
        __m256i m = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_unpackhi_epi64(heads[0], heads[1])),
            _mm_unpackhi_epi64(heads[2], heads[3]), 1);
        lanes = _mm512_fmadd_ps(_mm512_maskz_cvtph_ps(blocks, m), _mm512_loadu_ps(x.s), lanes);
    }
    return lanes;
}

/* The last, incomplete 16 blocks, filled up with zeros: a zero block adds nothing to its lane. */
struct tail {
    int8_t q[512];
    float d[16], s[16];
    int32_t sum[16];
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
INLINE __m512 dot_tail(struct type t, const uint8_t *w, size_t n_readable, const struct tail *z,
                       int64_t rest, __m512 lanes, const int n_groups)
{
    __mmask16 blocks = (__mmask16)((1u << rest) - 1);
    struct act x = {z->q, z->d, z->s, z->sum};
    uint8_t copy[16 * 34];
    if (n_readable < (size_t)(4 * n_groups * t.block_bytes)) {
        memset(copy, 0, sizeof copy);
        memcpy(copy, w, (size_t)rest * (size_t)t.block_bytes);
        w = copy;
    }
    return dot_groups(t, w, x, lanes, n_groups, blocks);
}

/* y[r] = sum_c W[r,c] x[c];  n_groups (a constant) groups of four blocks are the row's tail */
INLINE void mul_rows(struct type t, const uint8_t *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                     const void *x, float *y, bool ahead, const int n_groups)
{
    int64_t n_blocks = k / 32, whole = n_blocks / 16 * 16, rest = n_blocks - whole;
    size_t tail_at = (size_t)whole * (size_t)t.block_bytes;
    size_t end = (size_t)(n_rows - 1) * w_row_bytes + (size_t)n_blocks * (size_t)t.block_bytes;
    struct tail z;
    if (n_groups) fill_tail(&z, act_at(x, k, whole), rest);
    for (int64_t r = 0; r < n_rows; r++) {
        size_t at = (size_t)r * w_row_bytes;
        __m512 lanes = _mm512_setzero_ps();
        float total = 0;
        for (int64_t b = 0; b < whole; b += 16) {
            if (b && b % CHUNK == 0) {
                total += add_lanes_tree(lanes);
                lanes = _mm512_setzero_ps();
            }
            const uint8_t *p = w + at + (size_t)b * (size_t)t.block_bytes;
            if (ahead) stream_ahead(p, 16 * (size_t)t.block_bytes);
            lanes = dot_groups(t, p, act_at(x, k, b), lanes, 4, 0xffff);
        }
        if (n_groups) {
            if (whole && whole % CHUNK == 0) {
                total += add_lanes_tree(lanes);
                lanes = _mm512_setzero_ps();
            }
            if (ahead) stream_ahead(w + at + tail_at, 4 * (size_t)(n_groups * t.block_bytes));
            lanes = dot_tail(t, w + at + tail_at, end - at - tail_at, &z, rest, lanes, n_groups);
        }
        y[r] = total + add_lanes_tree(lanes);
    }
}

INLINE void mul_one(struct type t, const uint8_t *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                    const void *x, float *y, bool ahead)
{
    switch ((k / 32 % 16 + 3) / 4) {
    case 0: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 0); break;
    case 1: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 1); break;
    case 2: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 2); break;
    case 3: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 3); break;
    default: mul_rows(t, w, w_row_bytes, n_rows, k, x, y, ahead, 4); break;
    }
}

#define TYPE(name, offset, has_m)                                                                  \
    static void mul_##name(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,           \
                           const void *x, size_t x_row_bytes, int64_t n_x, float *y,               \
                           size_t y_stride, bool ahead)                                            \
    {                                                                                              \
        struct type t = {load_##name, sizeof(struct block_##name), offset, has_m};                 \
        if (n_x == 1)                                                                              \
            mul_one(t, w, w_row_bytes, n_rows, k, x, y, ahead);                                    \
        else                                                                                       \
            tiles_##name##_vnni(w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);      \
    }                                                                                              \
    AHEAD_VARIANTS(name, vnni)
TYPE(q4_0, 8, false)
TYPE(q4_1, 0, true)
TYPE(q5_0, 16, false)
TYPE(q5_1, 0, true)
TYPE(q8_0, 128, false)
TYPE(iq4_nl, 128, false)
