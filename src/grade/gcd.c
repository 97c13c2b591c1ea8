/* SPDX-License-Identifier: Apache-2.0
 * gcd.c - the greatest common divisor of two numbers up to 999, by Euclid's steps:
 *
 *   105*4=420 462-420=42
 *   42*2=84 105-84=21
 *   21*2=42 42-42=0 */
#include <inttypes.h>
#include "src/grade/family.h"

static const struct wording english[] = {
    {'b', 0, "gcd {L}"},
    {'b', 0, "gcd({L})"},
    {'b', 0, "gcd of {L}"},
    {'q', 0, "[what is|what's] the [gcd|greatest common divisor|greatest common factor|gcf] of {L}"},
    {'q', 0, "what is the [largest|biggest] number that divides [both|] {L}"},
    {'i', 0, "[find|calculate|compute|work out|give me] the [gcd|greatest common divisor|gcf] of {L}"},
    {'i', 0, "[find|compute|give me] gcd({L})"},
    {'p', 0, "[greatest common divisor|greatest common factor|gcf|highest common factor|hcf] [of|] {L}"},
};

static const struct wording arabic[] = {
    {'b', 0, "gcd {L}"},
    {'b', 0, "القاسم المشترك الأكبر {L}"},
    {'q', 0, "[ما هو|ما|كم] القاسم المشترك الأكبر [للعددين|ل|بين|بين العددين] {L}"},
    {'q', 0, "ما [أكبر عدد|أكبر رقم] يقسم [العددين|] {L}"},
    {'i', 0, "[احسب|أوجد|جد] القاسم المشترك الأكبر [للعددين|ل|بين|بين العددين] {L}"},
};

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const int most[] = {0, 50, 100, 300, 600, 999, 9999};
    int low = level == GRADE_LONGER ? 1000 : 2;
    int64_t g = dice_percent(dice, 70) ? dice_in(dice, 2, level <= 1 ? 12 : 40) : 1;
    int64_t high = most[level] / g;
    if (high < 2) return false;
    p->v[0] = g * dice_in(dice, 1, high);
    p->v[1] = g * dice_in(dice, 1, high);
    p->n = 2;
    return p->v[0] >= low && p->v[1] >= low && p->v[0] != p->v[1];
}

static void ink(const struct grade_puzzle *p, char slot, struct ink *ink)
{
    (void)slot;
    ink_list(ink, p->v, p->n);
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    int n;
    (void)kind;
    if (!slot_list(m, 'L', p->v, NULL, 2, &n) || n != 2) return false;
    p->n = 2;
    return p->v[0] > 0 && p->v[1] > 0;
}

static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    bool swap = p->v[0] > p->v[1];
    k[0] = p->v[swap];
    k[1] = p->v[!swap];
    return 2;
}

/* The largest digit times a power of ten that b fits into a so often. */
static int64_t chunk(int64_t a, int64_t b)
{
    int64_t power = 1;
    while (b * power * 10 <= a) power *= 10;
    return a / (b * power) * power;
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    (void)lang;
    int64_t a = p->v[0], b = p->v[1];
    if (a < b) {
        a = p->v[1];
        b = p->v[0];
    }
    buf_printf(out, "%" PRId64 " %" PRId64 "\n", a, b);
    bool search = style == FK_STYLE_SEARCH;
    while (b) {
        while (a >= b) {
            int64_t q = chunk(a, b);
            if (search && q < 9 && dice_percent(dice, 20)) /* one too many, seen at once */
                buf_printf(out, "%" PRId64 "*%" PRId64 "=%" PRId64 ">%" PRId64 " no\n", b, q + 1,
                           b * (q + 1), a);
            buf_printf(out, "%" PRId64 "*%" PRId64 "=%" PRId64 " %" PRId64 "-%" PRId64 "=%" PRId64 "\n",
                       b, q, b * q, a, b * q, a - b * q);
            a -= b * q;
        }
        int64_t t = a;
        a = b;
        b = t;
    }
    if (search) /* both are multiples */
        buf_printf(out, "%" PRId64 "*%" PRId64 "=%" PRId64 " %" PRId64 "*%" PRId64 "=%" PRId64 " ok\n", a,
                   p->v[0] / a, p->v[0], a, p->v[1] / a, p->v[1]);
    else
        buf_printf(out, "%" PRId64 "\n", a);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    (void)lang;
    buf_printf(out, "%" PRId64, gcd(p->v[0], p->v[1]));
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    return verify_number(s, gcd(p->v[0], p->v[1]));
}

const struct family family_gcd = {
    .name = "gcd",
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
