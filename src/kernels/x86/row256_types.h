/* SPDX-License-Identifier: Apache-2.0
 * row256_types.h - the six types of superblocks as row256.h wants them: their heads, four at a time,
 * and their weights as bytes. Only included by files that make kernels of them. */
#ifndef KERNELS_X86_ROW256_TYPES_H
#define KERNELS_X86_ROW256_TYPES_H
#include "src/kernels/x86/row256.h"

INLINE __m256i load32(const uint8_t *p)
{
    __m256i v = _mm256_loadu_si256((const void *)p);
    __asm__("" : "+x"(v)); /* or gcc loads it again for every use */
    return v;
}

INLINE __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const void *)p); }
INLINE __m256i bytes_of(int v) { return _mm256_set1_epi8((char)v); }
INLINE __m256i low4(__m256i v) { return _mm256_and_si256(v, bytes_of(15)); }
INLINE __m256i high4(__m256i v) { return low4(_mm256_srli_epi16(v, 4)); }

INLINE __m256i shift_right(__m256i v, const int n)
{
    return n > 0 ? _mm256_srli_epi16(v, n) : n < 0 ? _mm256_slli_epi16(v, -n) : v;
}

/* The bits of `mask` in v shifted right (left, if n is negative), added to low bits. */
INLINE __m256i with_bits(__m256i low, __m256i v, const int n, int mask)
{
    return _mm256_or_si256(low, _mm256_and_si256(shift_right(v, n), bytes_of(mask)));
}

/* The f16 at the same place of four superblocks. */
INLINE __m128 four_halves(const uint8_t *p, const size_t stride)
{
    uint64_t v = (uint64_t)block_u16(p) | (uint64_t)block_u16(p + stride) << 16 |
                 (uint64_t)block_u16(p + 2 * stride) << 32 |
                 (uint64_t)block_u16(p + 3 * stride) << 48;
    return _mm_cvtph_ps(_mm_cvtsi64_si128((long long)v));
}

/* 16 scales in 16 bits, those of even groups in the low lane: each twice, in order of pieces. */
INLINE void spread(__m256i s, __m256i out[2])
{
    out[0] = _mm256_unpacklo_epi16(s, s);
    out[1] = _mm256_unpackhi_epi16(s, s);
}

INLINE __m128i even_odd(__m128i s)
{
    return _mm_shuffle_epi8(s, _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
}

INLINE __m256i times_sum16(__m256i scales, const int16_t *sum16)
{
    return _mm256_madd_epi16(scales, _mm256_loadu_si256((const void *)sum16));
}

/* q4_k and q5_k begin alike: d, dmin, 12 bytes of scales and mins. */
INLINE __m256i two_heads(const uint8_t *w, size_t stride)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(w)), load16(w + stride), 1);
}

/* Of each of two heads: scales 4 .. 7, 0 .. 3, mins 0 .. 3, 4 .. 7, as bytes (block_scales_k4). */
INLINE __m256i scales_k4(__m256i h)
{
    const int lo = 0x0f0f0f0f, hi = 0x30303030, six = 0x3f3f3f3f;
    __m256i t = _mm256_srlv_epi32(_mm256_shuffle_epi32(h, 0xe7),
                                  _mm256_setr_epi32(0, 0, 0, 4, 0, 0, 0, 4));
    __m256i u = _mm256_srlv_epi32(_mm256_shuffle_epi32(h, 0xa5),
                                  _mm256_setr_epi32(2, 0, 0, 2, 2, 0, 0, 2));
    t = _mm256_and_si256(t, _mm256_setr_epi32(lo, six, six, lo, lo, six, six, lo));
    return _mm256_or_si256(
        t, _mm256_and_si256(u, _mm256_setr_epi32(hi, 0, 0, hi, hi, 0, 0, hi)));
}

/* d, then dmin of four heads. */
INLINE __m256 floats_k4(__m256i a, __m256i b)
{
    const __m128i order =
        _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    __m256i v = _mm256_unpacklo_epi32(a, b);
    __m128i d = _mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    return _mm256_cvtph_ps(_mm_shuffle_epi8(d, order));
}

/* The lanes of a and b added up: (low a, high a, low b, high b). */
INLINE __m128i add_lane_pairs(__m256i a, __m256i b)
{
    __m256i m = _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    m = _mm256_add_epi32(m, _mm256_shuffle_epi32(m, 0xb1));
    return _mm_blend_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1), 0xa);
}

