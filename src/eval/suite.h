/* SPDX-License-Identifier: Apache-2.0
 * suite.h - a suite is a list of questions in groups, each with a way to grade a reply. */
#ifndef EVAL_SUITE_H
#define EVAL_SUITE_H
#include <stdbool.h>
#include <stddef.h>
#include "fikr/grade.h"

struct eval_item {
    const char *prompt; /* NUL-terminated UTF-8; the suite's */
    int group;
};

struct eval_suite {
    const char *name;
    size_t n_items;
    int n_groups;
    struct eval_item *items;   /* [n_items] */
    const char **group_names;  /* [n_groups] */
    /* Grades the answer (without thinking) to item i. */
    enum fk_verdict (*grade)(const struct eval_suite *s, size_t i, const char *answer, size_t n);
    /* The style of a thinking about item i; NULL where the suite knows no styles. */
    enum fk_style (*style)(const struct eval_suite *s, size_t i, const char *thinking, size_t n);
    void (*fini)(struct eval_suite *s);
    void *own;
};

struct puzzle_choice {
    bool family[FK_MAX_FAMILIES]; /* which; none: all */
    int level;               /* 0: all */
    int lang;                /* enum fk_lang; -1: all */
    enum fk_split split;
    size_t n_per_family;
    uint64_t seed;
    const char *data_dir;    /* for what is outside; NULL: the lists built in */
};
/* Puzzles of src/grade, a group per family, none twice within a family. A family that has fewer
 * than n_per_family of them gives what it has; one that has none is left out. */
enum fk_status suite_puzzles(struct eval_suite *s, const struct puzzle_choice *choice,
                             struct fk_error *err);
/* "gsm8k" (its test split) or "svamp", from the folders of those names; n_most 0: all. */
enum fk_status suite_words(struct eval_suite *s, const char *name, const char *data_dir,
                           size_t n_most, struct fk_error *err);
void suite_fini(struct eval_suite *s); /* a zeroed one is fine */

#endif
