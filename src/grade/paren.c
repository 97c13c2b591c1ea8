/* SPDX-License-Identifier: Apache-2.0
 * paren.c - expressions of two to five operations. Each line does one operation and rewrites the rest:
 *
 *   (3+4)*5-6
 *   3+4=7 7*5-6
 *   7*5=35 35-6
 *   35-6=29 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/grade/expr.h"
#include "src/grade/family.h"

static const struct wording english[] = {
    {'b', 0, "{E}"},
    {'b', 0, "{E} ="},
    {'q', 0, "[what is|what's|how much is] {E}"},
    {'q', 0, "what is the [value|result] of {E}"},
    {'q', 0, "what [do you get|comes out] for {E}"},
    {'q', 0, "what does {E} [equal|give|come to|make]"},
    {'i', 0, "[calculate|compute|work out|evaluate|solve|find|simplify] {E}"},
    {'i', 0, "[calculate|find|give me|work out|tell me] the [value|result] of {E}"},
    {'i', 0, "evaluate the expression {E}"},
    {'i', 0, "[do|solve] {E} [step by step|]"},
    {'i', 0, "[calculate|compute|evaluate] this [expression|]: {E}"},
};

static const struct wording arabic[] = {
    {'b', 0, "{E}"},
    {'b', 0, "{E} ="},
    {'q', 0, "[ما هو|ما|كم] [ناتج|حاصل|قيمة] {E}"},
    {'q', 0, "[ما هي|ما] [نتيجة|قيمة] [العبارة|التعبير|العملية] {E}"},
    {'q', 0, "كم [يساوي|تساوي] {E}"},
    {'i', 0, "[احسب|أوجد|جد|حل] {E}"},
    {'i', 0, "[احسب|أوجد|جد] [ناتج|قيمة|نتيجة] {E}"},
    {'i', 0, "[احسب|أوجد|حل] [العبارة|التعبير|العملية] {E}"},
};

/* What a small model can know in one step. */
static bool by_heart(int64_t a, char op, int64_t b, int64_t v)
{
    int64_t small = a < b ? a : b, large = a < b ? b : a;
    if (v < 0 || v > 999) return false;
    if (op == '*') return small <= 12 && large <= 99;
    if (op == '/') return b <= 12 && v <= 99;
    return true;
}

static bool is_easy(const char *text)
{
    struct expr e;
    if (!expr_read(&e, text)) return false;
    while (e.n > 1) {
        int i = expr_next(&e);
        if (i < 0) return false;
        int64_t a = e.t[i - 1].num, b = e.t[i + 1].num;
        char op = e.t[i].kind;
        if (!expr_reduce(&e, i)) return false;
        int64_t v = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
        if ((op == '/' && a % b) || !by_heart(a, op, b, v)) return false;
    }
    return true;
}

struct piece {
    char text[GRADE_MAX_TEXT];
    int rank; /* 3 a number, 2 a product, 1 a sum */
};

/* left op right, with the brackets that keep the tree. */
static bool join(struct piece *left, char op, const struct piece *right)
{
    char text[2 * GRADE_MAX_TEXT + 8];
    int rank = op == '+' || op == '-' ? 1 : 2;
    bool lb = left->rank < rank;
    bool rb = right->rank < rank || (right->rank == rank && op != '+');
    int n = snprintf(text, sizeof text, "%s%s%s%c%s%s%s", lb ? "(" : "", left->text, lb ? ")" : "", op,
                     rb ? "(" : "", right->text, rb ? ")" : "");
    if (n >= GRADE_MAX_TEXT) return false;
    memcpy(left->text, text, (size_t)n + 1);
    left->rank = rank;
    return true;
}

