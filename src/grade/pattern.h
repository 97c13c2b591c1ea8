/* SPDX-License-Identifier: Apache-2.0
 * pattern.h - the wordings of puzzles. One text serves both ways: it is expanded to ask, and matched to
 * understand.
 *
 *   what is {a} [plus|and] {b}
 *
 * {x} is a slot (slots.h lists them), [..|..] are alternatives of literal words (one may be empty),
 * "+ - * / =" are signs. Other punctuation is written when asking and ignored when matching. */
#ifndef GRADE_PATTERN_H
#define GRADE_PATTERN_H
#include "src/base/buf.h"
#include "src/grade/scan.h"

struct wording {
    char form;     /* 'q' a question, 'i' a request, 'b' bare notation, 'p' only understood */
    uint8_t kind;  /* of the puzzle that it asks for; ANY_KIND: all kinds */
    const char *text;
};
#define ANY_KIND 255

struct capture {
    char slot;
    int begin, end; /* tokens */
};

#define MATCH_MAX_SLOTS 8
struct match {
    const struct scan *s;
    struct capture slots[MATCH_MAX_SLOTS];
    int n, end;     /* slots taken; the token after the match */
};

/* Matches the pattern from token i on. */
bool pattern_match(const char *pattern, const struct scan *s, int i, struct match *m);
/* The slot of a match, NULL where the pattern has none. */
const struct capture *match_slot(const struct match *m, char slot);

/* How many texts the alternatives make. */
int pattern_n_choices(const char *pattern);
/* Appends the text number `choice`: alternatives resolved, slots left as {x}. */
bool pattern_expand(const char *pattern, int choice, struct buf *out);

/* Signs that may stand anywhere without meaning: , : . ? ! ; */
bool pattern_is_soft(const struct scan *s, int i);

#endif
