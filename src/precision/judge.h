/* SPDX-License-Identifier: Apache-2.0
 * judge.h - how far a way of reading a model's weights moves its predictions: the mean Kullback-Leibler
 * divergence from a base over pieces of a text, in nats a token. */
#ifndef PRECISION_JUDGE_H
#define PRECISION_JUDGE_H
#include "src/model/model.h"

struct judge;

/* Keeps d; m gives the vocabulary and the shape. Pieces of 128 tokens, spread over the first max_tokens
 * of the text, n_pieces at most. FK_EINVAL if there is no whole one. */
enum fk_status judge_create(struct judge **out, const struct model *m, struct device *d,
                            const char *text, size_t n_bytes, size_t max_tokens, int n_pieces,
                            struct fk_error *err);
void judge_destroy(struct judge **j);
/* From now on every n-th piece counts alone: 1, all. */
void judge_use_part(struct judge *j, int n);
int judge_n_tokens(const struct judge *j); /* predicted ones */

/* What later calls are compared with: m as read at `bits` (0: as its planes plan). */
enum fk_status judge_base(struct judge *j, const struct model *m, int bits, struct fk_error *err);
/* m has the vocabulary of the base. */
enum fk_status judge_kl(struct judge *j, const struct model *m, int bits, double *kl,
                        struct fk_error *err);
/* Bytes of weights that one token reads, counted by the ops of a forward. */
enum fk_status judge_bytes(struct judge *j, const struct model *m, int bits, uint64_t *bytes,
                           struct fk_error *err);

#endif
