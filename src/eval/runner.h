/* SPDX-License-Identifier: Apache-2.0
 * runner.h - asks a model every question of a suite, many at a time, and counts. */
#ifndef EVAL_RUNNER_H
#define EVAL_RUNNER_H
#include "fikr/session.h"
#include "src/eval/suite.h"

struct eval_counts {
    uint64_t n, n_right, n_refused;
    uint64_t n_thinking, n_answer; /* tokens */
    uint64_t n_unthinking;         /* replies whose thinking is blank */
    uint64_t n_style[FK_N_STYLES]; /* replies in a style; zeros where the suite knows none */
    uint64_t n_cut;                /* ended by a limit or the loop guard */
    double pass_at_k;              /* sum over questions; with one sample the same as n_right */
    uint64_t n_questions;
};

struct eval_reply {
    size_t item;
    int sample;
    enum fk_verdict verdict;
    enum fk_finish finish;
    const char *thinking, *answer; /* valid during the call */
    size_t n_thinking, n_answer;   /* bytes */
};

struct eval_run {
    const struct eval_suite *suite;
    const fk_model *model;
    fk_engine *engine;
    struct fk_session_params params; /* sampling.seed: of the first sample of the first question */
    int n_batch;                     /* sessions at once, 1 to 64 */
    int n_samples;                   /* replies to each question */
    /* Called for each reply, in the order in which they end; may be NULL. */
    enum fk_status (*on_reply)(void *arg, const struct eval_reply *r, struct fk_error *err);
    void *arg;
    fk_progress_fn progress; /* may be NULL; nonzero cancels */
    void *progress_arg;
};

/* counts[suite->n_groups] are filled. A question that does not fit the context counts as wrong. */
enum fk_status eval_run(const struct eval_run *run, struct eval_counts *counts,
                        struct fk_error *err);

#endif
