/* SPDX-License-Identifier: Apache-2.0
 * number.c - finds and reads numbers in free text. */
#include "src/grade/number.h"

#define MAX_TAIL 4096
#define MAX_VALUE 1000000000000000 /* 10^15 */

struct text {
    const char *s;
    size_t n;
};

static bool digit_at(struct text t, size_t i)
{
    return i < t.n && t.s[i] >= '0' && t.s[i] <= '9';
}

/* Digits from i on into *v; gives the place after them, and *fits = false where they are too many. */
static size_t read_digits(struct text t, size_t i, int64_t *v, bool *fits)
{
    while (digit_at(t, i)) {
        if (*v >= MAX_VALUE / 10) *fits = false;
        else *v = *v * 10 + (t.s[i] - '0');
        i++;
    }
    return i;
}

/* Three digits and no fourth after a comma. */
static bool group_at(struct text t, size_t i)
{
    return i < t.n && t.s[i] == ',' && digit_at(t, i + 1) && digit_at(t, i + 2) && digit_at(t, i + 3) &&
           !digit_at(t, i + 4);
}

/* 1,234.50 as value/scale. */
static size_t read_decimal(struct text t, size_t i, int64_t *v, int64_t *scale, bool *fits)
{
    size_t begin = i;
    *v = 0;
    *scale = 1;
    i = read_digits(t, i, v, fits);
    if (i - begin <= 3)
        while (group_at(t, i)) i = read_digits(t, i + 1, v, fits);
    if (i >= t.n || t.s[i] != '.' || !digit_at(t, i + 1)) return i;
    for (i++; digit_at(t, i); i++) {
        if (*v >= MAX_VALUE / 10 || *scale >= MAX_VALUE / 10) {
            *fits = *fits && t.s[i] == '0'; /* zeros at the end say nothing */
            continue;
        }
        *v = *v * 10 + (t.s[i] - '0');
        *scale *= 10;
    }
    return i;
}

static struct number reduced(int64_t num, int64_t den)
{
    int64_t a = num < 0 ? -num : num, b = den;
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a ? (struct number){num / a, den / a} : (struct number){0, 1};
}

/* "/3" after a whole number; *den stays 1 where there is none. */
static size_t read_stroke(struct text t, size_t i, int64_t *den)
{
    bool fits = true;
    int64_t v = 0;
    if (i >= t.n || t.s[i] != '/' || !digit_at(t, i + 1)) return i;
    size_t end = read_digits(t, i + 1, &v, &fits);
    if (!fits || v == 0) return i;
    *den = v;
    return end;
}

/* "1/2" after a blank makes a mixed number of a whole one. */
static size_t read_mixed(struct text t, size_t i, int64_t *num, int64_t *den)
{
    bool fits = true;
    int64_t top = 0, bottom = 1;
    if (i >= t.n || t.s[i] != ' ' || !digit_at(t, i + 1)) return i;
    size_t end = read_stroke(t, read_digits(t, i + 1, &top, &fits), &bottom);
    bool proper = fits && bottom > 1 && top < bottom && *num < 1000000 && bottom < 1000000;
    if (!proper) return i;
    *num = *num * bottom + top;
    *den = bottom;
    return end;
}

/* A minus belongs to the number unless something that can be subtracted from stands before it. */
static bool is_negative(struct text t, size_t i)
{
    if (i && t.s[i - 1] == '$') i--;
    if (i == 0 || t.s[i - 1] != '-') return false;
    if (i == 1) return true;
    char before = t.s[i - 2];
    return before == ' ' || before == '(' || before == '=' || before == '\n' || before == ':';
}

static size_t read_number(struct text t, size_t i, struct number *out, bool *fits)
{
    int64_t v, scale;
    bool negative = is_negative(t, i);
    *fits = true;
    size_t end = read_decimal(t, i, &v, &scale, fits);
    if (scale == 1) {
        size_t after = read_stroke(t, end, &scale);
        end = after == end ? read_mixed(t, end, &v, &scale) : after;
    }
    *out = reduced(negative ? -v : v, scale);
    return end;
}

bool number_find_last(const char *text, size_t n, struct number *out)
{
    bool found = false, fits = false;
    if (n > MAX_TAIL) { /* not from the middle of a number on */
        text += n - MAX_TAIL;
        n = MAX_TAIL;
    }
    struct text t = {text, n};
    for (size_t i = 0; i < n;) {
        if (!digit_at(t, i)) {
            i++;
            continue;
        }
        i = read_number(t, i, out, &fits);
        found = true;
    }
    return found && fits;
}
