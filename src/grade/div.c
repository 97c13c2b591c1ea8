/* SPDX-License-Identifier: Apache-2.0
 * div.c - division with remainder (kind 0) and the remainder alone (kind 1): up to five digits by two.
 *
 * Long division, a digit a line: what is being divided, a bar, the digits still to come; then the step
 * and the digits of the quotient. The sign of the first line, / or %, names the question. A divisor of two
 * digits or more has its multiples written first. Of these the largest is tried that is not too large
 * without its last digit; where all but the last digits are equal, these are compared, and the next lower
 * multiple is taken if the last digit was too large. The difference is taken in two steps, the last digit
 * and what stands before it. All of this since a small model sees neither a borrow nor a last digit ahead.
 *
 *   4821/37
 *   1:37 2:74 3:111 4:148 5:185 6:222 7:259 8:296 9:333
 *   48|21 37*1=37 8-7=1 4-3=1 11 1
 *   112|1 37*3=111 11=11 2>1 2-1=1 11-11=0 1 13
 *   11| 11<37 130 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/grade/columns.h"
#include "src/grade/family.h"

enum { QUOTIENT, REMAINDER };

static const struct wording english[] = {
    {'b', QUOTIENT, "{a} / {b}"},
    {'b', QUOTIENT, "{a} / {b} ="},
    {'b', QUOTIENT, "{a} divided by {b}"},
    {'b', REMAINDER, "{a} mod {b}"},
    {'b', REMAINDER, "{a} % {b}"},
    {'q', QUOTIENT, "[what is|what's|how much is] {a} [/|divided by|over] {b}"},
    {'q', QUOTIENT, "what [do you get|comes out|is the result] [if|when] you divide {a} by {b}"},
    {'q', QUOTIENT, "how [many times|often] does {b} [go into|fit into] {a}"},
    {'q', QUOTIENT, "how many times [can|will] {b} [go into|fit into] {a}"},
    {'q', QUOTIENT, "what is {a} / {b} with [the|] remainder"},
    {'i', QUOTIENT, "divide {a} by {b}"},
    {'i', QUOTIENT, "divide {a} by {b} with remainder"},
    {'i', QUOTIENT, "[calculate|compute|work out|find] {a} [/|divided by] {b}"},
    {'q', REMAINDER, "what is [the remainder|left over] [if|when] [you divide|dividing] {a} by {b}"},
    {'q', REMAINDER, "[what is|what's] {a} [mod|modulo] {b}"},
    {'q', REMAINDER, "what is the remainder of {a} [/|divided by] {b}"},
    {'i', REMAINDER, "[calculate|compute|work out|find] {a} [mod|modulo] {b}"},
    {'i', REMAINDER, "[calculate|find|give me] the remainder of {a} [/|divided by] {b}"},
    {'p', QUOTIENT, "what [does|would] {a} [/|divided by] {b} [equal|make|give|come to]"},
    {'p', REMAINDER, "[the|] remainder [of|when] {a} [/|divided by|is divided by] {b}"},
};

static const struct wording arabic[] = {
    {'b', QUOTIENT, "{a} / {b}"},
    {'b', QUOTIENT, "{a} / {b} ="},
    {'b', QUOTIENT, "{a} على {b}"},
    {'b', REMAINDER, "{a} mod {b}"},
    {'q', QUOTIENT, "[ما هو|ما|كم] [ناتج|حاصل] {a} [/|على] {b}"},
    {'q', QUOTIENT, "[ما هو|ما|كم] [ناتج|حاصل|خارج] قسمة {a} على {b}"},
    {'q', QUOTIENT, "كم [يساوي|تساوي] {a} [/|على|مقسوما على] {b}"},
    {'i', QUOTIENT, "اقسم {a} على {b}"},
    {'i', QUOTIENT, "[اقسم|قسم|أقسم] [العدد|الرقم] {a} على [العدد|الرقم|] {b}"},
    {'q', QUOTIENT, "كم مرة [يدخل|يتسع] {b} في {a}"},
    {'p', QUOTIENT, "[قسمة|تقسيم] {a} على {b}"},
    {'i', QUOTIENT, "[احسب|أوجد|جد] [ناتج قسمة|خارج قسمة|حاصل قسمة] {a} على {b}"},
    {'i', QUOTIENT, "[احسب|أوجد|جد] {a} / {b} مع الباقي"},
    {'q', REMAINDER, "[ما هو|ما|كم] باقي [قسمة|القسمة] {a} على {b}"},
    {'q', REMAINDER, "كم [يبقى|الباقي] [إذا|عندما] [قسمنا|تقسم] {a} على {b}"},
    {'i', REMAINDER, "[احسب|أوجد|جد] باقي قسمة {a} على {b}"},
};

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const struct { int a, b; } sizes[][2] = {
        {{2, 1}, {2, 1}}, {{2, 1}, {2, 1}}, {{3, 1}, {2, 2}}, {{4, 1}, {3, 2}}, {{5, 1}, {4, 2}},
        {{5, 2}, {5, 2}}, {{6, 2}, {7, 2}},
    };
    int pick = (int)dice_below(dice, 2);
    p->v[0] = dice_digits(dice, sizes[level][pick].a);
    p->v[1] = dice_digits(dice, sizes[level][pick].b);
    if (level == 1 && dice_percent(dice, 20)) p->v[0] = dice_in(dice, 0, 9);
    if (p->v[1] < 2) return dice_percent(dice, 20) && p->v[1] == 1;
    if (dice_percent(dice, 30)) p->v[0] -= p->v[0] % p->v[1]; /* no remainder */
    p->kind = dice_percent(dice, 25) ? REMAINDER : QUOTIENT;
    p->n = 2;
    return true;
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    p->kind = (uint8_t)kind;
    p->n = 2;
    return slot_number(m, 'a', &p->v[0]) && slot_number(m, 'b', &p->v[1]) && p->v[1] > 0 &&
           p->v[1] < 1000000000000000;
}

