/* SPDX-License-Identifier: Apache-2.0
 * mul.c - multiplication, up to three digits by three (longer: four by two and three).
 *
 * One digit of the multiplier after the other; each product is added to what is left of the sum so far,
 * whose last digits are done and stand after the colon. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/grade/columns.h"
#include "src/grade/family.h"

static const struct wording english[] = {
    {'b', 0, "{a} * {b}"},
    {'b', 0, "{a} * {b} ="},
    {'b', 0, "{a} times {b}"},
    {'q', 0, "[what is|what's|how much is] {a} [times|*|multiplied by] {b}"},
    {'q', 0, "what is the product of {a} and {b}"},
    {'q', 0, "what [do you get|comes out|is the result] [if|when] you multiply {a} [by|and|with] {b}"},
    {'q', 0, "how much [do|does] {a} times {b} [make|give]"},
    {'i', 0, "multiply {a} [by|with|and] {b}"},
    {'i', 0, "[calculate|compute|work out|find] {a} [*|times|multiplied by] {b}"},
    {'i', 0, "[calculate|compute|work out|find|give me] the product of {a} and {b}"},
    {'p', 0, "product of {a} [and|,] {b}"},
    {'p', 0, "{a} multiplied by {b}"},
    {'p', 0, "what [does|would] {a} [*|times] {b} [equal|make|give|come to]"},
};

static const struct wording arabic[] = {
    {'b', 0, "{a} * {b}"},
    {'b', 0, "{a} * {b} ="},
    {'b', 0, "{a} ضرب {b}"},
    {'b', 0, "{a} في {b}"},
    {'q', 0, "[ما هو|ما|كم] [ناتج|حاصل] {a} [*|ضرب|في] {b}"},
    {'q', 0, "[ما هو|ما|كم] [ناتج|حاصل] ضرب {a} [في|ب] {b}"},
    {'q', 0, "[ما هو|ما|كم] جداء {a} و {b}"},
    {'q', 0, "كم [يساوي|تساوي] {a} [*|ضرب|في] {b}"},
    {'i', 0, "اضرب {a} [في|ب] {b}"},
    {'i', 0, "[احسب|أوجد|جد] [ناتج ضرب|حاصل ضرب] {a} في {b}"},
    {'i', 0, "[احسب|أوجد|جد] {a} [*|ضرب|في] {b}"},
};

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const struct { int a, b; } sizes[][2] = {
        {{1, 1}, {1, 1}}, {{1, 1}, {1, 1}}, {{2, 1}, {2, 1}}, {{3, 1}, {2, 2}}, {{3, 2}, {3, 2}},
        {{3, 3}, {3, 3}}, {{4, 2}, {4, 3}},
    };
    int pick = (int)dice_below(dice, 2);
    p->v[0] = dice_digits(dice, sizes[level][pick].a);
    p->v[1] = dice_digits(dice, sizes[level][pick].b);
    if (level == 1) { /* the tables, up to 12 by 12 */
        p->v[0] = dice_in(dice, 0, 12);
        p->v[1] = dice_in(dice, 0, 12);
    }
    if (dice_percent(dice, 50)) {
        int64_t t = p->v[0];
        p->v[0] = p->v[1];
        p->v[1] = t;
    }
    p->n = 2;
    return true;
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    (void)kind;
    p->n = 2;
    return slot_number(m, 'a', &p->v[0]) && slot_number(m, 'b', &p->v[1]) &&
           p->v[0] < 1000000000 && p->v[1] < 1000000000;
}

static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    bool swap = p->v[0] > p->v[1];
    k[0] = p->v[swap];
    k[1] = p->v[!swap];
    return 2;
}

/* a * b with a the longer; a slip falls into one digit of the multiplier. */
static int64_t product(struct buf *out, int64_t a, int64_t b, int slip)
{
    int64_t left = 0;      /* the sum so far without its digits that are done */
    char done[24] = "";
    if (b < 2 || (b < 10 && a < 13)) { /* known by heart */
        buf_printf(out, "%" PRId64 "*%" PRId64 "=%" PRId64 "\n", a, b, a * b);
        return a * b;
    }
    bool first = true;
    if (b >= 10) buf_printf(out, "%" PRId64 "*%" PRId64 "\n", a, b);
    for (int64_t rest = b; rest; rest /= 10, first = false) {
        int64_t part = columns_mul(out, a, (int)(rest % 10), slip-- == 0 ? 0 : NO_SLIP);
        if (first) {
            left = part;
        } else {
            int64_t sum = columns_add(out, part, left, done, NO_SLIP);
            for (size_t i = 0; i < strlen(done); i++) sum /= 10;
            left = sum;
        }
        if (rest < 10) break;
        char more[24];
        snprintf(more, sizeof more, "%d%.20s", (int)(left % 10), done);
        memcpy(done, more, sizeof done);
        left /= 10;
    }
    for (const char *p = done; *p; p++) left = left * 10 + (*p - '0');
    return left;
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    (void)lang;
    bool swap = p->v[0] < p->v[1];
    int64_t a = p->v[swap], b = p->v[!swap];
    bool search = style == FK_STYLE_SEARCH;
    bool slips = search && p->level != GRADE_LONGER && dice_percent(dice, 35);
    int slip = slips ? (int)dice_below(dice, count_digits(b)) : NO_SLIP;
    /* A slip cannot happen where a digit of 0 or 1 is written at once. */
    int64_t v = product(out, a, b, slip);
    if (!search || nines_check(out, a, '*', b, v)) return;
    buf_puts(out, "again\n");
    v = product(out, a, b, NO_SLIP);
    nines_check(out, a, '*', b, v);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    (void)lang;
    buf_printf(out, "%" PRId64, p->v[0] * p->v[1]);
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    return verify_number(s, p->v[0] * p->v[1]);
}

const struct family family_mul = {
    .name = "mul",
    .wordings = {english, arabic},
    .n_wordings = {sizeof english / sizeof english[0], sizeof arabic / sizeof arabic[0]},
    .held_out = 10,
    .draw = draw,
    .take = take,
    .key = key,
    .think = think,
    .answer = answer,
    .verify = verify,
};
