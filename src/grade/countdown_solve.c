/* SPDX-License-Identifier: Apache-2.0
 * countdown_solve.c - tries every way. Recursion is over at most five numbers. */
#include <stdio.h>
#include <string.h>
#include "src/grade/countdown.h"

struct term {
    int64_t num, den; /* a fraction, den > 0; small, since numbers are below 10^5 and few */
    char text[64];
};

/* a op b; false where it would divide by zero or leave the range. */
static bool combine(const struct term *a, int op, const struct term *b, struct term *out)
{
    const struct term *x = a, *y = b;
    if (op == 2 || op == 4) { /* the other way round */
        x = b;
        y = a;
    }
    int64_t l, r;
    bool bad = false;
    switch (op) {
    case 0:
    case 1:
    case 2:
        bad = __builtin_mul_overflow(x->num, y->den, &l) || __builtin_mul_overflow(y->num, x->den, &r) ||
              __builtin_mul_overflow(x->den, y->den, &out->den) ||
              (op == 0 ? __builtin_add_overflow(l, r, &out->num)
                       : __builtin_sub_overflow(l, r, &out->num));
        break;
    case 5:
        bad = __builtin_mul_overflow(x->num, y->num, &out->num) ||
              __builtin_mul_overflow(x->den, y->den, &out->den);
        break;
    default:
        bad = y->num <= 0 || __builtin_mul_overflow(x->num, y->den, &out->num) ||
              __builtin_mul_overflow(x->den, y->num, &out->den);
        break;
    }
    if (bad || out->num < 0) return false;
    snprintf(out->text, sizeof out->text, "(%.28s%c%.28s)", x->text, "+--//*"[op], y->text);
    return true;
}

static bool search(struct term *terms, int n, int64_t target, struct term *found)
{
    if (n == 1) {
        *found = terms[0];
        return terms[0].num % terms[0].den == 0 && terms[0].num / terms[0].den == target;
    }
    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++) {
            struct term next[COUNTDOWN_MAX];
            int k = 1;
            for (int m = 0; m < n; m++)
                if (m != i && m != j) next[k++] = terms[m];
            for (int op = 0; op < 6; op++)
                if (combine(&terms[i], op, &terms[j], &next[0]) && search(next, n - 1, target, found))
                    return true;
        }
    }
    return false;
}

bool countdown_solve(const int64_t *v, int n, int64_t target, char *out, size_t max)
{
    struct term terms[COUNTDOWN_MAX], found;
    if (n < 1 || n > COUNTDOWN_MAX) return false;
    for (int i = 0; i < n; i++) {
        terms[i].num = v[i];
        terms[i].den = 1;
        snprintf(terms[i].text, sizeof terms[i].text, "%d", (int)v[i]);
    }
    if (!search(terms, n, target, &found)) return false;
    size_t length = strlen(found.text);
    bool outer = found.text[0] == '(';
    snprintf(out, max, "%.*s", (int)(outer ? length - 2 : length), found.text + outer);
    return true;
}
