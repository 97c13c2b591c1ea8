/* SPDX-License-Identifier: Apache-2.0
 * equation.c - linear equations in x with a whole solution: a*x + b = c*x + d, with terms left out at
 * the lower levels.
 *
 *   7x+3=4x+18
 *   7-4=3 3x+3=18
 *   18-3=15 3x=15
 *   15/3=5 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/grade/family.h"

static const struct wording english[] = {
    {'b', 0, "{Q}"},
    {'b', 0, "{Q}, x = ?"},
    {'b', 0, "solve {Q}"},
    {'q', 0, "[what is|what's] x [if|when|in|for] {Q}"},
    {'q', 0, "for [what|which] [x|value of x] [is|does] {Q}"},
    {'q', 0, "if {Q}, what is x"},
    {'q', 0, "what [value of x|number x] [solves|satisfies] {Q}"},
    {'i', 0, "solve [for x|the equation|this equation|]: {Q}"},
    {'i', 0, "[find|work out|calculate|tell me|determine] x [if|when|in|from] {Q}"},
    {'i', 0, "find the [solution|root|value of x] of {Q}"},
    {'p', 0, "solve {Q} for x"},
    {'p', 0, "{Q} [find x|solve for x|what is x]"},
};

static const struct wording arabic[] = {
    {'b', 0, "{Q}"},
    {'b', 0, "حل {Q}"},
    {'q', 0, "[ما|ما هي|كم] قيمة [x|س] [إذا كان|في|في المعادلة] {Q}"},
    {'q', 0, "إذا كان {Q} [فما|ما|فكم] [x|قيمة x|قيمة س]"},
    {'i', 0, "حل [المعادلة|هذه المعادلة|المعادلة التالية|] {Q}"},
    {'i', 0, "[أوجد|احسب|جد] [x|قيمة x|قيمة س] [إذا كان|في|من المعادلة] {Q}"},
};

/* a*x + b = c*x + d */
struct sides {
    int64_t a, b, c, d;
};

static void write_side(struct buf *out, int64_t a, int64_t b)
{
    if (a == 1) buf_puts(out, "x");
    else if (a) buf_printf(out, "%" PRId64 "x", a);
    if (a && b > 0) buf_printf(out, "+%" PRId64, b);
    else if (b || !a) buf_printf(out, "%" PRId64, b);
}

static void write_equation(struct buf *out, struct sides s)
{
    write_side(out, s.a, s.b);
    buf_putc(out, '=');
    write_side(out, s.c, s.d);
}

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const int most_x[] = {0, 20, 20, 20, 30, 30, 99}, most_b[] = {0, 30, 50, 50, 99, 99, 999};
    int64_t x = dice_in(dice, 1, most_x[level]);
    struct sides s = {1, 0, 0, 0};
    if (level >= 2) s.a = dice_in(dice, 2, level <= 3 ? 9 : 12);
    if (level != 2 || dice_percent(dice, 30)) s.b = dice_in(dice, 1, most_b[level]);
    if (level == 2 && s.b) s.a = 1;
    if (s.b && dice_percent(dice, 35)) s.b = -s.b;
    if (level >= 5 && dice_percent(dice, 70)) s.c = dice_in(dice, 1, s.a - 1);
    s.d = (s.a - s.c) * x + s.b;
    if (s.d < 0) return false;
    p->v[0] = s.a;
    p->v[1] = s.b;
    p->v[2] = s.c;
    p->v[3] = s.d;
    p->n = 4;
    return true;
}

static void ink(const struct grade_puzzle *p, char slot, struct ink *ink)
{
    struct buf text;
    (void)slot;
    buf_init(&text, 0, MEM_TEXT);
    write_equation(&text, (struct sides){p->v[0], p->v[1], p->v[2], p->v[3]});
    if (text.data) ink_expression(ink, text.data);
    buf_fini(&text);
}

