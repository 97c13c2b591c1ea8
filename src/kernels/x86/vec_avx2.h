/* SPDX-License-Identifier: Apache-2.0
 * vec_avx2.h - eight floats: the vector that floats_body.h and attend_body.h are written in. */
#ifndef KERNELS_X86_VEC_AVX2_H
#define KERNELS_X86_VEC_AVX2_H
#include <string.h>
#include "src/kernels/x86/narrow.h"

typedef __m256 vf;
enum { LANES = 8, VECTORS = 16 }; /* of the registers */
#define VARIANT(name) name##_avx2

INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }
INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE vf vf_load_part(const float *p, int64_t n) { return _mm256_maskload_ps(p, tail_mask(n)); }
INLINE void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
INLINE void vf_store_part(float *p, int64_t n, vf v) { _mm256_maskstore_ps(p, tail_mask(n), v); }
INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); } /* a b + c */
INLINE vf vf_exp(vf x) { return exp8(x); }
INLINE vf vf_tanh(vf x) { return tanh8(x); }
/* v, but 1 in the lanes where a equals b */
INLINE vf vf_one_where_equal(vf v, vf a, vf b)
{
    return _mm256_blendv_ps(v, _mm256_set1_ps(1), _mm256_cmp_ps(a, b, _CMP_EQ_OQ));
}
/* v in the lanes [lo, hi), other elsewhere; lo may be negative, hi beyond the lanes */
INLINE vf vf_keep(vf v, int lo, int hi, vf other)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(lo), lane);
    __m256i inside = _mm256_andnot_si256(low, _mm256_cmpgt_epi32(_mm256_set1_epi32(hi), lane));
    return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(inside));
}
INLINE float vf_sum(vf v) { return add_lanes_tree(v); }
/* out[i] = vf_sum(v[i]) */
INLINE void vf_sum_each(const vf v[], const int n, float *out)
{
    UNROLL
    for (int i = 0; i < n; i++) out[i] = vf_sum(v[i]);
}
INLINE float vf_largest(vf v)
{
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
/* The sums of four vectors, each in the same order. */
INLINE void vf_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    vf q = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(q), _mm256_extractf128_ps(q, 1)));
}
INLINE vf vf_load_f32(const void *p) { return _mm256_loadu_ps(p); }
INLINE vf vf_load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
INLINE vf vf_load_bf16(const void *p)
{
    __m256i v = _mm256_cvtepu16_epi32(_mm_loadu_si128(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}
INLINE vf vf_load_i8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

#endif
