/* SPDX-License-Identifier: Apache-2.0
 * run_watch.c - what a run says of itself: events, the log, evaluations. Nothing here changes a weight. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/file/out_file.h"
#include "src/train/card.h"
#include "src/train/run_impl.h"

bool run_path(const struct run *r, const char *name, char out[RUN_MAX_PATH])
{
    int n = snprintf(out, RUN_MAX_PATH, "%s/%s", r->p->out_dir, name);
    return n > 0 && n < RUN_MAX_PATH;
}

void run_tell(struct run *r, enum fk_train_event_kind kind, const char *text)
{
    struct fk_train_event e = {.kind = kind, .text = text};
    if (r->p->event && r->p->event(r->p->event_arg, &e)) r->stop = true;
}

void run_note(struct run *r, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    run_tell(r, FK_TRAIN_NOTE, text);
}

/* Seconds of this start that went into steps. */
static double step_seconds(const struct run *r)
{
    return clock_seconds() - r->begun - r->eval_seconds;
}

static double pace(const struct run *r)
{
    double seconds = step_seconds(r);
    return seconds > 0 ? (double)((int64_t)r->s.n_tokens - r->n_tokens_before) / seconds : 0;
}

/* A log that cannot be written is said once and ends nothing. */
static void check_journal(struct run *r, enum fk_status st, const struct fk_error *err)
{
    if (st && !r->journal_failed) run_note(r, "%s", err->message);
    r->journal_failed = st != FK_OK;
}

static struct journal_point point_of(const struct run *r)
{
    const struct grpo_stats *g = &r->grpo_stats;
    return (struct journal_point){
        .step = (int64_t)r->s.step, .stage = (int)r->s.stage, .is_grpo = r->grpo != NULL,
        .tokens = (double)r->s.n_tokens, .seconds = r->s.seconds, .lr = r->lr,
        .grad_norm = r->grad_norm, .loss = r->sums.loss, .mean_loss = r->s.loss_mean,
        .accuracy = r->sums.accuracy, .tokens_per_second = pace(r), .reward = g->reward,
        .right = g->right, .n_thinking = g->n_thinking, .n_reply = g->n_reply, .entropy = g->entropy};
}

/* The members that only the log has: of reinforcement learning, its curriculum too. */
static void put_more(const struct run *r, const struct recipe_stage *stage, struct buf *b)
{
    const struct grpo_stats *g = &r->grpo_stats;
    if (!r->grpo) {
        buf_printf(b, ",\"targets\":%" PRIu64, r->s.n_targets);
        return;
    }
    buf_printf(b, ",\"ended\":%.4f,\"styles\":[%.4f,%.4f,%.4f],\"kl\":%.5f,\"clipped\":%.4f,\"dropped\":%.3f,\"groups\":%d,"
               "\"families\":{", g->ended, g->style[FK_STYLE_DIRECT],
               g->style[FK_STYLE_STEPWISE], g->style[FK_STYLE_SEARCH], g->kl, g->clipped, g->dropped, g->n_groups);
    const char *comma = "";
    for (int f = 0; f < fk_n_families(); f++) {
        if (!stage->mix.family[f] || !r->s.level[f]) continue;
        buf_printf(b, "%s\"%s\":[%.3f,%" PRIu64 "]", comma, fk_family_name(f), r->s.rate[f],
                   r->s.level[f]);
        comma = ",";
    }
    buf_putc(b, '}');
}

static void log_step(struct run *r, const struct recipe_stage *stage)
{
    struct fk_error err = {0};
    struct journal_point p = point_of(r);
    struct buf more;
    buf_init(&more, 0, MEM_TRAIN);
    put_more(r, stage, &more);
    enum fk_status st = more.failed ? fail_nomem(&err, more.n, "the log")
                                    : journal_add_point(&r->journal, &p, more.data, &err);
    buf_fini(&more);
    check_journal(r, st, &err);
}

/* Evaluations to come are taken to cost what those of this start did. 0: unknown. */
static double seconds_left(const struct run *r)
{
    if (!r->n_steps_here) return 0;
    return (clock_seconds() - r->begun) / (double)r->n_steps_here *
           (double)(recipe_n_steps(&r->recipe) - (int64_t)r->s.step);
}

static struct run_cost cost_of(const struct run *r)
{
    return (struct run_cost){journal_cpu_seconds(&r->journal), r->recipe.watts, r->recipe.price,
                             r->recipe.currency, !r->journal.has_cpu};
}

static void fill_event(const struct run *r, struct fk_train_event *e)
{
    const struct journal_eval *last = journal_last_eval(&r->journal);
    e->step = (int64_t)r->s.step;
    e->n_steps = recipe_n_steps(&r->recipe);
    e->n_tokens = (int64_t)r->s.n_tokens;
    e->loss = r->s.loss_mean;
    e->lr = r->lr;
    e->grad_norm = r->grad_norm;
    e->tokens_per_second = pace(r);
    e->accuracy = last ? last->result.accuracy : -1;
    e->reward = r->grpo ? r->grpo_stats.reward : -1;
    e->n_thinking = r->grpo ? r->grpo_stats.n_thinking : last ? last->result.n_thinking : -1;
    e->seconds_left = seconds_left(r);
    struct run_cost cost = cost_of(r);
    e->cpu_seconds = cost.cpu_seconds;
    e->kwh = run_cost_kwh(&cost);
    e->money = run_cost_money(&cost);
    e->currency = r->recipe.currency;
}