INLINE struct heads heads_k4(const uint8_t *w, struct act x, size_t stride)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i first = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1));
    const __m256i last = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1));
    __m256i h[2] = {two_heads(w, stride), two_heads(w + 2 * stride, stride)}, m[2];
    struct heads r;
    UNROLL
    for (int i = 0; i < 2; i++) {
        __m256i s = scales_k4(h[i]);
        __m256i even = _mm256_permute4x64_epi64(s, 0x44), odd = _mm256_permute4x64_epi64(s, 0xee);
        r.scales[2 * i][0] = _mm256_shuffle_epi8(even, first);
        r.scales[2 * i][1] = _mm256_shuffle_epi8(even, last);
        r.scales[2 * i + 1][0] = _mm256_shuffle_epi8(odd, first);
        r.scales[2 * i + 1][1] = _mm256_shuffle_epi8(odd, last);
        m[i] = times_sum16(_mm256_unpackhi_epi8(s, zero), x.sum32 + 16 * i);
    }
    r.mins = add_lane_pairs(m[0], m[1]);
    __m256 d = floats_k4(h[0], h[1]);
    r.d = _mm256_castps256_ps128(d);
    r.dmin = _mm256_extractf128_ps(d, 1);
    return r;
}

INLINE struct heads heads_q4_k(const uint8_t *w, struct act x)
{
    return heads_k4(w, x, sizeof(struct block_q4_k));
}

INLINE struct pieces pieces_q4_k(const uint8_t *w, const int z)
{
    const struct block_q4_k *b = (const void *)w;
    __m256i v = load32(b->qs + 32 * z);
    return (struct pieces){low4(v), high4(v)};
}

INLINE struct heads heads_q5_k(const uint8_t *w, struct act x)
{
    return heads_k4(w, x, sizeof(struct block_q5_k));
}

INLINE struct pieces pieces_q5_k(const uint8_t *w, const int z)
{
    const struct block_q5_k *b = (const void *)w;
    __m256i v = load32(b->qs + 32 * z), h = _mm256_loadu_si256((const void *)b->qh);
    return (struct pieces){with_bits(low4(v), h, 2 * z - 4, 16),
                           with_bits(high4(v), h, 2 * z - 3, 16)};
}

INLINE struct heads heads_q6_k(const uint8_t *w, struct act x)
{
    struct heads r;
    UNROLL
    for (int i = 0; i < 4; i++) {
        const struct block_q6_k *b = (const void *)(w + (size_t)i * sizeof *b);
        __m128i s = load16(b->scales);
        spread(_mm256_cvtepi8_epi16(even_odd(s)), r.scales[i]);
        r.minus[i] =
            _mm256_slli_epi32(times_sum16(_mm256_cvtepi8_epi16(s), x.sum16 + 16 * i), 5);
    }
    r.d = four_halves(w + offsetof(struct block_q6_k, d), sizeof(struct block_q6_k));
    return r;
}

INLINE struct pieces pieces_q6_k(const uint8_t *w, const int z)
{
    const struct block_q6_k *b = (const void *)w;
    const uint8_t *ql = b->ql + 64 * (z / 2);
    __m256i h = _mm256_loadu_si256((const void *)(b->qh + 32 * (z / 2)));
    __m256i v = _mm256_loadu_si256((const void *)ql), u = _mm256_loadu_si256((const void *)(ql + 32));
    if (z % 2 == 0)
        return (struct pieces){with_bits(low4(v), h, -4, 48), with_bits(low4(u), h, -2, 48)};
    return (struct pieces){with_bits(high4(v), h, 0, 48), with_bits(high4(u), h, 2, 48)};
}

INLINE struct heads heads_q2_k(const uint8_t *w, struct act x)
{
    const size_t stride = sizeof(struct block_q2_k);
    struct heads r;
    __m256i m[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        const struct block_q2_k *b = (const void *)(w + (size_t)i * stride);
        __m128i s = load16(b->scales);
        __m128i low = _mm_and_si128(even_odd(s), _mm_set1_epi8(15));
        spread(_mm256_cvtepu8_epi16(low), r.scales[i]);
        m[i] = times_sum16(_mm256_srli_epi16(_mm256_cvtepu8_epi16(s), 4), x.sum16 + 16 * i);
    }
    r.mins = add_lanes(m);
    r.d = four_halves(w + offsetof(struct block_q2_k, d), stride);
    r.dmin = four_halves(w + offsetof(struct block_q2_k, dmin), stride);
    return r;
}

