/* SPDX-License-Identifier: Apache-2.0
 * attend_soften.h - from scores to weights, for the attention of every type of cache, in whatever vector
 * the file that includes it has chosen (vec_*.h). */
#ifndef KERNELS_ATTEND_SOFTEN_H
#define KERNELS_ATTEND_SOFTEN_H
#include <math.h>
#include "src/kernels/variants.h"

/* Scores [first, end) become weights exp(s - m); m and l are stored. Lanes outside of the range
 * become 0. */
INLINE void soften(const struct attend_args *a, int j, float *s)
{
    const vf scale = vf_set1(a->scale);
    const int first = a->first[j], end = a->end[j], from = first / LANES * LANES;
    vf most = vf_set1(-INFINITY), sum = vf_zero();
    for (int i = from; i < end; i += LANES) {
        vf v = vf_mul(vf_load(s + i), scale);
        if (a->softcap > 0)
            v = vf_mul(vf_set1(a->softcap), vf_tanh(vf_mul(v, vf_set1(1 / a->softcap))));
        v = vf_keep(v, first - i, end - i, vf_set1(-INFINITY));
        vf_store(s + i, v);
        most = vf_max(v, most);
    }
    float m = vf_largest(most);
    const vf vm = vf_set1(m);
    for (int i = from; i < end; i += LANES) {
        vf v = vf_load(s + i), p = vf_one_where_equal(vf_exp(vf_sub(v, vm)), v, vm);
        p = vf_keep(p, first - i, end - i, vf_zero());
        sum = vf_add(sum, p);
        vf_store(s + i, p);
    }
    a->m[j] = m;
    a->l[j] = vf_sum(sum);
}

#endif
