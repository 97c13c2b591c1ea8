/* SPDX-License-Identifier: Apache-2.0
 * runner.c - continuous batching over the public API: a session that ends takes the next question, so
 * the batch stays full until the questions run out. A reply does not depend on its neighbours. */
#include "src/eval/runner.h"

#include <string.h>

#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/eval/stats.h"

enum { MAX_BATCH = 64 };

struct seat {
    fk_session *session;
    struct buf thinking, answer;
    size_t item;
    int sample;
    uint64_t n_thinking, n_answer;
    bool busy;
};

struct hall {
    const struct eval_run *run;
    struct eval_counts *counts;
    struct seat seats[MAX_BATCH];
    int *n_right; /* [n_items]: right samples so far */
    uint64_t next, n_done, n_all; /* replies: item * n_samples + sample */
};

/* Tokens do not tell: the tag that ends the thinking is one. */
static bool is_blank(const struct buf *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (!strchr(" \n\r\t", b->data[i])) return false;
    return true;
}

static enum fk_status finish(struct hall *h, struct seat *seat, enum fk_finish how,
                             struct fk_error *err)
{
    const struct eval_suite *s = h->run->suite;
    const struct eval_item *item = &s->items[seat->item];
    struct eval_counts *c = &h->counts[item->group];
    enum fk_verdict v = s->grade(s, seat->item, seat->answer.n ? seat->answer.data : "",
                                 seat->answer.n);
    seat->busy = false;
    c->n++;
    c->n_right += v == FK_VERDICT_RIGHT;
    c->n_refused += v == FK_VERDICT_REFUSED;
    c->n_thinking += seat->n_thinking;
    c->n_answer += seat->n_answer;
    c->n_unthinking += is_blank(&seat->thinking);
    if (s->style)
        c->n_style[s->style(s, seat->item, seat->thinking.n ? seat->thinking.data : "",
                            seat->thinking.n)]++;
    c->n_cut += how != FK_FINISH_STOP;
    h->n_right[seat->item] += v == FK_VERDICT_RIGHT;
    h->n_done++;
    if (!h->run->on_reply) return FK_OK;
    struct eval_reply r = {seat->item, seat->sample, v, how,
                           seat->thinking.n ? seat->thinking.data : "",
                           seat->answer.n ? seat->answer.data : "", seat->thinking.n,
                           seat->answer.n};
    return h->run->on_reply(h->run->arg, &r, err);
}

static enum fk_status ask(struct hall *h, struct seat *seat, struct fk_error *err)
{
    const struct eval_run *run = h->run;
    struct fk_session_params params = run->params;
    struct fk_chat_params chat;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    int opens_thinking = 0;
    enum fk_status st;
    uint64_t i = h->next++;
    seat->item = (size_t)(i / (uint64_t)run->n_samples);
    seat->sample = (int)(i % (uint64_t)run->n_samples);
    seat->n_thinking = seat->n_answer = 0;
    buf_clear(&seat->thinking);
    buf_clear(&seat->answer);
    fk_chat_default_params(&chat);
    chat.thinking = params.thinking;
    params.sampling.seed += i;
    struct fk_message m = {.role = "user", .content = run->suite->items[seat->item].prompt};
    TRY(fk_chat_render(run->model, &m, 1, &chat, NULL, &ids, &n_ids, &opens_thinking, err));
    TRY_GOTO(fk_session_set_params(seat->session, &params, err), done);
    st = fk_session_prompt(seat->session, ids, n_ids, opens_thinking, err);
    seat->busy = st == FK_OK;
    if (st == FK_ETOOBIG) st = finish(h, seat, FK_FINISH_CONTEXT, err);
done:
    fk_free(ids);
    return st;
}

static enum fk_status take(struct hall *h, struct seat *seat, const struct fk_event *ev,
                           struct fk_error *err)
{
    struct buf *b = ev->part == FK_PART_REASONING ? &seat->thinking : &seat->answer;
    if (ev->n_bytes && !buf_append(b, ev->text, ev->n_bytes))
        return fail_nomem(err, b->n, "a reply");
    if (!ev->finish) return FK_OK;
    struct fk_session_stats stats;
    TRY(fk_session_get_stats(seat->session, &stats));
    seat->n_thinking = stats.n_thinking;
    seat->n_answer = stats.n_answer;
    return finish(h, seat, ev->finish, err);
}

/* One token for every seat that has a question. */
static enum fk_status step(struct hall *h, struct fk_error *err)
{
    struct seat *who[MAX_BATCH];
    fk_session *sessions[MAX_BATCH];
    struct fk_event events[MAX_BATCH];
    enum fk_status statuses[MAX_BATCH];
    size_t n = 0;
    for (int i = 0; i < h->run->n_batch; i++) {
        struct seat *seat = &h->seats[i];
        while (!seat->busy && h->next < h->n_all) TRY(ask(h, seat, err));
        if (!seat->busy) continue;
        who[n] = seat;
        sessions[n++] = seat->session;
    }
    if (!n) return FK_OK;
    memset(events, 0, sizeof events);
    TRY(fk_engine_next(h->run->engine, sessions, n, events, statuses, err));
    for (size_t i = 0; i < n; i++) TRY(take(h, who[i], &events[i], err));
    return FK_OK;
}

static void add_questions(struct hall *h)
{
    int n = h->run->n_samples;
    for (size_t i = 0; i < h->run->suite->n_items; i++) {
        struct eval_counts *c = &h->counts[h->run->suite->items[i].group];
        c->n_questions++;
        c->pass_at_k += stats_pass_at_k(n, h->n_right[i], n);
    }
}

enum fk_status eval_run(const struct eval_run *run, struct eval_counts *counts,
                        struct fk_error *err)
{
    struct hall h = {.run = run, .counts = counts};
    enum fk_status st = FK_OK;
    memset(counts, 0, (size_t)run->suite->n_groups * sizeof *counts);
    if (run->n_batch < 1 || run->n_batch > MAX_BATCH || run->n_samples < 1)
        return fail(err, FK_EINVAL, "an evaluation takes 1 to %d questions at once, not %d", MAX_BATCH,
                    run->n_batch);
    h.n_all = (uint64_t)run->suite->n_items * (uint64_t)run->n_samples;
    h.n_right = mem_calloc(run->suite->n_items + 1, sizeof *h.n_right, MEM_MISC);
    if (!h.n_right) return fail_nomem(err, run->suite->n_items * sizeof *h.n_right, "the counts");
    for (int i = 0; i < run->n_batch; i++) {
        buf_init(&h.seats[i].thinking, 0, MEM_MISC);
        buf_init(&h.seats[i].answer, 0, MEM_MISC);
        if (!st) st = fk_session_create(&h.seats[i].session, run->engine, &run->params, err);
    }
    while (!st && h.n_done < h.n_all) {
        st = step(&h, err);
        if (!st && run->progress && run->progress(run->progress_arg, "evaluating", h.n_done, h.n_all))
            st = fail(err, FK_ECANCELLED, "interrupted");
    }
    if (!st) add_questions(&h);
    for (int i = 0; i < run->n_batch; i++) {
        fk_session_destroy(&h.seats[i].session);
        buf_fini(&h.seats[i].thinking);
        buf_fini(&h.seats[i].answer);
    }
    mem_free(h.n_right);
    return st;
}
