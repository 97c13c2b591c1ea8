/* SPDX-License-Identifier: Apache-2.0
 * rows_avx2.c - what happens to a row of activations between the products, eight at a time. Rows
 * lie in L1 or L2; the ends are done with masked loads and stores, so that an element's bits do not
 * depend on where it stands. */
#include <math.h>
#include <string.h>
#include "src/kernels/x86/narrow.h"
#include "src/kernels/x86/stream.h"

void rmsnorm_avx2(const float *x, const float *w, int64_t n, float eps, float *out)
{
    __m256d sum[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                      _mm256_setzero_pd()};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 4; j++) {
            __m256d v = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * j));
            sum[j] = _mm256_fmadd_pd(v, v, sum[j]);
        }
    double rest = 0;
    for (int64_t j = i; j < n; j++)
        rest += (double)x[j] * (double)x[j];
    __m256d s = _mm256_add_pd(_mm256_add_pd(sum[0], sum[1]), _mm256_add_pd(sum[2], sum[3]));
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128(s), _mm256_extractf128_pd(s, 1));
    rest += _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
    float r = (float)(1.0 / sqrt(rest / (double)n + (double)eps));
    const __m256 vr = _mm256_set1_ps(r);
    i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), vr);
        _mm256_storeu_ps(out + i, w ? _mm256_mul_ps(v, _mm256_loadu_ps(w + i)) : v);
    }
    for (; i < n; i++)
        out[i] = w ? x[i] * r * w[i] : x[i] * r;
}

void add_avx2(const float *a, const float *b, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_add_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
    for (; i < n; i++)
        out[i] = a[i] + b[i];
}

void scale_avx2(const float *a, float s, int64_t n, float *out)
{
    const __m256 v = _mm256_set1_ps(s);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_loadu_ps(a + i), v));
    for (; i < n; i++)
        out[i] = a[i] * s;
}

void axpy_avx2(float a, const float *x, int64_t n, float *y)
{
    const __m256 v = _mm256_set1_ps(a);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i,
                         _mm256_fmadd_ps(v, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        y[i] = fmaf(a, x[i], y[i]);
}

INLINE __m256 silu8(__m256 g)
{
    __m256 e = exp8(_mm256_sub_ps(_mm256_setzero_ps(), g));
    return _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1), e));
}

/* g/2 (1 + tanh u) = g / (1 + e^-2u), u = sqrt(2/pi) (g + 0.044715 g^3): no cancelling */
INLINE __m256 gelu8(__m256 g)
{
    __m256 s = _mm256_mul_ps(g, g);
    __m256 c = _mm256_fmadd_ps(s, _mm256_set1_ps(-2 * 0.0356774081f),
                               _mm256_set1_ps(-2 * 0.797884561f));
    return _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1), exp8(_mm256_mul_ps(g, c))));
}

INLINE void glu(__m256 (*act)(__m256), const float *gate, const float *up, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i,
                         _mm256_mul_ps(act(_mm256_loadu_ps(gate + i)), _mm256_loadu_ps(up + i)));
    if (i < n) {
        __m256i m = tail_mask(n - i);
        __m256 v = act(_mm256_maskload_ps(gate + i, m));
        _mm256_maskstore_ps(out + i, m, _mm256_mul_ps(v, _mm256_maskload_ps(up + i, m)));
    }
}

void glu_silu_avx2(const float *gate, const float *up, int64_t n, float *out)
{
    glu(silu8, gate, up, n, out);
}

void glu_gelu_avx2(const float *gate, const float *up, int64_t n, float *out)
{
    glu(gelu8, gate, up, n, out);
}

