/* SPDX-License-Identifier: Apache-2.0
 * cmd_train.c - training with a bar on a terminal and a line now and then elsewhere. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/cli/models.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/train_link.h"
#include "src/cli/verbs.h"
#include "src/cli/viewer.h"

struct view {
    struct bar bar;
    double shown;
    bool quiet, watch; /* watch: the page is to be opened */
    struct fk_train_event last; /* its texts are copies */
    char currency[16], product[32];
};

/* Cost so far, an estimate: "0.02 USD", "2e-05 USD". */
static void put_money(const struct fk_train_event *e, char *out, size_t bytes)
{
    snprintf(out, bytes, e->money < 0.01 ? "%.1g %s" : "%.2f %s", e->money, e->currency);
}

static void draw_step(struct view *v, const struct fk_train_event *e)
{
    char text[96], money[32], thinking[24] = "";
    put_money(e, money, sizeof money);
    if (e->n_thinking >= 0) snprintf(thinking, sizeof thinking, " think %.0f", e->n_thinking);
    snprintf(text, sizeof text, "%s %.3f%s %.0f tok/s %s", e->reward >= 0 ? "reward" : "loss",
             e->reward >= 0 ? e->reward : e->loss, thinking, e->tokens_per_second, money);
    v->bar.left = e->seconds_left;
    bar_update(&v->bar, text, (unsigned long long)e->step, (unsigned long long)e->n_steps);
}

/* Where stderr is no terminal, a line every ten seconds. */
static void print_step(const struct fk_train_event *e)
{
    char money[32];
    put_money(e, money, sizeof money);
    printf("step %" PRId64 " of %" PRId64 "  %s", e->step, e->n_steps, e->stage);
    if (e->reward >= 0) printf("  reward %.4f", e->reward);
    else printf("  loss %.4f", e->loss);
    if (e->accuracy >= 0) printf("  right %.1f%%", 100 * e->accuracy);
    if (e->n_thinking >= 0) printf("  thinking %.0f", e->n_thinking);
    printf("  lr %.2e  norm %.2f  %.0f tokens/s  %.1f M tokens  about %s  %.0f min left\n", e->lr,
           e->grad_norm, e->tokens_per_second, (double)e->n_tokens / 1e6, money, e->seconds_left / 60);
    fflush(stdout);
}

static void show_step(struct view *v, const struct fk_train_event *e)
{
    double now = clock_seconds();
    draw_step(v, e);
    if (term_is_tty(stderr) || v->quiet || now - v->shown < 10) return;
    v->shown = now;
    print_step(e);
}

static int on_event(void *arg, const struct fk_train_event *e)
{
    struct view *v = arg;
    if (e->kind == FK_TRAIN_STEP || e->kind == FK_TRAIN_END) {
        v->last = *e;
        snprintf(v->currency, sizeof v->currency, "%s", e->currency);
        v->last.currency = v->currency;
        if (e->kind == FK_TRAIN_END) snprintf(v->product, sizeof v->product, "%s", e->text);
        v->last.stage = v->last.text = "";
        if (e->kind == FK_TRAIN_STEP) show_step(v, e);
    } else if (e->kind == FK_TRAIN_EVAL) {
        v->bar.left = 0;
        bar_update(&v->bar, "evaluating", (unsigned long long)e->n_done, (unsigned long long)e->n_all);
    } else if (e->kind == FK_TRAIN_PAGE) {
        if (v->watch) viewer_open(e->text);
        v->watch = false;
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
        !json_put(doc, "accuracy", v->last.accuracy < 0 ? json_null() : json_num(v->last.accuracy)) ||
        !json_put(doc, "thinking", v->last.n_thinking < 0 ? json_null() : json_num(v->last.n_thinking)) ||
        !json_put(doc, "cpu_seconds", json_num(v->last.cpu_seconds)) ||
        !json_put(doc, "kwh_estimate", json_num(v->last.kwh)) ||
        !json_put(doc, "money_estimate", json_num(v->last.money)) ||
        !json_put(doc, "currency", json_cstr(v->last.currency)) ||
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
    struct view v = {.quiet = a->json, .watch = a->watch};
    const struct train_link *link;
    char *base = NULL; /* the name of a model, or a path */
    if (a->model && models_base(a->model, &base, &err)) return term_complain(&err);
    if (train_link_open(&link, &err)) {
        mem_free(base);
        return term_complain(&err);
    }
    link->default_params(&p);
    bar_init(&v.bar);
    p.recipe = a->operands[0];
    p.out_dir = a->out ? a->out : "train-out";
    p.data_dir = a->data;
    p.base = base;
    p.init = a->init;
    p.resume = a->resume;
    p.n_threads = a->threads;
    p.max_steps = a->max_steps;
    if (a->watts_given) p.watts = (double)a->watts;
    if (a->price_given) p.price = (double)a->price;
    p.event = on_event;
    p.event_arg = &v;
    enum fk_status st = link->train(&p, &err);
    bar_fini(&v.bar);
    mem_free(base);
    if (st) return term_complain(&err);
    if (a->json) return report(&v, p.out_dir);
    printf("%s/%s: %" PRId64 " steps, %.1f M tokens, loss %.4f", p.out_dir, v.product, v.last.step,
           (double)v.last.n_tokens / 1e6, v.last.loss);
    if (v.last.accuracy >= 0) printf(", right on the dev set %.1f%%", 100 * v.last.accuracy);
    printf("\n%.2f CPU-hours, about %.3g kWh and %.2g %s; %s/run.html, %s/card.md\n",
           v.last.cpu_seconds / 3600, v.last.kwh, v.last.money, v.last.currency, p.out_dir, p.out_dir);
    return term_finish(0);
}
