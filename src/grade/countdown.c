/* SPDX-License-Identifier: Apache-2.0
 * countdown.c - make a target from three numbers, each used once (longer: four; solved up to five).
 *
 * The search looks one step ahead from both ends. For each number r in turn it writes what the other
 * two must give (sum, difference, product, quotient of target and r) and then, one by one, what they can
 * give (the same four of the two), each with an n where it is none of those. The first that is one of
 * them is the way. A value that does not exist or is over 300 is a stop.
 *
 *   20 7 3 41
 *   41 20:61 21 . . 7 3:10n 4n 21 ok
 *   7*3=21 20+21=41 */
#include "src/grade/countdown.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/grade/expr.h"
#include "src/grade/family.h"

#define MOST 300
#define MOST_TARGET 100

static const struct wording english[] = {
    {'b', 0, "use {L} to make {t}"},
    {'b', 0, "make {t} from {L}"},
    {'b', 0, "{L} make {t}"},
    {'i', 0, "[use|take] {L} to [make|get|reach|form] {t}"},
    {'i', 0, "[use|take] [the numbers|the three numbers|] {L} to [make|get|reach] [the number|exactly] {t}"},
    {'i', 0, "[make|form|build|get] {t} [from|with|using|out of] {L}"},
    {'i', 0, "[make|reach|get] [the target|the number] {t} [from|with|using] [the numbers|] {L}"},
    {'i', 0, "combine {L} [to make|to get|into] {t}"},
    {'q', 0, "how [can i|do i|can you|do you] [make|get|reach] {t} [from|with|using] {L}"},
    {'q', 0, "how [can i|do i|can you|do you] use {L} to [make|get|reach] {t}"},
    {'q', 0, "[with|using] {L} how do you [make|get] {t}"},
    {'p', 0, "[with|using|from|given] [the numbers|] {L} [make|get|reach|form] {t}"},
    {'p', 0, "numbers {L} target {t}"},
    {'p', 0, "countdown {L} [to make|target|to] {t}"},
};

static const struct wording arabic[] = {
    {'b', 0, "كون {t} من {L}"},
    {'i', 0, "[استخدم|استعمل|خذ] {L} [للحصول على|لتكوين|لتصل إلى|لصنع] {t}"},
    {'i', 0, "[استخدم|استعمل] [الأرقام|الأعداد] {L} [للحصول على|لتكوين|لصنع] {t}"},
    {'i', 0, "[كون|اصنع] [العدد|الرقم|] {t} [من|باستخدام|باستعمال] {L}"},
    {'q', 0, "كيف [نحصل على|أحصل على|نصنع|أصنع] {t} [من|باستخدام] {L}"},
    {'q', 0, "كيف [نكون|أكون] [العدد|الرقم|] {t} من [الأعداد|الأرقام] {L}"},
};

/* The four values of x >= y: sum, difference, product, quotient; 0 where there is none or too large. */
static void four(int64_t x, int64_t y, int64_t v[4])
{
    v[0] = x + y;
    v[1] = x - y;
    v[2] = x * y;
    v[3] = y && x % y == 0 ? x / y : 0;
    for (int i = 0; i < 4; i++)
        if (v[i] > MOST) v[i] = 0;
}

static void order(int64_t *x, int64_t *y)
{
    if (*x >= *y) return;
    int64_t t = *x;
    *x = *y;
    *y = t;
}

/* One line of the search: r is used last. Gives the first value of p and q that target and r need, 0
 * where there is none; op1 is how target and r make it, op2 how p and q do. */
static int64_t meet(int64_t target, int64_t r, int64_t p, int64_t q, int *op1, int *op2)
{
    int64_t need[4], have[4], big = target, small = r;
    order(&big, &small);
    order(&p, &q);
    four(big, small, need);
    four(p, q, have);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++)
            if (need[i] && need[i] == have[k]) {
                *op1 = i;
                *op2 = k;
                return need[i];
            }
    return 0;
}

