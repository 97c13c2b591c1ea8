/* SPDX-License-Identifier: Apache-2.0
 * answer.c - runs a session and writes what it says. */
#include "src/cli/answer.h"

#include <errno.h>
#include <string.h>

#include "src/base/fail.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"

/* Shown while a long prompt is read; the sessions of a program run one at a time. */
static struct bar bar;

void answer_init(struct answer *r, FILE *to, bool tags)
{
    memset(r, 0, sizeof *r);
    r->to = to;
    r->tags = tags;
    buf_init(&r->content, 0, MEM_CLI);
    buf_init(&r->reasoning, 0, MEM_CLI);
}

void answer_fini(struct answer *r)
{
    buf_fini(&r->content);
    buf_fini(&r->reasoning);
}

const char *answer_finish_name(enum fk_finish f)
{
    static const char *const names[] = {"running", "stop", "length", "context", "loop", "cancelled"};
    return (unsigned)f < sizeof names / sizeof names[0] ? names[f] : "unknown";
}

void answer_params(const struct args *a, const fk_model *m, struct fk_session_params *p)
{
    fk_session_model_params(m, p);
    struct fk_sampling *s = &p->sampling;
    if (a->temp_given) s->temperature = a->sampling.temperature;
    if (a->top_k_given) s->top_k = a->sampling.top_k;
    if (a->top_p_given) s->top_p = a->sampling.top_p;
    if (a->min_p_given) s->min_p = a->sampling.min_p;
    if (a->penalty_given) s->repeat_penalty = a->sampling.repeat_penalty;
    s->seed = a->seed;
    p->max_tokens = a->n_tokens;
    p->thinking = a->think;
    p->think_budget = a->think_budget;
    p->raw = a->raw;
    p->no_loop_guard = a->raw; /* plumbing: what the model says, repeated or not */
    p->progress = bar_update;
    p->progress_arg = &bar;
}

static void open_thinking(struct answer *r)
{
    if (!r->to) return;
    term_style(r->to, TERM_DIM);
    if (r->tags) fputs("<think>\n", r->to);
}

static void close_thinking(struct answer *r)
{
    if (!r->to) return;
    bool ends_line = r->reasoning.n && r->reasoning.data[r->reasoning.n - 1] == '\n';
    if (!ends_line) fputc('\n', r->to);
    if (r->tags) fputs("</think>\n", r->to);
    term_style(r->to, TERM_PLAIN);
    fputc('\n', r->to);
}

/* Gives the part that the screen is in now. */
static enum fk_status take(struct answer *r, const struct fk_event *ev, enum fk_part *at,
                           struct fk_error *err)
{
    if (!ev->n_bytes) return FK_OK;
    if (ev->part != *at) {
        if (ev->part == FK_PART_REASONING)
            open_thinking(r);
        else
            close_thinking(r);
        *at = ev->part;
    }
    struct buf *b = ev->part == FK_PART_REASONING ? &r->reasoning : &r->content;
    if (!buf_append(b, ev->text, ev->n_bytes)) return fail_nomem(err, b->n, "the reply");
    if (!r->to) return FK_OK;
    term_text(r->to, ev->text, ev->n_bytes);
    if (fflush(r->to) && errno != EINTR)
        return fail(err, FK_EIO, "writing the reply failed: %s", strerror(errno));
    return FK_OK;
}

enum fk_status answer_run(struct answer *r, fk_session *s, const int32_t *ids, size_t n_ids,
                         int opens_thinking, struct fk_error *err)
{
    enum fk_part at = FK_PART_CONTENT;
    struct fk_event ev;
    memset(&ev, 0, sizeof ev);
    signals_watch(s);
    bar_init(&bar);
    enum fk_status st = fk_session_prompt(s, ids, n_ids, opens_thinking, err);
    while (!st && !ev.finish) {
        st = fk_session_next(s, &ev, err);
        bar_fini(&bar); /* next may have finished the prompt */
        if (!st) st = take(r, &ev, &at, err);
    }
    signals_watch(NULL);
    bar_fini(&bar);
    if (at == FK_PART_REASONING) close_thinking(r);
    r->finish = ev.finish;
    if (st == FK_ECANCELLED) {
        r->finish = FK_FINISH_CANCELLED;
        st = FK_OK;
    }
    fk_session_get_stats(s, &r->stats);
    return st;
}
