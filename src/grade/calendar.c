/* SPDX-License-Identifier: Apache-2.0
 * calendar.c - days of the week and dates: a weekday some days later or earlier, the weekday of a date
 * (1900 to 2099), the days between two dates of a year, the date some days later.
 *
 * The first line of a thinking names the kind of question and holds all its numbers, months and weekdays as
 * numbers too: 2+341 and 2-341 (Tuesday), 2016.2.27, 3.18:6.7, 7.26+9. */
#include <inttypes.h>
#include <string.h>
#include "src/grade/family.h"
#include "src/grade/slots_date.h"

enum { AFTER, BEFORE, WEEKDAY, BETWEEN, LATER };

/* AFTER, BEFORE: v = weekday, days. WEEKDAY: year, month, day. BETWEEN: year, month, day, month, day.
 * LATER: year, month, day, days. A year of 0 means that none was named and none matters. */
static const struct wording english[] = {
    {'b', AFTER, "{d} + {n} days"},
    {'b', AFTER, "{n} days after {d}"},
    {'b', BEFORE, "{n} days before {d}"},
    {'b', WEEKDAY, "weekday of {D}"},
    {'b', WEEKDAY, "{D} day of the week"},
    {'b', BETWEEN, "days from {D} to {G}"},
    {'b', LATER, "{D} + {n} days"},
    {'q', AFTER, "[what day|which day|what weekday] [is|comes|will it be] {n} days after {d}"},
    {'q', AFTER, "[if today is|today is] {d}, [what day|which day] [is it|will it be] in {n} days"},
    {'i', AFTER, "[find|tell me] the [day|weekday] {n} days after {d}"},
    {'q', BEFORE, "[what day|which day|what weekday] [is|was|comes] {n} days before {d}"},
    {'q', BEFORE, "[if today is|today is] {d}, [what day|which day] was it {n} days ago"},
    {'i', BEFORE, "[find|tell me] the [day|weekday] {n} days before {d}"},
    {'q', WEEKDAY, "[what day|which day|what weekday] [is|was] {D}"},
    {'q', WEEKDAY, "[what day|which day] of the week [is|was|will be] {D}"},
    {'q', WEEKDAY, "on [what|which] [day|weekday] [does|did] {D} fall"},
    {'i', WEEKDAY, "[find|tell me] the [day of the week|weekday] of {D}"},
    {'q', BETWEEN, "how many days [are there|are|] [from|between] {D} [to|and|until] {G}"},
    {'i', BETWEEN, "count the days [from|between] {D} [to|and|until] {G}"},
    {'q', LATER, "[what date|which date] [is|comes|will it be] {n} days after {D}"},
    {'i', LATER, "[find|tell me] the date {n} days after {D}"},
};

static const struct wording arabic[] = {
    {'b', AFTER, "{d} + {n} يوما"},
    {'b', WEEKDAY, "يوم {D}"},
    {'b', BEFORE, "قبل {d} ب {n} يوما"},
    {'b', BETWEEN, "الأيام من {D} إلى {G}"},
    {'b', LATER, "{D} + {n} يوما"},
    {'q', AFTER, "[ما اليوم|أي يوم|ما هو اليوم] [بعد|الذي يأتي بعد] {n} [يوما|أيام] من [يوم|] {d}"},
    {'q', AFTER, "[إذا كان اليوم|اليوم] {d}، [فما اليوم|ما اليوم|فأي يوم] بعد {n} [يوما|أيام]"},
    {'q', BEFORE, "[ما اليوم|أي يوم|ما هو اليوم] قبل {n} [يوما|أيام] من [يوم|] {d}"},
    {'q', BEFORE, "[إذا كان اليوم|اليوم] {d}، [فما اليوم|ما اليوم|فأي يوم] قبل {n} [يوما|أيام]"},
    {'q', WEEKDAY, "[ما|أي|ما هو] يوم [الأسبوع|من أيام الأسبوع] [يوافق|في] {D}"},
    {'q', WEEKDAY, "[أي يوم|ما اليوم الذي|في أي يوم] [يوافق|يقع] {D}"},
    {'q', BETWEEN, "كم [يوما|عدد الأيام] [من|بين] {D} [إلى|حتى|و] {G}"},
    {'i', BETWEEN, "[احسب|أوجد] عدد الأيام [من|بين] {D} [إلى|حتى|و] {G}"},
    {'q', LATER, "ما [التاريخ|هو التاريخ] بعد {n} [يوما|أيام] من {D}"},
    {'i', LATER, "[احسب|أوجد] التاريخ بعد {n} [يوما|أيام] من {D}"},
};

