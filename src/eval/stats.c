/* SPDX-License-Identifier: Apache-2.0
 * stats.c - pass@k. */
#include "src/eval/stats.h"

double stats_pass_at_k(int n, int n_right, int k)
{
    double none = 1; /* that all k are wrong */
    for (int i = 0; i < k; i++) none *= (double)(n - n_right - i > 0 ? n - n_right - i : 0) / (n - i);
    return 1 - none;
}
