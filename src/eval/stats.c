/* SPDX-License-Identifier: Apache-2.0
 * stats.c - intervals and pass@k. */
#include "src/eval/stats.h"

#include <math.h>

struct interval stats_wilson(uint64_t n_right, uint64_t n)
{
    const double z = 1.959963984540054;
    if (!n) return (struct interval){0, 1};
    double p = (double)n_right / (double)n, m = z * z / (double)n;
    double mid = (p + m / 2) / (1 + m);
    double half = z / (1 + m) * sqrt(p * (1 - p) / (double)n + m / (4 * (double)n));
    return (struct interval){fmax(0, mid - half), fmin(1, mid + half)};
}

double stats_pass_at_k(int n, int n_right, int k)
{
    double none = 1; /* that all k are wrong */
    for (int i = 0; i < k; i++) none *= (double)(n - n_right - i > 0 ? n - n_right - i : 0) / (n - i);
    return 1 - none;
}
