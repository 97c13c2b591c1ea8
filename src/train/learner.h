/* SPDX-License-Identifier: Apache-2.0
 * learner.h - a model that can be trained: its weights as arenas, the forward of model/ that reads
 * them, the tape that gives their gradients, and the loss in between. Knows no files and no schedule. */
#ifndef TRAIN_LEARNER_H
#define TRAIN_LEARNER_H
#include "src/train/pack.h"
#include "src/train/params.h"
#include "src/train/recipe.h"

struct learner {
    struct model *model;         /* owned; its weights are views of params.w */
    struct train_params params;
    struct device *device;
    struct pass *pass;
    float *coef;                 /* [max_tokens] */
    int64_t max_tokens;
    int n_ctx;                   /* tokens of a conversation */
    bool is_adapter;             /* params are those of the model's adapters; the model is frozen */
    const struct pack_words *words; /* borrowed; NULL: it learns puzzles */
    int64_t *load;               /* [n_layers][n_experts]: tokens by expert since learner_balance */
};

/* Of one batch. */
struct learner_sums {
    double loss;      /* mean cross entropy of the targets, nats */
    double accuracy;  /* share of the targets that were the most likely token */
    int n_targets;
};

/* From an F32 GGUF file; max_tokens of a batch. */
enum fk_status learner_open(struct learner *l, const char *path, int n_threads, int64_t max_tokens,
                            struct fk_error *err);
/* Adapters (an F32 adapter file) over a base of any type that the engine reads. */
enum fk_status learner_open_adapter(struct learner *l, const char *base, const char *adapter,
                                    int n_threads, int64_t max_tokens, struct fk_error *err);
void learner_close(struct learner *l); /* a zeroed struct is fine */

/* The loss of a batch, and its gradient (with that of the balance loss) added to params.grad.
 * FK_ENONFINITE where the loss is no number. */
enum fk_status learner_gradient(struct learner *l, const struct pack *batch, double balance,
                                struct learner_sums *out, struct fk_error *err);

/* Adds the last pass of l->pass to the load; learner_gradient does so itself. */
void learner_count_load(struct learner *l);
/* Moves the routing biases by the load since the last call, and forgets it. */
void learner_balance(struct learner *l, double rate);

#endif
