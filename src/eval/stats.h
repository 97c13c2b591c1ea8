/* SPDX-License-Identifier: Apache-2.0
 * stats.h - what shares of right answers say. */
#ifndef EVAL_STATS_H
#define EVAL_STATS_H
#include "src/base/interval.h"

/* The chance that at least one of k draws without replacement out of n samples is right, n_right of
 * them being so: 1 - C(n - n_right, k) / C(n, k) (Chen et al. 2021, equation 1). k <= n. */
double stats_pass_at_k(int n, int n_right, int k);

#endif
