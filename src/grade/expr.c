/* SPDX-License-Identifier: Apache-2.0
 * expr.c - reads, reduces and values expressions. */
#include "src/grade/expr.h"
#include <inttypes.h>
#include <string.h>

static bool value_before(const struct expr *e)
{
    return e->n > 0 && (e->t[e->n - 1].kind == 'n' || e->t[e->n - 1].kind == ')');
}

/* "(5)" becomes "5". */
static void drop_brackets(struct expr *e)
{
    for (int i = 1; i + 1 < e->n; i++) {
        if (e->t[i].kind != 'n' || e->t[i - 1].kind != '(' || e->t[i + 1].kind != ')') continue;
        e->t[i - 1] = e->t[i];
        memmove(&e->t[i], &e->t[i + 2], (size_t)(e->n - i - 2) * sizeof e->t[0]);
        e->n -= 2;
        i = i >= 2 ? i - 2 : 0;
    }
}

bool expr_read(struct expr *e, const char *text)
{
    bool minus = false;
    e->n = 0;
    for (const char *p = text; *p;) {
        if (e->n == EXPR_MAX) return false;
        if (*p >= '0' && *p <= '9') {
            if (value_before(e)) return false;
            int64_t v = 0;
            while (*p >= '0' && *p <= '9') {
                if (v > 100000000000000000) return false;
                v = v * 10 + (*p++ - '0');
            }
            e->t[e->n++] = (struct expr_token){'n', minus ? -v : v, 1};
            minus = false;
        } else if (minus || !strchr("+-*/()", *p)) {
            return false;
        } else if (*p == '-' && !value_before(e)) {
            minus = true;
            p++;
        } else {
            if (*p == '(' && value_before(e)) return false;
            e->t[e->n++] = (struct expr_token){.kind = *p++};
        }
    }
    if (minus) return false;
    drop_brackets(e);
    return e->n > 0;
}

int expr_next(const struct expr *e)
{
    int begin = 0, end = 0, found = -1;
    while (end < e->n && e->t[end].kind != ')') end++;
    if (end < e->n) {
        begin = end;
        while (begin > 0 && e->t[begin - 1].kind != '(') begin--;
        if (begin == 0) return -1;
    }
    /* Values and signs take turns between begin and end. */
    for (int i = begin; i < end; i++) {
        bool value = (i - begin) % 2 == 0;
        if (value != (e->t[i].kind == 'n') || e->t[i].kind == '(') return -1;
        if (value) continue;
        bool product = e->t[i].kind == '*' || e->t[i].kind == '/';
        bool better = found < 0 || (product && strchr("+-", e->t[found].kind));
        if (better) found = i;
    }
    return (end - begin) % 2 ? found : -1;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

/* num/den = a op b, in lowest terms. */
static bool operate(struct expr_token a, char op, struct expr_token b, struct expr_token *out)
{
    int64_t x, y, num, den;
    if (op == '/') {
        if (b.num == 0) return false;
        int64_t t = b.num;
        b.num = t < 0 ? -b.den : b.den;
        b.den = t < 0 ? -t : t;
        op = '*';
    }
    if (op == '*') {
        if (__builtin_mul_overflow(a.num, b.num, &num) || __builtin_mul_overflow(a.den, b.den, &den))
            return false;
    } else {
        if (__builtin_mul_overflow(a.num, b.den, &x) || __builtin_mul_overflow(b.num, a.den, &y) ||
            __builtin_mul_overflow(a.den, b.den, &den))
            return false;
        if (op == '+' ? __builtin_add_overflow(x, y, &num) : __builtin_sub_overflow(x, y, &num))
            return false;
    }
    if (num == INT64_MIN || den == INT64_MIN) return false;
    int64_t g = gcd(num, den);
    *out = (struct expr_token){'n', g ? num / g : 0, g ? den / g : 1};
    return true;
}

bool expr_reduce(struct expr *e, int i)
{
    struct expr_token v;
    if (!operate(e->t[i - 1], e->t[i].kind, e->t[i + 1], &v)) return false;
    e->t[i - 1] = v;
    memmove(&e->t[i], &e->t[i + 2], (size_t)(e->n - i - 2) * sizeof e->t[0]);
    e->n -= 2;
    drop_brackets(e);
    return true;
}

bool expr_value(const char *text, int64_t *num, int64_t *den)
{
    struct expr e;
    if (!expr_read(&e, text)) return false;
    while (e.n > 1) {
        int i = expr_next(&e);
        if (i < 0 || !expr_reduce(&e, i)) return false;
    }
    if (e.t[0].kind != 'n') return false;
    *num = e.t[0].num;
    *den = e.t[0].den;
    return true;
}

void expr_write(const struct expr *e, struct buf *out)
{
    for (int i = 0; i < e->n; i++) {
        if (e->t[i].kind == 'n') buf_printf(out, "%" PRId64, e->t[i].num);
        else buf_putc(out, e->t[i].kind);
    }
}
