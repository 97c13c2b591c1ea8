/* SPDX-License-Identifier: Apache-2.0
 * blocks256_vnni.c - weights in superblocks of 256 times ACT_Q8K rows, for CPUs with AVX-512 VNNI.
 *
 * Why: the small scales inside a superblock are integers, so a superblock is summed exactly in 32
 * bits and goes to float once. An offset of the weights (q6_k 32, q3_k 4, iq4 128) and the mins
 * (q2_k, q4_k, q5_k) are both products with the activations' sums over 16.
 *
 * Canonical order, the same for one token and for tiles, in chunks of 8 superblocks:
 *   S_b, M_b exact;  lane[b % 4] = fma(S_b, d_b dx_b, lane[b % 4]), then
 *   fma(-M_b, dmin_b dx_b, lane[b % 4]);
 *   (lane 0 + lane 2) + (lane 1 + lane 3); chunks one after the other.
 *
 * One token: vpmaddubsw, then vpdpwssd with 16-bit scales: 2 operations per 64 weights beside the
 * unpacking (63 * 127 * 2 fits 16 bits; iq4's 241 does not and takes vpdpbusd, vpmulld, vpaddd).
 * Several tokens: tiles256_vnni.c. */
#include "src/kernels/x86/tiles.h"
#include "src/kernels/x86/wide.h"
#include "src/tensor/blocks.h"

enum { CHUNK = 8 };

/* One superblock: 16 pieces of 16 unsigned bytes. The type's order says to which group of 16 inputs
 * each piece belongs. mins: the type's own, or -offset * scale, to be multiplied with the sums
 * over 16. */
struct super {
    __m512i q[4];
    __m256i scales, mins; /* int16, by group of 16 */
    __m128 d;             /* d and dmin in lanes 0 and 1 */
};
typedef struct super (*super_fn)(const uint8_t *w);
struct type {
    super_fn load;
    int block_bytes;
    bool has_dmin;         /* mins have their own float scale; else they join the integer sum */
    bool pairs_fit;        /* two products fit 16 bits */
    int group;             /* inputs that share a scale: 16 or 32 */
    const uint8_t *pieces; /* [16] group of piece i */
};

static const uint8_t natural[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t halves16[16] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};

INLINE __m128 halves_at(const uint8_t *p)
{
    uint32_t u;
    memcpy(&u, p, 4);
    return _mm_cvtph_ps(_mm_cvtsi32_si128((int)u));
}

INLINE __m128 half_at(const uint8_t *p)
{
    return _mm_cvtph_ps(_mm_cvtsi32_si128(block_u16(p)));
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

INLINE __m512i both(__m256i lo, __m256i hi)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
}

/* Where mask has a bit, that of a; else that of b. */
INLINE __m512i choose(__m512i mask, __m512i a, __m512i b)
{
    return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

INLINE __m256i load32(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

/* 32 bytes to 64 weights: the low nibbles, then the high ones; upper nibbles are not cleared. */
INLINE __m512i low_then_high(const uint8_t *p)
{
    __m256i v = load32(p);
    return both(v, _mm256_srli_epi16(v, 4));
}

INLINE struct super load_q4_k(const uint8_t *w)
{
    const struct block_q4_k *b = (const void *)w;
    struct super s;
    UNROLL
    for (int z = 0; z < 4; z++)
        s.q[z] = _mm512_and_si512(low_then_high(b->qs + 32 * z), _mm512_set1_epi8(15));
    scales_k4(b->scales, &s);
    s.d = halves_at(b->d);
    return s;
}

INLINE struct super load_q5_k(const uint8_t *w)
{
    const struct block_q5_k *b = (const void *)w;
    const __m512i low = _mm512_set1_epi8(15), five = _mm512_set1_epi8(31);
    __m256i qh = load32(b->qh);
    __m512i h = both(qh, _mm256_srli_epi16(qh, 1)); /* q[z] wants bits 2z and 2z + 1 as bit 4 */
    __m512i bits[4] = {_mm512_slli_epi16(h, 4), _mm512_slli_epi16(h, 2), h,
                       _mm512_srli_epi16(h, 2)};
    struct super s;
    UNROLL
    for (int z = 0; z < 4; z++)
        s.q[z] = _mm512_and_si512(choose(low, low_then_high(b->qs + 32 * z), bits[z]), five);
    scales_k4(b->scales, &s);
    s.d = halves_at(b->d);
    return s;
}

INLINE struct super load_q6_k(const uint8_t *w)
{
    const struct block_q6_k *b = (const void *)w;
    const __m512i low = _mm512_set1_epi8(15), six = _mm512_set1_epi8(63);
    struct super s;
    UNROLL
    for (int i = 0; i < 2; i++) {
        __m512i v = load64(b->ql + 64 * i);
        __m256i qh = load32(b->qh + 32 * i);
        __m512i h0 = both(_mm256_slli_epi16(qh, 4), _mm256_slli_epi16(qh, 2));
        __m512i h1 = both(qh, _mm256_srli_epi16(qh, 2));
        s.q[2 * i] = _mm512_and_si512(choose(low, v, h0), six);
        s.q[2 * i + 1] = _mm512_and_si512(choose(low, _mm512_srli_epi16(v, 4), h1), six);
    }
    s.scales = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)b->scales));
    s.mins = _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_slli_epi16(s.scales, 5));
    s.d = half_at(b->d);
    return s;
}

