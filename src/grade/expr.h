/* SPDX-License-Identifier: Apache-2.0
 * expr.h - expressions in + - * / ( ) over whole numbers, as flat tokens, worked out one operation at
 * a time. No recursion: a tower of brackets costs as much as a row of sums. */
#ifndef GRADE_EXPR_H
#define GRADE_EXPR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "src/base/buf.h"

#define EXPR_MAX 96

struct expr_token {
    char kind;         /* 'n' a number num/den, or the sign itself */
    int64_t num, den;
};
struct expr {
    int n;
    struct expr_token t[EXPR_MAX];
};

/* False: too long, or a character that does not belong. A minus with no value before it belongs to the
 * number after it. */
bool expr_read(struct expr *e, const char *text);
/* Where the next operation stands: in the first bracket that closes, products before sums, left to
 * right. -1: none is left, or the text is no expression (then e->n is not 1). */
int expr_next(const struct expr *e);
/* Does the operation at i, drops brackets around a single number. False: overflow or division by 0. */
bool expr_reduce(struct expr *e, int i);
/* The value as a fraction in lowest terms, den > 0. */
bool expr_value(const char *text, int64_t *num, int64_t *den);
void expr_write(const struct expr *e, struct buf *out);

#endif
