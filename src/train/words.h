/* SPDX-License-Identifier: Apache-2.0
 * words.h - a small byte-level BPE vocabulary, learned from the conversations that a recipe trains on.
 *
 * Ids: 0..255 the bytes; then the marks of TRAIN_MARKS; then one token per merge. The first merges make
 * a token of every Arabic letter, mark and digit (two bytes each); the others are learned from letters
 * and punctuation. No merge joins a digit with anything. */
#ifndef TRAIN_WORDS_H
#define TRAIN_WORDS_H
#include "fikr/grade.h"
#include "src/train/recipe.h"

#define WORDS_MAX 512
#define WORDS_TOKEN_BYTES 32

/* In the order of their ids. */
enum train_mark { MARK_USER, MARK_ASSISTANT, MARK_END, MARK_THINK, MARK_THINK_END, N_MARKS };
extern const char *const train_marks[N_MARKS]; /* "<|user|>", ... */
#define MARK_ID(mark) (256 + (mark))

struct words {
    int n;                                        /* tokens */
    int n_merges;
    struct words_merge { int left, right; } merges[WORDS_MAX]; /* token N_MARKS + 256 + i */
    uint8_t bytes[WORDS_MAX][WORDS_TOKEN_BYTES];  /* of a token, marks excepted */
    uint8_t n_bytes[WORDS_MAX];
};

/* Draws r->vocab_sample conversations of the first stage's mix, so that a stage added later leaves the
 * vocabulary as it is. The same recipe gives the same one everywhere. book may be NULL. May end below
 * r->model.n_vocab when nothing is left to join. */
enum fk_status words_learn(struct words *w, const struct recipe *r, const fk_book *book,
                           struct fk_error *err);

/* The text of a token in GPT-2's alphabet of printable characters, as GGUF keeps it; at most
 * 2 * WORDS_TOKEN_BYTES bytes. */
size_t words_text(const struct words *w, int id, char out[2 * WORDS_TOKEN_BYTES + 1]);

#endif