/* n op r = target with n in the place of the pair; what stands left and right. */
struct last_step {
    int64_t left, right;
    char op;
    bool pair_left;
};

static struct last_step last_step(int64_t target, int64_t r, int64_t n, int op1)
{
    switch (op1) {
    case 0: return (struct last_step){n, r, '-', true};          /* n = t + r */
    case 1:
        if (target >= r) return (struct last_step){n, r, '+', true}; /* n = t - r */
        return (struct last_step){r, n, '-', false};             /* n = r - t */
    case 2: return (struct last_step){n, r, '/', true};          /* n = t * r */
    default:
        if (target >= r) return (struct last_step){n, r, '*', true}; /* n = t / r */
        return (struct last_step){r, n, '/', false};             /* n = r / t */
    }
}

/* The numbers in falling order, and the first line of the search that succeeds; -1: none does. */
static int solve3(const struct grade_puzzle *p, int64_t v[3], int64_t *n, int *op1, int *op2)
{
    memcpy(v, p->v, 3 * sizeof v[0]);
    order(&v[0], &v[1]);
    order(&v[1], &v[2]);
    order(&v[0], &v[1]);
    for (int i = 0; i < 3; i++) {
        *n = meet(p->v[p->n], v[i], v[i == 0], v[i == 2 ? 1 : 2], op1, op2);
        if (*n) return i;
    }
    return -1;
}

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const int most[] = {0, 10, 15, 20, 30, 50, 50};
    int64_t v[3], n;
    int op1, op2;
    p->n = level == GRADE_LONGER ? 4 : 3;
    for (int i = 0; i < p->n; i++) p->v[i] = dice_in(dice, 1, most[level]);
    /* A random way through the numbers gives the target. */
    int64_t at = p->v[0];
    for (int i = 1; i < p->n; i++) {
        int64_t big = at, small = p->v[i], value[4];
        order(&big, &small);
        four(big, small, value);
        at = value[dice_below(dice, 4)];
        if (!at) return false;
    }
    if (at > MOST_TARGET || at < 2) return false;
    p->v[p->n] = at;
    dice_shuffle(dice, p->v, p->n);
    return p->n == 4 || solve3(p, v, &n, &op1, &op2) >= 0;
}

static void ink(const struct grade_puzzle *p, char slot, struct ink *ink)
{
    if (slot == 't') ink_number(ink, p->v[p->n]);
    else ink_list(ink, p->v, p->n);
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    int n;
    int64_t target;
    (void)kind;
    if (!slot_list(m, 'L', p->v, NULL, COUNTDOWN_MAX, &n) || n < 2) return false;
    if (!slot_number(m, 't', &target)) return false;
    for (int i = 0; i < n; i++)
        if (p->v[i] > 100000) return false;
    p->n = (uint8_t)n;
    p->v[n] = target;
    return true;
}

static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    for (int i = 0; i < p->n; i++) {
        int j = i;
        for (; j > 0 && k[j - 1] > p->v[i]; j--) k[j] = k[j - 1];
        k[j] = p->v[i];
    }
    k[p->n] = p->v[p->n];
    return p->n + 1;
}

/* The four values of x and y; with a mark behind each, those before the one that stops it. */
static void write_four(struct buf *out, int64_t x, int64_t y, const char *mark, int64_t stop)
{
    int64_t v[4];
    buf_printf(out, "%" PRId64 " %" PRId64 ":", x, y);
    order(&x, &y);
    four(x, y, v);
    for (int i = 0; i < 4; i++) {
        if (stop && v[i] == stop) return;
        if (v[i]) buf_printf(out, "%" PRId64 "%s ", v[i], mark);
        else buf_puts(out, ". ");
    }
}

