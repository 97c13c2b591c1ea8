/* SPDX-License-Identifier: Apache-2.0
 * block.c - see block.h. */
#include "src/precision/block.h"
#include <math.h>

#define N_TRIES 20
#define FIRST_TRY 0.70f /* times what puts the largest weight on the outermost level */
#define LAST_TRY 1.18f

struct fit {
    double wv, vv; /* sum h w v, sum h v v, over the widths that count */
};

static struct fit fit_at(const struct tree *t, const float *w, const float *h, float scale)
{
    struct fit f = {0, 0};
    float inverse = 1 / scale, wv = 0, vv = 0;
    for (int i = 0; i < PLANES_COLS; i++) {
        float g = h ? h[i] : 1;
        if (t->aim > 2) {
            float l = tree_fine(t, w[i] * inverse);
            wv += g * w[i] * l;
            vv += g * l * l;
            continue;
        }
        unsigned leaf = tree_leaf(t, w[i] * inverse) << 4;
        float l4 = t->level[2][leaf], l = t->level[t->coarse][leaf];
        wv += g * w[i] * (t->lambda4 * l4 + t->lambda * l);
        vv += g * (t->lambda4 * l4 * l4 + t->lambda * l * l);
    }
    f.wv = (double)wv;
    f.vv = (double)vv;
    return f;
}

float block_scale(const struct tree *t, const float *w, const float *h)
{
    float largest = 0;
    for (int i = 0; i < PLANES_COLS; i++)
        if (fabsf(w[i]) > fabsf(largest)) largest = w[i];
    if (!(fabsf(largest) > 1e-30f)) return 0;
    float start = largest / t->level[2][15 << 4], best = start;
    double gain = -1;
    /* The error at the best scale for given leaves is const - wv^2 / vv. */
    for (int i = 0; i < N_TRIES; i++) {
        float s = start * (FIRST_TRY + (LAST_TRY - FIRST_TRY) * (float)i / (N_TRIES - 1));
        struct fit f = fit_at(t, w, h, s);
        if (f.vv <= 0 || f.wv <= 0 || f.wv * f.wv / f.vv <= gain) continue;
        gain = f.wv * f.wv / f.vv;
        best = (float)(f.wv / f.vv);
    }
    for (int i = 0; i < 2; i++) {
        float s = start < 0 ? -fabsf(best) : fabsf(best);
        struct fit f = fit_at(t, w, h, s);
        if (f.vv <= 0 || f.wv * f.wv / f.vv <= gain * (1 + 1e-9)) break;
        gain = f.wv * f.wv / f.vv;
        best = (float)(f.wv / f.vv);
    }
    return best;
}

static double error_at(const struct tree *t, const float *w, const float *h, float scale)
{
    double sum = 0;
    float inverse = scale ? 1 / scale : 0;
    for (int i = 0; i < PLANES_COLS; i++) {
        float g = h ? h[i] : 1;
        if (t->aim > 2) {
            float e = w[i] - scale * tree_fine(t, w[i] * inverse);
            sum += (double)(g * e * e);
            continue;
        }
        unsigned leaf = tree_leaf(t, w[i] * inverse) << 4;
        float e4 = w[i] - scale * t->level[2][leaf], e = w[i] - scale * t->level[t->coarse][leaf];
        sum += (double)(g * (t->lambda4 * e4 * e4 + t->lambda * e * e));
    }
    return sum;
}

void block_round_scales(const struct tree *t, const float *w, const float *h, int64_t n_blocks,
                        const float *scales, float factor, int8_t *out)
{
    for (int64_t b = 0; b < n_blocks; b++, w += PLANES_COLS) {
        const float *hb = h ? h + b * PLANES_COLS : NULL;
        int middle = factor > 0 ? (int)lrintf(scales[b] / factor) : 0, best = 0;
        double least = INFINITY;
        for (int q = middle - 1; q <= middle + 1; q++) {
            if (q < -127 || q > 127 || (middle == 0 && q)) continue;
            double e = error_at(t, w, hb, factor * (float)q);
            if (e >= least) continue;
            least = e;
            best = q;
        }
        out[b] = (int8_t)best;
    }
}
