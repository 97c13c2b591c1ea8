/* SPDX-License-Identifier: Apache-2.0
 * devset.c - draws the set once, and asks all of it in portions. */
#include "src/train/devset.h"
#include <string.h>
#include "src/base/clock.h"
#include "src/base/fail.h"

#define DEV_SEED 20250120u
#define MAX_STALE 500  /* draws in a row that bring nothing new */
#define PORTION 64     /* replies between two looks at whether to stop */

struct question {
    struct fk_puzzle puzzle;
    int32_t *prompt;
    int n_prompt, rank; /* rank: which of its family */
    int sample;         /* index in samples; -1: not shown */
};

struct devset {
    struct learner *l;
    int n_threads, n_ctx, max_new;
    struct pack pack;
    struct question *all;       /* [n], by family */
    int n;
    struct dev_sample *samples; /* [n_samples] */
    int n_samples;
};

/* Puzzles without an instance of their own (outside) have the hash of their text. */
static bool is_known(const struct devset *d, int first, uint64_t hash)
{
    for (int i = first; i < d->n; i++)
        if (d->all[i].puzzle.hash == hash) return true;
    return false;
}

static enum fk_status add_question(struct devset *d, int rank, struct fk_error *err)
{
    struct question *q = &d->all[d->n];
    TRY(pack_encode_prompt(&d->pack, err));
    int n = (int)d->pack.doc.n;
    if (n + 8 > d->n_ctx) return FK_OK; /* no room for a reply */
    q->prompt = mem_array((size_t)n, sizeof *q->prompt, MEM_TRAIN);
    if (!q->prompt) return fail_nomem(err, (uint64_t)n * sizeof *q->prompt, "a prompt");
    memcpy(q->prompt, d->pack.doc.ids, (size_t)n * sizeof *q->prompt);
    q->n_prompt = n;
    q->rank = rank;
    q->sample = -1;
    q->puzzle = d->pack.puzzle;
    d->pack.puzzle = (struct fk_puzzle){0};
    d->n++;
    return FK_OK;
}

static enum fk_status draw_family(struct devset *d, const uint32_t lang[FK_N_LANGS], int family,
                                  int n_max, struct fk_error *err)
{
    struct fk_mix mix;
    int first = d->n, stale = 0;
    fk_mix_defaults(&mix);
    memset(mix.family, 0, sizeof mix.family);
    mix.family[family] = 1;
    for (int i = 0; i < FK_N_LANGS; i++) mix.lang[i] = lang[i] != 0;
    mix.split = FK_SPLIT_DEV;
    mix.seed = DEV_SEED;
    for (uint64_t i = 0; d->n - first < n_max && stale < MAX_STALE; i++) {
        int before = d->n;
        TRY(fk_puzzle_make(d->pack.book, &mix, i, &d->pack.puzzle, err));
        if (!is_known(d, first, d->pack.puzzle.hash)) TRY(add_question(d, d->n - first, err));
        stale = d->n > before ? 0 : stale + 1;
    }
    return FK_OK;
}

static enum fk_status draw(struct devset *d, const struct recipe *r, int n_max, struct fk_error *err)
{
    uint32_t family[FK_MAX_FAMILIES] = {0}, lang[FK_N_LANGS] = {0};
    size_t n_families = 0;
    for (size_t s = 0; s < r->n_stages; s++) {
        for (int i = 0; i < FK_MAX_FAMILIES; i++) family[i] |= r->stages[s].mix.family[i];
        for (int i = 0; i < FK_N_LANGS; i++) lang[i] |= r->stages[s].mix.lang[i];
    }
    for (int i = 0; i < fk_n_families(); i++) n_families += family[i] != 0;
    d->all = mem_calloc(n_families * (size_t)n_max, sizeof *d->all, MEM_TRAIN);
    if (!d->all) return fail_nomem(err, n_families * (size_t)n_max * sizeof *d->all, "a dev set");
    for (int i = 0; i < fk_n_families(); i++)
        if (family[i]) TRY(draw_family(d, lang, i, n_max, err));
    return FK_OK;
}

static enum fk_status choose_samples(struct devset *d, int n_max, struct fk_error *err)
{
    d->samples = mem_calloc((size_t)n_max + 1, sizeof *d->samples, MEM_TRAIN);
    if (!d->samples) return fail_nomem(err, (size_t)n_max * sizeof *d->samples, "samples");
    for (int rank = 0; rank < n_max && d->n_samples < n_max; rank++)
        for (int i = 0; i < d->n && d->n_samples < n_max; i++) {
            struct question *q = &d->all[i];
            if (q->rank != rank) continue;
            q->sample = d->n_samples;
            struct dev_sample *s = &d->samples[d->n_samples++];
            s->puzzle = &q->puzzle;
            buf_init(&s->thinking, 0, MEM_TRAIN);
            buf_init(&s->answer, 0, MEM_TRAIN);
        }
    return FK_OK;
}

