/* SPDX-License-Identifier: Apache-2.0
 * muon.h - Muon (Jordan 2024): momentum whose matrix is made nearly orthogonal before it is applied, so
 * that every direction of a weight matrix moves alike.
 *
 *   m = mu m + g                     u = g + mu m                          (Nesterov's form)
 *   X = u / |u|_F                    five times  X = a X + (b A + c A A) X,  A = X X^T
 *   w = w (1 - lr decay) - lr 0.2 sqrt(max(rows, columns)) X
 *
 * a, b, c = 3.4445, -4.7750, 2.0315 bring singular values near 1 in five rounds. The factor gives the
 * update the size of AdamW's, so both share one learning rate and decay (Liu et al. 2025, section 2.2).
 * Matrices alone, and each expert's on its own; embeddings, head, router and vectors stay with AdamW. */
#ifndef TRAIN_MUON_H
#define TRAIN_MUON_H
#include "src/train/params.h"

struct muon {
    float *u, *x, *next; /* [largest matrix] */
    float *a, *b;        /* [its shorter side squared] */
};

/* Scratch for the matrices of p. */
enum fk_status muon_create(struct muon **out, const struct train_params *p, struct fk_error *err);
void muon_destroy(struct muon **m);

bool muon_takes(const struct param_item *it);

/* One update of an item with its gradient times scale; zeroes the gradient, keeps momentum in p->m and
 * leaves p->v alone. */
void muon_update(struct muon *s, struct train_params *p, const struct param_item *it, double momentum,
                 double lr, double decay, double scale);

#endif
