/* SPDX-License-Identifier: Apache-2.0
 * devset.h - how good the model is by now: greedy replies of our own engine, in this process, to a fixed
 * set of puzzles.
 *
 * A family's puzzles are the first distinct ones that a constant seed draws from FK_SPLIT_DEV, all
 * levels alike, in the languages that the recipe trains. They do not depend on the recipe's seed, its
 * weights or its other families, so curves of different runs may be laid over each other, and a stage
 * that is added later changes nothing. An evaluation reads the weights and changes nothing either. */
#ifndef TRAIN_DEVSET_H
#define TRAIN_DEVSET_H
#include "src/train/learner.h"
#include "src/train/rollout.h"

struct dev_family {
    int n, n_right, n_ended;
    double n_thinking, n_reply; /* tokens in all */
};

struct dev_result {
    struct dev_family family[FK_MAX_FAMILIES]; /* n 0: not in the set */
    double accuracy;   /* mean over families */
    double n_thinking; /* mean tokens of a reply's thinking */
    double seconds;
};

/* A prompt whose replies are shown. */
struct dev_sample {
    const struct fk_puzzle *puzzle;     /* borrowed from the set */
    struct buf thinking, answer;        /* of the last evaluation; the model's bytes, not checked */
    bool is_right, has_reply;
};

struct devset;

/* n_max puzzles of each family that a stage of r trains (fewer where the split has no more). book may
 * be NULL; it and l must outlive the set. */
enum fk_status devset_create(struct devset **out, const struct recipe *r, int n_max, struct learner *l,
                             const fk_book *book, int n_threads, struct fk_error *err);
void devset_destroy(struct devset **d);

/* Asked between portions; nonzero ends the evaluation with FK_ECANCELLED. */
typedef int (*devset_stop_fn)(void *arg, int n_done, int n);

/* Evaluates the first n_per_family puzzles of each family. */
enum fk_status devset_run(struct devset *d, int n_per_family, devset_stop_fn stop, void *arg,
                          struct dev_result *out, struct fk_error *err);

/* The first puzzles of the families in turn. */
int devset_n_samples(const struct devset *d);
const struct dev_sample *devset_sample(const struct devset *d, int i);

#endif