void run_tell_step(struct run *r, const struct recipe_stage *stage)
{
    struct fk_train_event e = {.kind = FK_TRAIN_STEP, .text = "", .stage = stage->name};
    fill_event(r, &e);
    if (r->p->event && r->p->event(r->p->event_arg, &e)) r->stop = true;
    if (!r->grpo && e.step % r->recipe.log_steps) return;
    log_step(r, stage);
    run_write_page(r, false);
}

void run_tell_end(struct run *r)
{
    struct fk_train_event e = {.kind = FK_TRAIN_END, .text = run_product(r)};
    fill_event(r, &e);
    if (r->p->event) r->p->event(r->p->event_arg, &e);
}

int run_n_dev(const struct recipe *r)
{
    return (int)(r->eval_count > r->final_count ? r->eval_count : r->final_count);
}

bool run_is_eval_due(const struct run *r, const struct recipe_stage *stage)
{
    int64_t every = stage->eval_steps ? stage->eval_steps : r->recipe.eval_steps;
    int64_t done = (int64_t)r->s.stage_step;
    if (!r->dev || !every || !done) return false;
    return done == stage->n_steps ? r->s.stage + 1 < r->recipe.n_stages : done % every == 0;
}

static int keep_going(void *arg, int n_done, int n)
{
    struct run *r = arg;
    struct fk_train_event e = {.kind = FK_TRAIN_EVAL, .text = "", .n_done = n_done, .n_all = n};
    fill_event(r, &e);
    if (r->p->event && r->p->event(r->p->event_arg, &e)) r->stop = true;
    return r->stop;
}

static bool was_evaluated(const struct run *r, int n)
{
    const struct journal_eval *e = journal_last_eval(&r->journal);
    if (!e || e->step != (int64_t)r->s.step) return false;
    for (int i = 0; i < FK_MAX_FAMILIES; i++)
        if (e->result.family[i].n >= n) return true;
    return false;
}

enum fk_status run_evaluate(struct run *r, int n)
{
    struct dev_result result;
    struct fk_error err = {0};
    if (was_evaluated(r, n)) return FK_OK;
    enum fk_status st = devset_run(r->dev, n, keep_going, r, &result, r->err);
    r->eval_seconds += result.seconds;
    if (st) return st == FK_ECANCELLED && r->stop ? FK_OK : st;
    size_t stage = r->s.stage < r->recipe.n_stages ? r->s.stage : r->recipe.n_stages - 1;
    st = journal_add_eval(&r->journal, (int64_t)r->s.step, (int)stage, (double)r->s.n_tokens, &result,
                          r->dev, &err);
    check_journal(r, st, &err);
    run_write_page(r, true);
    return FK_OK;
}

void run_fill_facts(const struct run *r, struct run_facts *f)
{
    *f = (struct run_facts){
        .recipe = &r->recipe, .journal = &r->journal, .machine = r->machine,
        .settings = r->settings.data, .data_dir = r->p->data_dir, .init = r->p->init,
        .base = r->base,
        .n_weights = r->learner.params.n_weights, .n_active = r->learner.model->n_active_params,
        .step = (int64_t)r->s.step, .n_steps = recipe_n_steps(&r->recipe), .n_tokens = r->s.n_tokens,
        .n_targets = r->s.n_targets, .stage = (size_t)r->s.stage, .loss = r->s.loss_mean,
        .tokens_per_second = pace(r), .seconds = r->begun_seconds + clock_seconds() - r->begun,
        .seconds_left = seconds_left(r), .cost = cost_of(r), .is_over = r->is_over};
}

#define PAGE_SECONDS 10 /* between two pages that nothing but time asks for */

void run_write_page(struct run *r, bool at_once)
{
    char path[RUN_MAX_PATH];
    struct run_facts facts;
    struct fk_error err = {0};
    struct buf page;
    if (!r->journal.file || (!at_once && clock_seconds() - r->page_written < PAGE_SECONDS)) return;
    r->page_written = clock_seconds();
    run_fill_facts(r, &facts);
    buf_init(&page, 0, MEM_TRAIN);
    enum fk_status st = page_write(&facts, &page) ? FK_OK : fail_nomem(&err, page.n, "the page");
    if (!st && !run_path(r, "run.html", path)) st = fail(&err, FK_EINVAL, "the path is too long");
    if (!st) st = out_file_put(path, page.data, page.n, &err);
    buf_fini(&page);
    if (st && !r->page_failed) run_note(r, "no page: %s", err.message);
    if (!st) run_tell(r, FK_TRAIN_PAGE, path);
    r->page_failed = st != FK_OK;
}

enum fk_status run_write_card(struct run *r)
{
    char path[RUN_MAX_PATH];
    struct run_facts facts;
    struct buf card;
    run_fill_facts(r, &facts);
    buf_init(&card, 0, MEM_TRAIN);
    enum fk_status st = card_write(&facts, &card) ? FK_OK : fail_nomem(r->err, card.n, "the card");
    if (!st && !run_path(r, "card.md", path)) st = fail(r->err, FK_EINVAL, "the path is too long");
    if (!st) st = out_file_put(path, card.data, card.n, r->err);
    buf_fini(&card);
    return st;
}
