/* SPDX-License-Identifier: Apache-2.0
 * pass.h - one training pass of a model over packed documents: log-probabilities of the targets, then
 * the gradient of a weighted sum of them.
 *
 *   pass_create(&p, model, device, 2048, &err);
 *   tape_add_param(pass_tape(p), tensor, grad, &err);      every weight that learns
 *   pass_forward(p, docs, n_docs, &err);                   pass_logp(p)[i], i < pass_n_targets(p)
 *   pass_backward(p, coef, &err);                          adds d/dw  - sum_i coef[i] logp[i]
 *
 * With coef 1/n everywhere that is the mean cross entropy; with advantages it is a policy gradient.
 * Documents do not see each other: each is a sequence of its own from position 0. Weights that learn are
 * f32 and the caller's (see tape.h), others of any type; the cache is f32 and, for MLA, expanded.
 *
 * Logits turn into probabilities and then into their own gradient in place, so the head costs one
 * array of [n_targets, n_vocab]. */
#ifndef TAPE_PASS_H
#define TAPE_PASS_H
#include "src/model/model.h"
#include "src/tape/tape.h"

struct pass;

/* is_target[i]: tokens[i] is to be predicted from those before it; is_target[0] is not looked at. */
struct pass_doc {
    const int32_t *tokens;
    const uint8_t *is_target;
    int n;
};

/* max_rows: tokens of one pass, all documents together. */
enum fk_status pass_create(struct pass **out, const struct model *m, struct device *d, int max_rows,
                           struct fk_error *err);
void pass_destroy(struct pass **p);
struct tape *pass_tape(struct pass *p);
/* From now on passes give distributions alone (pass_probs), to within 1e-6 of each: no logp, entropy and is_best. */
void pass_set_plain(struct pass *p);

/* FK_ETOOBIG: more tokens than max_rows. FK_ENONFINITE: a logit is no number. */
enum fk_status pass_forward(struct pass *p, const struct pass_doc *docs, int n_docs,
                            struct fk_error *err);

/* Of the last pass_forward, in the order of documents and tokens; valid until the next. */
int pass_n_targets(const struct pass *p);
const float *pass_logp(const struct pass *p);
const float *pass_entropy(const struct pass *p); /* of the distribution each target came from, nats */
/* Targets that were also the most likely token. */
const uint8_t *pass_is_best(const struct pass *p);

/* [n_targets, n_vocab]: the distributions that targets came from, until pass_backward. */
const struct tensor *pass_probs(const struct pass *p);

/* Once after each pass_forward. coef [n_targets]; NULL: 1 everywhere. */
enum fk_status pass_backward(struct pass *p, const float *coef, struct fk_error *err);

/* The same towards distributions teacher [n_targets, n_vocab] instead of targets: adds
 * d/dw coef sum_i KL(teacher_i, prob_i). */
enum fk_status pass_backward_toward(struct pass *p, const struct tensor *teacher, float coef,
                                    struct fk_error *err);

#endif
