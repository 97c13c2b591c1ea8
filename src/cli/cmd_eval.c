/* SPDX-License-Identifier: Apache-2.0
 * cmd_eval.c - asks a model the questions of a suite and prints how many it got right. */
#include <stdlib.h>
#include <string.h>

#include "src/base/fail.h"
#include "src/cli/answer.h"
#include "src/cli/family_arg.h"
#include "src/cli/fileio.h"
#include "src/cli/models.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"
#include "src/eval/runner.h"
#include "src/eval/stats.h"

struct eval {
    const struct args *args;
    struct opened opened;
    struct eval_suite suite;
    struct eval_counts counts[FK_MAX_FAMILIES + 1]; /* the last: all groups together */
    struct output out;
    struct bar bar;
};

static const char *verdict_name(enum fk_verdict v)
{
    return v == FK_VERDICT_RIGHT ? "right" : v == FK_VERDICT_REFUSED ? "refused" : "wrong";
}

static enum fk_status write_reply(void *arg, const struct eval_reply *r, struct fk_error *err)
{
    struct eval *e = arg;
    if (e->out.fd < 0) return FK_OK;
    const struct eval_item *item = &e->suite.items[r->item];
    json_t *o = json_object();
    bool ok = json_put(o, "item", json_count(r->item)) &&
              json_put(o, "sample", json_integer(r->sample)) &&
              json_put(o, "group", json_cstr(e->suite.group_names[item->group])) &&
              json_put(o, "prompt", json_cstr(item->prompt)) &&
              json_put(o, "thinking", json_text(r->thinking, r->n_thinking)) &&
              json_put(o, "answer", json_text(r->answer, r->n_answer)) &&
              json_put(o, "verdict", json_cstr(verdict_name(r->verdict))) &&
              json_put(o, "finish", json_cstr(answer_finish_name(r->finish)));
    char *line = ok ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(o);
    if (!line) return fail_nomem(err, 0, "a reply");
    enum fk_status st = output_write(&e->out, line, strlen(line), err);
    free(line);
    if (!st) st = output_write(&e->out, "\n", 1, err);
    return st;
}

static enum fk_status open_suite(struct eval *e, struct fk_error *err)
{
    const struct args *a = e->args;
    const char *name = a->operands[0];
    if (!strcmp(name, "puzzles")) {
        struct puzzle_choice c = {.level = a->level, .lang = a->lang,
                                  .split = a->split < 0 ? FK_SPLIT_TEST : (enum fk_split)a->split,
                                  .n_per_family = (size_t)a->count, .seed = a->seed,
                                  .data_dir = a->data};
        if (a->family) TRY(family_arg(a->family, c.family, err));
        return suite_puzzles(&e->suite, &c, err);
    }
    bool gsm8k = !strcmp(name, "gsm8k");
    if (!gsm8k && strcmp(name, "svamp") != 0)
        return fail(err, FK_EINVAL, "there is no suite called %s; there are puzzles, gsm8k and svamp",
                    name);
    if (!a->data)
        return fail(err, FK_EINVAL, "%s needs --data DIR, the folder in which %s lies", name, name);
    return suite_words(&e->suite, gsm8k ? "gsm8k" : "svamp", a->data, (size_t)a->count, err);
}

static enum fk_status open_engine(struct eval *e, struct fk_error *err)
{
    const struct args *a = e->args;
    struct fk_engine_params p;
    struct fk_model_info m;
    TRY(opened_model(&e->opened, a->model, a->lora, false, err));
    TRY(fk_model_get_info(e->opened.model, &m));
    opened_params(a, &p);
    if (!p.n_ctx) p.n_ctx = m.n_ctx_train && m.n_ctx_train < 1024 ? m.n_ctx_train : 1024;
    /* Twice: pages of f32, and pages that are shared or half full. */
    p.kv_bytes_max = m.kv_bytes_per_token_f16 * 4 * (uint64_t)p.n_ctx * (uint64_t)(a->at_once + 1);
    return opened_engine(&e->opened, &p, err);
}

static enum fk_status run(struct eval *e, struct fk_error *err)
{
    const struct args *a = e->args;
    struct eval_run r = {.suite = &e->suite, .n_batch = a->at_once, .n_samples = a->samples,
                         .on_reply = write_reply, .arg = e, .progress = bar_update,
                         .progress_arg = &e->bar};
    TRY(open_suite(e, err));
    TRY(open_engine(e, err));
    if (a->out) TRY(output_open(&e->out, a->out, err));
    r.model = e->opened.model;
    r.engine = e->opened.engine;
    answer_params(a, r.model, &r.params);
    r.params.progress = NULL;
    if (!a->temp_given) r.params.sampling.temperature = a->samples > 1 ? 1 : 0;
    TRY(eval_run(&r, e->counts, err));
    if (a->out) TRY(output_commit(&e->out, err));
    struct eval_counts *all = &e->counts[e->suite.n_groups];
    memset(all, 0, sizeof *all);
    for (int g = 0; g < e->suite.n_groups; g++) {
        const struct eval_counts *c = &e->counts[g];
        all->n += c->n;
        all->n_right += c->n_right;
        all->n_refused += c->n_refused;
        all->n_thinking += c->n_thinking;
        all->n_answer += c->n_answer;
        all->n_unthinking += c->n_unthinking;
        all->n_cut += c->n_cut;
        for (int i = 0; i < FK_N_STYLES; i++) all->n_style[i] += c->n_style[i];
        all->pass_at_k += c->pass_at_k;
        all->n_questions += c->n_questions;
    }
    return FK_OK;
}

