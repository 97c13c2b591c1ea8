/* SPDX-License-Identifier: Apache-2.0
 * stats.h - what a share of right answers says, and how surely. */
#ifndef EVAL_STATS_H
#define EVAL_STATS_H
#include <stdint.h>

struct interval {
    double low, high;
};

/* Wilson's score interval for n_right of n, 95 % (z = 1.96). n 0: [0, 1]. */
struct interval stats_wilson(uint64_t n_right, uint64_t n);

/* The chance that at least one of k draws without replacement out of n samples is right, n_right of
 * them being so: 1 - C(n - n_right, k) / C(n, k) (Chen et al. 2021, equation 1). k <= n. */
double stats_pass_at_k(int n, int n_right, int k);

#endif
