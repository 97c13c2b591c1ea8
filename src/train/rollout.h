/* SPDX-License-Identifier: Apache-2.0
 * rollout.h - replies of the model that is being trained, sampled by our own engine in this process.
 *
 * The engine reads the learner's weights as they are (f32), keeps its cache in f32 and MLA expanded,
 * in pages of pass.c's size: then the log-probabilities that it reports are, bit for bit, those of
 * the training pass over the same tokens. */
#ifndef TRAIN_ROLLOUT_H
#define TRAIN_ROLLOUT_H
#include "src/base/buf.h"
#include "src/model/model.h"

struct rollout_params {
    int n_threads;      /* 0: all usable cores */
    int n_ctx, max_new; /* tokens of a conversation; of a reply, thinking included */
    int n_parallel;     /* replies that are sampled side by side */
    float temperature;
    bool in_answer;     /* prompts end outside of the thinking */
};

struct rollout {
    /* set by the caller */
    const int32_t *prompt;
    int n_prompt;
    uint64_t seed;
    /* filled in */
    int32_t *tokens; /* [n_prompt + n_reply] */
    float *logp;     /* [n_reply], at temperature 1 */
    int n_reply, n_thinking;
    bool ended;      /* with an end token; else it hit a limit */
    bool closed;     /* the thinking was closed */
    struct buf thinking, answer; /* the text of both; the answer is what follows the thinking */
};

/* Fills r[n], which were zeroed but for the caller's part. The same arguments give the same tokens,
 * whatever n_parallel and n_threads. */
enum fk_status rollout_run(const struct model *m, const struct rollout_params *p, struct rollout *r,
                           int n, struct fk_error *err);
void rollout_fini(struct rollout *r); /* leaves the caller's part */

#endif
