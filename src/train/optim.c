/* SPDX-License-Identifier: Apache-2.0
 * optim.c - one pass over memory per update. */
#include "src/train/optim.h"
#include <math.h>
#include <string.h>
#include "src/base/clones.h"

#define LANES 16

/* Sixteen running sums, added at the end: one order for every width of vector. */
CLONES static double sum_squares(const float *x, size_t n)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += (double)x[i + (size_t)j] * (double)x[i + (size_t)j];
    for (; i < n; i++) lane[0] += (double)x[i] * (double)x[i];
    for (int j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

double optim_grad_norm(const struct train_params *p)
{
    return sqrt(sum_squares(p->grad, p->n_floats));
}

struct rates {
    float b1, b2, scale, step, root, eps, keep; /* w = keep w - step m / (sqrt(v) root + eps) */
};

CLONES static void update(float *restrict w, float *restrict g, float *restrict m, float *restrict v,
                        size_t n, struct rates r)
{
    for (size_t i = 0; i < n; i++) {
        float x = g[i] * r.scale;
        float mi = r.b1 * m[i] + (1 - r.b1) * x, vi = r.b2 * v[i] + (1 - r.b2) * x * x;
        m[i] = mi;
        v[i] = vi;
        w[i] = r.keep * w[i] - r.step * mi / (sqrtf(vi) * r.root + r.eps);
        g[i] = 0;
    }
}

void optim_adamw(struct train_params *p, const struct recipe_optim *o, double lr, double scale,
                 int64_t t)
{
    optim_step(p, o, NULL, lr, scale, t);
}

void optim_step(struct train_params *p, const struct recipe_optim *o, struct muon *muon, double lr,
                double scale, int64_t t)
{
    struct rates r = {.b1 = (float)o->beta1, .b2 = (float)o->beta2, .scale = (float)scale,
                      .eps = (float)o->eps};
    r.step = (float)(lr / (1 - pow(o->beta1, (double)t)));
    r.root = (float)(1 / sqrt(1 - pow(o->beta2, (double)t)));
    for (size_t i = 0; i < p->n_items; i++) {
        const struct param_item *it = &p->items[i];
        if (it->kind == PARAM_ROUTE_BIAS) {
            memset(p->grad + it->offset, 0, it->n * sizeof(float));
            continue;
        }
        if (muon && muon_takes(it)) {
            muon_update(muon, p, it, o->momentum, lr, o->weight_decay, scale);
            continue;
        }
        r.keep = it->kind == PARAM_MATRIX ? (float)(1 - lr * o->weight_decay) : 1.0f;
        update(p->w + it->offset, p->grad + it->offset, p->m + it->offset, p->v + it->offset, it->n, r);
    }
}

void optim_route_bias(float *bias, const int64_t *load, int n_experts, double rate)
{
    int64_t sum = 0;
    for (int i = 0; i < n_experts; i++) sum += load[i];
    for (int i = 0; i < n_experts; i++) {
        int64_t excess = load[i] * n_experts - sum;
        bias[i] += (float)(excess > 0 ? -rate : excess < 0 ? rate : 0);
    }
}
