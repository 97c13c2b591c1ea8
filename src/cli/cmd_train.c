/* SPDX-License-Identifier: Apache-2.0
 * cmd_train.c - training with a bar on a terminal and a line now and then elsewhere. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/train_link.h"
#include "src/cli/verbs.h"

struct view {
    struct bar bar;
    double shown;
    bool quiet;
    struct fk_train_event last;
};

static void show_step(struct view *v, const struct fk_train_event *e)
{
    char text[64];
    double now = clock_seconds();
    if (e->reward >= 0)
        snprintf(text, sizeof text, "reward %.3f  thinking %.0f", e->reward, e->n_thinking);
    else
        snprintf(text, sizeof text, "loss %.3f  %.0f tokens/s", e->loss, e->tokens_per_second);
    bar_update(&v->bar, text, (unsigned long long)e->step, (unsigned long long)e->n_steps);
    if (term_is_tty(stderr) || v->quiet || now - v->shown < 10) return;
    v->shown = now;
    if (e->reward >= 0) {
        printf("step %" PRId64 " of %" PRId64 "  %s  reward %.4f  thinking %.1f  lr %.2e  norm %.2f  "
               "%.0f min left\n", e->step, e->n_steps, e->stage, e->reward, e->n_thinking, e->lr,
               e->grad_norm, e->seconds_left / 60);
        fflush(stdout);
        return;
    }
    printf("step %" PRId64 " of %" PRId64 "  %s  loss %.4f  lr %.2e  norm %.2f  %.0f tokens/s  "
           "%.1f M tokens  %.0f min left\n", e->step, e->n_steps, e->stage, e->loss, e->lr,
           e->grad_norm, e->tokens_per_second, (double)e->n_tokens / 1e6, e->seconds_left / 60);
    fflush(stdout);
}

static int on_event(void *arg, const struct fk_train_event *e)
{
    struct view *v = arg;
    if (e->kind == FK_TRAIN_STEP) {
        v->last = *e;
        show_step(v, e);
    } else if (e->kind == FK_TRAIN_EVAL) {
        bar_update(&v->bar, "evaluating", (unsigned long long)e->n_done, (unsigned long long)e->n_all);
    } else if (!v->quiet) {
        bar_fini(&v->bar);
        term_text(stdout, e->text, strlen(e->text));
        if (e->kind == FK_TRAIN_NOTE) putchar('\n');
        fflush(stdout);
    }
    return signals_interrupted();
}

static int report(const struct view *v, const char *out_dir)
{
    json_t *doc = json_object();
    if (!json_put(doc, "out", json_cstr(out_dir)) ||
        !json_put(doc, "steps", json_count((unsigned long long)v->last.step)) ||
        !json_put(doc, "tokens", json_count((unsigned long long)v->last.n_tokens)) ||
        !json_put(doc, "loss", json_num(v->last.loss)) ||
        !json_put(doc, "tokens_per_second", json_num(v->last.tokens_per_second))) {
        json_decref(doc);
        doc = NULL;
    }
    return json_emit(doc, 0);
}

int cmd_train(const struct args *a)
{
    struct fk_train_params p;
    struct fk_error err = {0};
    struct view v = {.quiet = a->json};
    const struct train_link *link;
    if (train_link_open(&link, &err)) return term_complain(&err);
    link->default_params(&p);
    bar_init(&v.bar);
    p.recipe = a->operands[0];
    p.out_dir = a->out ? a->out : "train-out";
    p.data_dir = a->data;
    p.init = a->init;
    p.resume = a->resume;
    p.n_threads = a->threads;
    p.max_steps = a->max_steps;
    p.event = on_event;
    p.event_arg = &v;
    enum fk_status st = link->train(&p, &err);
    bar_fini(&v.bar);
    if (st) return term_complain(&err);
    if (a->json) return report(&v, p.out_dir);
    printf("%s/model.gguf: %" PRId64 " steps, %.1f M tokens, loss %.4f\n", p.out_dir, v.last.step,
           (double)v.last.n_tokens / 1e6, v.last.loss);
    return term_finish(0);
}
