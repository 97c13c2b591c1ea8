/* SPDX-License-Identifier: Apache-2.0
 * page_curves.c - the page's curves. */
#include <stddef.h>
#include "src/base/interval.h"
#include "src/train/chart.h"
#include "src/train/page_impl.h"

struct curves {
    const struct run_facts *f;
    double x_max, marks[RECIPE_MAX_STAGES];
    size_t n_marks;
    double *x, *y, *z; /* [n_points or n_evals] */
};

static void set_marks(struct curves *c)
{
    const struct recipe *r = c->f->recipe;
    double at = 0;
    for (size_t i = 0; i + 1 < r->n_stages; i++) c->marks[c->n_marks++] = at += (double)r->stages[i].n_steps;
    c->x_max = (double)(c->f->step > 0 ? c->f->step : 1);
}

#define P(name) offsetof(struct journal_point, name)

/* A field of the points of one kind. */
static size_t take(const struct curves *c, bool is_grpo, size_t field, double *y)
{
    const struct journal *j = c->f->journal;
    size_t n = 0;
    for (size_t i = 0; i < j->n_points; i++) {
        const struct journal_point *p = &j->points[i];
        if (p->is_grpo != is_grpo) continue;
        c->x[n] = (double)p->step;
        y[n++] = *(const double *)(const void *)((const char *)p + field);
    }
    return n;
}

/* faint: a second field behind the first; P(step): none. */
static void points_chart(struct curves *c, const char *title, bool is_grpo, size_t field, size_t faint,
                         struct chart look, struct buf *out)
{
    struct chart_line lines[2];
    size_t n_lines = 0;
    if (faint != P(step)) {
        size_t n = take(c, is_grpo, faint, c->z);
        lines[n_lines++] = (struct chart_line){"faint", c->x, c->z, n};
    }
    size_t n = take(c, is_grpo, field, c->y);
    if (!n) return;
    lines[n_lines++] = (struct chart_line){"line", c->x, c->y, n};
    look.title = title;
    look.x_min = is_grpo ? c->x[0] - 1 : 0;
    look.lines = lines;
    look.n_lines = n_lines;
    look.x_max = c->x_max;
    look.marks = c->marks;
    look.n_marks = c->n_marks;
    if (!look.unit) look.unit = "";
    chart_write(&look, out);
}

static void evals_chart(struct curves *c, const char *title, size_t field, double scale,
                        struct chart look, struct buf *out)
{
    const struct journal *j = c->f->journal;
    for (size_t i = 0; i < j->n_evals; i++) {
        c->x[i] = (double)j->evals[i].step;
        c->y[i] = scale * *(const double *)(const void *)((const char *)&j->evals[i].result + field);
    }
    struct chart_line line = {"line", c->x, c->y, j->n_evals};
    if (!j->n_evals) return;
    look.title = title;
    look.lines = &line;
    look.n_lines = 1;
    look.x_max = c->x_max;
    look.marks = c->marks;
    look.n_marks = c->n_marks;
    chart_write(&look, out);
}

static void family_card(struct curves *c, int family, struct buf *out)
{
    const struct journal *j = c->f->journal;
    const struct dev_family *last = NULL;
    size_t n = 0;
    for (size_t i = 0; i < j->n_evals; i++) {
        const struct dev_family *d = &j->evals[i].result.family[family];
        if (!d->n) continue;
        c->x[n] = (double)j->evals[i].step;
        c->y[n++] = (double)d->n_right / d->n;
        last = d;
    }
    if (!last) return;
    struct interval w = interval_wilson((uint64_t)last->n_right, (uint64_t)last->n);
    struct chart_line line = {"line", c->x, c->y, n};
    buf_printf(out, "<div class=\"family\"><b>%s</b><span class=\"big\">%.0f%%</span>",
               fk_family_name(family), 100.0 * last->n_right / last->n);
    chart_spark(&line, c->x_max, out);
    buf_printf(out, "<small>%d of %d right, %.0f to %.0f%%<br>thinks %.0f tokens</small></div>\n",
               last->n_right, last->n, 100 * w.low, 100 * w.high, last->n_thinking / last->n);
}

static void write_families(struct curves *c, struct buf *out)
{
    if (!c->f->journal->n_evals) {
        buf_puts(out, "<p>No evaluation yet.</p>\n");
        return;
    }
    buf_puts(out, "<p>Greedy answers to puzzles that training never sees, the same at every evaluation; "
             "the range is Wilson's 95% interval of the last one.</p><div class=\"families\">\n");
    for (int i = 0; i < fk_n_families(); i++) family_card(c, i, out);
    buf_puts(out, "</div>\n");
}

#define E(name) offsetof(struct dev_result, name)

static void write_charts(struct curves *c, struct buf *out)
{
    const struct chart share = {.decimals = 3, .y_min = 0, .y_max = 1, .unit = ""};
    const struct chart tokens = {.decimals = 0, .unit = " tokens"};
    points_chart(c, "Loss, nats a token", false, P(mean_loss), P(loss),
                 (struct chart){.decimals = 3, .is_log = true}, out);
    evals_chart(c, "Right on the dev set", E(accuracy), 100,
                (struct chart){.decimals = 1, .y_max = 100, .unit = "%"}, out);
    evals_chart(c, "Thinking", E(n_thinking), 1, tokens, out);
    points_chart(c, "Tokens guessed right", false, P(accuracy), P(step), share, out);
    points_chart(c, "Reward", true, P(reward), P(step), share, out);
    points_chart(c, "Sampled replies right", true, P(right), P(step), share, out);
    points_chart(c, "Thinking, sampled", true, P(n_thinking), P(step), tokens, out);
    points_chart(c, "Entropy, nats a token", true, P(entropy), P(step), (struct chart){.decimals = 3}, out);
    points_chart(c, "Tokens per second, mean so far", false, P(tokens_per_second), P(step),
                 (struct chart){.decimals = 0}, out);
    points_chart(c, "Gradient norm", false, P(grad_norm), P(step),
                 (struct chart){.decimals = 2, .is_log = true}, out);
    points_chart(c, "Learning rate", false, P(lr), P(step), (struct chart){.decimals = 5}, out);
}

bool page_curves(const struct run_facts *f, struct buf *out)
{
    struct curves c = {.f = f};
    size_t n = f->journal->n_points > f->journal->n_evals ? f->journal->n_points : f->journal->n_evals;
    c.x = mem_calloc(n + 1, sizeof *c.x, MEM_TRAIN);
    c.y = mem_calloc(n + 1, sizeof *c.y, MEM_TRAIN);
    c.z = mem_calloc(n + 1, sizeof *c.z, MEM_TRAIN);
    bool ok = c.x && c.y && c.z;
    if (ok) {
        set_marks(&c);
        buf_puts(out, "<h2>Curves</h2><p class=\"note\">By steps; dashed lines are where a stage ends.</p>"
                 "<div class=\"charts\">\n");
        write_charts(&c, out);
        buf_puts(out, "</div>\n<h2>By family</h2>\n");
        write_families(&c, out);
    }
    mem_free(c.x);
    mem_free(c.y);
    mem_free(c.z);
    return ok && !out->failed;
}
