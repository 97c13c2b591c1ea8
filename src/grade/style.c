/* SPDX-License-Identifier: Apache-2.0
 * style.c - which style a thinking shows, from its text alone: whoever wrote it, it may be a model's. */
#include <string.h>
#include "src/grade/grade.h"

/* Whether a word between blanks and line ends is one of two. */
static bool has_word(const char *text, size_t n, const char *a, const char *b)
{
    for (size_t at = 0, len; at < n; at += len + 1) {
        len = 0;
        while (at + len < n && text[at + len] != ' ' && text[at + len] != '\n') len++;
        if (len == strlen(a) && !memcmp(text + at, a, len)) return true;
        if (len == strlen(b) && !memcmp(text + at, b, len)) return true;
    }
    return false;
}

enum fk_style grade_shown_style(int family, const char *thinking, size_t n)
{
    size_t blank = 0;
    while (blank < n && strchr(" \n\t\r", thinking[blank])) blank++;
    if (blank == n) return FK_STYLE_DIRECT;
    if (family == GRADE_LETTERS) return FK_STYLE_STEPWISE; /* its pieces of words may be any word */
    /* The straight way of these says ok, too. */
    const char *check = family == GRADE_COUNTDOWN || family == GRADE_CALENDAR ? "no" : "ok";
    return has_word(thinking, n, "no", check) ? FK_STYLE_SEARCH : FK_STYLE_STEPWISE;
}
