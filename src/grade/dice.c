/* SPDX-License-Identifier: Apache-2.0
 * dice.c - draws that need more than one line. */
#include "src/grade/dice.h"

int dice_weighted(struct dice *d, const uint32_t *w, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += w[i];
    if (sum == 0) return -1;
    uint64_t at = dice_u64(d) % sum;
    for (size_t i = 0; i < n; i++) {
        if (at < w[i]) return (int)i;
        at -= w[i];
    }
    return -1;
}

int64_t dice_digits(struct dice *d, int n_digits)
{
    int64_t low = 1;
    for (int i = 1; i < n_digits; i++) low *= 10;
    return n_digits == 1 ? dice_in(d, 0, 9) : dice_in(d, low, low * 10 - 1);
}

void dice_shuffle(struct dice *d, int64_t *v, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)dice_below(d, (int64_t)i);
        int64_t t = v[i - 1];
        v[i - 1] = v[j];
        v[j] = t;
    }
}
