/* SPDX-License-Identifier: Apache-2.0
 * slots.h - what may stand in the slots of a wording, found in tokens and read from them.
 *
 *   a b c n t   a whole number; groups of thousands with commas are joined
 *   L           a list of whole numbers        F   of numbers with decimals
 *   S           a list, negative numbers too
 *   E           an expression in + - * / ( )   Q   an equation in x
 *   d           a day of the week              D G a date: 2024-03-15, March 15, 15 March 2024
 *   w           a word                         k   a letter
 *   T           a time of day: 10:45 */
#ifndef GRADE_SLOTS_H
#define GRADE_SLOTS_H
#include "src/grade/pattern.h"

/* The token after the slot's text, -1 where token i begins none. */
int slot_match(const struct scan *s, int i, char slot);

/* Readers of captures: false where the value is out of their range. */
bool slot_number(const struct match *m, char slot, int64_t *v);
/* At most max values; n_decimals may be NULL where only whole numbers are taken. */
bool slot_list(const struct match *m, char slot, int64_t *v, uint8_t *n_decimals, int max, int *n);
/* The text without blanks, in ASCII: "(3+4)*5". */
bool slot_expression(const struct match *m, char slot, char *out, size_t max);
bool slot_word(const struct match *m, char slot, char *out, size_t max);
struct slot_date {
    int year, month, day; /* year 0: none was given */
};
bool slot_date(const struct match *m, char slot, struct slot_date *out);
bool slot_weekday(const struct match *m, char slot, int *day); /* 0 Sunday .. 6 Saturday */
bool slot_clock(const struct match *m, char slot, int *minutes);

#endif
