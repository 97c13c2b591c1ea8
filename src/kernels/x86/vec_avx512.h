/* SPDX-License-Identifier: Apache-2.0
 * vec_avx512.h - sixteen floats: the vector that floats_body.h and attend_body.h are written in. */
#ifndef KERNELS_X86_VEC_AVX512_H
#define KERNELS_X86_VEC_AVX512_H
#include <string.h>
#include "src/kernels/x86/wide.h"

typedef __m512 vf;
enum { LANES = 16, VECTORS = 32 }; /* of the registers */
#define VARIANT(name) name##_avx512

INLINE __mmask16 first_lanes(int64_t n) { return (__mmask16)((1u << n) - 1); }
INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
INLINE vf vf_set1(float x) { return _mm512_set1_ps(x); }
INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE vf vf_load_part(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
INLINE void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
INLINE void vf_store_part(float *p, int64_t n, vf v)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
}
INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); } /* a b + c */

/* narrow.h's exp8 in sixteen lanes; vscalefps takes 2^n whole and knows underflow and infinity. */
INLINE vf vf_exp(vf x)
{
    const vf most = _mm512_set1_ps(88.722839f), least = _mm512_set1_ps(-87.336540f);
    vf c = _mm512_min_ps(most, _mm512_max_ps(least, x));
    vf n = _mm512_roundscale_ps(_mm512_mul_ps(c, _mm512_set1_ps(1.44269504f)), 8);
    vf r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752f), c);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6f), r);
    vf p = _mm512_fmadd_ps(r, _mm512_set1_ps(1.0f / 5040), _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, r);
    p = _mm512_scalef_ps(_mm512_add_ps(p, _mm512_set1_ps(1)), n);
    p = _mm512_mask_mov_ps(p, _mm512_cmp_ps_mask(x, least, _CMP_LT_OQ), _mm512_setzero_ps());
    return _mm512_mask_mov_ps(p, _mm512_cmp_ps_mask(x, most, _CMP_GT_OQ),
                              _mm512_set1_ps(__builtin_inff()));
}

/* narrow.h's tanh8 in sixteen lanes */
INLINE vf vf_tanh(vf x)
{
    vf e = vf_exp(_mm512_add_ps(x, x));
    vf far = _mm512_sub_ps(_mm512_set1_ps(1), _mm512_div_ps(_mm512_set1_ps(2),
                                                 _mm512_add_ps(e, _mm512_set1_ps(1))));
    vf s = _mm512_mul_ps(x, x);
    vf p = _mm512_fmadd_ps(s, _mm512_set1_ps(62.0f / 2835), _mm512_set1_ps(-17.0f / 315));
    p = _mm512_fmadd_ps(s, p, _mm512_set1_ps(2.0f / 15));
    p = _mm512_fmadd_ps(s, p, _mm512_set1_ps(-1.0f / 3));
    vf near = _mm512_fmadd_ps(_mm512_mul_ps(x, s), p, x);
    return _mm512_mask_mov_ps(far, _mm512_cmp_ps_mask(s, _mm512_set1_ps(0.04f), _CMP_LT_OQ), near);
}
/* v, but 1 in the lanes where a equals b */
INLINE vf vf_one_where_equal(vf v, vf a, vf b)
{
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), _mm512_set1_ps(1));
}
/* v in the lanes [lo, hi), other elsewhere; lo may be negative, hi beyond the lanes */
INLINE vf vf_keep(vf v, int lo, int hi, vf other)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __mmask16 inside = _mm512_cmpge_epi32_mask(lane, _mm512_set1_epi32(lo));
    inside = _mm512_mask_cmplt_epi32_mask(inside, lane, _mm512_set1_epi32(hi));
    return _mm512_mask_mov_ps(other, inside, v);
}
INLINE float vf_sum(vf v) { return add_lanes_tree(v); }
INLINE float vf_largest(vf v) { return _mm512_reduce_max_ps(v); }
/* out[i] = vf_sum(v[i]); four at once in the same order: halves, quarters, then within four lanes. */
INLINE void vf_sum_each(const vf v[], const int n, float *out)
{
    if (n != 4) {
        UNROLL
        for (int i = 0; i < n; i++) out[i] = vf_sum(v[i]);
        return;
    }
    vf a = _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x44), _mm512_shuffle_f32x4(v[0], v[1], 0xee));
    vf b = _mm512_add_ps(_mm512_shuffle_f32x4(v[2], v[3], 0x44), _mm512_shuffle_f32x4(v[2], v[3], 0xee));
    vf q = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
    q = _mm512_add_ps(q, _mm512_permute_ps(q, 0x4e));
    q = _mm512_add_ps(q, _mm512_permute_ps(q, 0xb1));
    const __m512i firsts = _mm512_castsi128_si512(_mm_setr_epi32(0, 4, 8, 12));
    _mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, q)));
}
/* The sums of four vectors, each in the same order. */
INLINE void vf_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    _mm_storeu_ps(out, add_lanes_f32(a, b, c, d));
}
INLINE vf vf_load_f32(const void *p) { return _mm512_castsi512_ps(load64(p)); }
INLINE vf vf_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
INLINE vf vf_load_bf16(const void *p)
{
    __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
}
INLINE vf vf_load_i8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}

#endif
