/* SPDX-License-Identifier: Apache-2.0
 * distill_text.h - what distillation reads. First the pieces of a text, each once; from then on pieces that
 * the source writes itself (Liu et al. 2023, LLM-QAT): half of them go on from places of that text, half are its
 * replies to lines of it, where it has a chat template. A text of some thousand tokens is soon known by heart, what the
 * source says is without end. */
#ifndef TRAIN_DISTILL_TEXT_H
#define TRAIN_DISTILL_TEXT_H
#include "src/model/model.h"
#include "src/text/tokenizer.h"
#include "src/train/chat_form.h"

#define DISTILL_PIECE 256 /* tokens */

struct distill_text {
    const struct model *source; /* borrowed */
    int n_threads;
    bool has_chat;
    struct chat_form form; /* where it has */
    struct token_vec ids;
    int n_pieces, n_held; /* of the text; of them, for judging alone */
    int32_t *round;       /* [n_round][DISTILL_PIECE] in the order in which they are learned from */
    int n_round, at;
    uint64_t i_round;     /* of what the source wrote, from 1 on */
};

/* text NULL: the calibration text. FK_EINVAL: shorter than two pieces. */
enum fk_status distill_text_open(struct distill_text *t, const struct model *source, const char *text, size_t n_bytes,
                                 int n_threads, struct fk_error *err);
void distill_text_close(struct distill_text *t); /* a zeroed struct is fine */

/* Piece i of those that are held back, 0 <= i < n_held. */
const int32_t *distill_text_held(const struct distill_text *t, int i);

/* *pieces: at most `most` pieces one behind the other, that follow those given before; valid until the next
 * call. */
enum fk_status distill_text_next(struct distill_text *t, int most, const int32_t **pieces, int *n, struct fk_error *err);

/* To where another text of the same source and text was: what stood in i_round and at. FK_EINVAL: it was never there. */
enum fk_status distill_text_seek(struct distill_text *t, uint64_t i_round, uint64_t at, struct fk_error *err);

#endif
