/* SPDX-License-Identifier: Apache-2.0
 * countdown.h - the complete solver that knows whether a target can be made at all. */
#ifndef GRADE_COUNTDOWN_H
#define GRADE_COUNTDOWN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTDOWN_MAX 5

/* Writes an expression over v[n] (each once, exact division, fractions allowed on the way) that gives
 * target; false: there is none, or n > COUNTDOWN_MAX. At most a few hundred thousand steps. */
bool countdown_solve(const int64_t *v, int n, int64_t target, char *out, size_t max);

#endif