static int count(const char *text, const char *set)
{
    int n = 0;
    for (const char *p = text; *p; p++) n += strchr(set, *p) != NULL;
    return n;
}

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const struct { int leaves, brackets, high; const char *ops; } rows[] = {
        {0, 0, 0, ""}, {3, 0, 50, "+-"}, {3, 0, 20, "+-**"}, {3, 1, 20, "+-+-**"},
        {4, 1, 20, "+-+-**/"}, {5, 2, 20, "+-+-**/"}, {7, 3, 20, "+-+-**/"},
    };
    struct piece pieces[8];
    int n = rows[level].leaves;
    for (int i = 0; i < n; i++) {
        int64_t v = dice_percent(dice, 50) ? dice_in(dice, 1, 12) : dice_in(dice, 1, rows[level].high);
        snprintf(pieces[i].text, sizeof pieces[i].text, "%d", (int)v);
        pieces[i].rank = 3;
    }
    while (n > 1) {
        int i = (int)dice_below(dice, n - 1);
        char op = rows[level].ops[dice_below(dice, (int64_t)strlen(rows[level].ops))];
        if (!join(&pieces[i], op, &pieces[i + 1])) return false;
        memmove(&pieces[i + 1], &pieces[i + 2], (size_t)(n - i - 2) * sizeof pieces[0]);
        n--;
    }
    const char *text = pieces[0].text;
    if (count(text, "(") != rows[level].brackets) return false;
    if (level == 2 && !count(text, "*")) return false;
    if (!is_easy(text)) return false;
    memcpy(p->text, text, strlen(text) + 1);
    return true;
}

static void ink(const struct grade_puzzle *p, char slot, struct ink *ink)
{
    (void)slot;
    ink_expression(ink, p->text);
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    int64_t num, den;
    (void)kind;
    if (!slot_expression(m, 'E', p->text, sizeof p->text)) return false;
    bool several = count(p->text, "+-*/") >= 2 || count(p->text, "(");
    return several && expr_value(p->text, &num, &den) && den == 1;
}

/* The value, the numbers in order, and how many of each sign: a coarse form, in which all ways to
 * write the same sum are one. */
static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    struct expr e;
    int64_t num = 0, den = 1;
    int n = 0, signs[5] = {0};
    expr_value(p->text, &num, &den);
    k[n++] = num;
    if (!expr_read(&e, p->text)) return n;
    for (int i = 0; i < e.n; i++) {
        const char *at = strchr("+-*/(", e.t[i].kind);
        if (at) signs[at - "+-*/("]++;
        if (e.t[i].kind != 'n' || n >= MAX_KEY - 5) continue;
        int j = n++;
        for (; j > 1 && k[j - 1] > e.t[i].num; j--) k[j] = k[j - 1];
        k[j] = e.t[i].num;
    }
    for (int i = 0; i < 5; i++) k[n++] = signs[i];
    return n;
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    struct expr e;
    (void)lang;
    if (!expr_read(&e, p->text)) return;
    expr_write(&e, out);
    buf_putc(out, '\n');
    while (e.n > 1) {
        int i = expr_next(&e);
        if (i < 0) return;
        int64_t a = e.t[i - 1].num, b = e.t[i + 1].num;
        char op = e.t[i].kind;
        if (!expr_reduce(&e, i)) return;
        int64_t v = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
        if (style == FK_STYLE_SEARCH && dice_percent(dice, 20))
            buf_printf(out, "%" PRId64 "%c%" PRId64 "=%" PRId64 " no\n", a, op, b,
                       v + (dice_percent(dice, 50) || v == 0 ? 1 : -1));
        buf_printf(out, "%" PRId64 "%c%" PRId64 "=%" PRId64, a, op, b, v);
        if (e.n > 1) {
            buf_putc(out, ' ');
            expr_write(&e, out);
        }
        buf_putc(out, '\n');
    }
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    int64_t num = 0, den = 1;
    (void)lang;
    expr_value(p->text, &num, &den);
    buf_printf(out, "%" PRId64, num);
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    int64_t num = 0, den = 1;
    return expr_value(p->text, &num, &den) && den == 1 && verify_number(s, num);
}

const struct family family_paren = {
    .name = "paren",
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
