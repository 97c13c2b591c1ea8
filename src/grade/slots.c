/* SPDX-License-Identifier: Apache-2.0
 * slots.c - numbers, lists and expressions in tokens; dates and times are in slots_date.c. */
#include "src/grade/slots.h"
#include <string.h>
#include "src/grade/slots_date.h"

static bool is_whole(const struct scan *s, int i)
{
    return scan_is_number(s, i) && !s->tokens[i].too_big && s->tokens[i].n_decimals == 0;
}

/* Past a whole number and its groups of thousands: 48,213. */
static int match_number(const struct scan *s, int i)
{
    if (!is_whole(s, i)) return -1;
    int end = i + 1;
    int n_digits = s->tokens[i].n_digits;
    if (n_digits > 3) return end;
    while (scan_is_sign(s, end, ',') && s->tokens[end].glued && is_whole(s, end + 1) &&
           s->tokens[end + 1].glued && s->tokens[end + 1].n_digits == 3 && n_digits + 3 <= 18) {
        end += 2;
        n_digits += 3;
    }
    return end;
}

static int64_t read_number(const struct scan *s, int begin, int end)
{
    int64_t v = s->tokens[begin].value;
    for (int i = begin + 2; i < end; i += 2) v = v * 1000 + s->tokens[i].value;
    return v;
}

static bool is_and(const struct scan *s, int i)
{
    return scan_is_word(s, i, "and") || scan_is_word(s, i, "و") || scan_is_word(s, i, "or") ||
           scan_is_word(s, i, "أو") || scan_is_word(s, i, "أم");
}

/* Past what may stand between two items of a list: a comma, "and", both, or nothing. */
static int skip_between(const struct scan *s, int i)
{
    if (scan_is_sign(s, i, ',') || scan_is_sign(s, i, ';')) i++;
    if (is_and(s, i)) i++;
    return i;
}

/* A minus sign of an item: right before its number and not glued to what stands before. */
static bool is_negative_item(const struct scan *s, int i)
{
    return scan_is_sign(s, i, '-') && scan_is_number(s, i + 1) && s->tokens[i + 1].glued;
}

static int match_list(const struct scan *s, int i, bool decimals, bool negative)
{
    int end = -1;
    for (;;) {
        if (negative && is_negative_item(s, i)) i++;
        if (!scan_is_number(s, i) || s->tokens[i].too_big) return end;
        if (!decimals && s->tokens[i].n_decimals) return end;
        end = i + 1;
        i = skip_between(s, end);
    }
}

static bool is_times(const struct scan *s, int i)
{
    return scan_is_word(s, i, "x") && i > 0 &&
           (scan_is_number(s, i + 1) || scan_is_sign(s, i + 1, '(')) &&
           (scan_is_number(s, i - 1) || scan_is_sign(s, i - 1, ')'));
}

static int match_expression(const struct scan *s, int i, bool equation)
{
    int begin = i;
    for (; i < s->n; i++) {
        const struct token *t = &s->tokens[i];
        bool fits = (t->kind == TOKEN_NUMBER && !t->too_big && !t->n_decimals) ||
                    (t->kind == TOKEN_SIGN && strchr("+-*/()", t->sign)) || is_times(s, i) ||
                    (equation && (scan_is_sign(s, i, '=') || scan_is_word(s, i, "x") ||
                                  scan_is_word(s, i, "س")));
        if (!fits) break;
    }
    /* "3 * 4 =" asks for the product: a last sign of equality is no part of it. */
    return i > begin ? i : -1;
}

int slot_match(const struct scan *s, int i, char slot)
{
    if (i >= s->n) return -1;
    switch (slot) {
    case 'L': return match_list(s, i, false, false);
    case 'F': return match_list(s, i, true, false);
    case 'S': return match_list(s, i, false, true);
    case 'E': return match_expression(s, i, false);
    case 'Q': return match_expression(s, i, true);
    case 'w': return s->tokens[i].kind == TOKEN_WORD ? i + 1 : -1;
    case 'k': return s->tokens[i].kind == TOKEN_WORD && s->tokens[i].word_n <= 2 ? i + 1 : -1;
    case 'd': return slot_match_weekday(s, i);
    case 'D':
    case 'G': return slot_match_date(s, i);
    case 'T': return slot_match_clock(s, i);
    default: return match_number(s, i);
    }
}

bool slot_number(const struct match *m, char slot, int64_t *v)
{
    const struct capture *c = match_slot(m, slot);
    if (!c) return false;
    *v = read_number(m->s, c->begin, c->end);
    return true;
}

bool slot_list(const struct match *m, char slot, int64_t *v, uint8_t *n_decimals, int max, int *n)
{
    const struct capture *c = match_slot(m, slot);
    *n = 0;
    if (!c) return false;
    bool minus = false;
    for (int i = c->begin; i < c->end; i++) {
        const struct token *t = &m->s->tokens[i];
        if (t->kind == TOKEN_SIGN) minus = t->sign == '-';
        if (t->kind != TOKEN_NUMBER) continue;
        if (*n == max) return false;
        if (n_decimals) n_decimals[*n] = t->n_decimals;
        v[(*n)++] = minus ? -t->value : t->value;
        minus = false;
    }
    return true;
}

bool slot_expression(const struct match *m, char slot, char *out, size_t max)
{
    const struct capture *c = match_slot(m, slot);
    size_t n = 0;
    if (!c) return false;
    for (int i = c->begin; i < c->end; i++) {
        const struct token *t = &m->s->tokens[i];
        char digits[24], one[2] = {t->sign, 0};
        const char *piece = one;
        if (t->kind == TOKEN_WORD) {
            piece = is_times(m->s, i) ? "*" : "x";
        } else if (t->kind == TOKEN_NUMBER) {
            char *p = digits + sizeof digits;
            *--p = 0;
            int64_t v = t->value;
            do *--p = (char)('0' + v % 10); while ((v /= 10));
            piece = p;
        }
        size_t k = strlen(piece);
        if (n + k + 1 > max) return false;
        memcpy(out + n, piece, k);
        n += k;
    }
    out[n] = 0;
    return true;
}

bool slot_word(const struct match *m, char slot, char *out, size_t max)
{
    const struct capture *c = match_slot(m, slot);
    if (!c) return false;
    const struct token *t = &m->s->tokens[c->begin];
    if (t->word_n + 1u > max) return false;
    memcpy(out, m->s->words + t->word, t->word_n);
    out[t->word_n] = 0;
    return true;
}
