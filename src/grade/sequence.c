/* SPDX-License-Identifier: Apache-2.0
 * sequence.c - the next number: by a constant difference, a constant factor, differences that grow by
 * a constant, or sums of the two numbers before. The rules are tried in this order and the first that
 * fits decides, for the answer too.
 *
 *   2 5 10 17
 *   5-2=3 10-5=5 17-10=7
 *   5-3=2 7-5=2
 *   7+2=9 17+9=26 */
#include <inttypes.h>
#include <string.h>
#include "src/grade/family.h"

enum rule { DIFFERENCE, FACTOR, GROWING, SUMS, NO_RULE };

static const struct wording english[] = {
    {'b', 0, "{S}, ?"},
    {'b', 0, "{S}, ..."},
    {'b', 0, "next: {S}"},
    {'q', 0, "[what comes next|what is next|what's next]: {S}"},
    {'q', 0, "[what|which number] [comes next|follows] in [the sequence|this sequence|the series]: {S}"},
    {'q', 0, "what is the next [number|term] [in|of] [the sequence|this sequence|]: {S}"},
    {'i', 0, "[continue|complete|extend] [the sequence|this sequence|the series|]: {S}"},
    {'i', 0, "[find|give me|tell me] the next [number|term] [in|of] [the sequence|]: {S}"},
    {'p', 0, "{S} what [comes next|is next]"},
    {'p', 0, "[sequence|series|pattern] {S}"},
};

static const struct wording arabic[] = {
    {'b', 0, "{S}، ؟"},
    {'b', 0, "التالي: {S}"},
    {'q', 0, "[ما|ما هو] [العدد|الرقم] [التالي|الذي يلي] في [المتتالية|السلسلة|المتسلسلة]: {S}"},
    {'q', 0, "[ماذا|ما الذي] يأتي بعد: {S}"},
    {'q', 0, "ما [العدد|الرقم|الحد] التالي: {S}"},
    {'i', 0, "[أكمل|تابع] [المتتالية|السلسلة|المتسلسلة|]: {S}"},
    {'i', 0, "[أوجد|احسب|جد] [العدد|الرقم|الحد] التالي [في المتتالية|]: {S}"},
};

static enum rule rule_of(const int64_t *v, int n, int64_t *next)
{
    bool difference = true, factor = v[0] != 0, growing = n >= 4, sums = n >= 4;
    for (int i = 2; i < n; i++) {
        int64_t d = v[i] - v[i - 1], before = v[i - 1] - v[i - 2];
        difference = difference && d == before;
        factor = factor && v[i - 1] != 0 && v[i] % v[i - 1] == 0 && v[1] % v[0] == 0 &&
                 v[i] / v[i - 1] == v[1] / v[0];
        growing = growing && (i < 3 || d - before == v[2] - 2 * v[1] + v[0]);
        sums = sums && v[i] == v[i - 1] + v[i - 2];
    }
    if (n < 3) return NO_RULE;
    int64_t last = v[n - 1];
    if (difference) *next = last + v[1] - v[0];
    else if (factor) *next = last * (v[1] / v[0]);
    else if (growing) *next = 2 * last - v[n - 2] + v[2] - 2 * v[1] + v[0];
    else if (sums) *next = last + v[n - 2];
    return difference ? DIFFERENCE : factor ? FACTOR : growing ? GROWING : sums ? SUMS : NO_RULE;
}

static void draw_rule(struct dice *d, int level, enum rule rule, struct grade_puzzle *p)
{
    static const int starts[] = {0, 20, 50, 100, 200, 500, 500}, steps[] = {0, 9, 12, 25, 50, 99, 99};
    int64_t *v = p->v;
    v[0] = dice_in(d, 1, rule == FACTOR ? (level <= 3 ? 9 : 12) : rule == SUMS ? 15 : starts[level]);
    int64_t step = dice_in(d, 1, steps[level]);
    if (rule == DIFFERENCE && dice_percent(d, 25)) step = -step;
    if (rule == FACTOR) step = dice_in(d, 2, level <= 3 ? 4 : 6);
    if (rule == GROWING) step = dice_in(d, 1, level <= 4 ? 12 : 30);
    int64_t growth = dice_in(d, 1, level <= 4 ? 6 : 12);
    v[1] = rule == SUMS ? dice_in(d, 1, 25) : rule == FACTOR ? v[0] * step : v[0] + step;
    for (int i = 2; i < p->n; i++)
        v[i] = rule == FACTOR ? v[i - 1] * step
             : rule == SUMS ? v[i - 1] + v[i - 2]
             : 2 * v[i - 1] - v[i - 2] + (rule == GROWING ? growth : 0);
}

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const uint8_t rules[][4] = {
        {0}, {DIFFERENCE, DIFFERENCE, DIFFERENCE, DIFFERENCE}, {DIFFERENCE, DIFFERENCE, DIFFERENCE, FACTOR},
        {DIFFERENCE, DIFFERENCE, FACTOR, GROWING}, {DIFFERENCE, FACTOR, GROWING, SUMS},
        {DIFFERENCE, FACTOR, GROWING, SUMS}, {DIFFERENCE, DIFFERENCE, GROWING, SUMS},
    };
    int64_t next = 0;
    enum rule rule = (enum rule)rules[level][dice_below(dice, 4)];
    p->n = (uint8_t)(level == GRADE_LONGER ? dice_in(dice, 7, 8) : dice_in(dice, 4, 5));
    draw_rule(dice, level, rule, p);
    if (rule_of(p->v, p->n, &next) != rule || next < 0 || next > 9999) return false;
    for (int i = 0; i < p->n; i++)
        if (p->v[i] < 0) return false;
    return true;
}

