/* SPDX-License-Identifier: Apache-2.0
 * ckpt.h - the state of a training run in one file, from which it goes on to the same bits.
 *
 * What is random in training is a pure function of seeds and counters (base/rng.h), so the counters
 * are the random state. The routing bias stands among the weights. */
#ifndef TRAIN_CKPT_H
#define TRAIN_CKPT_H
#include "fikr/train.h"
#include "fikr/grade.h"
#include "src/train/params.h"

/* Whole numbers and doubles only: the file holds them in this order. */
struct ckpt_state {
    uint64_t step;         /* updates made, of all stages */
    uint64_t stage, stage_step;
    uint64_t cursor;       /* the stage's next conversation */
    uint64_t n_tokens, n_targets;
    double seconds;        /* of training, over all starts */
    double loss_mean;      /* running, for the log */
    /* Curriculum of GRPO, by family. */
    double rate[FK_MAX_FAMILIES];    /* running share of right answers */
    uint64_t level[FK_MAX_FAMILIES]; /* highest level in use, 1 to 5; 0: not begun */
    char recipe_sha256[64];
    char machine[64];      /* ISA, threads and BLAS kernel that computed it; NUL-terminated */
};

/* Writes DIR/ckpt-STEP.fikr (temporary file, fsync, rename) and removes all but the newest `keep`. */
enum fk_status ckpt_save(const char *dir, const struct train_params *p, const struct ckpt_state *s,
                         int keep, struct fk_error *err);

/* How many checkpoints a folder holds, valid or not. */
size_t ckpt_count(const char *dir);

/* Whether the file begins as one does. */
bool ckpt_is_one(const char *path);

/* Reads the file into p's arenas (of the same shape) after checking all of it. */
enum fk_status ckpt_load(const char *path, struct train_params *p, struct ckpt_state *s,
                         struct fk_error *err);

/* The newest valid one of a folder. Damaged ones are skipped: *n_skipped counts them and skipped (512
 * bytes) says why of the last. FK_ENOTFOUND where there is none. */
enum fk_status ckpt_load_newest(const char *dir, struct train_params *p, struct ckpt_state *s,
                                int *n_skipped, char *skipped, struct fk_error *err);

#endif
