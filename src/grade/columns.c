/* SPDX-License-Identifier: Apache-2.0
 * columns.c - addition, subtraction and multiplication by one digit, written out. */
#include "src/grade/columns.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DONE 48

int count_digits(int64_t v)
{
    int n = 1;
    while (v /= 10) n++;
    return n;
}

/* The digits that are done, the newest in front. */
struct done {
    char text[MAX_DONE];
    int at; /* where the first stands */
};

static void done_init(struct done *d, const char *digits)
{
    size_t n = strlen(digits);
    if (n > MAX_DONE - 24) n = MAX_DONE - 24;
    d->at = MAX_DONE - 1 - (int)n;
    memcpy(d->text + d->at, digits, n);
    d->text[MAX_DONE - 1] = 0;
}

static void done_push(struct done *d, int64_t digit)
{
    d->text[--d->at] = (char)('0' + digit);
}

/* The number that `rest` in front of the done digits makes. */
static int64_t done_value(const struct done *d, int64_t rest)
{
    for (const char *p = d->text + d->at; *p; p++) rest = rest * 10 + (*p - '0');
    return rest;
}

static int64_t slipped(int64_t v, int column, int slip)
{
    return column != slip ? v : v % 10 == 9 || v == 0 ? (v ? v - 1 : 1) : v + 1;
}

int64_t columns_add(struct buf *out, int64_t a, int64_t b, const char *done, int slip)
{
    int64_t terms[3] = {a, b, 0};
    int n = 2;
    struct done d;
    done_init(&d, done);
    buf_printf(out, "%" PRId64 "+%" PRId64 "%s%s\n", a, b, *done ? ":" : "", done);
    for (int column = 0;; column++) {
        int64_t sum = 0;
        int left = 0;
        for (int i = 0; i < n; i++) {
            int64_t digit = terms[i] % 10;
            sum += digit;
            buf_printf(out, "%s%d", i ? "+" : "", (int)digit);
            if (terms[i] / 10) terms[left++] = terms[i] / 10;
        }
        sum = slipped(sum, column, slip);
        buf_printf(out, "=%d ", (int)sum);
        done_push(&d, sum % 10);
        if (sum / 10) terms[left++] = sum / 10;
        n = left;
        if (n < 2) break;
        for (int i = 0; i < n; i++) buf_printf(out, "%s%" PRId64, i ? "+" : "", terms[i]);
        buf_printf(out, ":%s\n", d.text + d.at);
    }
    int64_t result = done_value(&d, n ? terms[0] : 0);
    buf_printf(out, "%" PRId64 "\n", result);
    return result;
}

int64_t columns_sub(struct buf *out, int64_t a, int64_t b, int slip)
{
    struct done d;
    done_init(&d, "");
    int64_t borrow = 0;
    bool more = true; /* b has digits left */
    buf_printf(out, "%" PRId64 "-%" PRId64 "\n", a, b);
    for (int column = 0;; column++) {
        int64_t x = a % 10, y = more ? b % 10 : 0;
        bool short_of = x < y + borrow;
        if (short_of) x += 10;
        buf_printf(out, "%d", (int)x);
        if (more) buf_printf(out, "-%d", (int)y);
        if (borrow) buf_puts(out, "-1");
        int64_t v = slipped(x - y - borrow, column, slip);
        buf_printf(out, "=%d ", (int)v);
        done_push(&d, v % 10);
        a /= 10;
        b /= 10;
        borrow = short_of;
        more = more && b > 0;
        if (!more && !borrow) break;
        buf_printf(out, "%" PRId64, a);
        if (more) buf_printf(out, "-%" PRId64, b);
        if (borrow) buf_puts(out, "-1");
        buf_printf(out, ":%s\n", d.text + d.at);
    }
    int64_t result = done_value(&d, a);
    buf_printf(out, "%" PRId64 "\n", result);
    return result;
}

int64_t columns_mul(struct buf *out, int64_t a, int digit, int slip)
{
    struct done d;
    done_init(&d, "");
    if (digit < 2) {
        buf_printf(out, "%" PRId64 "*%d=%" PRId64 "\n", a, digit, a * digit);
        return a * digit;
    }
    int64_t carry = 0;
    buf_printf(out, "%" PRId64 "*%d\n", a, digit);
    for (int column = 0;; column++) {
        buf_printf(out, "%d*%d", (int)(a % 10), digit);
        if (carry) buf_printf(out, "+%d", (int)carry);
        int64_t v = slipped(a % 10 * digit + carry, column, slip);
        buf_printf(out, "=%d ", (int)v);
        done_push(&d, v % 10);
        carry = v / 10;
        a /= 10;
        if (!a) break;
        buf_printf(out, "%" PRId64 "*%d", a, digit);
        if (carry) buf_printf(out, "+%d", (int)carry);
        buf_printf(out, ":%s\n", d.text + d.at);
    }
    int64_t result = done_value(&d, carry);
    buf_printf(out, "%" PRId64 "\n", result);
    return result;
}

int nines_line(struct buf *out, int64_t v)
{
    char digits[24];
    int rest = 0;
    snprintf(digits, sizeof digits, "%" PRId64, v);
    buf_puts(out, digits);
    for (const char *p = digits; *p; p++) {
        rest = (rest + (*p - '0')) % 9;
        buf_printf(out, " %d", rest);
    }
    buf_putc(out, '\n');
    return rest;
}

bool nines_check(struct buf *out, int64_t x, char sign, int64_t y, int64_t result)
{
    buf_puts(out, "mod 9\n");
    int a = nines_line(out, x), b = nines_line(out, y), c = nines_line(out, result);
    if (sign == '-' && a < b) a += 9;
    int v = sign == '+' ? a + b : sign == '-' ? a - b : a * b;
    buf_printf(out, "%d%c%d=%d", a, sign, b, v);
    if (v >= 9) buf_printf(out, " %d", v % 9);
    if (v % 9 != c) buf_printf(out, " %d", c);
    buf_puts(out, v % 9 == c ? " ok\n" : " no\n");
    return v % 9 == c;
}
