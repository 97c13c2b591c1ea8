/* SPDX-License-Identifier: Apache-2.0
 * problems.h - word problems from templates (MAWPS): the same story with fresh numbers. */
#ifndef GRADE_PROBLEMS_H
#define GRADE_PROBLEMS_H
#include "src/base/buf.h"
#include "src/grade/dice.h"
#include "fikr/status.h"

struct problems; /* immutable once open */

/* path: mawps_templates.jsonl. Takes the templates of the split named ("train" or "test") whose numbers
 * are whole. FK_EFORMAT names the line that is malformed. */
enum fk_status problems_open(const char *path, const char *split, struct problems **out,
                             struct fk_error *err);
void problems_close(struct problems *p);
size_t problems_count(const struct problems *p);

/* Appends a prompt, its steps one a line ("8-2=6"), and the answer. Numbers have as many digits as the
 * template's own; all results on the way are positive whole numbers. The same index gives the same
 * problem. FK_EINVAL where there are no templates. */
enum fk_status problems_make(const struct problems *p, uint64_t seed, uint64_t index, struct buf *prompt,
                             struct buf *thinking, struct buf *answer, struct fk_error *err);

/* Prefix equation with number0, number1, ... replaced by v[n]: its value, its steps appended to `steps`
 * (NULL: none). False: malformed, or a result that is no positive whole number below 10^12. */
bool problems_value(const char *equation, const int64_t *v, int n, struct buf *steps, int64_t *value);

#endif
