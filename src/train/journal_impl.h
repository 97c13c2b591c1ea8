/* SPDX-License-Identifier: Apache-2.0
 * journal_impl.h - what the journal_* files share. */
#ifndef TRAIN_JOURNAL_IMPL_H
#define TRAIN_JOURNAL_IMPL_H
#include "src/base/utf8.h"
#include "src/train/journal.h"

/* Takes over *e and leaves it empty, also on failure (out of memory: false). */
bool journal_keep_eval(struct journal *j, struct journal_eval *e);
bool journal_keep_point(struct journal *j, const struct journal_point *p);
void journal_free_eval(struct journal_eval *e);

/* The line of an evaluation, without its end. mem_free; NULL: out of memory. */
char *journal_eval_line(const struct journal_eval *e, double cpu_seconds);

#endif
