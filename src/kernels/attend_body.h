/* SPDX-License-Identifier: Apache-2.0
 * attend_body.h - attention over one page, in whatever vector the file that includes it has chosen
 * (vec_*.h).
 *
 * Up to four queries share one read of the page. Canonical order, whatever the number of queries:
 * scores by lanes over the dimensions and one tree; l by lanes over the keys and one tree; acc by
 * fma over the keys, ascending. */
#include <math.h>
#include "src/kernels/variants.h"

typedef vf (*load_fn)(const void *p);
enum { QUERIES = 4 };

struct cells {
    load_fn load;
    int bytes;
};

INLINE vf load_end(struct cells c, const uint8_t *p, int64_t n)
{
    uint8_t copy[LANES * 4] = {0};
    memcpy(copy, p, (size_t)n * (size_t)c.bytes);
    return c.load(copy);
}

/* scores[j][i + key] = q_j . k for n_q queries and n_keys keys; n_q * n_keys is 4 or 8. A page's
 * missing keys repeat the last one. */
INLINE void score_block(struct cells c, const struct attend_args *a, int j0, int i0,
                        const int n_q, const int n_keys, float scores[][KERNEL_MAX_PAGE])
{
    const uint8_t *keys[4];
    vf sum[8];
    UNROLL
    for (int i = 0; i < n_keys; i++)
        keys[i] = a->k + (size_t)(i0 + i < a->end ? i0 + i : a->end - 1) * a->k_row_bytes;
    UNROLL
    for (int i = 0; i < n_q * n_keys; i++)
        sum[i] = vf_zero();
    int d = 0;
    for (; d + LANES <= a->k_dim; d += LANES) {
        vf q[4];
        UNROLL
        for (int j = 0; j < n_q; j++)
            q[j] = vf_load(a->q + (size_t)(j0 + j) * a->q_stride + d);
        UNROLL
        for (int i = 0; i < n_keys; i++) {
            vf k = c.load(keys[i] + (size_t)d * (size_t)c.bytes);
            UNROLL
            for (int j = 0; j < n_q; j++)
                sum[n_q * i + j] = vf_fma(q[j], k, sum[n_q * i + j]);
        }
    }
    if (d < a->k_dim)
        UNROLL
        for (int i = 0; i < n_keys; i++) {
            vf k = load_end(c, keys[i] + (size_t)d * (size_t)c.bytes, a->k_dim - d);
            UNROLL
            for (int j = 0; j < n_q; j++) {
                vf q = vf_load_part(a->q + (size_t)(j0 + j) * a->q_stride + d, a->k_dim - d);
                sum[n_q * i + j] = vf_fma(q, k, sum[n_q * i + j]);
            }
        }
    float out[8];
    vf_sum4(sum[0], sum[1], sum[2], sum[3], out);
    if (n_q * n_keys == 8) vf_sum4(sum[4], sum[5], sum[6], sum[7], out + 4);
    for (int i = 0; i < n_keys && i0 + i < a->end; i++)
        UNROLL
        for (int j = 0; j < n_q; j++)
            scores[j][i0 + i - a->first] = out[n_q * i + j];
}

/* n scores become weights exp(s - m); m and l are stored. With scales on the values the weights are
 * multiplied by them afterwards. */
INLINE void soften(const struct attend_args *a, int j, float *s, int n)
{
    const vf scale = vf_set1(a->scale);
    vf most = vf_set1(-INFINITY), sum = vf_zero();
    int whole = n / LANES * LANES;
    for (int i = n; i < whole + (n % LANES ? LANES : 0); i++)
        s[i] = 0;
    for (int i = 0; i < n; i += LANES) {
        int left = n - i;
        vf v = vf_mul(vf_load(s + i), scale);
        if (a->k_scales) {
            const float *ks = a->k_scales + a->first + i;
            v = vf_mul(v, left < LANES ? vf_load_part(ks, left) : vf_load(ks));
        }
        if (a->softcap > 0)
            v = vf_mul(vf_set1(a->softcap), vf_tanh(vf_mul(v, vf_set1(1 / a->softcap))));
        vf_store(s + i, v);
        if (left >= LANES) most = vf_max(v, most);
    }
    float m = vf_largest(most);
    for (int i = whole; i < n; i++)
        m = s[i] > m ? s[i] : m;
    const vf vm = vf_set1(m);
    for (int i = 0; i < n; i += LANES) {
        vf v = vf_load(s + i), p = vf_one_where_equal(vf_exp(vf_sub(v, vm)), v, vm);
        vf_store(s + i, p);
        if (i + LANES > n) {
            for (int e = n; e < i + LANES; e++)
                s[e] = 0;
            p = vf_load(s + i);
        }
        sum = vf_add(sum, p);
    }
    a->m[j] = m;
    a->l[j] = vf_sum(sum);
    for (int i = 0; a->v_scales && i < n; i++)
        s[i] *= a->v_scales[a->first + i];
}