/* Even lanes a cos - b sin, odd lanes b cos + a sin. */
void rope_interleaved_avx2(const float *x, const float *cos, const float *sin, int64_t n_pairs,
                           float *out)
{
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    int64_t i = 0;
    for (; i + 4 <= n_pairs; i += 4) {
        __m256 v = _mm256_loadu_ps(x + 2 * i);
        __m256 c = _mm256_castps128_ps256(_mm_loadu_ps(cos + i));
        __m256 s = _mm256_castps128_ps256(_mm_loadu_ps(sin + i));
        c = _mm256_permutevar8x32_ps(c, twice);
        s = _mm256_permutevar8x32_ps(s, twice);
        __m256 swapped = _mm256_mul_ps(_mm256_permute_ps(v, 0xb1), s);
        _mm256_storeu_ps(out + 2 * i, _mm256_addsub_ps(_mm256_mul_ps(v, c), swapped));
    }
    for (; i < n_pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        out[2 * i] = a * cos[i] - b * sin[i];
        out[2 * i + 1] = b * cos[i] + a * sin[i];
    }
}

void rope_halves_avx2(const float *x, const float *cos, const float *sin, int64_t n_pairs,
                      float *out)
{
    int64_t i = 0;
    for (; i + 8 <= n_pairs; i += 8) {
        __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + n_pairs);
        __m256 c = _mm256_loadu_ps(cos + i), s = _mm256_loadu_ps(sin + i);
        _mm256_storeu_ps(out + i, _mm256_sub_ps(_mm256_mul_ps(a, c), _mm256_mul_ps(b, s)));
        _mm256_storeu_ps(out + i + n_pairs,
                         _mm256_add_ps(_mm256_mul_ps(a, s), _mm256_mul_ps(b, c)));
    }
    for (; i < n_pairs; i++) {
        float a = x[i], b = x[i + n_pairs];
        out[i] = a * cos[i] - b * sin[i];
        out[i + n_pairs] = a * sin[i] + b * cos[i];
    }
}

void attend_merge_avx2(float *m, float *l, float *acc, float m2, float l2, const float *acc2,
                       int64_t n)
{
    float max = *m >= m2 ? *m : m2;
    float a = *m == max ? 1.0f : _mm256_cvtss_f32(exp8(_mm256_set1_ps(*m - max)));
    float b = m2 == max ? 1.0f : _mm256_cvtss_f32(exp8(_mm256_set1_ps(m2 - max)));
    const __m256 va = _mm256_set1_ps(a), vb = _mm256_set1_ps(b);
    *m = max;
    *l = *l * a + l2 * b;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(acc + i), va);
        _mm256_storeu_ps(acc + i, _mm256_fmadd_ps(vb, _mm256_loadu_ps(acc2 + i), v));
    }
    for (; i < n; i++)
        acc[i] = fmaf(b, acc2[i], acc[i] * a);
}

/* Loads of 16 bytes, and the page ahead announced (next_page): of all plain loops tried this one
 * read mapped files fastest. Zen 4, one thread, 4 KB pages: 24.4 GB/s; with loads of 32 bytes 20.2,
 * without announcing pages 22.8 and 18.7. It stays plain on Intel's CPUs too, where asking for lines
 * ahead, as kernels do, gives more (Emerald Rapids, 2 threads: 20 to 28 GB/s for 18 to 22): shares of the
 * plain read above 1 come from there. */
uint64_t read_bytes_avx2(const void *p, size_t n)
{
    const uint8_t *b = p;
    __m128i sum[4] = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128(),
                      _mm_setzero_si128()};
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        next_page(b + i, 64);
        UNROLL
        for (int j = 0; j < 4; j++)
            sum[j] = _mm_add_epi64(sum[j], _mm_loadu_si128((const void *)(b + i + 16 * j)));
    }
    __m128i s = _mm_add_epi64(_mm_add_epi64(sum[0], sum[1]), _mm_add_epi64(sum[2], sum[3]));
    uint64_t total = (uint64_t)_mm_cvtsi128_si64(s) + (uint64_t)_mm_extract_epi64(s, 1);
    for (; i < n; i += 8) {
        uint64_t v = 0;
        memcpy(&v, b + i, n - i < 8 ? n - i : 8);
        total += v;
    }
    return total;
}