INLINE struct pieces pieces_q2_k(const uint8_t *w, const int z)
{
    const struct block_q2_k *b = (const void *)w;
    __m256i v = _mm256_loadu_si256((const void *)(b->qs + 32 * (z / 2)));
    int shift = 4 * (z % 2);
    return (struct pieces){_mm256_and_si256(shift_right(v, shift), bytes_of(3)),
                           _mm256_and_si256(shift_right(v, shift + 2), bytes_of(3))};
}

INLINE struct heads heads_q3_k(const uint8_t *w, struct act x)
{
    struct heads r;
    UNROLL
    for (int i = 0; i < 4; i++) {
        const struct block_q3_k *b = (const void *)(w + (size_t)i * sizeof *b);
        struct block_scales p = block_scales_q3(b->scales);
        __m128i s = _mm_sub_epi8(_mm_set_epi64x((long long)p.b, (long long)p.a), _mm_set1_epi8(32));
        spread(_mm256_cvtepi8_epi16(even_odd(s)), r.scales[i]);
        r.minus[i] =
            _mm256_slli_epi32(times_sum16(_mm256_cvtepi8_epi16(s), x.sum16 + 16 * i), 2);
    }
    r.d = four_halves(w + offsetof(struct block_q3_k, d), sizeof(struct block_q3_k));
    return r;
}

INLINE struct pieces pieces_q3_k(const uint8_t *w, const int z)
{
    const struct block_q3_k *b = (const void *)w;
    struct pieces p = pieces_q2_k(w + offsetof(struct block_q3_k, qs) -
                                  offsetof(struct block_q2_k, qs), z);
    __m256i h = _mm256_loadu_si256((const void *)b->hmask);
    return (struct pieces){with_bits(p.a, h, 2 * z - 2, 4), with_bits(p.b, h, 2 * z - 1, 4)};
}

INLINE struct heads heads_iq4_xs(const uint8_t *w, struct act x)
{
    struct heads r;
    (void)x;
    UNROLL
    for (int i = 0; i < 4; i++) {
        const struct block_iq4_xs *b = (const void *)(w + (size_t)i * sizeof *b);
        uint32_t l;
        memcpy(&l, b->scales_l, 4);
        uint64_t s = _pdep_u64(l, 0x0f0f0f0f0f0f0f0full) |
                     _pdep_u64(block_u16(b->scales_h), 0x3030303030303030ull);
        __m256i v = _mm256_broadcastq_epi64(_mm_cvtsi64_si128((long long)s));
        v = _mm256_unpacklo_epi8(v, _mm256_setzero_si256());
        spread(_mm256_sub_epi16(v, _mm256_set1_epi16(32)), r.scales[i]);
    }
    r.d = four_halves(w + offsetof(struct block_iq4_xs, d), sizeof(struct block_iq4_xs));
    return r;
}

/* Piece j: low nibbles of bytes 16j .., then their high ones. */
INLINE __m256i piece_iq4_xs(const uint8_t *qs)
{
    static const int8_t values[16] = IQ4_TABLE;
    __m128i v = load16(qs);
    __m256i n = low4(_mm256_inserti128_si256(_mm256_castsi128_si256(v), _mm_srli_epi16(v, 4), 1));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16((const uint8_t *)values)), n);
}

INLINE struct pieces pieces_iq4_xs(const uint8_t *w, const int z)
{
    const struct block_iq4_xs *b = (const void *)w;
    return (struct pieces){piece_iq4_xs(b->qs + 32 * z), piece_iq4_xs(b->qs + 32 * z + 16)};
}

/* has_dmin, has_offset, is_signed */
#define ROW256_TYPES(TYPE)                                                                         \
    TYPE(q2_k, true, false, false)                                                                 \
    TYPE(q3_k, false, true, false)                                                                 \
    TYPE(q4_k, true, false, false)                                                                 \
    TYPE(q5_k, true, false, false)                                                                 \
    TYPE(q6_k, false, true, false)                                                                 \
    TYPE(iq4_xs, false, false, true)

#endif
