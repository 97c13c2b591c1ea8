/* SPDX-License-Identifier: Apache-2.0
 * ref.h - the ops in double precision, as plain loops: what gradients are compared with. */
#ifndef TEST_TAPE_REF_H
#define TEST_TAPE_REF_H
#include <stdint.h>
#include "src/device/ops.h"

/* y[t,n] = W[n,k] x[t,k] + b[n]; b may be NULL */
void ref_matmul(const double *x, const double *w, const double *b, int t, int k, int n, double *y);
void ref_heads(const double *x, const double *w, int t, int heads, int rows, int cols,
               int transposed, int shared, double *y);
void ref_rmsnorm(const double *x, const double *w, int t, int groups, int n, double eps, double *y);
void ref_rope(const double *x, const struct rope_params *p, const int32_t *pos, int t, int heads,
              int dim, double *y);
void ref_glu(enum act act, const double *g, const double *u, int n, double *y);
void ref_attention(const struct attention_params *p, const double *q, const double *k,
                   const double *v, int first, int n, double *y);
/* weights [n_used] of the experts in ids */
void ref_route(const struct route_params *p, const double *logits, int n, const int32_t *ids,
               double *w);
#endif