static void write_way(struct buf *out, int64_t p, int64_t q, int op2, struct last_step s, int64_t n,
                      int64_t target)
{
    buf_printf(out, "%" PRId64 "%c%" PRId64 "=%" PRId64 " %" PRId64 "%c%" PRId64 "=%" PRId64 "\n", p,
               "+-*/"[op2], q, n, s.left, s.op, s.right, target);
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    int64_t v[3], n;
    int op1 = 0, op2 = 0;
    (void)lang;
    (void)dice;
    int found = p->n == 3 ? solve3(p, v, &n, &op1, &op2) : -1;
    if (found < 0) {
        char way[GRADE_MAX_TEXT];
        if (countdown_solve(p->v, p->n, p->v[p->n], way, sizeof way)) buf_printf(out, "%s\n", way);
        return;
    }
    int64_t target = p->v[3];
    buf_printf(out, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", v[0], v[1], v[2], target);
    for (int i = style == FK_STYLE_SEARCH ? 0 : found; i <= found; i++) {
        write_four(out, target, v[i], "", 0);
        write_four(out, v[i == 0], v[i == 2 ? 1 : 2], "n", i == found ? n : 0);
        if (i == found) buf_printf(out, "%" PRId64 " ok\n", n);
        else buf_puts(out, "no\n");
    }
    write_way(out, v[found == 0], v[found == 2 ? 1 : 2], op2, last_step(target, v[found], n, op1), n,
              target);
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    int64_t v[3], n;
    int op1 = 0, op2 = 0;
    (void)lang;
    int found = p->n == 3 ? solve3(p, v, &n, &op1, &op2) : -1;
    if (found < 0) {
        char way[GRADE_MAX_TEXT];
        buf_puts(out, countdown_solve(p->v, p->n, p->v[p->n], way, sizeof way) ? way : "none");
        return;
    }
    struct last_step s = last_step(p->v[3], v[found], n, op1);
    char pair[64];
    /* Brackets where the pair binds less than what follows, or stands right of a minus or a stroke. */
    bool sum = op2 < 2, product = s.op == '*' || s.op == '/';
    bool brackets = s.pair_left ? sum && product
                                : (s.op == '-' && sum) || s.op == '/';
    snprintf(pair, sizeof pair, "%s%" PRId64 "%c%" PRId64 "%s", brackets ? "(" : "", v[found == 0],
             "+-*/"[op2], v[found == 2 ? 1 : 2], brackets ? ")" : "");
    if (s.pair_left) buf_printf(out, "%s%c%" PRId64, pair, s.op, s.right);
    else buf_printf(out, "%" PRId64 "%c%s", s.left, s.op, pair);
}

/* Uses each number once and no other. */
static bool same_numbers(const struct grade_puzzle *p, const char *text)
{
    struct expr e;
    bool used[COUNTDOWN_MAX] = {false};
    int n = 0;
    if (!expr_read(&e, text)) return false;
    for (int i = 0; i < e.n; i++) {
        if (e.t[i].kind != 'n') continue;
        int k = 0;
        while (k < p->n && (used[k] || p->v[k] != e.t[i].num)) k++;
        if (k == p->n) return false;
        used[k] = true;
        n++;
    }
    return n == p->n;
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    struct match m = {.s = s, .n = 1};
    char text[GRADE_MAX_TEXT], way[GRADE_MAX_TEXT];
    int64_t num, den, target;
    if (s->n == 1 && (scan_is_word(s, 0, "none") || scan_is_word(s, 0, "impossible")))
        return !countdown_solve(p->v, p->n, p->v[p->n], way, sizeof way);
    int end = slot_match(s, 0, 'E');
    if (end < 0) return false;
    m.slots[0] = (struct capture){'E', 0, end};
    if (!slot_expression(&m, 'E', text, sizeof text)) return false;
    if (scan_is_sign(s, end, '=')) {
        end = verify_number_at(s, end + 1, &target);
        if (end < 0 || target != p->v[p->n]) return false;
    }
    if (scan_is_sign(s, end, '.')) end++;
    return end == s->n && same_numbers(p, text) && expr_value(text, &num, &den) && den == 1 &&
           num == p->v[p->n];
}

const struct family family_countdown = {
    .name = "countdown",
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
