/* SPDX-License-Identifier: Apache-2.0
 * optim.h - AdamW (Loshchilov and Hutter 2019) over the arenas of params.h, clipping by the norm of the
 * whole gradient, and the experts' routing bias (DeepSeek-V3, section 2.1.2). */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H
#include "src/train/muon.h"
#include "src/train/params.h"
#include "src/train/recipe.h"

/* The 2-norm of the gradient: sums of fixed blocks in order, so the bits do not depend on threads. */
double optim_grad_norm(const struct train_params *p);

/* One update with the gradient in p->grad times scale; t counts updates from 1:
 *   m = b1 m + (1 - b1) g    v = b2 v + (1 - b2) g^2
 *   w -= lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay w)      decay: matrices only
 * Routing biases stay. The gradient is zeroed. */
void optim_adamw(struct train_params *p, const struct recipe_optim *o, double lr, double scale,
                 int64_t t);

/* The same with Muon for the matrices that it takes; AdamW alone where muon is NULL. */
void optim_step(struct train_params *p, const struct recipe_optim *o, struct muon *muon, double lr,
                double scale, int64_t t);

/* bias[i] += rate where expert i got fewer tokens than the mean, -= rate where it got more. */
void optim_route_bias(float *bias, const int64_t *load, int n_experts, double rate);

#endif
