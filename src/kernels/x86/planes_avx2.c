/* SPDX-License-Identifier: Apache-2.0
 * planes_avx2.c - mul_planes* with AVX2: a tile is two halves of 4 rows, a register for each part of 8
 * columns of a half. Levels of 2 to 4 bits become 0..127, so that maddubs cannot saturate; those of 5 to
 * 8 bits are signed, and the sign moves over to the activations.
 *
 * A register holds row r of a half in lanes 2r and 2r+1; blocks are added in order, the two lanes of a
 * row at the end, for one token or many. */
#include <immintrin.h>
#include <string.h>
#include "src/kernels/variants.h"
#include "src/kernels/x86/stream.h"

#define MOST_TOKENS 4

struct luts {
    __m256i level, leaf_class, step, step8; /* step: of 5 or 6 bits, by class and two bits */
};

struct half {
    __m256i hi[4], lo[4];
};

static __m256i twice(const void *table16)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(table16));
}

static struct luts make_luts(const struct planes_tables *t, int i)
{
    int8_t level[16], leaf_class[16], step5[16];
    for (int k = 0; k < 16; k++) {
        level[k] = i == 0   ? (int8_t)(t->level2[k & 3] + 64)
                   : i == 1 ? (int8_t)(t->level3[k >> 1] + 64)
                   : i == 2 ? (int8_t)(t->level4[k] + 64)
                            : t->base[k];
        leaf_class[k] = (int8_t)(t->leaf_class[k] << 2);
        step5[k] = t->step5[k >> 1];
    }
    return (struct luts){twice(level), twice(leaf_class), twice(i == 3 ? step5 : t->step6), twice(t->step8)};
}

INLINE __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE __m256i mask(int v)
{
    return _mm256_set1_epi8((char)v);
}

INLINE __m256i both(__m256i a, int m, __m256i b, int n)
{
    return _mm256_or_si256(_mm256_and_si256(a, mask(m)), _mm256_and_si256(b, mask(n)));
}

/* Two planes of one bit from k on, side by side; of a width without the second one the odd bits count, the
 * others are zero. */
INLINE __m256i load_pair(const struct planes *p, int i, int k, size_t at, int h)
{
    __m256i x = load(p->plane[k] + 32 * at);
    if (!h) x = _mm256_add_epi8(x, x);
    if (i == k) return _mm256_and_si256(x, mask(0xaa));
    __m256i y = load(p->plane[k + 1] + 32 * at);
    return both(x, 0xaa, h ? _mm256_srli_epi16(y, 1) : y, 0x55);
}

INLINE void decode(const struct planes *p, int i, size_t at, int h, const struct luts *t,
                   struct half *out)
{
    __m256i a = load(p->plane[0] + 64 * at + 32 * h);
    if (i == 0) {
        UNROLL for (int k = 0; k < 4; k++)
            out->hi[k] = _mm256_shuffle_epi8(
                t->level, _mm256_and_si256(_mm256_srli_epi16(a, 2 * k), mask(3)));
        return;
    }
    __m256i two = load_pair(p, i, 1, at, h), rest = two;
    if (i > 2) rest = load_pair(p, i, 3, at, h);
    __m256i n02 = both(_mm256_slli_epi16(a, 2), 0xcc, two, 0x33);
    __m256i n13 = both(a, 0xcc, _mm256_srli_epi16(two, 2), 0x33);
    __m256i n[4] = {_mm256_and_si256(n02, mask(15)), _mm256_and_si256(n13, mask(15)),
                    _mm256_and_si256(_mm256_srli_epi16(n02, 4), mask(15)),
                    _mm256_and_si256(_mm256_srli_epi16(n13, 4), mask(15))};
    UNROLL for (int k = 0; k < 4; k++) {
        out->hi[k] = _mm256_shuffle_epi8(t->level, n[k]);
        if (i < 3) continue;
        __m256i c = _mm256_shuffle_epi8(t->leaf_class, n[k]);
        __m256i r = _mm256_or_si256(c, _mm256_and_si256(_mm256_srli_epi16(rest, 2 * k), mask(3)));
        out->hi[k] = _mm256_add_epi8(out->hi[k], _mm256_shuffle_epi8(t->step, r));
        if (i < 5) continue;
        __m256i e = load(p->plane[5] + 64 * at + 32 * h);
        e = _mm256_or_si256(c, _mm256_and_si256(_mm256_srli_epi16(e, 2 * k), mask(3)));
        out->lo[k] = _mm256_shuffle_epi8(t->step8, e);
    }
}

