/* SPDX-License-Identifier: Apache-2.0
 * book.h - lines of text that are no puzzles, by kind, from the data folders and from lists of ours. */
#ifndef GRADE_BOOK_H
#define GRADE_BOOK_H
#include "src/grade/grade.h"

enum shelf {
    SHELF_TALK_EN,    /* greetings and small talk, built in */
    SHELF_TALK_AR,
    SHELF_NEAR_EN,    /* questions with numbers that are no puzzles of ours: {a} and {b} are numbers */
    SHELF_NEAR_AR,
    SHELF_DIALOGUE,   /* lines of chats */
    SHELF_WORDS,      /* nouns: "what is a ...?" */
    SHELF_COUNTRIES,
    SHELF_TASKS,      /* instructions */
    SHELF_PAIRS_EN,   /* short sentences */
    SHELF_PAIRS_AR,
    SHELF_PROBLEMS,   /* word problems */
    SHELF_TEMPLATES,  /* word problems with number0, number1, ... */
    SHELF_EVAL,       /* lines that no training may see */
    N_SHELVES
};

struct fk_book {
    char *pool;             /* all lines, each NUL-terminated */
    size_t n_bytes;
    uint32_t *lines[N_SHELVES]; /* where each begins */
    size_t n[N_SHELVES];
    size_t cap[N_SHELVES];
};

enum fk_status book_open(const char *data_dir, struct fk_book **out, struct fk_error *err);
void book_close(struct fk_book *book);

/* Lines on a shelf, the built-in ones included; book may be NULL. */
size_t book_count(const struct fk_book *book, enum shelf shelf);
const char *book_line(const struct fk_book *book, enum shelf shelf, size_t i);

/* The built-in lists. */
struct text_list {
    const char *const *texts;
    size_t n;
};
struct text_list outside_list(enum shelf shelf);

#endif