/* Adds the terms of one side, "3x-5" or "3*x", to a and b; gives where it ends, NULL where it is none. */
static const char *read_side(const char *p, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    bool first = true;
    while (*p && *p != '=') {
        int sign = *p == '-' ? -1 : 1;
        if (*p == '+' || *p == '-') p++;
        else if (!first) return NULL;
        first = false;
        int64_t v = 0;
        bool number = *p >= '0' && *p <= '9';
        for (; *p >= '0' && *p <= '9'; p++) {
            v = v * 10 + (*p - '0');
            if (v > 1000000000) return NULL;
        }
        if (number && *p == '*' && p[1] == 'x') p++;
        if (*p == 'x') {
            *a += sign * (number ? v : 1);
            p++;
        } else if (number) {
            *b += sign * v;
        } else {
            return NULL;
        }
    }
    return first ? NULL : p;
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    char text[GRADE_MAX_TEXT];
    struct sides s;
    (void)kind;
    if (!slot_expression(m, 'Q', text, sizeof text)) return false;
    const char *at = read_side(text, &s.a, &s.b);
    if (!at || *at != '=') return false;
    at = read_side(at + 1, &s.c, &s.d);
    if (!at || *at || s.a == s.c || (s.d - s.b) % (s.a - s.c)) return false;
    p->v[0] = s.a;
    p->v[1] = s.b;
    p->v[2] = s.c;
    p->v[3] = s.d;
    p->n = 4;
    return true;
}

/* Sides swapped are the same equation. */
static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    bool swap = p->v[0] < p->v[2] || (p->v[0] == p->v[2] && p->v[1] < p->v[3]);
    memcpy(k, p->v + (swap ? 2 : 0), 2 * sizeof k[0]);
    memcpy(k + 2, p->v + (swap ? 0 : 2), 2 * sizeof k[0]);
    return 4;
}

static int64_t solution(const struct grade_puzzle *p)
{
    return (p->v[3] - p->v[1]) / (p->v[0] - p->v[2]);
}

static void line(struct buf *out, int64_t x, char sign, int64_t y, int64_t v, struct sides s)
{
    buf_printf(out, "%" PRId64 "%c%" PRId64 "=%" PRId64 " ", x, sign, y, v);
    write_equation(out, s);
    buf_putc(out, '\n');
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    struct sides s = {p->v[0], p->v[1], p->v[2], p->v[3]}, whole = s;
    int64_t x = solution(p);
    (void)lang;
    write_equation(out, s);
    buf_putc(out, '\n');
    if (style == FK_STYLE_SEARCH && dice_percent(dice, 40) && x > 1) { /* a guess first */
        int64_t guess = dice_in(dice, 1, x - 1);
        buf_printf(out, "x=%" PRId64 " %" PRId64 "*%" PRId64 "=%" PRId64 " no\n", guess, s.a - s.c, guess,
                   (s.d - s.b));
    }
    if (s.c) {
        s.a -= s.c;
        whole.c = s.c;
        s.c = 0;
        line(out, whole.a, '-', whole.c, s.a, s);
    }
    if (s.b) {
        int64_t d = s.d;
        s.d -= s.b;
        int64_t b = s.b;
        s.b = 0;
        line(out, d, b > 0 ? '-' : '+', b > 0 ? b : -b, s.d, s);
    }
    if (s.a != 1) buf_printf(out, "%" PRId64 "/%" PRId64 "=%" PRId64 "\n", s.d, s.a, x);
    if (style != FK_STYLE_SEARCH) return;
    buf_printf(out, "%" PRId64 "*%" PRId64 "=%" PRId64 " ok\n", s.a, x, s.d);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    (void)lang;
    buf_printf(out, "x=%" PRId64, solution(p));
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    int64_t v;
    int i = 0;
    if ((scan_is_word(s, 0, "x") || scan_is_word(s, 0, "س")) && scan_is_sign(s, 1, '=')) i = 2;
    int end = verify_number_at(s, i, &v);
    if (end > 0 && scan_is_sign(s, end, '.')) end++;
    return end == s->n && v == solution(p);
}

const struct family family_equation = {
    .name = "equation",
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
