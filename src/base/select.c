/* SPDX-License-Identifier: Apache-2.0
 * select.c - the k-th largest number, without sorting the others. */
#include "src/base/select.h"

float kth_largest(float *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1, at = k - 1;
    while (lo < hi) {
        float pivot = v[lo + (hi - lo) / 2];
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] > pivot) i++;
            while (v[j] < pivot) j--;
            if (i > j) break;
            float t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        if (at <= j) hi = j;
        else if (at >= i) lo = i;
        else break;
    }
    return v[at];
}
