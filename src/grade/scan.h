/* SPDX-License-Identifier: Apache-2.0
 * scan.h - text that anyone typed, cut into numbers, words and signs. One pass, fixed memory; what is
 * too long or no UTF-8 is refused whole. */
#ifndef GRADE_SCAN_H
#define GRADE_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_MAX_BYTES 2048
#define SCAN_MAX_TOKENS 400

enum token_kind { TOKEN_NUMBER, TOKEN_WORD, TOKEN_SIGN };

struct token {
    uint8_t kind;
    char sign;         /* + - * / ( ) = , : ^ % . ? ! ; < > or '#' for anything else */
    bool glued;        /* no white space before it */
    bool too_big;      /* a number of more than 18 digits */
    uint8_t n_digits;  /* of the whole number, the fraction included */
    uint8_t n_decimals;
    uint16_t word, word_n; /* bytes in scan.words, normalised */
    int64_t value;     /* all digits, without the point: 9.11 is 911 with n_decimals 2 */
};

struct scan {
    int n;
    bool arabic_digits, arabic; /* saw Arabic-Indic digits; Arabic letters */
    struct token tokens[SCAN_MAX_TOKENS];
    uint16_t words_n;
    char words[SCAN_MAX_BYTES + 4];
};

/* False: too long, too many tokens, or no UTF-8. Digits of all scripts that Arabic readers use become
 * numbers; signs of multiplication, division and minus in their typographic forms become ASCII;
 * letters become lower case; Arabic loses its vowel marks and its variants of alef, ya and ta. */
bool scan_text(struct scan *s, const char *text, size_t n);

/* Normalises one word of a pattern the same way: reads bytes from *text to the next space, bracket,
 * brace or bar, writes at most max bytes to out and gives their number. */
size_t scan_normalise(const char **text, char *out, size_t max);

static inline bool scan_is_sign(const struct scan *s, int i, char sign)
{
    return i < s->n && s->tokens[i].kind == TOKEN_SIGN && s->tokens[i].sign == sign;
}

static inline bool scan_is_number(const struct scan *s, int i)
{
    return i < s->n && s->tokens[i].kind == TOKEN_NUMBER;
}

/* Whether token i is this word, which is normalised first. */
bool scan_is_word(const struct scan *s, int i, const char *word);

#endif