/* Whether February's length lies between the two. */
static bool february_matters(int month, int64_t later_month)
{
    return month <= 2 && later_month > 2;
}

/* The day `days` after (month, day); false when the year ends first. */
static bool step_date(int year, int64_t *month, int64_t *day, int64_t days)
{
    *day += days;
    while (*day > month_days(year, (int)*month)) {
        *day -= month_days(year, (int)*month);
        if (++*month > 12) return false;
    }
    return true;
}

static void draw_date(struct dice *dice, struct grade_puzzle *p, bool with_year)
{
    p->v[0] = with_year ? dice_in(dice, dice_percent(dice, 60) ? 1980 : 1900,
                                  dice_percent(dice, 60) ? 2030 : 2099) : 0;
    p->v[1] = dice_in(dice, 1, 12);
    p->v[2] = dice_in(dice, 1, month_days((int)p->v[0], (int)p->v[1]));
}

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const int days[] = {0, 9, 30, 99, 365, 999, 9999};
    static const uint8_t kinds[][6] = {
        {0}, {AFTER, AFTER, BEFORE, AFTER, AFTER, BEFORE},
        {AFTER, BEFORE, LATER, AFTER, BEFORE, LATER}, {AFTER, BEFORE, LATER, BETWEEN, LATER, BETWEEN},
        {AFTER, BEFORE, WEEKDAY, BETWEEN, LATER, WEEKDAY},
        {AFTER, BEFORE, WEEKDAY, WEEKDAY, BETWEEN, WEEKDAY}, {AFTER, BEFORE, AFTER, BEFORE, AFTER, BEFORE},
    };
    p->kind = kinds[level][dice_below(dice, 6)];
    if (p->kind == AFTER || p->kind == BEFORE) {
        p->v[0] = dice_below(dice, 7);
        p->v[1] = dice_in(dice, level == GRADE_LONGER ? 1000 : 1, days[level]);
        p->n = 2;
        return true;
    }
    draw_date(dice, p, p->kind == WEEKDAY || dice_percent(dice, 50));
    p->n = 3;
    if (p->kind == WEEKDAY) return true;
    int64_t span = dice_in(dice, 1, level <= 2 ? 20 : level == 3 ? 40 : level == 4 ? 60 : 150);
    int64_t month = p->v[1], day = p->v[2];
    if (!step_date((int)p->v[0], &month, &day, span)) return false;
    if (!p->v[0] && february_matters((int)p->v[1], month)) return false;
    if (p->kind == LATER) {
        p->v[3] = span;
        p->n = 4;
        return span <= 60;
    }
    p->v[3] = month;
    p->v[4] = day;
    p->n = 5;
    return true;
}

static void ink_date(struct ink *ink, int64_t year, int64_t month, int64_t day)
{
    int look = ink->plain ? 0 : (int)dice_below(ink->dice, 4);
    const char *name = month_name(ink->lang, (int)month);
    if (year && look == 3) {
        struct buf text;
        buf_init(&text, 0, MEM_TEXT);
        buf_printf(&text, "%04d-%02d-%02d", (int)year, (int)month, (int)day);
        if (text.data) ink_digits(ink, text.data);
        buf_fini(&text);
        return;
    }
    bool day_first = ink->lang == FK_LANG_AR || look == 2;
    if (day_first) {
        ink_number(ink, day);
        buf_printf(ink->out, " %s", name);
    } else {
        buf_printf(ink->out, "%s ", name);
        ink_number(ink, day);
    }
    if (!year) return;
    buf_puts(ink->out, day_first ? " " : ", ");
    bool groups = ink->groups;
    ink->groups = false;
    ink_number(ink, year);
    ink->groups = groups;
}

