/* SPDX-License-Identifier: Apache-2.0
 * number.h - numbers as people write them in answers to word problems, exactly: "1,234.50", "$3",
 * "2/3", "1 1/2", "45%". */
#ifndef GRADE_NUMBER_H
#define GRADE_NUMBER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A fraction in lowest terms, den > 0. A per cent sign and units do not change it. */
struct number {
    int64_t num, den;
};

/* The last number in text; of a long text its end is looked at. False: there is none, or it has more
 * digits than fit. */
bool number_find_last(const char *text, size_t n, struct number *out);

#endif