static void ink(const struct grade_puzzle *p, char slot, struct ink *ink)
{
    (void)slot;
    ink->list_style = ink->list_style == '&' ? ',' : ink->list_style;
    ink_list(ink, p->v, p->n);
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    int n;
    int64_t next;
    (void)kind;
    if (!slot_list(m, 'S', p->v, NULL, GRADE_MAX_VALUES, &n) || n < 3) return false;
    for (int i = 0; i < n; i++)
        if (p->v[i] > 1000000000 || p->v[i] < -1000000000) return false;
    p->n = (uint8_t)n;
    return rule_of(p->v, n, &next) != NO_RULE;
}

/* The rule and its first numbers: a sequence shown one number longer is the same puzzle. */
static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    int64_t next;
    k[0] = rule_of(p->v, p->n, &next);
    memcpy(k + 1, p->v, 3 * sizeof k[0]);
    return 4;
}

static void write_differences(struct buf *out, const int64_t *v, int n)
{
    for (int i = 1; i < n; i++)
        buf_printf(out, "%s%" PRId64 "-%" PRId64 "=%" PRId64, i > 1 ? " " : "", v[i], v[i - 1],
                   v[i] - v[i - 1]);
}

static void write_factors(struct buf *out, const int64_t *v, int n)
{
    for (int i = 1; i < n; i++)
        buf_printf(out, "%s%" PRId64 "*%" PRId64 "=%" PRId64, i > 1 ? " " : "", v[i - 1], v[1] / v[0],
                   v[i]);
    buf_putc(out, '\n');
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    int64_t next = 0, d[GRADE_MAX_VALUES] = {0};
    const int64_t *v = p->v;
    int n = p->n;
    enum rule rule = rule_of(v, n, &next);
    (void)lang;
    (void)dice;
    for (int i = 0; i < n; i++) buf_printf(out, "%" PRId64 "%c", v[i], i < n - 1 ? ' ' : '\n');
    for (int i = 1; i < n; i++) d[i - 1] = v[i] - v[i - 1];
    bool search = style == FK_STYLE_SEARCH; /* the rules that come first are seen to fail */
    if (rule == DIFFERENCE || rule == GROWING || search) {
        write_differences(out, v, n);
        buf_puts(out, rule == DIFFERENCE ? " same\n" : "\n");
    }
    if (rule == FACTOR) write_factors(out, v, n);
    if (rule == GROWING || (search && rule == SUMS)) {
        write_differences(out, d, n - 1);
        buf_puts(out, rule == GROWING ? " same\n" : "\n");
    }
    int64_t last = v[n - 1], step = d[n - 2];
    if (rule == DIFFERENCE && step < 0)
        buf_printf(out, "%" PRId64 "-%" PRId64 "=%" PRId64 "\n", last, -step, next);
    if (rule == DIFFERENCE && step >= 0)
        buf_printf(out, "%" PRId64 "+%" PRId64 "=%" PRId64 "\n", last, step, next);
    if (rule == FACTOR)
        buf_printf(out, "%" PRId64 "*%" PRId64 "=%" PRId64 "\n", last, v[1] / v[0], next);
    if (rule == GROWING)
        buf_printf(out, "%" PRId64 "+%" PRId64 "=%" PRId64 " %" PRId64 "+%" PRId64 "=%" PRId64 "\n", step,
                   d[1] - d[0], next - last, last, next - last, next);
    if (rule != SUMS) return;
    for (int i = 2; i < n; i++)
        buf_printf(out, "%" PRId64 "+%" PRId64 "=%" PRId64 "%c", v[i - 2], v[i - 1], v[i],
                   i < n - 1 ? ' ' : '\n');
    buf_printf(out, "%" PRId64 "+%" PRId64 "=%" PRId64 "\n", v[n - 2], last, next);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    int64_t next = 0;
    (void)lang;
    rule_of(p->v, p->n, &next);
    buf_printf(out, "%" PRId64, next);
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    int64_t next = 0;
    return rule_of(p->v, p->n, &next) != NO_RULE && verify_number(s, next);
}

const struct family family_sequence = {
    .name = "sequence",
    .wordings = {english, arabic},
    .n_wordings = {sizeof english / sizeof english[0], sizeof arabic / sizeof arabic[0]},
    .held_out = 50,
    .draw = draw,
    .ink = ink,
    .take = take,
    .key = key,
    .think = think,
    .answer = answer,
    .verify = verify,
};
