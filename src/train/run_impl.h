/* SPDX-License-Identifier: Apache-2.0
 * run_impl.h - a run in progress: what the run*.c files share. */
#ifndef TRAIN_RUN_IMPL_H
#define TRAIN_RUN_IMPL_H
#include "fikr/train.h"
#include "src/train/ckpt.h"
#include "src/train/devset.h"
#include "src/train/grpo.h"
#include "src/train/journal.h"
#include "src/train/learner.h"
#include "src/train/muon.h"
#include "src/train/page.h"

#define RUN_MAX_PATH 4096

struct run {
    const struct fk_train_params *p;
    struct recipe recipe;
    struct learner learner;
    struct pack pack;
    fk_book *book;
    /* Adapters alone: the base's file, its words, and the word problems. */
    char base[RUN_MAX_PATH];
    struct chat_form form;
    struct sets *sets;
    struct pack_words words;
    struct journal journal;       /* run.jsonl */
    struct devset *dev;           /* NULL: nothing is evaluated */
    struct ckpt_state s;
    char machine[64];
    struct buf settings;          /* recipe_print's text */
    double page_written;          /* clock_seconds() of the last */
    bool is_over, page_failed;
    double begun, begun_seconds;  /* of this start */
    double eval_seconds;          /* of this start, in begun's clock: no time of training */
    int64_t n_tokens_before, n_steps_here;
    double lr, grad_norm;
    struct muon *muon;            /* NULL: AdamW for everything */
    struct learner_sums sums;     /* of the last batch */
    struct grpo *grpo;            /* of a stage that has one */
    struct grpo_stats grpo_stats;
    bool stop, journal_failed;
    struct fk_error *err;
};

/* What the run makes, in its folder. */
static inline const char *run_product(const struct run *r)
{
    return r->recipe.lora.is_on ? "adapter.gguf" : "model.gguf";
}

/* DIR/name. False: too long. */
bool run_path(const struct run *r, const char *name, char out[RUN_MAX_PATH]);

/* run_base.c: opens base, learner, words and pack of a recipe with adapters. */
enum fk_status run_open_adapter(struct run *r, int64_t max_tokens);

/* run_watch.c */
void run_tell(struct run *r, enum fk_train_event_kind kind, const char *text);
void run_note(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* After every step: the caller's event, and a line of the log where one is due. */
void run_tell_step(struct run *r, const struct recipe_stage *stage);

/* When the model stands. */
void run_tell_end(struct run *r);

/* Puzzles of a family that the dev set must hold. */
int run_n_dev(const struct recipe *r);
bool run_is_eval_due(const struct run *r, const struct recipe_stage *stage);
/* Evaluates the first n puzzles of each family, unless that was done at this step, and logs it. A stop
 * that is asked for meanwhile leaves it out and sets r->stop. */
enum fk_status run_evaluate(struct run *r, int n);

/* What page and card tell; borrows from r. */
void run_fill_facts(const struct run *r, struct run_facts *f);
/* Rewrites run.html: at once, or if the last one is some seconds old. A failure is a note. */
void run_write_page(struct run *r, bool at_once);

/* card.md, of a run that is over. */
enum fk_status run_write_card(struct run *r);

#endif
