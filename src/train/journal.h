/* SPDX-License-Identifier: Apache-2.0
 * journal.h - run.jsonl, the log of a run: a line of JSON for every logged step and every evaluation,
 * appended as it happens, and the same in memory for the page and the card.
 *
 * A run that goes on from an older checkpoint repeats steps: their lines stay in the file, and whoever
 * reads it takes the last line of a step and forgets what stood behind an earlier one. A line that was
 * cut by a kill is left out. The file may be edited or gone: a run needs none of it. */
#ifndef TRAIN_JOURNAL_H
#define TRAIN_JOURNAL_H
#include <stdio.h>
#include "src/train/devset.h"

struct journal_point {
    int64_t step;
    int stage;
    bool is_grpo;
    double tokens, seconds, lr, grad_norm;
    double loss, mean_loss, accuracy, tokens_per_second; /* of next-token training */
    double reward, right, n_thinking, n_reply, entropy;  /* of reinforcement learning */
};

/* Text of the model's, made valid UTF-8; may be empty, never NULL. */
struct journal_reply {
    char *prompt, *right, *thinking, *answer; /* right: the right answer */
    bool is_right;
};

struct journal_eval {
    int64_t step;
    int stage;
    double tokens;
    struct dev_result result;
    struct journal_reply *replies;
    int n_replies;
};

struct journal {
    FILE *file;
    struct journal_point *points;
    size_t n_points, cap_points;
    struct journal_eval *evals;
    size_t n_evals, cap_evals;
    double cpu_before;      /* CPU-seconds of earlier starts, lost work included */
    double cpu_begun;       /* of this process when the journal was opened */
    bool has_cpu;           /* whether all earlier starts noted theirs */
};

/* Opens PATH: to go on behind step (what it holds of later steps is forgotten), or anew. FK_EIO. */
enum fk_status journal_open(struct journal *j, const char *path, bool resume, int64_t step,
                            struct fk_error *err);
void journal_close(struct journal *j); /* a zeroed struct is fine */

/* From text, for those who only look. Lines that are no lines of a journal are left out. FK_ENOMEM. */
enum fk_status journal_parse(struct journal *j, const char *text, size_t n, struct fk_error *err);

/* CPU-seconds of this run over all its starts. */
double journal_cpu_seconds(const struct journal *j);

/* Appends a line and remembers it. more: JSON members for the line alone (", \"x\": 1"), or "".
 * FK_EIO where the disk takes no more, FK_ENOMEM; the run may go on. */
enum fk_status journal_add_point(struct journal *j, const struct journal_point *p, const char *more,
                                 struct fk_error *err);
enum fk_status journal_add_eval(struct journal *j, int64_t step, int stage, double tokens,
                                const struct dev_result *result, const struct devset *d,
                                struct fk_error *err);

/* The last evaluation; NULL: none. */
const struct journal_eval *journal_last_eval(const struct journal *j);

#endif
