/* SPDX-License-Identifier: Apache-2.0
 * columns.h - written arithmetic, one column a line, least significant first. A line does one column
 * and then rewrites what is left and, after a colon, the digits that are done:
 *
 *   48213+9977
 *   3+7=10 4821+997+1:0
 *   1+7+1=9 482+99:90
 *   2+9=11 48+9+1:190
 *   8+9+1=18 4+1:8190
 *   4+1=5 58190
 *
 * so every line needs the line before it only. Each function appends its lines, the first of them the
 * task itself, each with a newline, and gives the result. */
#ifndef GRADE_COLUMNS_H
#define GRADE_COLUMNS_H
#include <stdbool.h>
#include <stdint.h>
#include "src/base/buf.h"

/* A column that is miscalculated by one; NO_SLIP for none. The result is then wrong. */
#define NO_SLIP (-1)

/* a + b, both >= 0. done: digits that stand to the right of both already ("" for none); they end up in
 * the result. */
int64_t columns_add(struct buf *out, int64_t a, int64_t b, const char *done, int slip);
/* a - b, a >= b >= 0. */
int64_t columns_sub(struct buf *out, int64_t a, int64_t b, int slip);
/* a * d, a >= 0, d one digit. */
int64_t columns_mul(struct buf *out, int64_t a, int d, int slip);

/* Casting out nines: appends "48213 4 3 5 6 0" (the remainder by nine after each digit) and a newline;
 * gives the last remainder. */
int nines_line(struct buf *out, int64_t v);

int count_digits(int64_t v);

/* Casting out nines for x sign y = result (sign + - or *): three lines of remainders and a verdict
 * line that ends in "ok" or "no". False: it is wrong. */
bool nines_check(struct buf *out, int64_t x, char sign, int64_t y, int64_t result);

#endif