INLINE struct super load_q2_k(const uint8_t *w)
{
    const struct block_q2_k *b = (const void *)w;
    const __m512i low = _mm512_set1_epi8(3);
    struct super s;
    for (int i = 0; i < 2; i++) {
        __m256i v = _mm256_loadu_si256((const void *)(b->qs + 32 * i));
        __m512i p = both(v, _mm256_srli_epi16(v, 2));
        s.q[2 * i] = _mm512_and_si512(p, low);
        s.q[2 * i + 1] = _mm512_and_si512(_mm512_srli_epi16(p, 4), low);
    }
    __m256i sc = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)b->scales));
    s.scales = _mm256_and_si256(sc, _mm256_set1_epi16(15));
    s.mins = _mm256_srli_epi16(sc, 4);
    s.d = halves_at(b->d);
    return s;
}

INLINE struct super load_q3_k(const uint8_t *w)
{
    const struct block_q3_k *b = (const void *)w;
    const __m512i low = _mm512_set1_epi8(3), bit = _mm512_set1_epi8(4);
    const __m256i mask = _mm256_loadu_si256((const void *)b->hmask);
    __m512i h = both(mask, _mm256_srli_epi16(mask, 1)); /* bits 0 and 1; q[z] wants 2z, 2z + 1 */
    struct super s;
    for (int i = 0; i < 2; i++) {
        __m256i v = _mm256_loadu_si256((const void *)(b->qs + 32 * i));
        __m512i p = both(v, _mm256_srli_epi16(v, 2));
        __m512i h0 = i ? _mm512_srli_epi16(h, 2) : _mm512_slli_epi16(h, 2);
        __m512i h1 = i ? _mm512_srli_epi16(h, 4) : h;
        s.q[2 * i] = _mm512_or_si512(_mm512_and_si512(p, low), _mm512_and_si512(h0, bit));
        s.q[2 * i + 1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(p, 4), low),
                                         _mm512_and_si512(h1, bit));
    }
    struct block_scales p3 = block_scales_q3(b->scales);
    s.scales = _mm256_cvtepu8_epi16(_mm_set_epi64x((long long)p3.b, (long long)p3.a));
    s.scales = _mm256_sub_epi16(s.scales, _mm256_set1_epi16(32));
    s.mins = _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_slli_epi16(s.scales, 2));
    s.d = half_at(b->d);
    return s;
}

INLINE struct super load_iq4_xs(const uint8_t *w)
{
    static const int8_t values[16] = IQ4_TABLE;
    const struct block_iq4_xs *b = (const void *)w;
    const __m512i low = _mm512_set1_epi8(15);
    __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)values));
    table = _mm512_xor_si512(table, _mm512_set1_epi8(-128));
    struct super s;
    for (int i = 0; i < 2; i++) {
        __m512i v = load64(b->qs + 64 * i);
        s.q[2 * i] = _mm512_shuffle_epi8(table, _mm512_and_si512(v, low));
        s.q[2 * i + 1] =
            _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(v, 4), low));
    }
    uint32_t l;
    memcpy(&l, b->scales_l, 4);
    uint64_t lo = _pdep_u64(l, 0x0f0f0f0f0f0f0f0full);
    uint64_t hi = _pdep_u64(block_u16(b->scales_h), 0x3030303030303030ull);
    s.scales = _mm256_sub_epi16(twice(_mm_cvtsi64_si128((long long)(lo | hi))),
                                _mm256_set1_epi16(32));
    s.mins = _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_slli_epi16(s.scales, 7));
    s.d = half_at(b->d);
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

/* 64 activations in the order of the type's vector z. */
INLINE __m512i load_x(struct type t, const int8_t *x, int z)
{
    if (t.pieces == natural) return _mm512_loadu_si512(x + 64 * z);
    const int8_t *p = x + 128 * (z / 2);
    __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 64);
    return z % 2 ? _mm512_shuffle_i64x2(a, b, 0xdd) : _mm512_shuffle_i64x2(a, b, 0x88);
}

/* The 16-bit scales of vector z, each over its piece. */
INLINE __m512i spread16(struct type t, __m512i scales, int z)
{
    const uint8_t *g = t.pieces + 4 * z;
    __m512i index = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_set_m128i(_mm_set1_epi16(g[1]), _mm_set1_epi16(g[0]))),
        _mm256_set_m128i(_mm_set1_epi16(g[3]), _mm_set1_epi16(g[2])), 1);
    return _mm512_permutexvar_epi16(index, scales);
}

struct sums {
    __m512i dot;  /* 16 partial sums */
    __m256i mins; /* has_dmin: 8 partial sums */
};

