/* SPDX-License-Identifier: Apache-2.0
 * family.h - what a family of puzzles is to this room: its wordings and eight functions. */
#ifndef GRADE_FAMILY_H
#define GRADE_FAMILY_H
#include "src/grade/grade.h"
#include "src/grade/pattern.h"
#include "src/grade/slots.h"

/* How one prompt writes its slots. */
struct ink {
    struct buf *out;
    struct dice *dice;
    enum fk_lang lang;
    bool arabic_digits, plain, tight; /* tight: no blanks around signs */
    bool groups;                      /* 48,213 */
    char list_style;                  /* ',' "3, 7, 20"; 't' "3,7,20"; ' ' "3 7 20"; '&' "3, 7 and 20" */
    const char *times, *over, *minus; /* how the signs * / - look */
};

#define MAX_KEY 32

struct family {
    const char *name;
    const struct wording *wordings[FK_N_LANGS];
    int n_wordings[FK_N_LANGS];
    int held_out; /* of 1000 puzzles: so many to TEST, so many to DEV */
    /* A random puzzle; false: try again. family and level are set by the caller. */
    bool (*draw)(struct dice *dice, int level, struct grade_puzzle *p);
    /* Whether it can be asked in a language; NULL: in each. */
    bool (*suits)(const struct grade_puzzle *p, enum fk_lang lang);
    /* Writes a slot; slots a, b, c, n, t without a function of its own are v[0], v[1], v[2], v[0], v[3]. */
    void (*ink)(const struct grade_puzzle *p, char slot, struct ink *ink);
    /* Fills a puzzle from a matched wording; false: not a puzzle of this family after all. */
    bool (*take)(const struct match *m, int kind, struct grade_puzzle *p);
    /* The canonical form as numbers; gives their count, at most MAX_KEY. */
    int (*key)(const struct grade_puzzle *p, int64_t key[MAX_KEY]);
    void (*think)(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out);
    void (*answer)(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out);
    /* Whether the tokens are a right answer and nothing else. */
    bool (*verify)(const struct grade_puzzle *p, const struct scan *s);
};

extern const struct family family_add, family_sub, family_mul, family_div, family_paren,
    family_countdown, family_sort, family_calendar, family_gcd, family_sequence, family_equation,
    family_letters, family_compare, family_time;

const struct family *family_of(int family);

/* For the ink functions. */
void ink_number(struct ink *ink, int64_t v);
void ink_digits(struct ink *ink, const char *ascii);   /* digits in the script of the prompt */
void ink_list(struct ink *ink, const int64_t *v, int n);
void ink_expression(struct ink *ink, const char *expression); /* blanks and signs by the prompt's taste */
void ink_sign(struct ink *ink, char sign);

/* For the verify functions. */
bool verify_number(const struct scan *s, int64_t v);
/* Past a number from token i on, minus and groups of thousands included; -1 where there is none. */
int verify_number_at(const struct scan *s, int i, int64_t *v);

#endif