INLINE __m256i products(__m256i level, __m256i x, int is_signed)
{
    __m256i pairs = is_signed
                        ? _mm256_maddubs_epi16(_mm256_abs_epi8(level), _mm256_sign_epi8(x, level))
                        : _mm256_maddubs_epi16(level, x);
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE __m256i dot(const struct half *w, int i, const int8_t *q, int32_t sum)
{
    __m256i acc = i < 3 ? _mm256_set1_epi64x((int64_t)(uint32_t)(-64 * sum)) : _mm256_setzero_si256();
    __m256i lo = _mm256_setzero_si256();
    UNROLL for (int k = 0; k < 4; k++) {
        int64_t v;
        memcpy(&v, q + 8 * k, sizeof v);
        __m256i x = _mm256_set1_epi64x(v);
        acc = _mm256_add_epi32(acc, products(w->hi[k], x, i > 2));
        if (i == 5) lo = _mm256_add_epi32(lo, products(w->lo[k], x, 1));
    }
    return i == 5 ? _mm256_add_epi32(lo, _mm256_slli_epi32(acc, 3)) : acc;
}

/* Eight rows from two halves of four with two lanes each. */
INLINE void store_rows(const struct planes *p, int i, int64_t group, int64_t n_rows, __m256 a,
                       __m256 b, float *y)
{
    const __m256i order = _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7);
    __m256 sum = _mm256_permutevar8x32_ps(_mm256_hadd_ps(a, b), order);
    __m128i h = _mm_loadu_si128((const __m128i *)(const void *)(p->rows + 16 * group));
    __m256 factor = _mm256_mul_ps(_mm256_cvtph_ps(h), _mm256_set1_ps(p->tables.unit[i]));
    sum = _mm256_mul_ps(sum, factor);
    if (n_rows >= 8) {
        _mm256_storeu_ps(y, sum);
        return;
    }
    float rows[8];
    _mm256_storeu_ps(rows, sum);
    memcpy(y, rows, (size_t)n_rows * sizeof(float));
}

struct acts {
    const uint8_t *x;
    size_t row_bytes, d, sum;
};

INLINE void mul_group(const struct planes *p, int i, const struct luts *t, int64_t group,
                      int64_t n_rows, const struct acts *a, int n_t, float *y, size_t y_stride)
{
    __m256 acc[4][2];
    UNROLL for (int k = 0; k < n_t; k++) acc[k][0] = acc[k][1] = _mm256_setzero_ps();
    for (int64_t b = 0; b < p->n_blocks; b++) {
        size_t at = (size_t)(group * p->n_blocks + b);
        if (n_t == 1) planes_ahead(p, i, at);
        __m128i s8 = _mm_loadl_epi64((const __m128i *)(const void *)(p->scales + 8 * at));
        s8 = _mm_unpacklo_epi8(s8, s8);
        UNROLL for (int h = 0; h < 2; h++) {
            struct half w;
            decode(p, i, at, h, t, &w);
            __m256 scales = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(h ? _mm_srli_si128(s8, 8) : s8));
            UNROLL for (int k = 0; k < n_t; k++) {
                const uint8_t *x = a->x + (size_t)k * a->row_bytes;
                const float *d = (const float *)(const void *)(x + a->d);
                const int32_t *sum = (const int32_t *)(const void *)(x + a->sum);
                __m256i n = dot(&w, i, (const int8_t *)x + 32 * b, sum[b]);
                acc[k][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(n),
                                            _mm256_mul_ps(scales, _mm256_set1_ps(d[b])), acc[k][h]);
            }
        }
    }
    UNROLL for (int k = 0; k < n_t; k++)
        store_rows(p, i, group, n_rows, acc[k][0], acc[k][1], y + (size_t)k * y_stride);
}

#include "src/kernels/planes_tokens.h"

MUL_PLANES(avx2)