/* acc[j][d ...] = sum_i p_j[i] v_i[d ...] over n_vecs vectors of values, both counts constant */
INLINE void values_block(struct cells c, const struct attend_args *a, int j0, int d, const int n_q,
                         const int n_vecs, float p[][KERNEL_MAX_PAGE])
{
    vf sum[8];
    UNROLL
    for (int i = 0; i < n_q * n_vecs; i++)
        sum[i] = vf_zero();
    const uint8_t *v = a->v + (size_t)a->first * a->v_row_bytes + (size_t)d * (size_t)c.bytes;
    for (int i = 0; i < a->end - a->first; i++, v += a->v_row_bytes)
        UNROLL
        for (int e = 0; e < n_vecs; e++) {
            vf x = c.load(v + e * LANES * c.bytes);
            UNROLL
            for (int j = 0; j < n_q; j++)
                sum[n_q * e + j] = vf_fma(vf_set1(p[j][i]), x, sum[n_q * e + j]);
        }
    UNROLL
    for (int j = 0; j < n_q; j++)
        UNROLL
        for (int e = 0; e < n_vecs; e++)
            vf_store(a->acc + (size_t)(j0 + j) * (size_t)a->v_dim + d + e * LANES,
                     sum[n_q * e + j]);
}

INLINE void values_end(struct cells c, const struct attend_args *a, int j, int d,
                       const float p[KERNEL_MAX_PAGE])
{
    vf sum = vf_zero();
    const uint8_t *v = a->v + (size_t)a->first * a->v_row_bytes + (size_t)d * (size_t)c.bytes;
    for (int i = 0; i < a->end - a->first; i++, v += a->v_row_bytes)
        sum = vf_fma(vf_set1(p[i]), load_end(c, v, a->v_dim - d), sum);
    vf_store_part(a->acc + (size_t)j * (size_t)a->v_dim + d, a->v_dim - d, sum);
}

/* n_q is 1, 2 or 4; the block of keys and of values fills the registers */
INLINE void attend_queries(struct cells c, const struct attend_args *a, int j0, const int n_q)
{
    float s[QUERIES][KERNEL_MAX_PAGE];
    const int n_keys = n_q == 1 ? 4 : 2, n_vecs = 8 / n_q;
    for (int i = a->first; i < a->end; i += n_keys)
        score_block(c, a, j0, i, n_q, n_keys, s);
    UNROLL
    for (int j = 0; j < n_q; j++)
        soften(a, j0 + j, s[j], a->end - a->first);
    int d = 0;
    for (; d + n_vecs * LANES <= a->v_dim; d += n_vecs * LANES)
        values_block(c, a, j0, d, n_q, n_vecs, s);
    for (; d + LANES <= a->v_dim; d += LANES)
        values_block(c, a, j0, d, n_q, 1, s);
    for (int j = 0; d < a->v_dim && j < n_q; j++)
        values_end(c, a, j0 + j, d, s[j]);
}

INLINE void attend(struct cells c, const struct attend_args *a)
{
    int j = 0;
    for (; j + 4 <= a->n_q; j += 4)
        attend_queries(c, a, j, 4);
    for (; j + 2 <= a->n_q; j += 2)
        attend_queries(c, a, j, 2);
    for (; j < a->n_q; j++)
        attend_queries(c, a, j, 1);
}

void VARIANT(attend_f32)(const struct attend_args *a)
{
    attend((struct cells){vf_load_f32, 4}, a);
}

void VARIANT(attend_f16)(const struct attend_args *a)
{
    attend((struct cells){vf_load_f16, 2}, a);
}

void VARIANT(attend_i8)(const struct attend_args *a)
{
    attend((struct cells){vf_load_i8, 1}, a);
}
