/* SPDX-License-Identifier: Apache-2.0
 * sub.c - subtraction of whole numbers, up to six digits; now and then the result is negative. */
#include <inttypes.h>
#include "src/grade/columns.h"
#include "src/grade/family.h"

static const struct wording english[] = {
    {'b', 0, "{a} - {b}"},
    {'b', 0, "{a} - {b} ="},
    {'b', 0, "{a} minus {b}"},
    {'q', 0, "[what is|what's|how much is] {a} [minus|-|take away|less] {b}"},
    {'q', 0, "what is left [if|when] [you|i|we] [take|subtract] {b} from {a}"},
    {'q', 0, "what [do you get|is the result] [if|when] you subtract {b} from {a}"},
    {'q', 0, "[how much is left|what remains] of {a} [after taking|if you take] away {b}"},
    {'q', 0, "[how much|by how much] is {a} [more|larger|bigger] than {b}"},
    {'i', 0, "[subtract|take] {b} from {a}"},
    {'i', 0, "take {b} away from {a}"},
    {'i', 0, "[calculate|compute|work out|find] {a} [-|minus] {b}"},
    {'i', 0, "[calculate|compute|work out|find] the difference of {a} and {b}"},
    {'p', 0, "[what is|what's|] [the|] difference [between|of] {a} and {b}"},
    {'p', 0, "what [does|would] {a} [-|minus] {b} [equal|make|give|come to]"},
    {'p', 0, "{b} less than {a}"},
};

static const struct wording arabic[] = {
    {'b', 0, "{a} - {b}"},
    {'b', 0, "{a} - {b} ="},
    {'b', 0, "{a} ناقص {b}"},
    {'q', 0, "[ما هو|ما|كم] [ناتج|حاصل] {a} [-|ناقص] {b}"},
    {'q', 0, "[ما هو|ما|كم] [ناتج|حاصل] طرح {b} من {a}"},
    {'q', 0, "[ما هو|ما|كم] الفرق بين {a} و {b}"},
    {'q', 0, "كم [يساوي|تساوي] {a} [-|ناقص] {b}"},
    {'q', 0, "كم يبقى [إذا|لو] [طرحنا|أخذنا] {b} من {a}"},
    {'i', 0, "[اطرح|خذ|أنقص] {b} من {a}"},
    {'i', 0, "[احسب|أوجد|جد] [ناتج طرح|حاصل طرح] {b} من {a}"},
    {'i', 0, "[احسب|أوجد|جد] {a} [-|ناقص] {b}"},
};

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const int most[] = {0, 2, 3, 4, 5, 6, 8}, least[] = {0, 1, 1, 1, 1, 1, 7};
    int high = most[level];
    int n = (int)dice_in(dice, level <= 1 ? 1 : high - (level <= 5), high);
    int k = dice_percent(dice, 50) ? n : (int)dice_in(dice, least[level], n > least[level] ? n : least[level]);
    p->v[0] = dice_digits(dice, n);
    p->v[1] = dice_digits(dice, k);
    bool negative = dice_percent(dice, 15);
    if ((p->v[0] < p->v[1]) != negative) {
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
    return slot_number(m, 'a', &p->v[0]) && slot_number(m, 'b', &p->v[1]);
}

/* 5-3 and 3-5 are one puzzle: who knows one knows the other. */
static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    bool swap = p->v[0] > p->v[1];
    k[0] = p->v[swap];
    k[1] = p->v[!swap];
    return 2;
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    (void)lang;
    int64_t a = p->v[0], b = p->v[1];
    bool negative = a < b;
    if (negative) {
        buf_printf(out, "%" PRId64 "<%" PRId64 "\n", a, b);
        a = p->v[1];
        b = p->v[0];
    }
    bool search = style == FK_STYLE_SEARCH;
    int slip = search && dice_percent(dice, 35) ? (int)dice_below(dice, count_digits(b)) : NO_SLIP;
    int64_t v = columns_sub(out, a, b, slip);
    if (search && !nines_check(out, a, '-', b, v)) {
        buf_puts(out, "again\n");
        v = columns_sub(out, a, b, NO_SLIP);
        nines_check(out, a, '-', b, v);
    }
    if (negative) buf_printf(out, "-%" PRId64 "\n", v);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    (void)lang;
    buf_printf(out, "%" PRId64, p->v[0] - p->v[1]);
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    return verify_number(s, p->v[0] - p->v[1]);
}

const struct family family_sub = {
    .name = "sub",
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
