/* SPDX-License-Identifier: Apache-2.0
 * ink.c - writes numbers, lists and signs the way one prompt writes them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/grade/family.h"

void ink_digits(struct ink *ink, const char *ascii)
{
    for (const char *p = ascii; *p; p++) {
        if (*p >= '0' && *p <= '9' && ink->arabic_digits) {
            char indic[3] = {(char)0xD9, (char)(0xA0 + (*p - '0')), 0};
            buf_puts(ink->out, indic);
        } else {
            buf_putc(ink->out, *p);
        }
    }
}

void ink_number(struct ink *ink, int64_t v)
{
    char digits[32], grouped[48];
    int n = snprintf(digits, sizeof digits, "%" PRId64, v), k = 0;
    if (v < 0 || !ink->groups || n <= 3) {
        ink_digits(ink, digits);
        return;
    }
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0) grouped[k++] = ',';
        grouped[k++] = digits[i];
    }
    grouped[k] = 0;
    ink_digits(ink, grouped);
}

void ink_list(struct ink *ink, const int64_t *v, int n)
{
    bool arabic = ink->lang == FK_LANG_AR;
    for (int i = 0; i < n; i++) {
        bool last = i > 0 && i == n - 1;
        if (last && ink->list_style == '&') buf_puts(ink->out, arabic ? " و " : " and ");
        else if (i && ink->list_style == ' ') buf_putc(ink->out, ' ');
        else if (i && ink->list_style == 't') buf_putc(ink->out, ',');
        else if (i) buf_puts(ink->out, arabic ? "، " : ", ");
        char digits[32];
        snprintf(digits, sizeof digits, "%" PRId64, v[i]);
        ink_digits(ink, digits);
    }
}

void ink_sign(struct ink *ink, char sign)
{
    char plain[2] = {sign, 0};
    const char *look = sign == '*' ? ink->times : sign == '/' ? ink->over
                     : sign == '-' ? ink->minus : plain;
    buf_printf(ink->out, ink->tight ? "%s" : " %s ", look);
}

void ink_expression(struct ink *ink, const char *expression)
{
    bool binary = false; /* a sign here stands between two values */
    for (const char *p = expression; *p; p++) {
        char one[2] = {*p, 0};
        if (strchr("+-*/=", *p) && (binary || *p == '=')) {
            ink_sign(ink, *p);
            binary = false;
        } else {
            ink_digits(ink, one);
            binary = *p != '(' && *p != '-';
        }
    }
}
