/* SPDX-License-Identifier: Apache-2.0
 * leads.h - greetings, pleas and punctuation around a question. */
#ifndef GRADE_LEADS_H
#define GRADE_LEADS_H
#include "fikr/grade.h"
#include "src/grade/pattern.h"

struct leads {
    const char *const *texts;
    int n;
};
/* form: 'q', 'i' or 'b', as in struct wording. */
struct leads leads_of(enum fk_lang lang, char form);
struct leads tails_of(enum fk_lang lang, char form);

/* Words that may stand around a question without meaning, and signs that close it. */
bool is_filler(const struct scan *s, int i);

#endif