enum fk_status devset_create(struct devset **out, const struct recipe *r, int n_max, struct learner *l,
                             const fk_book *book, int n_threads, struct fk_error *err)
{
    *out = NULL;
    struct devset *d = mem_zalloc(sizeof *d, MEM_TRAIN);
    if (!d) return fail_nomem(err, sizeof *d, "a dev set");
    d->l = l;
    d->n_threads = n_threads;
    d->n_ctx = l->model->config.n_ctx_train;
    d->max_new = (int)r->eval_max_new;
    enum fk_status st = pack_init(&d->pack, l->model->tokenizer, book, 256, d->n_ctx, err);
    if (!st) st = draw(d, r, n_max, err);
    if (!st) st = choose_samples(d, (int)r->n_samples, err);
    if (st) devset_destroy(&d);
    *out = d;
    return st;
}

void devset_destroy(struct devset **out)
{
    struct devset *d = *out;
    if (!d) return;
    for (int i = 0; i < d->n; i++) {
        fk_puzzle_free(&d->all[i].puzzle);
        mem_free(d->all[i].prompt);
    }
    for (int i = 0; i < d->n_samples; i++) {
        buf_fini(&d->samples[i].thinking);
        buf_fini(&d->samples[i].answer);
    }
    mem_free(d->all);
    mem_free(d->samples);
    pack_fini(&d->pack);
    mem_free(d);
    *out = NULL;
}

static enum fk_status keep_sample(struct dev_sample *s, const struct rollout *r, bool is_right,
                                  struct fk_error *err)
{
    buf_clear(&s->thinking);
    buf_clear(&s->answer);
    s->is_right = is_right;
    s->has_reply = true;
    bool ok = buf_append(&s->thinking, r->thinking.n ? r->thinking.data : "", r->thinking.n) &&
              buf_append(&s->answer, r->answer.n ? r->answer.data : "", r->answer.n);
    if (ok) return FK_OK;
    return fail_nomem(err, r->thinking.n + r->answer.n, "a sample");
}

static enum fk_status count(struct devset *d, const struct question *q, const struct rollout *r,
                            struct dev_result *out, struct fk_error *err)
{
    struct dev_family *f = &out->family[q->puzzle.family];
    bool is_right = r->ended && r->closed &&
                    fk_puzzle_grade(&q->puzzle, r->answer.n ? r->answer.data : "", r->answer.n) ==
                        FK_VERDICT_RIGHT;
    f->n++;
    f->n_right += is_right;
    f->n_ended += r->ended;
    f->n_thinking += r->n_thinking;
    f->n_reply += r->n_reply;
    return q->sample < 0 ? FK_OK : keep_sample(&d->samples[q->sample], r, is_right, err);
}

/* The next questions of rank below n_per_family, from *next on; returns how many. */
static int take_portion(const struct devset *d, int n_per_family, int *next, int chosen[PORTION],
                        struct rollout r[PORTION])
{
    int n = 0;
    for (; *next < d->n && n < PORTION; ++*next) {
        const struct question *q = &d->all[*next];
        if (q->rank >= n_per_family) continue;
        chosen[n] = *next;
        r[n++] = (struct rollout){.prompt = q->prompt, .n_prompt = q->n_prompt};
    }
    return n;
}

static void conclude(struct dev_result *out)
{
    int n = 0, n_families = 0;
    for (int i = 0; i < FK_MAX_FAMILIES; i++) {
        const struct dev_family *f = &out->family[i];
        if (!f->n) continue;
        out->accuracy += (double)f->n_right / f->n;
        out->n_thinking += f->n_thinking;
        n += f->n;
        n_families++;
    }
    if (!n) return;
    out->accuracy /= n_families;
    out->n_thinking /= n;
}

enum fk_status devset_run(struct devset *d, int n_per_family, devset_stop_fn stop, void *arg,
                          struct dev_result *out, struct fk_error *err)
{
    struct rollout_params p = {.n_threads = d->n_threads, .n_ctx = d->n_ctx, .max_new = d->max_new,
                               .n_parallel = PORTION, .temperature = 0};
    double begun = clock_seconds();
    enum fk_status st = FK_OK;
    int chosen[PORTION], n_done = 0, n_all = 0;
    *out = (struct dev_result){0};
    for (int i = 0; i < d->n; i++) n_all += d->all[i].rank < n_per_family;
    for (int next = 0; n_done < n_all && !st;) {
        struct rollout r[PORTION];
        int n = take_portion(d, n_per_family, &next, chosen, r);
        st = rollout_run(d->l->model, &p, r, n, err);
        for (int i = 0; i < n; i++) {
            if (!st) st = count(d, &d->all[chosen[i]], &r[i], out, err);
            rollout_fini(&r[i]);
        }
        n_done += n;
        if (!st && stop && stop(arg, n_done, n_all)) st = fail(err, FK_ECANCELLED, "stopped");
    }
    conclude(out);
    out->seconds = clock_seconds() - begun;
    return st;
}

int devset_n_samples(const struct devset *d)
{
    return d->n_samples;
}

const struct dev_sample *devset_sample(const struct devset *d, int i)
{
    return &d->samples[i];
}
