/* SPDX-License-Identifier: Apache-2.0
 * planes_vnni.c - mul_planes* with AVX-512 VNNI and VBMI: a tile's bytes are one register for each part
 * of 8 columns, a table look-up (vpermb, whose index ignores the bits above the sixth, so that codes
 * need no masking) turns codes into unsigned levels, vpdpbusd adds four products at a time.
 *
 * A register holds row r in lanes 2r (columns 0..3 of a part) and 2r+1 (4..7). What levels are shifted
 * by to be unsigned is taken back once a block, in the even lanes. Both lanes of a row run through the
 * blocks in order and meet at the end, for one token or many: sums do not depend on the neighbours. */
#include <immintrin.h>
#include <string.h>
#include "src/kernels/variants.h"
#include "src/kernels/x86/stream.h"

#define MOST_TOKENS 8

struct luts {
    __m512i level; /* by index: 2, 3 or 4 bits in its lowest bits, or all 6, of which 5 may count */
    __m512i leaf_class, fine;
    __m512i left, right, m03, maa, mcc;
};

struct tile {
    __m512i hi[4], lo[4];
};

/* What is added to a level to make it unsigned, all in all. */
INLINE int offset_of(int i)
{
    return i < 3 ? 64 : i < 5 ? 128 : 8 * 128 + 128;
}

static struct luts make_luts(const struct planes_tables *t, int i)
{
    uint8_t level[64], leaf_class[64], fine[64];
    for (int k = 0; k < 64; k++) {
        int v = i == 0   ? t->level2[k & 3]
                : i == 1 ? t->level3[k >> 1 & 7]
                : i == 2 ? t->level4[k & 15]
                : i == 3 ? t->base[k >> 2] + t->step5[2 * t->leaf_class[k >> 2] + (k >> 1 & 1)]
                         : t->base[k >> 2] + t->step6[4 * t->leaf_class[k >> 2] + (k & 3)];
        level[k] = (uint8_t)(v + (i < 3 ? 64 : 128));
        leaf_class[k] = (uint8_t)(t->leaf_class[k & 15] << 2);
        fine[k] = (uint8_t)(t->step8[k & 15] + 128);
    }
    const __m512i low = _mm512_zextsi256_si512(_mm256_set1_epi16(1));
    return (struct luts){.level = _mm512_loadu_si512(level),
                         .leaf_class = _mm512_loadu_si512(leaf_class),
                         .fine = _mm512_loadu_si512(fine),
                         .left = low,
                         .right = _mm512_sub_epi16(_mm512_set1_epi16(1), low),
                         .m03 = _mm512_set1_epi8(0x03),
                         .maa = _mm512_set1_epi8((char)0xaa),
                         .mcc = _mm512_set1_epi8((char)0xcc)};
}

INLINE __m512i choose(__m512i mask, __m512i a, __m512i b)
{
    return _mm512_ternarylogic_epi64(mask, a, b, 0xca);
}

INLINE __m512i look_up(__m512i table, __m512i index)
{
    return _mm512_permutexvar_epi8(index, table);
}

INLINE __m512i load_both(const uint8_t *p)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* Two planes of one bit from k on, side by side: parts 0..3 from the lowest bits on. Of a width without the
 * second one the odd bits count. */
INLINE __m512i load_pair(const struct planes *p, int i, int k, size_t at, const struct luts *t)
{
    __m512i two = _mm512_sllv_epi16(load_both(p->plane[k] + 32 * at), t->left);
    if (i == k) return two;
    return choose(t->maa, two, _mm512_srlv_epi16(load_both(p->plane[k + 1] + 32 * at), t->right));
}

INLINE void decode(const struct planes *p, int i, size_t at, const struct luts *t, struct tile *out)
{
    __m512i a = _mm512_loadu_si512(p->plane[0] + 64 * at);
    if (i == 0) {
        out->hi[0] = look_up(t->level, a);
        out->hi[1] = look_up(t->level, _mm512_srli_epi16(a, 2));
        out->hi[2] = look_up(t->level, _mm512_srli_epi16(a, 4));
        out->hi[3] = look_up(t->level, _mm512_srli_epi16(a, 6));
        return;
    }
    __m512i two = load_pair(p, i, 1, at, t);
    __m512i n02 = choose(t->mcc, _mm512_slli_epi16(a, 2), two);
    __m512i n13 = choose(t->mcc, a, _mm512_srli_epi16(two, 2));
    __m512i n2 = _mm512_srli_epi16(n02, 4), n3 = _mm512_srli_epi16(n13, 4);
    if (i < 3) {
        out->hi[0] = look_up(t->level, n02);
        out->hi[1] = look_up(t->level, n13);
        out->hi[2] = look_up(t->level, n2);
        out->hi[3] = look_up(t->level, n3);
        return;
    }
    __m512i r = load_pair(p, i, 3, at, t);
    out->hi[0] = look_up(t->level, choose(t->m03, r, _mm512_slli_epi16(n02, 2)));
    out->hi[1] = look_up(t->level, choose(t->m03, _mm512_srli_epi16(r, 2), _mm512_slli_epi16(n13, 2)));
    out->hi[2] = look_up(t->level, choose(t->m03, _mm512_srli_epi16(r, 4), _mm512_srli_epi16(n02, 2)));
    out->hi[3] = look_up(t->level, choose(t->m03, _mm512_srli_epi16(r, 6), _mm512_srli_epi16(n13, 2)));
    if (i < 5) return;
    __m512i e = _mm512_loadu_si512(p->plane[5] + 64 * at);
    out->lo[0] = look_up(t->fine, choose(t->m03, e, look_up(t->leaf_class, n02)));
    out->lo[1] = look_up(t->fine, choose(t->m03, _mm512_srli_epi16(e, 2), look_up(t->leaf_class, n13)));
    out->lo[2] = look_up(t->fine, choose(t->m03, _mm512_srli_epi16(e, 4), look_up(t->leaf_class, n2)));
    out->lo[3] = look_up(t->fine, choose(t->m03, _mm512_srli_epi16(e, 6), look_up(t->leaf_class, n3)));
}

