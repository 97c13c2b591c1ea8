/* SPDX-License-Identifier: Apache-2.0
 * grade.h - puzzles whose answers can be checked: made without end, solved with their thinking written
 * out, recognised in what people type, and graded. Training, rewards, evaluation and the chat's
 * checker all stand on these calls. The same arguments give the same bytes on every machine. */
#ifndef FIKR_GRADE_H
#define FIKR_GRADE_H
#include <stddef.h>
#include <stdint.h>
#include "fikr/status.h"
#ifdef __cplusplus
extern "C" {
#endif

enum fk_lang { FK_LANG_EN, FK_LANG_AR, FK_N_LANGS };

/* How a puzzle is thought through: not at all, step by step, or step by step with wrong turns that are
 * noticed and results that are checked. */
enum fk_style { FK_STYLE_DIRECT, FK_STYLE_STEPWISE, FK_STYLE_SEARCH, FK_N_STYLES };

/* TRAIN, DEV and TEST share no puzzle: a puzzle's hash says which of them it belongs to. LONGER has
 * more digits or items than any level. UNSEEN are TEST puzzles in wordings that TRAIN never uses. */
enum fk_split { FK_SPLIT_TRAIN, FK_SPLIT_DEV, FK_SPLIT_TEST, FK_SPLIT_LONGER, FK_SPLIT_UNSEEN,
                FK_N_SPLITS };

#define FK_MAX_FAMILIES 16
#define FK_N_LEVELS 5

/* Families are numbered from 0; the last one, "outside", is everything that is no puzzle of ours. */
FK_API int fk_n_families(void);
/* "add", "countdown", ...; NULL where there is no such family. Constant. */
FK_API const char *fk_family_name(int family);
/* The number of a family by its name, -1 where there is none. */
FK_API int fk_family_find(const char *name);

/* The style in which a family is best thought through: what a model that ships is trained to show. */
FK_API enum fk_style fk_family_style(int family);

/* The style that a thinking shows, whoever wrote it: DIRECT where it is blank; SEARCH where a word `no`
 * (a wrong turn that was noticed) or `ok` (a result that was checked) stands in it, for countdown and
 * calendar a `no` alone, since their straight way says ok too; else, and for letters always, STEPWISE. So
 * a search without wrong turns may look stepwise. */
FK_API enum fk_style fk_shown_style(int family, const char *thinking, size_t n);

/* The lists that "outside" draws from; immutable, so threads may share one. */
typedef struct fk_book fk_book;

/* data_dir holds the folders self-dialogue, self-instruct, wordnet-glosses, countryinfo,
 * tatoeba-ara-eng, gsm8k and mawps; each may be missing. NULL: only the short lists built in.
 * FK_EFORMAT names a file that is malformed. */
FK_API enum fk_status fk_book_open(const char *data_dir, fk_book **out, struct fk_error *err);
FK_API void fk_book_close(fk_book *book); /* NULL is fine */

/* What to draw: weights, whole numbers, only their ratios count; 0 leaves out. */
struct fk_mix {
    uint32_t family[FK_MAX_FAMILIES];
    uint32_t level[FK_MAX_FAMILIES][FK_N_LEVELS]; /* ignored by FK_SPLIT_LONGER */
    uint32_t style[FK_MAX_FAMILIES][FK_N_STYLES];
    uint32_t lang[FK_N_LANGS];
    enum fk_split split;
    int plain;          /* nonzero: no noise in case, spacing and punctuation */
    uint64_t seed;
    void *reserved[4];
};
/* All families, levels and languages alike, styles 1 : 2 : 2, training split, seed 0. */
FK_API void fk_mix_defaults(struct fk_mix *mix);

/* One conversation. The strings are NUL-terminated UTF-8 and belong to the struct; thinking is ""
 * where the style is direct. */
struct fk_puzzle {
    const char *prompt, *thinking, *answer;
    uint64_t hash;   /* of the puzzle, not of its wording */
    int family;
    int level;       /* 1..5; 6 where longer than trained */
    enum fk_lang lang;
    enum fk_style style;
    enum fk_split split;
    void *own;
};

/* The conversation number `index` of a mix: a pure function of its arguments. Start with a zeroed
 * struct; one that was filled before is filled again. book may be NULL (built-in lists). FK_EINVAL
 * where the mix asks for nothing or for something that does not exist. */
FK_API enum fk_status fk_puzzle_make(const fk_book *book, const struct fk_mix *mix, uint64_t index,
                                     struct fk_puzzle *out, struct fk_error *err);
FK_API void fk_puzzle_free(struct fk_puzzle *p);

enum fk_verdict {
    FK_VERDICT_NONE,    /* not a puzzle that can be checked */
    FK_VERDICT_RIGHT,
    FK_VERDICT_WRONG,
    FK_VERDICT_REFUSED  /* the reply says that it cannot, and points to another model */
};

/* Grades an answer to p: the answer alone, without thinking, in the form that training uses (white
 * space, a final stop and the script of digits do not matter). Strict: this is the reward. */
FK_API enum fk_verdict fk_puzzle_grade(const struct fk_puzzle *p, const char *answer, size_t n);

/* What the checker says of a conversation that anyone typed. */
struct fk_check {
    enum fk_verdict verdict;
    int family;       /* -1 where the verdict is NONE */
    enum fk_lang lang;
    uint64_t hash;
    char right[256];  /* a right answer, NUL-terminated */
};

/* Recognises the puzzle in prompt and grades reply (an answer, or free text that ends in one). Cannot
 * fail: what is not understood has the verdict NONE. Takes under 50 ms whatever the bytes. */
FK_API void fk_check_reply(const char *prompt, size_t n_prompt, const char *reply, size_t n_reply,
                           struct fk_check *out);

/* Word problems (GSM8K, SVAMP): whether the last number of a reply equals `right`, both as people
 * write numbers: "1,234.50", "$3", "2/3", "1 1/2", "45%". Exact, without floating point. */
FK_API enum fk_verdict fk_check_number(const char *reply, size_t n_reply, const char *right,
                                       size_t n_right);

#ifdef __cplusplus
}
#endif
#endif
