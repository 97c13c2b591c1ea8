/* SPDX-License-Identifier: Apache-2.0
 * grpo_impl.h - what the grpo_* files share. */
#ifndef TRAIN_GRPO_IMPL_H
#define TRAIN_GRPO_IMPL_H
#include "src/train/grpo.h"

struct group {
    struct fk_puzzle puzzle;
    int32_t *prompt; /* up to and with the tag that opens the thinking */
    int n_prompt;
    double right;    /* share of right replies */
};

struct reply_of {
    struct rollout r;
    uint8_t *is_target;  /* [n_prompt + n_reply] */
    float *ref_logp;     /* [n_reply], with kl */
    double reward, advantage;
    bool is_right, is_masked;
};

struct grpo {
    struct grpo_params p;
    struct learner *l;
    int n_threads, n_ctx;
    struct pack pack;         /* encodes prompts */
    struct group *groups;     /* [max_groups]; the first n_groups count */
    struct reply_of *replies; /* [max_groups][group] */
    int n_groups, max_groups;
    struct pass_doc *docs;    /* of one pass, and which reply each is */
    int *members;
    float *coef;              /* [max_tokens] */
    float *reference;         /* weights, [n_floats]; NULL without kl */
};

/* grpo_draw.c */
enum fk_status grpo_draw(struct grpo *g, const struct fk_mix *mix, struct ckpt_state *s,
                         struct group *out, struct fk_error *err);
void grpo_learn_rate(const struct grpo *g, struct ckpt_state *s, const struct group *group);
void grpo_swap(struct grpo *g, int a, int b);

/* grpo_grad.c: checks the probabilities and, with kl, computes those of the reference. */
enum fk_status grpo_prepare(struct grpo *g, struct fk_error *err);

#endif