INLINE __m512i columns(const int8_t *q)
{
    int64_t v;
    memcpy(&v, q, sizeof v);
    return _mm512_set1_epi64(v);
}

/* The integer sums of a tile with one token's block. */
INLINE __m512i dot(const struct tile *w, int i, const int8_t *q, int32_t sum)
{
    __m512i acc = _mm512_maskz_set1_epi32(0x5555, -offset_of(i) * sum);
    if (i == 5) {
        __m512i hi = _mm512_setzero_si512();
        UNROLL for (int k = 0; k < 4; k++) {
            __m512i x = columns(q + 8 * k);
            hi = _mm512_dpbusd_epi32(hi, w->hi[k], x);
            acc = _mm512_dpbusd_epi32(acc, w->lo[k], x);
        }
        return _mm512_add_epi32(acc, _mm512_slli_epi32(hi, 3));
    }
    UNROLL for (int k = 0; k < 4; k++) acc = _mm512_dpbusd_epi32(acc, w->hi[k], columns(q + 8 * k));
    return acc;
}

INLINE __m512 scales_of(const struct planes *p, size_t at)
{
    __m128i s = _mm_loadl_epi64((const __m128i *)(const void *)(p->scales + 8 * at));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_unpacklo_epi8(s, s)));
}

/* The rows of a group: pairs of lanes, times their factors. */
INLINE void store_rows(const struct planes *p, int i, int64_t group, int64_t n_rows, __m512 acc,
                       float *y)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    __m256 sum = _mm256_add_ps(_mm512_castps512_ps256(_mm512_permutexvar_ps(even, acc)),
                               _mm512_castps512_ps256(_mm512_permutexvar_ps(odd, acc)));
    __m128i h = _mm_loadu_si128((const __m128i *)(const void *)(p->rows + 16 * group));
    __m256 factor = _mm256_mul_ps(_mm256_cvtph_ps(h), _mm256_set1_ps(p->tables.unit[i]));
    __mmask8 mask = n_rows >= 8 ? 0xff : (__mmask8)((1u << n_rows) - 1);
    _mm256_mask_storeu_ps(y, mask, _mm256_mul_ps(sum, factor));
}

struct acts {
    const uint8_t *x;
    size_t row_bytes, d, sum;
};

/* n_t tokens (a constant) of one group. */
INLINE void mul_group(const struct planes *p, int i, const struct luts *t, int64_t group,
                      int64_t n_rows, const struct acts *a, int n_t, float *y, size_t y_stride)
{
    __m512 acc[8];
    UNROLL for (int k = 0; k < n_t; k++) acc[k] = _mm512_setzero_ps();
    for (int64_t b = 0; b < p->n_blocks; b++) {
        size_t at = (size_t)(group * p->n_blocks + b);
        struct tile w;
        /* Of one token every weight is read once: the planes of a group are so many streams. */
        if (n_t == 1) planes_ahead(p, i, at);
        decode(p, i, at, t, &w);
        __m512 scales = scales_of(p, at);
        UNROLL for (int k = 0; k < n_t; k++) {
            const uint8_t *x = a->x + (size_t)k * a->row_bytes;
            const float *d = (const float *)(const void *)(x + a->d);
            const int32_t *sum = (const int32_t *)(const void *)(x + a->sum);
            __m512i n = dot(&w, i, (const int8_t *)x + 32 * b, sum[b]);
            acc[k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(n),
                                     _mm512_mul_ps(scales, _mm512_set1_ps(d[b])), acc[k]);
        }
    }
    UNROLL for (int k = 0; k < n_t; k++)
        store_rows(p, i, group, n_rows, acc[k], y + (size_t)k * y_stride);
}

#include "src/kernels/planes_tokens.h"

MUL_PLANES(vnni)
