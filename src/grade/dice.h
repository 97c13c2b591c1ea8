/* SPDX-License-Identifier: Apache-2.0
 * dice.h - a sequence of draws over base/rng, the same on every machine. */
#ifndef GRADE_DICE_H
#define GRADE_DICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "src/base/rng.h"

struct dice {
    uint64_t seed, stream, at;
};

static inline struct dice dice_make(uint64_t seed, uint64_t stream)
{
    return (struct dice){seed, stream, 0};
}

static inline uint64_t dice_u64(struct dice *d)
{
    return rng_u64(d->seed, d->stream, d->at++);
}

/* 0..n-1; n > 0 and far below 2^64, so that the remainder's bias does not count. */
static inline int64_t dice_below(struct dice *d, int64_t n)
{
    return (int64_t)(dice_u64(d) % (uint64_t)n);
}

static inline int64_t dice_in(struct dice *d, int64_t low, int64_t high)
{
    return low + dice_below(d, high - low + 1);
}

static inline bool dice_percent(struct dice *d, int percent)
{
    return dice_below(d, 100) < percent;
}

/* An index with chance w[i] in sum(w); -1 where all weights are 0. */
int dice_weighted(struct dice *d, const uint32_t *w, size_t n);
/* A number of exactly n_digits digits, without a leading zero (one digit: 0 to 9). */
int64_t dice_digits(struct dice *d, int n_digits);
void dice_shuffle(struct dice *d, int64_t *v, size_t n);

#endif
