/* SPDX-License-Identifier: Apache-2.0
 * page.h - a run as one page of HTML: curves, families, the same prompts with what the model replied at
 * every evaluation, the settings. Needs no network and, but for reading values off the curves, no script.
 *
 * What the model wrote is hostile: it reaches the page as escaped text only, and the page's policy
 * runs no script but its own, by its hash. */
#ifndef TRAIN_PAGE_H
#define TRAIN_PAGE_H
#include "src/train/journal.h"

/* What a run has cost. All of it but the CPU time is an estimate. */
struct run_cost {
    double cpu_seconds;      /* of all threads and starts */
    double watts, price;     /* of a busy core; of a CPU-hour */
    const char *currency;
    bool is_partly_wall;     /* an earlier start noted no CPU time: its wall time counts */
};

static inline double run_cost_hours(const struct run_cost *c)
{
    return c->cpu_seconds / 3600;
}

static inline double run_cost_kwh(const struct run_cost *c)
{
    return c->cpu_seconds / 3600 * c->watts / 1000;
}

static inline double run_cost_money(const struct run_cost *c)
{
    return c->cpu_seconds / 3600 * c->price;
}

/* Everything is borrowed. */
struct run_facts {
    const struct recipe *recipe;
    const struct journal *journal;
    const char *machine, *settings; /* settings: recipe_print's text */
    const char *data_dir, *init;    /* as given; NULL: none */
    const char *base;               /* what adapters are over */
    size_t n_weights;
    uint64_t n_active;
    int64_t step, n_steps;
    uint64_t n_tokens, n_targets;
    size_t stage;                   /* index; n_stages when all are done */
    double loss, tokens_per_second; /* 0: unknown */
    double seconds, seconds_left;   /* seconds_left 0: unknown */
    struct run_cost cost;
    bool is_over;                   /* model.gguf stands */
};

/* Appends the whole document. False: out of memory. */
bool page_write(const struct run_facts *f, struct buf *out);
/* Appends bytes as text of an element or an attribute. */
bool page_text(const char *s, size_t n, struct buf *out);

#endif
