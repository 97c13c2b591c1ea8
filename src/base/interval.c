/* SPDX-License-Identifier: Apache-2.0
 * interval.c - Wilson's interval: sound for few answers and for shares of 0 and 1. */
#include "src/base/interval.h"

#include <math.h>

struct interval interval_wilson(uint64_t n_right, uint64_t n)
{
    const double z = 1.959963984540054;
    if (!n) return (struct interval){0, 1};
    double p = (double)n_right / (double)n, m = z * z / (double)n;
    double mid = (p + m / 2) / (1 + m);
    double half = z / (1 + m) * sqrt(p * (1 - p) / (double)n + m / (4 * (double)n));
    return (struct interval){fmax(0, mid - half), fmin(1, mid + half)};
}
