/* SPDX-License-Identifier: Apache-2.0
 * grade.h - what the rest of the program sees of this room: puzzles as plain structs, drawn, worded,
 * solved, hashed, recognised and graded. No call keeps state; what is random comes from a struct dice.
 *
 * Text of users and models is hostile: nothing here recurses on it or trusts its length. */
#ifndef GRADE_GRADE_H
#define GRADE_GRADE_H
#include <stdbool.h>
#include "fikr/grade.h"
#include "src/base/buf.h"
#include "src/grade/dice.h"

enum grade_family {
    GRADE_ADD,
    GRADE_SUB,
    GRADE_MUL,
    GRADE_DIV,
    GRADE_PAREN,
    GRADE_COUNTDOWN,
    GRADE_SORT,
    GRADE_CALENDAR,
    GRADE_GCD,
    GRADE_SEQUENCE,
    GRADE_EQUATION,
    GRADE_LETTERS,
    GRADE_COMPARE,
    GRADE_TIME,
    GRADE_OUTSIDE,
    GRADE_N_FAMILIES
};

#define GRADE_LONGER 6        /* the level above FK_N_LEVELS */
#define GRADE_MAX_VALUES 24
#define GRADE_MAX_TEXT 320    /* bytes, NUL included */
#define GRADE_MAX_CHARS 1000  /* of a whole conversation, in characters: more is a generator's error */

struct grade_puzzle {
    uint8_t family; /* enum grade_family */
    uint8_t kind;   /* which question; the family's own */
    uint8_t level;  /* 1..5, GRADE_LONGER; 0 where it was recognised in a text */
    uint8_t n;      /* values in use */
    int64_t v[GRADE_MAX_VALUES];
    char text[GRADE_MAX_TEXT]; /* an expression, a word, or for `outside` the prompt itself */
};

/* A conversation. Its buffers are reused from one to the next. */
struct grade_item {
    struct grade_puzzle puzzle;
    enum fk_lang lang;
    enum fk_style style;
    enum fk_split split;
    struct buf prompt, thinking, answer;
};
const char *grade_family_name(int family);   /* NULL: there is none */
int grade_family_find(const char *name);     /* -1: there is none */
void grade_mix_defaults(struct fk_mix *mix);

void grade_item_init(struct grade_item *item);
void grade_item_fini(struct grade_item *item);

/* The conversation number `index` of a mix. book may be NULL. */
enum fk_status grade_make(const struct fk_book *book, const struct fk_mix *mix, uint64_t index,
                          struct grade_item *item, struct fk_error *err);

/* A puzzle of a family and level that belongs to `split` (UNSEEN means TEST here, LONGER ignores the
 * level). False if a thousand draws and more found none. Not for `outside`. */
bool grade_draw(enum grade_family family, int level, enum fk_split split, struct dice *dice,
                struct grade_puzzle *out);

/* The canonical hash: the same for a puzzle in every wording, and for what differs only in an order
 * that does not matter (2+3, 3+2). */
uint64_t grade_hash(const struct grade_puzzle *p);
/* TRAIN, DEV or TEST, for every stage of training alike. */
enum fk_split grade_split(const struct grade_puzzle *p);

/* Appends a wording of p: one that training uses, or (unseen) one that it never does. */
bool grade_word(const struct grade_puzzle *p, enum fk_lang lang, bool unseen, bool plain,
                struct dice *dice, struct buf *out);
/* Appends the thinking (nothing for FK_STYLE_DIRECT). Stepwise thinking throws no dice. */
bool grade_think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                 struct dice *dice, struct buf *out);
/* Appends the canonical answer. */
bool grade_answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out);

/* Recognises a puzzle. `outside` is never recognised: it is what is left. */
bool grade_parse(const char *text, size_t n, struct grade_puzzle *out, enum fk_lang *lang);

/* Whether the text is a right answer and nothing else. */
bool grade_verify(const struct grade_puzzle *p, enum fk_lang lang, const char *text, size_t n);
/* Whether free text ends in a right answer. */
bool grade_verify_loosely(const struct grade_puzzle *p, enum fk_lang lang, const char *text, size_t n);
/* Whether the text sends the user to another model. */
bool grade_is_refusal(const char *text, size_t n);

/* What fk_shown_style says. */
enum fk_style grade_shown_style(int family, const char *thinking, size_t n);

/* Whether a recognised puzzle is beyond even what "longer than trained" means. */
bool grade_is_too_large(const struct grade_puzzle *p);

/* Wordings of a family in one language, and which of them are held out. */
int grade_n_wordings(enum grade_family family, enum fk_lang lang);
bool grade_wording_held_out(enum grade_family family, enum fk_lang lang, int wording);

#endif
