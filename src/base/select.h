/* SPDX-License-Identifier: Apache-2.0
 * select.h - the k-th largest number, without sorting the others. */
#ifndef BASE_SELECT_H
#define BASE_SELECT_H
#include <stdint.h>

/* The k-th largest of v[0..n), 1 <= k <= n, which gets reordered. */
float kth_largest(float *v, int64_t n, int64_t k);

#endif
