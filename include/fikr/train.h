/* SPDX-License-Identifier: Apache-2.0
 * train.h - training from a recipe: from random numbers to a model that thinks (libfikr-train). */
#ifndef FIKR_TRAIN_H
#define FIKR_TRAIN_H
#include <stddef.h>
#include <stdint.h>
#include "fikr/status.h"
#ifdef __cplusplus
extern "C" {
#endif

enum fk_train_event_kind {
    FK_TRAIN_SETTINGS, /* text: every value of the recipe, one a line */
    FK_TRAIN_NOTE,     /* text: one sentence */
    FK_TRAIN_STEP,     /* the numbers below, after every step */
    FK_TRAIN_PAGE,     /* text: path of the page, which was just written */
    FK_TRAIN_END,      /* the same, once, when the model stands; text: its name in out_dir */
    FK_TRAIN_EVAL      /* the same and n_done of n_all: between the replies of an evaluation */
};

struct fk_train_event {
    enum fk_train_event_kind kind;
    const char *text;            /* this and all texts: valid during the call */
    const char *stage;
    int64_t step, n_steps;       /* updates of all stages: made, in all */
    int64_t n_tokens;            /* since the beginning */
    double loss;                 /* running mean of the last steps, nats a target */
    double lr, grad_norm;
    double tokens_per_second;    /* since this start */
    double seconds_left;         /* at that pace; 0: unknown */
    double reward;               /* reinforcement learning: mean of the last step; else -1 */
    double accuracy;             /* of the last evaluation, mean over families; -1: none yet */
    double n_thinking;           /* mean tokens of a reply's thinking, of the last step of reinforcement
                                  * learning, else of the last evaluation; -1: none yet */
    double cpu_seconds;          /* of all threads and starts */
    double kwh, money;           /* estimates: cpu_seconds at the watts and the price assumed */
    const char *currency;
    int n_done, n_all;           /* replies of the evaluation that is going on */
};

/* Return nonzero to stop: a checkpoint is written and fk_train ends with FK_ECANCELLED. */
typedef int (*fk_train_event_fn)(void *arg, const struct fk_train_event *e);

struct fk_train_params {
    const char *recipe;    /* path of a JSON file; doc/train.md */
    const char *out_dir;   /* made if absent: fresh.gguf, ckpt-*.fikr, run.jsonl,
                            * run.html, model.gguf, card.md */
    const char *data_dir;  /* lists for the family "outside" (fikr/grade.h); NULL: built in. With
                            * "lora": word problems, and needed */
    const char *base;      /* of a recipe with "lora": the model that is adapted, a GGUF file of any type
                            * or a safetensors folder (converted to out_dir/base.gguf); else NULL */
    const char *init;      /* F32 GGUF or checkpoint of the same shape to begin from; NULL: random */
    int resume;            /* go on from the newest valid checkpoint in out_dir */
    int n_threads;         /* 0: all usable cores */
    double watts, price;   /* what estimates assume, of a busy core and of a CPU-hour; negative: as the
                            * recipe says */
    int64_t max_steps;     /* stop (with a checkpoint) after so many of this start; 0: never */
    fk_train_event_fn event;
    void *event_arg;
    void *reserved[7];
};
void fk_train_default_params(struct fk_train_params *p);

/* Runs the recipe to its end and exports out_dir/model.gguf (F16; adapters: adapter.gguf, F32) with a
 * card of what it is, how good and at what cost. Without resume, a folder that holds
 * checkpoints is refused with FK_ESTATE. A checkpoint that cannot be written is a note, not an end. */
enum fk_status fk_train(const struct fk_train_params *p, struct fk_error *err);

/* A checkpoint's weights as an F16 GGUF file (norms, routers and biases F32). Reads fresh.gguf beside
 * the checkpoint for the vocabulary and the shape. */
enum fk_status fk_train_export(const char *checkpoint, const char *out_path, struct fk_error *err);

struct fk_distill_report {
    int n_widths, bits[3];            /* that were learned for; 0 bits: what each weight is planned for */
    double kl_before[3], kl_after[3]; /* nats a token from the source, over n_tokens that were not learned from */
    int n_tokens;
    int64_t n_steps, n_learned; /* updates; tokens that they saw */
    int is_kept;                /* 0: it was no better (of several widths, in the mean of the logarithms) */
    int64_t n_resumed;          /* updates of n_steps that an earlier run had made */
    int is_unsaved;             /* PLANES.distill could not be written */
};

struct fk_distill_params {
    double minutes;    /* of learning; measuring and writing come on top */
    int64_t max_steps; /* end after so many updates, whatever the minutes; 0: no limit */
    const char *text;  /* to learn from; NULL: the calibration text that the library brings */
    size_t n_bytes;
    int n_threads;     /* 0: all usable cores */
    fk_progress_fn progress;
    void *progress_arg;
    struct fk_distill_report *report; /* NULL, or where to write it */
    double save_seconds; /* from one save of the state to the next; 0: 300 */
    void *reserved[4];
};
void fk_distill_default_params(struct fk_distill_params *p);

/* Teaches a file of planes (fk_quantize) to say what the model says that it was made from: codes, scales
 * and norms change, widths and bytes do not. Every weight learns for the width that it is planned for; a file
 * without a plan for 3, 4 and 8 bits in turn. planes is written anew, whole or not at all, and only where that helped,
 * also when progress cancels it after some steps (FK_ECANCELLED). While it learns, PLANES.distill keeps the state, 12
 * bytes a weight: where the process dies, the same call on the same files goes on from it. A run that ends removes it.
 * FK_EINVAL where that name is taken by another file. Memory: 25 bytes a weight. */
enum fk_status fk_distill(const char *source, const char *planes, const struct fk_distill_params *params,
                          struct fk_error *err);
/* What fk_distill would refuse for the name of planes alone; before a long fk_quantize. */
enum fk_status fk_distill_ready(const char *planes, struct fk_error *err);
/* The first eight bytes of a checkpoint. */
#define FK_TRAIN_MAGIC "FKTRAIN\n"

#ifdef __cplusplus
}
#endif
#endif
