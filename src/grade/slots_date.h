/* SPDX-License-Identifier: Apache-2.0
 * slots_date.h - names of days and months in both languages, and where they stand in tokens. */
#ifndef GRADE_SLOTS_DATE_H
#define GRADE_SLOTS_DATE_H
#include "fikr/grade.h"
#include "src/grade/scan.h"

/* day: 0 Sunday .. 6 Saturday; month: 1..12. Constants. */
const char *weekday_name(enum fk_lang lang, int day);
const char *month_name(enum fk_lang lang, int month);
int month_days(int year, int month); /* year 0 counts as no leap year */
bool is_leap_year(int year);

int slot_match_weekday(const struct scan *s, int i);
int slot_match_date(const struct scan *s, int i);
int slot_match_clock(const struct scan *s, int i);

/* What a weekday's word says, -1 where token i is none. */
int weekday_at(const struct scan *s, int i);
/* Reads a date from token i on; gives the token after it or -1. year 0 where none is given. */
int date_at(const struct scan *s, int i, int *year, int *month, int *day);

#endif