static void ink(const struct grade_puzzle *p, char slot, struct ink *ink)
{
    switch (slot) {
    case 'd': buf_puts(ink->out, weekday_name(ink->lang, (int)p->v[0])); break;
    case 'D': ink_date(ink, p->v[0], p->v[1], p->v[2]); break;
    case 'G': ink_date(ink, p->v[0], p->v[3], p->v[4]); break;
    default: ink_number(ink, p->kind == LATER ? p->v[3] : p->v[1]); break;
    }
}

static bool take_dates(const struct match *m, struct grade_puzzle *p)
{
    struct slot_date a, b;
    if (!slot_date(m, 'D', &a)) return false;
    p->v[0] = a.year;
    p->v[1] = a.month;
    p->v[2] = a.day;
    p->n = 3;
    if (p->kind == WEEKDAY) return a.year >= 1900 && a.year <= 2099;
    if (p->kind == LATER) {
        int64_t month = a.month, day = a.day;
        p->n = 4;
        return slot_number(m, 'n', &p->v[3]) && p->v[3] <= 366 &&
               step_date(a.year, &month, &day, p->v[3]) &&
               (a.year || !february_matters(a.month, month));
    }
    if (!slot_date(m, 'G', &b)) return false;
    if (!a.year) p->v[0] = b.year;
    if (a.year && b.year && a.year != b.year) return false;
    p->v[3] = b.month;
    p->v[4] = b.day;
    p->n = 5;
    bool ordered = b.month > a.month || (b.month == a.month && b.day >= a.day);
    return ordered && (p->v[0] || !february_matters(a.month, b.month));
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    int day;
    p->kind = (uint8_t)kind;
    if (kind != AFTER && kind != BEFORE) return take_dates(m, p);
    p->n = 2;
    if (!slot_weekday(m, 'd', &day) || !slot_number(m, 'n', &p->v[1])) return false;
    p->v[0] = day;
    return true;
}

/* Before and after, and the ways to name a span, have keys of their own; a year that does not matter
 * is left out, so that a date with and without it is one puzzle. */
static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    k[0] = p->kind;
    memcpy(k + 1, p->v, p->n * sizeof k[0]);
    if (p->kind == LATER || p->kind == BETWEEN) {
        int64_t month = p->v[1], day = p->v[2];
        if (p->kind == LATER) step_date((int)p->v[0], &month, &day, p->v[3]);
        else month = p->v[3];
        bool leap = february_matters((int)p->v[1], month) || (month == 2 && p->v[1] <= 2);
        k[1] = leap && is_leap_year((int)p->v[0]);
    }
    return p->n + 1;
}

/* "100 1 3 2": the remainder by seven after each digit. */
static int sevens_line(struct buf *out, int64_t v)
{
    int64_t top = 1;
    int rest = 0;
    while (top <= v / 10) top *= 10;
    buf_printf(out, "%" PRId64, v);
    for (; top; top /= 10) {
        rest = (rest * 10 + (int)(v / top % 10)) % 7;
        buf_printf(out, " %d", rest);
    }
    buf_putc(out, '\n');
    return rest;
}

