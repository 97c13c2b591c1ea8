/* SPDX-License-Identifier: Apache-2.0
 * scan.c - text to tokens. */
#include "src/grade/scan.h"
#include <string.h>
#include "src/base/utf8.h"

/* 0-9, or -1. */
static int digit_of(uint32_t cp)
{
    if (cp >= '0' && cp <= '9') return (int)(cp - '0');
    if (cp >= 0x660 && cp <= 0x669) return (int)(cp - 0x660);
    if (cp >= 0x6F0 && cp <= 0x6F9) return (int)(cp - 0x6F0);
    if (cp >= 0xFF10 && cp <= 0xFF19) return (int)(cp - 0xFF10);
    return -1;
}

static bool is_space(uint32_t cp)
{
    return cp == ' ' || (cp >= 9 && cp <= 13) || cp == 0xA0 || (cp >= 0x2000 && cp <= 0x200F) ||
           cp == 0x202F || cp == 0xFEFF;
}

static bool is_arabic(uint32_t cp)
{
    return cp >= 0x620 && cp <= 0x64A;
}

static bool is_letter(uint32_t cp)
{
    return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || is_arabic(cp) ||
           (cp >= 0xC0 && cp <= 0x24F && cp != 0xD7 && cp != 0xF7);
}

/* Vowel marks and the stretching line: they carry nothing here. */
static bool is_mark(uint32_t cp)
{
    return (cp >= 0x64B && cp <= 0x65F) || cp == 0x640 || cp == 0x670;
}

static uint32_t fold(uint32_t cp)
{
    if (cp >= 'A' && cp <= 'Z') return cp + 32;
    if (cp >= 0xC0 && cp <= 0xDE && cp != 0xD7) return cp + 32;
    if (cp == 0x622 || cp == 0x623 || cp == 0x625) return 0x627; /* alef with hamza or madda */
    if (cp == 0x649) return 0x64A;                               /* alef maqsura: ya */
    if (cp == 0x629) return 0x647;                               /* ta marbuta: ha */
    return cp;
}

static char sign_of(uint32_t cp)
{
    static const struct { uint32_t cp; char sign; } rows[] = {
        {0xD7, '*'}, {0xB7, '*'}, {0x2217, '*'}, {0x22C5, '*'}, {0x2715, '*'}, {0x2716, '*'},
        {0xF7, '/'}, {0x2215, '/'}, {0x2044, '/'}, {0x2212, '-'}, {0x2010, '-'}, {0x2011, '-'},
        {0x2012, '-'}, {0x2013, '-'}, {0x2014, '-'}, {0x60C, ','}, {0x66C, ','}, {0x61B, ';'},
        {0x61F, '?'}, {0x66A, '%'}, {0xFF0B, '+'}, {0xFF0D, '-'}, {0xFF0F, '/'}, {0xFF1D, '='},
        {0x2795, '+'}, {0x2796, '-'}, {0x2797, '/'},
    };
    if (cp == '_') return '?'; /* a blank to fill in */
    if (cp < 128) return strchr("+-*/()=,:^%.?!;<>", (int)cp) && cp ? (char)cp : '#';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].cp == cp) return rows[i].sign;
    return '#';
}

/* Quotes of every kind stand around words and say nothing here. */
static bool is_quote(uint32_t cp)
{
    return cp == '"' || cp == '\'' || cp == '`' || cp == 0xAB || cp == 0xBB ||
           (cp >= 0x2018 && cp <= 0x201F);
}

struct reader {
    const char *text;
    size_t n, at;
};

/* The code point at `at`, its bytes in *len; 0 at the end, UTF8_BAD where it is none. */
static uint32_t peek(const struct reader *r, size_t at, size_t *len)
{
    *len = 0;
    return at < r->n ? utf8_decode(r->text + at, r->n - at, len) : 0;
}

static void read_number(struct reader *r, struct scan *s, struct token *t)
{
    size_t len, len2;
    for (;;) {
        uint32_t cp = peek(r, r->at, &len);
        int digit = digit_of(cp);
        if (digit < 0) {
            /* A point belongs to the number when a digit follows and there was none yet. */
            bool point = (cp == '.' || cp == 0x66B) && t->n_decimals == 0 && t->n_digits > 0;
            if (!point || digit_of(peek(r, r->at + len, &len2)) < 0) return;
            r->at += len;
            while ((digit = digit_of(cp = peek(r, r->at, &len))) >= 0) {
                if (t->n_digits == 18) t->too_big = true;
                else {
                    t->value = t->value * 10 + digit;
                    t->n_digits++;
                    t->n_decimals++;
                }
                r->at += len;
            }
            return;
        }
        if (cp >= 0x660) s->arabic_digits = true;
        if (t->n_digits == 18) t->too_big = true;
        else {
            t->value = t->value * 10 + digit;
            t->n_digits++;
        }
        r->at += len;
    }
}

static void read_word(struct reader *r, struct scan *s, struct token *t)
{
    size_t len, len2;
    t->word = s->words_n;
    for (;;) {
        uint32_t cp = peek(r, r->at, &len);
        bool inside = (cp == '\'' || cp == 0x2019) && is_letter(peek(r, r->at + len, &len2));
        if (!is_letter(cp) && !is_mark(cp) && !inside) break;
        if (is_letter(cp)) {
            s->arabic |= is_arabic(cp);
            s->words_n += (uint16_t)utf8_encode(fold(cp), s->words + s->words_n);
        }
        r->at += len;
    }
    t->word_n = (uint16_t)(s->words_n - t->word);
}

bool scan_text(struct scan *s, const char *text, size_t n)
{
    struct reader r = {text, n, 0};
    bool glued = false;
    s->n = 0;
    s->words_n = 0;
    s->arabic = s->arabic_digits = false;
    if (n > SCAN_MAX_BYTES) return false;
    while (r.at < n) {
        size_t len;
        uint32_t cp = peek(&r, r.at, &len);
        if (cp == UTF8_BAD || cp == 0) return false;
        if (is_space(cp) || is_quote(cp) || is_mark(cp)) {
            glued = glued && !is_space(cp);
            r.at += len;
            continue;
        }
        if (s->n == SCAN_MAX_TOKENS) return false;
        struct token *t = &s->tokens[s->n++];
        *t = (struct token){.glued = glued};
        glued = true;
        if (digit_of(cp) >= 0) {
            t->kind = TOKEN_NUMBER;
            read_number(&r, s, t);
        } else if (is_letter(cp)) {
            t->kind = TOKEN_WORD;
            read_word(&r, s, t);
        } else {
            t->kind = TOKEN_SIGN;
            t->sign = sign_of(cp);
            r.at += len;
        }
    }
    return true;
}

size_t scan_normalise(const char **text, char *out, size_t max)
{
    const char *p = *text;
    size_t n = 0, len;
    while (*p && !strchr(" []{}|()", *p)) {
        uint32_t cp = utf8_decode(p, strlen(p), &len);
        p += len;
        if (!is_letter(cp)) continue; /* apostrophes and marks, as in read_word */
        char bytes[4];
        size_t k = utf8_encode(fold(cp), bytes);
        if (n + k > max) break;
        memcpy(out + n, bytes, k);
        n += k;
    }
    *text = p;
    return n;
}

bool scan_is_word(const struct scan *s, int i, const char *word)
{
    char plain[64];
    if (i < 0 || i >= s->n || s->tokens[i].kind != TOKEN_WORD) return false;
    size_t n = scan_normalise(&word, plain, sizeof plain);
    return s->tokens[i].word_n == n && !memcmp(s->words + s->tokens[i].word, plain, n);
}