/* One superblock of one row times one token. */
INLINE struct sums dot_super(struct type t, const struct super *s, struct act x)
{
    __m512i scales = _mm512_castsi256_si512(s->scales), dot = _mm512_setzero_si512();
    UNROLL
    for (int z = 0; z < 4; z++) {
        __m512i v = load_x(t, x.q, z), sc = spread16(t, scales, z);
        if (t.pairs_fit) {
            dot = _mm512_dpwssd_epi32(dot, _mm512_maddubs_epi16(s->q[z], v), sc);
        } else {
            __m512i p = _mm512_dpbusd_epi32(_mm512_setzero_si512(), s->q[z], v);
            sc = _mm512_srai_epi32(sc, 16);
            dot = _mm512_add_epi32(dot, _mm512_mullo_epi32(p, sc));
        }
    }
    __m256i sum16 = _mm256_loadu_si256((const void *)x.sum16);
    __m256i m = _mm256_madd_epi16(s->mins, sum16);
    if (t.has_dmin) return (struct sums){dot, m};
    return (struct sums){_mm512_add_epi32(dot, _mm512_zextsi256_si512(m)),
                         _mm256_setzero_si256()};
}

/* Adds up the lanes of four vectors: (sum a, sum b, sum c, sum d). */
INLINE __m128i add_eights(__m256i a, __m256i b, __m256i c, __m256i d)
{
    __m256i q = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_add_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
}

/* lanes += up to 4 superblocks of one row times one token */
INLINE __m128 dot_four(struct type t, const uint8_t *w, struct act x, int64_t n, __m128 lanes)
{
    struct sums s[4];
    __m128 d[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        if (i < n) {
            struct super b = t.load(w + i * t.block_bytes);
            s[i] = dot_super(t, &b, (struct act){x.q + 256 * i, x.d + i, x.sum16 + 16 * i});
            d[i] = b.d;
        } else {
            s[i] = (struct sums){_mm512_setzero_si512(), _mm256_setzero_si256()};
            d[i] = _mm_setzero_ps();
        }
    }
    __m128 dx = n >= 4 ? _mm_loadu_ps(x.d) : _mm_maskz_loadu_ps((__mmask8)((1 << n) - 1), x.d);
    __m128 d01 = _mm_unpacklo_ps(d[0], d[1]), d23 = _mm_unpacklo_ps(d[2], d[3]);
    __m128 dot = _mm_cvtepi32_ps(add_lanes_i32(s[0].dot, s[1].dot, s[2].dot, s[3].dot));
    lanes = _mm_fmadd_ps(dot, _mm_mul_ps(_mm_movelh_ps(d01, d23), dx), lanes);
    if (t.has_dmin) {
        __m128 m = _mm_cvtepi32_ps(add_eights(s[0].mins, s[1].mins, s[2].mins, s[3].mins));
        lanes = _mm_fnmadd_ps(m, _mm_mul_ps(_mm_movehl_ps(d23, d01), dx), lanes);
    }
    return lanes;
}

INLINE float add_four(__m128 v)
{
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}

/* y[r] = sum_c W[r,c] x[c] */
INLINE void mul_one(struct type t, const uint8_t *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                    const void *x, float *y)
{
    int64_t n_blocks = k / 256;
    for (int64_t r = 0; r < n_rows; r++) {
        const uint8_t *row = w + (size_t)r * w_row_bytes;
        __m128 lanes = _mm_setzero_ps();
        float total = 0;
        int64_t b = 0;
        for (; b + 4 <= n_blocks; b += 4) {
            if (b && b % CHUNK == 0) {
                total += add_four(lanes);
                lanes = _mm_setzero_ps();
            }
            lanes = dot_four(t, row + (size_t)b * (size_t)t.block_bytes, act_at(x, k, b), 4, lanes);
        }
        if (b < n_blocks) {
            if (b && b % CHUNK == 0) {
                total += add_four(lanes);
                lanes = _mm_setzero_ps();
            }
            lanes = dot_four(t, row + (size_t)b * (size_t)t.block_bytes, act_at(x, k, b),
                             n_blocks - b, lanes);
        }
        y[r] = total + add_four(lanes);
    }
}

#define TYPE(name, has_dmin, pairs_fit, group, pieces)                                             \
    void mul_##name##_vnni(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,           \
                           const void *x, size_t x_row_bytes, int64_t n_x, float *y,               \
                           size_t y_stride)                                                        \
    {                                                                                              \
        struct type t = {load_##name, sizeof(struct block_##name), has_dmin, pairs_fit, group,     \
                         pieces};                                                                  \
        if (n_x == 1)                                                                              \
            mul_one(t, w, w_row_bytes, n_rows, k, x, y);                                           \
        else                                                                                       \
            tiles_##name##_vnni(w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);      \
    }
TYPE(q2_k, true, true, 16, natural)
TYPE(q3_k, false, true, 16, natural)
TYPE(q4_k, true, true, 32, natural)
TYPE(q5_k, true, true, 32, natural)
TYPE(q6_k, false, true, 16, natural)
TYPE(iq4_xs, false, false, 32, halves16)