static void think_weekday_steps(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    int from = (int)p->v[0];
    char sign = p->kind == AFTER ? '+' : '-';
    buf_printf(out, "%d%c%" PRId64 "\n", from, sign, p->v[1]);
    int rest = sevens_line(out, p->v[1]);
    int to = p->kind == AFTER ? from + rest : from - rest;
    buf_printf(out, "%d%c%d=%d\n", from, sign, rest, to);
    if (to >= 7) buf_printf(out, "%d-7=%d\n", to, to - 7);
    if (to < 0) buf_printf(out, "%d+7=%d\n", to, to + 7);
    to = (to + 7) % 7;
    buf_printf(out, "%d %s\n", to, weekday_name(lang, to));
}

/* A number for each month, so that century + year + year/4 + month + day counts weekdays. */
static int month_code(int year, int month)
{
    static const int codes[12] = {4, 0, 0, 3, 5, 1, 3, 6, 2, 4, 0, 2};
    int code = codes[month - 1];
    return month <= 2 && is_leap_year(year) ? (code + 6) % 7 : code;
}

static int weekday_of(int year, int month, int day)
{
    int century = year < 2000 ? 3 : 2, y = year % 100;
    return (century + y + y / 4 + month_code(year, month) + day) % 7;
}

/* "96:4 24 0": the year in its century by four, quotient and remainder, which tells leap years. */
static void quarter(struct buf *out, int year)
{
    buf_printf(out, "%d:4 %d %d", year % 100, year % 100 / 4, year % 4);
}

static void think_weekday(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    int year = (int)p->v[0], month = (int)p->v[1], day = (int)p->v[2];
    int y = year % 100, century = year < 2000 ? 3 : 2, code = month_code(year, month);
    buf_printf(out, "%d.%d.%d\n%d %d\n", year, month, day, year / 100, century);
    quarter(out, year);
    int sum = century + y;
    buf_printf(out, "\n%d+%d=%d ", century, y, sum);
    buf_printf(out, "%d+%d=%d\n", sum, y / 4, sum + y / 4);
    sum += y / 4;
    bool leap = month <= 2 && is_leap_year(year);
    buf_printf(out, "%d%s %d\n", month, leap ? " leap" : "", code);
    buf_printf(out, "%d+%d=%d ", sum, code, sum + code);
    sum += code;
    buf_printf(out, "%d+%d=%d\n", sum, day, sum + day);
    int rest = sevens_line(out, sum + day);
    buf_printf(out, "%d %s\n", rest, weekday_name(lang, rest));
}

/* "4 30" or, where the year tells the length, "2 96:4 24 0 29". Returns the days of the month. */
static int month_length(struct buf *out, const struct grade_puzzle *p, int month)
{
    int days = month_days((int)p->v[0], month);
    buf_printf(out, "%d ", month);
    if (month == 2 && p->v[0]) {
        quarter(out, (int)p->v[0]);
        buf_putc(out, ' ');
    }
    buf_printf(out, "%d", days);
    return days;
}

static void think_between(const struct grade_puzzle *p, struct buf *out)
{
    int month = (int)p->v[1], last = (int)p->v[3], day = (int)p->v[2], to = (int)p->v[4];
    buf_printf(out, "%d.%d:%d.%d\n", month, day, last, to);
    if (month == last) {
        buf_printf(out, "%d-%d=%d\n", to, day, to - day);
        return;
    }
    int sum = month_length(out, p, month) - day;
    buf_printf(out, "-%d=%d\n", day, sum);
    for (month++; month < last; month++) {
        int days = month_length(out, p, month);
        buf_printf(out, " %d+%d=%d\n", sum, days, sum + days);
        sum += days;
    }
    buf_printf(out, "%d %d %d+%d=%d\n", last, to, sum, to, sum + to);
}

