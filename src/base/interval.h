/* SPDX-License-Identifier: Apache-2.0
 * interval.h - how surely a share of right answers is known. */
#ifndef BASE_INTERVAL_H
#define BASE_INTERVAL_H
#include <stdint.h>

struct interval {
    double low, high;
};

/* Wilson's score interval for n_right of n, 95 % (z = 1.96). n 0: [0, 1]. */
struct interval interval_wilson(uint64_t n_right, uint64_t n);

#endif
