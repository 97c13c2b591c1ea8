/* SPDX-License-Identifier: Apache-2.0
 * slots_date.c - days, dates and times in tokens. */
#include "src/grade/slots_date.h"
#include <string.h>
#include "src/grade/slots.h"

static const char *const weekdays[FK_N_LANGS][7] = {
    {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
    {"الأحد", "الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت"},
};

static const char *const months[FK_N_LANGS][12] = {
    {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
     "November", "December"},
    {"يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو", "يوليو", "أغسطس", "سبتمبر", "أكتوبر",
     "نوفمبر", "ديسمبر"},
};

const char *weekday_name(enum fk_lang lang, int day)
{
    return weekdays[lang][day];
}

const char *month_name(enum fk_lang lang, int month)
{
    return months[lang][month - 1];
}

bool is_leap_year(int year)
{
    return year != 0 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int month_days(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap_year(year));
}

/* Three letters are enough in English: mon, tues, thurs. */
static bool begins(const struct scan *s, int i, const char *name)
{
    char full[64];
    if (i >= s->n || s->tokens[i].kind != TOKEN_WORD || s->tokens[i].word_n < 3) return false;
    size_t n = scan_normalise(&name, full, sizeof full);
    return s->tokens[i].word_n <= n && !memcmp(s->words + s->tokens[i].word, full, s->tokens[i].word_n);
}

int weekday_at(const struct scan *s, int i)
{
    for (int d = 0; d < 7; d++) {
        if (scan_is_word(s, i, weekdays[FK_LANG_AR][d]) || begins(s, i, weekdays[FK_LANG_EN][d]))
            return d;
    }
    if (scan_is_word(s, i, "الإثنين")) return 1;
    return -1;
}

static int month_at(const struct scan *s, int i)
{
    for (int m = 0; m < 12; m++) {
        if (scan_is_word(s, i, months[FK_LANG_AR][m]) || begins(s, i, months[FK_LANG_EN][m]))
            return m + 1;
    }
    return -1;
}

/* "يوم الاثنين": the word for day may stand before the name. */
int slot_match_weekday(const struct scan *s, int i)
{
    if (scan_is_word(s, i, "يوم") || scan_is_word(s, i, "a")) i++;
    return weekday_at(s, i) >= 0 ? i + 1 : -1;
}

static bool small_number(const struct scan *s, int i, int low, int high, int *v)
{
    if (!scan_is_number(s, i) || s->tokens[i].too_big || s->tokens[i].n_decimals) return false;
    if (s->tokens[i].value < low || s->tokens[i].value > high) return false;
    *v = (int)s->tokens[i].value;
    return true;
}

static int skip_ordinal(const struct scan *s, int i)
{
    bool ordinal = i < s->n && s->tokens[i].glued &&
                   (scan_is_word(s, i, "st") || scan_is_word(s, i, "nd") || scan_is_word(s, i, "rd") ||
                    scan_is_word(s, i, "th"));
    return ordinal ? i + 1 : i;
}

/* A year after a date: "2024", ", 2024". */
static int take_year(const struct scan *s, int i, int *year)
{
    int at = scan_is_sign(s, i, ',') ? i + 1 : i;
    if (scan_is_word(s, at, "عام") || scan_is_word(s, at, "سنة")) at++;
    return small_number(s, at, 1000, 9999, year) ? at + 1 : i;
}

int date_at(const struct scan *s, int i, int *year, int *month, int *day)
{
    *year = 0;
    bool iso = small_number(s, i, 1000, 9999, year) && i + 4 < s->n && s->tokens[i + 1].sign &&
               strchr("-/", s->tokens[i + 1].sign) &&
               s->tokens[i + 3].sign == s->tokens[i + 1].sign &&
               small_number(s, i + 2, 1, 12, month) && small_number(s, i + 4, 1, 31, day);
    if (iso) {
        i += 5;
    } else {
        *year = 0;
        if (scan_is_word(s, i, "the")) i++;
        if (small_number(s, i, 1, 31, day)) { /* 15 March 2024, 15th of March */
            i = skip_ordinal(s, i + 1);
            if (scan_is_word(s, i, "of") || scan_is_word(s, i, "من")) i++;
            if ((*month = month_at(s, i)) < 0) return -1;
            i = take_year(s, i + 1, year);
        } else { /* March 15, 2024 */
            if ((*month = month_at(s, i)) < 0 || !small_number(s, i + 1, 1, 31, day)) return -1;
            i = take_year(s, skip_ordinal(s, i + 2), year);
        }
    }
    return *day <= month_days(*year ? *year : 2000, *month) ? i : -1;
}

int slot_match_date(const struct scan *s, int i)
{
    int year, month, day;
    return date_at(s, i, &year, &month, &day);
}

int slot_match_clock(const struct scan *s, int i)
{
    int hour, minute;
    bool fits = small_number(s, i, 0, 23, &hour) && scan_is_sign(s, i + 1, ':') &&
                small_number(s, i + 2, 0, 59, &minute) && s->tokens[i + 2].n_digits == 2;
    return fits ? i + 3 : -1;
}

bool slot_weekday(const struct match *m, char slot, int *day)
{
    const struct capture *c = match_slot(m, slot);
    if (!c) return false;
    *day = weekday_at(m->s, c->end - 1);
    return *day >= 0;
}

bool slot_date(const struct match *m, char slot, struct slot_date *out)
{
    const struct capture *c = match_slot(m, slot);
    return c && date_at(m->s, c->begin, &out->year, &out->month, &out->day) >= 0;
}

bool slot_clock(const struct match *m, char slot, int *minutes)
{
    const struct capture *c = match_slot(m, slot);
    if (!c) return false;
    *minutes = (int)(m->s->tokens[c->begin].value * 60 + m->s->tokens[c->begin + 2].value);
    return true;
}
