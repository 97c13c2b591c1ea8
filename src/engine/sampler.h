/* SPDX-License-Identifier: Apache-2.0
 * sampler.h - from logits to a token. Pure but for its scratch: the choice depends on the logits,
 * the settings, the tokens so far and the position, and on nothing else. */
#ifndef ENGINE_SAMPLER_H
#define ENGINE_SAMPLER_H
#include "fikr/session.h"

#define SAMPLER_MAX_BIAS 1024

/* Scratch for one choice at a time; sessions of an engine share it. */
struct sampler {
    int n_vocab;
    float *x;          /* [n_vocab] logits with bias and penalties */
    float *block_max;  /* of every 64 logits, and room to reorder them */
    int32_t *ids;      /* [n_vocab] candidates, ascending */
    float *p;          /* [n_vocab] exp((x - max) / temperature) of each candidate */
    int32_t *counts;   /* [n_vocab] of the penalty window; zero between calls */
};

/* s must be zeroed. */
enum fk_status sampler_init(struct sampler *s, int n_vocab, struct fk_error *err);
void sampler_fini(struct sampler *s);

/* FK_EINVAL naming the field that is out of range. */
enum fk_status sampling_check(const struct fk_sampling *p, int n_vocab, struct fk_error *err);

/* Settings apply in this order: bias, penalties, temperature, top-k, top-p, min-p. position: where
 * the token will stand; with the seed it fixes the random number. */
int32_t sampler_pick(struct sampler *s, const struct fk_sampling *p, const float *logits,
                     const int32_t *tokens, int n_tokens, int position);

#endif
