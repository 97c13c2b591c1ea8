/* SPDX-License-Identifier: Apache-2.0
 * add.c - addition of two whole numbers, up to six digits (longer: seven and eight). */
#include <inttypes.h>
#include "src/grade/columns.h"
#include "src/grade/family.h"

static const struct wording english[] = {
    {'b', 0, "{a} + {b}"},
    {'b', 0, "{a} + {b} ="},
    {'b', 0, "{a} plus {b}"},
    {'q', 0, "[what is|what's|how much is] {a} [plus|+|and] {b}"},
    {'q', 0, "what [is|do you get for] the [sum|total] of {a} and {b}"},
    {'q', 0, "what [do you get|comes out|is the result] [if|when] you add {a} [and|to|+] {b}"},
    {'q', 0, "how much [do|does] {a} and {b} [make|give] [together|in total|]"},
    {'i', 0, "[add|sum|add up|total] {a} [and|with] {b}"},
    {'i', 0, "add {a} to {b}"},
    {'i', 0, "[calculate|compute|work out|find] {a} [+|plus] {b}"},
    {'i', 0, "[calculate|compute|work out|find|give me] the [sum|total] of {a} and {b}"},
    {'p', 0, "{a} added to {b}"},
    {'p', 0, "[sum|total] of {a} [and|,|+] {b}"},
    {'p', 0, "what [does|would] {a} [+|plus|and] {b} [equal|make|give|come to]"},
};

static const struct wording arabic[] = {
    {'b', 0, "{a} + {b}"},
    {'b', 0, "{a} + {b} ="},
    {'b', 0, "{a} زائد {b}"},
    {'q', 0, "[ما هو|ما|كم] [ناتج|حاصل|مجموع] {a} [+|زائد] {b}"},
    {'q', 0, "[ما هو|ما|كم] [ناتج|حاصل] جمع {a} [و|مع] {b}"},
    {'q', 0, "[ما هو|ما|كم] مجموع [العددين|الرقمين|] {a} و {b}"},
    {'q', 0, "كم [يساوي|تساوي] {a} [+|زائد|و] {b}"},
    {'q', 0, "كم [يكون|يصبح] {a} إذا [أضفنا|أضفت] إليه {b}"},
    {'i', 0, "[اجمع|أجمع] {a} [و|مع|+] {b}"},
    {'i', 0, "أضف {a} إلى {b}"},
    {'i', 0, "[احسب|أوجد|جد] [مجموع|ناتج جمع|حاصل جمع] {a} و {b}"},
    {'i', 0, "[احسب|أوجد|جد] {a} [+|زائد] {b}"},
};

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const int most[] = {0, 2, 3, 4, 5, 6, 8}, least[] = {0, 1, 1, 1, 1, 1, 7};
    int high = most[level];
    /* Equal lengths are the hard case: half of all. */
    int n = (int)dice_in(dice, level <= 1 ? 1 : high - (level <= 5), high);
    int k = dice_percent(dice, 50) ? n : (int)dice_in(dice, least[level], high);
    p->v[0] = dice_digits(dice, n);
    p->v[1] = dice_digits(dice, k);
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
           p->v[0] < 100000000000000000 && p->v[1] < 100000000000000000;
}

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
    if (style == FK_STYLE_STEPWISE) {
        columns_add(out, p->v[0], p->v[1], "", NO_SLIP);
        return;
    }
    int shorter = count_digits(p->v[0] < p->v[1] ? p->v[0] : p->v[1]);
    int slip = dice_percent(dice, 35) ? (int)dice_below(dice, shorter) : NO_SLIP;
    int64_t sum = columns_add(out, p->v[0], p->v[1], "", slip);
    if (nines_check(out, p->v[0], '+', p->v[1], sum)) return;
    buf_puts(out, "again\n");
    sum = columns_add(out, p->v[0], p->v[1], "", NO_SLIP);
    nines_check(out, p->v[0], '+', p->v[1], sum);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    (void)lang;
    buf_printf(out, "%" PRId64, p->v[0] + p->v[1]);
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    return verify_number(s, p->v[0] + p->v[1]);
}

const struct family family_add = {
    .name = "add",
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