static void think_later(const struct grade_puzzle *p, struct buf *out)
{
    int month = (int)p->v[1], day = (int)(p->v[2] + p->v[3]);
    buf_printf(out, "%d.%d+%d\n", month, (int)p->v[2], (int)p->v[3]);
    buf_printf(out, "%d+%d=%d\n", (int)p->v[2], (int)p->v[3], day);
    for (;;) {
        int days = month_length(out, p, month);
        buf_printf(out, "%c%d", days < day ? '<' : days > day ? '>' : '=', day);
        if (day <= days) break;
        buf_printf(out, " %d-%d=%d\n", day, days, day - days);
        day -= days;
        month++;
    }
    buf_putc(out, '\n');
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    /* A wrong turn: the result of the first step off by one, seen at once. */
    if (style == FK_STYLE_SEARCH && p->kind == LATER && dice_percent(dice, 25))
        buf_printf(out, "%d+%d=%d no\n", (int)p->v[2], (int)p->v[3], (int)(p->v[2] + p->v[3] + 1));
    int year = (int)p->v[0];
    if (style == FK_STYLE_SEARCH && p->kind == WEEKDAY && dice_percent(dice, 25))
        buf_printf(out, "%d:4 %d %d no\n", year % 100, year % 100 / 4 + 1, year % 4);
    switch (p->kind) {
    case WEEKDAY: think_weekday(p, lang, out); break;
    case BETWEEN: think_between(p, out); break;
    case LATER: think_later(p, out); break;
    default: think_weekday_steps(p, lang, out); break;
    }
    if (style != FK_STYLE_SEARCH || (p->kind != AFTER && p->kind != BEFORE)) return;
    /* Back again by the whole weeks that were left out. */
    buf_printf(out, "7*%" PRId64 "+%" PRId64 "=%" PRId64 " ok\n", p->v[1] / 7, p->v[1] % 7, p->v[1]);
}

static int64_t between(const struct grade_puzzle *p)
{
    int64_t sum = p->v[4] - p->v[2];
    for (int64_t m = p->v[1]; m < p->v[3]; m++) sum += month_days((int)p->v[0], (int)m);
    return sum;
}

static int target_weekday(const struct grade_puzzle *p)
{
    int64_t rest = p->v[1] % 7;
    if (p->kind == WEEKDAY) return weekday_of((int)p->v[0], (int)p->v[1], (int)p->v[2]);
    return (int)((p->v[0] + (p->kind == AFTER ? rest : 7 - rest)) % 7);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    int64_t month = p->v[1], day = p->v[2];
    if (p->kind == BETWEEN) {
        buf_printf(out, "%" PRId64, between(p));
    } else if (p->kind == LATER) {
        step_date((int)p->v[0], &month, &day, p->v[3]);
        const char *name = month_name(lang, (int)month);
        if (lang == FK_LANG_AR) buf_printf(out, "%d %s", (int)day, name);
        else buf_printf(out, "%s %d", name, (int)day);
    } else {
        buf_puts(out, weekday_name(lang, target_weekday(p)));
    }
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    int year, is_month, is_day, end;
    int64_t month = p->v[1], day = p->v[2];
    if (p->kind == BETWEEN) {
        int64_t is;
        end = verify_number_at(s, 0, &is);
        if (end < 0 || is != between(p)) return false;
        if (scan_is_word(s, end, "days") || scan_is_word(s, end, "يوما")) end++;
    } else if (p->kind == LATER) {
        step_date((int)p->v[0], &month, &day, p->v[3]);
        end = date_at(s, 0, &year, &is_month, &is_day);
        if (end < 0 || is_month != month || is_day != day || (year && year != p->v[0])) return false;
    } else {
        end = slot_match_weekday(s, 0);
        if (end < 0 || weekday_at(s, end - 1) != target_weekday(p)) return false;
    }
    if (scan_is_sign(s, end, '.')) end++;
    return end == s->n;
}

const struct family family_calendar = {
    .name = "calendar",
    .wordings = {english, arabic},
    .n_wordings = {sizeof english / sizeof english[0], sizeof arabic / sizeof arabic[0]},
    .held_out = 30,
    .draw = draw,
    .ink = ink,
    .take = take,
    .key = key,
    .think = think,
    .answer = answer,
    .verify = verify,
};