static double share(uint64_t n, uint64_t of)
{
    return of ? (double)n / (double)of : 0;
}

static json_t *group_json(const char *name, const struct eval_counts *c, int samples)
{
    struct interval w = interval_wilson(c->n_right, c->n);
    json_t *o = json_object();
    bool ok = json_put(o, "name", json_cstr(name)) && json_put(o, "n", json_count(c->n)) &&
              json_put(o, "right", json_count(c->n_right)) &&
              json_put(o, "accuracy", json_num(share(c->n_right, c->n))) &&
              json_put(o, "low", json_num(w.low)) && json_put(o, "high", json_num(w.high)) &&
              json_put(o, "refused", json_num(share(c->n_refused, c->n))) &&
              json_put(o, "cut", json_num(share(c->n_cut, c->n))) &&
              json_put(o, "without_thinking", json_num(share(c->n_unthinking, c->n))) &&
              json_put(o, "stepwise", json_num(share(c->n_style[FK_STYLE_STEPWISE], c->n))) &&
              json_put(o, "search", json_num(share(c->n_style[FK_STYLE_SEARCH], c->n))) &&
              json_put(o, "thinking_tokens", json_num(share(c->n_thinking, c->n))) &&
              json_put(o, "answer_tokens", json_num(share(c->n_answer, c->n)));
    if (ok && samples > 1)
        ok = json_put(o, "pass_at_k", json_num(c->n_questions ? c->pass_at_k /
                                                    (double)c->n_questions : 0));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static json_t *eval_json(const struct eval *e)
{
    json_t *doc = json_object(), *groups = json_array();
    bool ok = groups != NULL;
    for (int g = 0; ok && g < e->suite.n_groups; g++) {
        json_t *o = group_json(e->suite.group_names[g], &e->counts[g], e->args->samples);
        ok = o && json_array_append_new(groups, o) == 0;
    }
    if (!ok) {
        json_decref(groups);
        groups = NULL;
    }
    ok = json_put(doc, "suite", json_cstr(e->suite.name)) &&
         json_put(doc, "model", json_cstr(e->opened.path)) &&
         json_put(doc, "samples", json_integer(e->args->samples)) &&
         json_put(doc, "groups", groups) &&
         json_put(doc, "all", group_json("all", &e->counts[e->suite.n_groups], e->args->samples));
    if (ok) return doc;
    json_decref(doc);
    return NULL;
}

/* has_styles: the suite knows how thinking looks. */
static void print_group(const char *name, const struct eval_counts *c, int samples, bool has_styles)
{
    struct interval w = interval_wilson(c->n_right, c->n);
    printf("%-12s %6llu %7.1f %% %6.1f to %5.1f", name, (unsigned long long)c->n,
           100 * share(c->n_right, c->n), 100 * w.low, 100 * w.high);
    if (samples > 1)
        printf(" %7.1f %%", c->n_questions ? 100 * c->pass_at_k / (double)c->n_questions : 0);
    printf(" %8.1f %8.1f %%", share(c->n_thinking, c->n), 100 * share(c->n_unthinking, c->n));
    if (has_styles)
        printf(" %7.1f %% %6.1f %%", 100 * share(c->n_style[FK_STYLE_STEPWISE], c->n),
               100 * share(c->n_style[FK_STYLE_SEARCH], c->n));
    printf(" %6.1f %% %6.1f %%\n", 100 * share(c->n_refused, c->n), 100 * share(c->n_cut, c->n));
}

static int report(const struct eval *e)
{
    int samples = e->args->samples;
    bool styles = e->suite.style != NULL;
    if (e->args->json) return json_emit(eval_json(e), 0);
    printf("%-12s %6s %9s %15s", e->suite.name, "n", "right", "95 % interval");
    if (samples > 1) printf("  pass@%-3d", samples);
    printf(" %8s %10s", "thinking", "without");
    if (styles) printf(" %9s %8s", "stepwise", "search");
    printf(" %8s %8s\n", "refused", "cut");
    for (int g = 0; g < e->suite.n_groups; g++)
        print_group(e->suite.group_names[g], &e->counts[g], samples, styles);
    if (e->suite.n_groups > 1) print_group("all", &e->counts[e->suite.n_groups], samples, styles);
    return term_finish(0);
}

int cmd_eval(const struct args *a)
{
    struct fk_error err = {0};
    struct eval e = {.args = a, .out = {.fd = -1}};
    bar_init(&e.bar);
    enum fk_status st = run(&e, &err);
    bar_fini(&e.bar);
    int code = st ? term_complain(&err) : report(&e);
    output_discard(&e.out);
    opened_close(&e.opened);
    suite_fini(&e.suite);
    return code;
}