static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    k[0] = p->v[0];
    k[1] = p->v[1];
    return 2;
}

static void multiples(struct buf *out, int64_t b)
{
    for (int i = 1; i <= 9; i++)
        buf_printf(out, "%d:%" PRId64 "%c", i, b * i, i < 9 ? ' ' : '\n');
}

/* a - b, a >= b: in one step where b is a multiple of a single digit, else in two. */
static void difference(struct buf *out, int64_t a, int64_t b, bool two_steps)
{
    if (!two_steps) {
        buf_printf(out, " %" PRId64 "-%" PRId64 "=%" PRId64, a, b, a - b);
        return;
    }
    int64_t borrow = a % 10 < b % 10;
    buf_printf(out, " %" PRId64 "-%" PRId64 "=%" PRId64, a % 10 + 10 * borrow, b % 10, (a - b) % 10);
    buf_printf(out, " %" PRId64 "-%" PRId64 "=%" PRId64, a / 10 - borrow, b / 10, (a - b) / 10);
    buf_printf(out, " %" PRId64, a - b);
}

/* Where a multiple equals the part but for the last digits, these are compared. */
static void compare_last(struct buf *out, int64_t part, int64_t b, int q)
{
    int64_t m = b * q;
    if (q > 9 || m == 0 || m / 10 != part / 10) return;
    if (m > part) buf_printf(out, " %" PRId64 "*%d=%" PRId64, b, q, m);
    char sign = part == m ? '=' : part > m ? '>' : '<';
    buf_printf(out, " %" PRId64 "=%" PRId64, part / 10, m / 10);
    buf_printf(out, " %d%c%d", (int)(part % 10), sign, (int)(m % 10));
}

/* In search, a digit that is too large is tried first now and then. */
static void step(struct buf *out, int64_t part, int64_t b, struct dice *dice)
{
    int64_t q = part / b;
    bool compares = !dice && b > 9;
    if (dice && q < 9 && dice_percent(dice, 40))
        buf_printf(out, " %" PRId64 "*%d=%" PRId64 ">%" PRId64 " no", b, (int)q + 1, b * (q + 1), part);
    if (compares) compare_last(out, part, b, (int)q + 1);
    if (q == 0) {
        buf_printf(out, " %" PRId64 "<%" PRId64, part, b);
        return;
    }
    buf_printf(out, " %" PRId64 "*%d=%" PRId64, b, (int)q, b * q);
    if (compares) compare_last(out, part, b, (int)q);
    difference(out, part, b * q, b > 9);
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    (void)lang;
    int64_t a = p->v[0], b = p->v[1], quotient = 0;
    bool search = style == FK_STYLE_SEARCH;
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, a);
    buf_printf(out, "%" PRId64 "%c%" PRId64 "\n", a, p->kind == REMAINDER ? '%' : '/', b);
    if (b > 9 && !search) multiples(out, b);
    const char *next = digits;
    int64_t part = 0;
    for (int64_t left = b; left && *next; left /= 10) part = part * 10 + (*next++ - '0');
    for (;;) {
        buf_printf(out, "%" PRId64 "|%s", part, next);
        step(out, part, b, search ? dice : NULL);
        quotient = quotient * 10 + part / b;
        part %= b;
        buf_printf(out, " %" PRId64 "\n", quotient);
        if (!*next) break;
        part = part * 10 + (*next++ - '0');
    }
    if (search) /* the proof: quotient times divisor plus remainder */
        buf_printf(out, "%" PRId64 "*%" PRId64 "+%" PRId64 "=%" PRId64 " ok\n", quotient, b, part, a);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    (void)lang;
    int64_t q = p->v[0] / p->v[1], r = p->v[0] % p->v[1];
    if (p->kind == REMAINDER) buf_printf(out, "%" PRId64, r);
    else if (r) buf_printf(out, "%" PRId64 " r %" PRId64, q, r);
    else buf_printf(out, "%" PRId64, q);
}

static bool is_remainder_word(const struct scan *s, int i)
{
    static const char *const words[] = {"r", "rem", "remainder", "الباقي", "باقي", "والباقي"};
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (scan_is_word(s, i, words[k])) return true;
    return false;
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    int64_t q = p->v[0] / p->v[1], r = p->v[0] % p->v[1], is = 0, rest = 0;
    if (p->kind == REMAINDER) return verify_number(s, r);
    if (!r && verify_number(s, q)) return true;
    int i = verify_number_at(s, 0, &is);
    if (i < 0 || !is_remainder_word(s, i)) return false;
    i = verify_number_at(s, i + 1, &rest);
    if (i > 0 && scan_is_sign(s, i, '.')) i++;
    return i == s->n && is == q && rest == r;
}

const struct family family_div = {
    .name = "div",
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
