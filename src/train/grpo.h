/* SPDX-License-Identifier: Apache-2.0
 * grpo.h - group relative policy optimisation with verifiable rewards (Shao et al. 2024; DeepSeek-R1,
 * section 2.2.1), and its variants by their own names.
 *
 * For every prompt a group of G replies is sampled; reward r_i; advantage and weight of a token:
 *   grpo      A_i = (r_i - mean) / (std + 1e-4)     tokens count 1 / (n_groups G length_i)
 *   dr_grpo   A_i = r_i - mean                      tokens count 1 / (n_groups G max_new)
 *   dapo      as grpo                               tokens count 1 / all tokens of the step
 * objective   sum over tokens of weight * min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A)
 *             - kl * weight * (ref/new - 1 - log(ref/new))              (k3; Schulman 2020)
 *
 * Rejection sampling shares the sampling: of a group one right reply is kept and trained on as a
 * conversation, objective sum over its tokens of log p / all kept tokens of the update; a prompt without a
 * right reply counts for nothing. That is supervised training on what the model itself got right.
 *
 * rho is the probability of the token now over that when it was sampled: exactly 1 in the first update
 * after a sampling, which is checked. */
#ifndef TRAIN_GRPO_H
#define TRAIN_GRPO_H
#include "src/train/ckpt.h"
#include "src/train/grpo_params.h"
#include "src/train/learner.h"
#include "src/train/rollout.h"

struct grpo_stats {
    double reward, right, ended;        /* means over all replies sampled */
    double style[FK_N_STYLES];          /* shares of the styles that the thinking shows */
    double n_thinking, n_reply;         /* mean tokens */
    double entropy, kl, clipped;        /* over the tokens of the last update */
    double dropped;                     /* share of groups without variance */
    int n_groups, n_replies, n_tokens;  /* that count */
};

struct grpo;
enum fk_status grpo_create(struct grpo **out, const struct grpo_params *p, struct learner *l,
                           const fk_book *book, int n_threads, struct fk_error *err);
void grpo_destroy(struct grpo **g);

/* The reference of the KL term: weights, copied. */
enum fk_status grpo_set_reference(struct grpo *g, const float *w, struct fk_error *err);

/* Draws prompts of mix (its families; cursor and curriculum are those of s), samples and grades. Groups whose rewards are all
 * alike are replaced, by at most as many again. FK_ESTATE if a probability that the engine reported
 * is not that of the training pass. */
enum fk_status grpo_sample(struct grpo *g, const struct fk_mix *mix, uint64_t seed,
                           struct ckpt_state *s, struct grpo_stats *out, struct fk_error *err);
/* Adds the gradient of update i of n_updates (a share of the groups) to the learner's. */
enum fk_status grpo_gradient(struct grpo *g, int64_t i_update, double balance,
                             struct grpo_stats *out, struct fk_error *err);

#endif
