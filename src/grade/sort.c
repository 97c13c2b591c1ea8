/* SPDX-License-Identifier: Apache-2.0
 * sort.c - sorting three to eight numbers (longer: ten). Insertion: the first line says which way, each
 * further one takes the next number and, after a colon, writes the sorted list with it.
 *
 *   <
 *   5:5
 *   3:3 5
 *   9:3 5 9 */
#include <inttypes.h>
#include <string.h>
#include "src/grade/family.h"

enum { UP, DOWN };

static const struct wording english[] = {
    {'b', UP, "sort {L}"},
    {'b', DOWN, "sort {L} descending"},
    {'b', UP, "sort {L} ascending"},
    {'i', UP, "[sort|order|arrange] [these numbers|the numbers|]: {L}"},
    {'i', UP, "[sort|order|arrange] {L} [in ascending order|from smallest to largest|from low to high]"},
    {'i', UP, "put {L} in [order|ascending order|increasing order]"},
    {'i', UP, "[sort|order] [these numbers|the list] from [smallest to largest|small to big]: {L}"},
    {'q', UP, "what is {L} in [order|ascending order|sorted order]"},
    {'q', UP, "how do you [sort|order|arrange] {L}"},
    {'i', DOWN, "[sort|order|arrange] {L} [in descending order|from largest to smallest|from high to low]"},
    {'i', DOWN, "put {L} in [descending order|decreasing order|reverse order]"},
    {'i', DOWN, "[sort|order] [these numbers|the list] from [largest to smallest|big to small]: {L}"},
    {'q', DOWN, "what is {L} in [descending|decreasing] order"},
    {'p', UP, "[sort|order|arrange] {L} [up|in increasing order|ascendingly|low to high|asc]"},
    {'p', DOWN, "[sort|order|arrange] {L} [down|backwards|in reverse|high to low|desc]"},
};

static const struct wording arabic[] = {
    {'b', UP, "رتب {L}"},
    {'b', UP, "رتب {L} تصاعديا"},
    {'b', DOWN, "رتب {L} تنازليا"},
    {'i', UP, "[رتب|نظم] [الأرقام|الأعداد|هذه الأعداد|هذه الأرقام]: {L}"},
    {'i', UP, "[رتب|نظم] [الأرقام|الأعداد|] {L} [من الأصغر إلى الأكبر|ترتيبا تصاعديا|تصاعديا]"},
    {'q', UP, "ما [ترتيب|الترتيب التصاعدي للأعداد] {L}"},
    {'i', DOWN, "[رتب|نظم] [الأرقام|الأعداد|] {L} [من الأكبر إلى الأصغر|ترتيبا تنازليا|تنازليا]"},
    {'q', DOWN, "ما الترتيب التنازلي [للأعداد|للأرقام] {L}"},
};

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const struct { int low, high, most; } rows[] = {
        {0, 0, 0}, {3, 3, 20}, {3, 4, 99}, {4, 5, 99}, {5, 6, 999}, {7, 8, 999}, {10, 12, 999},
    };
    p->n = (uint8_t)dice_in(dice, rows[level].low, rows[level].high);
    p->kind = dice_percent(dice, 33) ? DOWN : UP;
    for (int i = 0; i < p->n; i++) {
        bool small = dice_percent(dice, 30);
        p->v[i] = dice_in(dice, level <= 1 ? 0 : 1, small && rows[level].most > 99 ? 99 : rows[level].most);
    }
    return true;
}

static void ink(const struct grade_puzzle *p, char slot, struct ink *ink)
{
    (void)slot;
    ink_list(ink, p->v, p->n);
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    int n;
    if (!slot_list(m, 'L', p->v, NULL, GRADE_MAX_VALUES, &n) || n < 2) return false;
    p->n = (uint8_t)n;
    p->kind = (uint8_t)kind;
    return true;
}

static void sorted(const struct grade_puzzle *p, int n, int64_t *out)
{
    for (int i = 0; i < n; i++) {
        int j = i;
        for (; j > 0 && (p->kind == DOWN ? out[j - 1] < p->v[i] : out[j - 1] > p->v[i]); j--)
            out[j] = out[j - 1];
        out[j] = p->v[i];
    }
}

static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    struct grade_puzzle up = *p;
    up.kind = UP;
    sorted(&up, p->n, k);
    return p->n;
}

static void write_list(struct buf *out, const int64_t *v, int n)
{
    for (int i = 0; i < n; i++) buf_printf(out, "%s%" PRId64, i ? " " : "", v[i]);
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    int64_t v[GRADE_MAX_VALUES];
    (void)lang;
    buf_puts(out, p->kind == DOWN ? ">\n" : "<\n");
    for (int i = 1; i <= p->n; i++) {
        sorted(p, i, v);
        /* A wrong turn: the number in the wrong place, seen at once. */
        if (style == FK_STYLE_SEARCH && i > 1 && v[i - 1] != v[i - 2] && dice_percent(dice, 15)) {
            int64_t t = v[i - 1];
            v[i - 1] = v[i - 2];
            v[i - 2] = t;
            buf_printf(out, "%" PRId64 ":", p->v[i - 1]);
            write_list(out, v, i);
            buf_puts(out, " no\n");
            sorted(p, i, v);
        }
        buf_printf(out, "%" PRId64 ":", p->v[i - 1]);
        write_list(out, v, i);
        buf_putc(out, '\n');
    }
    if (style != FK_STYLE_SEARCH) return;
    for (int i = 0; i + 1 < p->n; i++)
        buf_printf(out, "%" PRId64 "%s", v[i], v[i] == v[i + 1] ? "=" : p->kind == DOWN ? ">" : "<");
    buf_printf(out, "%" PRId64 " ok\n", v[p->n - 1]);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    int64_t v[GRADE_MAX_VALUES];
    (void)lang;
    sorted(p, p->n, v);
    write_list(out, v, p->n);
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    int64_t v[GRADE_MAX_VALUES], is;
    int i = 0;
    sorted(p, p->n, v);
    for (int k = 0; k < p->n; k++) {
        bool separator = k && (scan_is_sign(s, i, ',') || scan_is_sign(s, i, '<') ||
                               scan_is_sign(s, i, '>'));
        if (separator) i++;
        bool minus = scan_is_sign(s, i, '-');
        if (minus) i++;
        if (!scan_is_number(s, i) || s->tokens[i].too_big || s->tokens[i].n_decimals) return false;
        is = minus ? -s->tokens[i].value : s->tokens[i].value;
        i++;
        if (is != v[k]) return false;
    }
    if (scan_is_sign(s, i, '.')) i++;
    return i == s->n;
}

const struct family family_sort = {
    .name = "sort",
    .wordings = {english, arabic},
    .n_wordings = {sizeof english / sizeof english[0], sizeof arabic / sizeof arabic[0]},
    .held_out = 20,
    .draw = draw,
    .ink = ink,
    .take = take,
    .key = key,
    .think = think,
    .answer = answer,
    .verify = verify,
};
