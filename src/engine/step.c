/* SPDX-License-Identifier: Apache-2.0
 * step.c - one token for each of several sessions: what they still have to compute goes through the
 * model as one batch, then each picks its token and tells what it says.
 *
 * A session's logits for the next token come from its prompt, or from computing the token it picked
 * last; so the token an event tells is computed by the next call, and a reply that ends wastes no
 * step. */
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/engine/logits.h"
#include "src/engine/session.h"

static enum fk_finish finish_after(const fk_session *s, bool is_end, bool is_looping)
{
    const struct fk_session_params *p = &s->settings.p;
    if (is_end || reply_stopped(&s->reply)) return FK_FINISH_STOP;
    if (is_looping) return FK_FINISH_LOOP;
    if (p->max_tokens && s->n_reply >= (uint64_t)p->max_tokens) return FK_FINISH_LENGTH;
    if (s->seq.n_tokens >= s->seq.cap) return FK_FINISH_CONTEXT;
    return FK_RUNNING;
}

static enum fk_status text_failed(fk_session *s, struct fk_error *err)
{
    s->state = SESSION_IDLE;
    return fail_nomem(err, s->reply.raw.n + s->reply.text.n, "the text of a reply");
}

/* Puts the text that is ready into ev, and the finish if nothing else is left to tell. */
static enum fk_status tell(fk_session *s, struct fk_event *ev, struct fk_error *err)
{
    struct reply *r = &s->reply;
    r->is_ending = s->finish != FK_RUNNING;
    if (!reply_gather(r)) return text_failed(s, err);
    ev->text = r->text.n ? r->text.data : "";
    ev->n_bytes = r->text.n;
    ev->part = r->text_part;
    if (!r->text.n) ev->part = reply_in_thinking(r) ? FK_PART_REASONING : FK_PART_CONTENT;
    if (!r->is_ending) return FK_OK;
    s->state = r->has_ahead ? SESSION_ENDING : SESSION_OVER;
    if (s->state == SESSION_OVER) {
        ev->finish = s->finish;
        atomic_store(&s->cancelled, 0);
    }
    return FK_OK;
}

/* True if the reply goes in circles; inside thinking that is closed instead. */
static bool guard_loops(fk_session *s, int32_t id, bool is_thinking)
{
    if (s->settings.p.no_loop_guard || !loop_guard_push(&s->guard, id)) return false;
    loop_guard_reset(&s->guard);
    s->stats.n_loops_broken++;
    if (!is_thinking || !s->engine->tags.close_ids.n) return true;
    s->think.close_now = true;
    return false;
}

/* Picks a token by these logits and tells it. */
static enum fk_status pick(fk_session *s, const float *logits, struct fk_event *ev,
                           struct fk_error *err)
{
    fk_engine *e = s->engine;
    const struct tokenizer *t = e->model->tokenizer;
    int32_t id = 0;
    ev->forced = think_force(s, &id);
    if (!ev->forced)
        id = sampler_pick(&e->sampler, &s->settings.p.sampling, logits, s->seq.tokens,
                          s->seq.n_tokens, s->seq.n_tokens);
    ev->token = id;
    ev->logprob = logits_logprob(logits, e->model->config.n_vocab, id);
    s->seq.tokens[s->seq.n_tokens++] = id;
    s->has_logits = false;
    if (s->n_reply++ == 0) s->stats.first_token_s = clock_seconds() - s->begun;

    bool is_end = !ev->forced && t && tokenizer_is_end(t, id);
    bool was_thinking = reply_in_thinking(&s->reply);
    if (!is_end && !reply_push(&s->reply, &e->tags, id)) return text_failed(s, err);
    if (!reply_gather(&s->reply)) return text_failed(s, err); /* may meet a tag or a stop string */
    bool is_thinking = reply_in_thinking(&s->reply);
    if (was_thinking || is_thinking || ev->forced) s->stats.n_thinking++;
    else s->stats.n_answer++;
    bool is_looping = !is_end && !ev->forced && guard_loops(s, id, is_thinking);
    s->finish = finish_after(s, is_end, is_looping);
    return tell(s, ev, err);
}

/* Does for a session what needs no step. True: it has to compute its last token first. */
static bool begin(fk_session *s, struct fk_event *ev, enum fk_status *st, struct fk_error *err)
{
    *ev = (struct fk_event){.token = -1, .text = ""};
    *st = FK_OK;
    if (s->state != SESSION_RUNNING && s->state != SESSION_ENDING) {
        *st = fail(err, FK_ESTATE, s->state == SESSION_OVER ? "the reply is over; call prompt again"
                                                            : "there is no prompt to continue");
        return false;
    }
    bool has_text = s->reply.has_ahead;
    reply_next(&s->reply);
    if (s->state == SESSION_RUNNING && atomic_exchange(&s->cancelled, 0))
        s->finish = FK_FINISH_CANCELLED;
    if (has_text || s->finish != FK_RUNNING) {
        *st = tell(s, ev, err);
        return false;
    }
    if (s->has_logits) {
        *st = pick(s, s->logits, ev, err);
        return false;
    }
    const float *ahead = ahead_next(s);
    if (ahead) {
        *st = pick(s, ahead, ev, err);
        return false;
    }
    *st = sequence_reserve(&s->seq, s->seq.n_tokens, err);
    return *st == FK_OK;
}

/* What engine_next was called with, and which sessions the next step is for. */
struct round {
    fk_engine *e;
    fk_session *const *sessions;
    struct fk_event *events;
    enum fk_status *statuses;
    int n; /* of e->members and e->parts */
};

/* Of a draft for several sessions the longest counts. */
static void learn(fk_engine *e, int first, int n, double draft_s, double verify_s)
{
    int most = 0;
    for (int k = first; k < first + n; k++)
        if (e->parts[k].n_rows - 1 > most) most = e->parts[k].n_rows - 1;
    pace_learn(&e->pace, most, most ? draft_s / most : 0, verify_s);
}

static enum fk_status run_some(struct round *r, int first, int n, struct fk_error *err)
{
    fk_engine *e = r->e;
    const float *logits;
    e->draft_weight_bytes = e->draft_kv_bytes = 0;
    double begun = clock_seconds();
    if (e->draft_bits) draft_ahead(e, r->sessions, first, n);
    double drafted = clock_seconds();
    TRY(engine_step(e, e->parts + first, n, &logits, err));
    if (e->draft_bits) learn(e, first, n, drafted - begun, clock_seconds() - drafted);
    uint64_t weight_bytes = e->draft_weight_bytes + e->ops.weight_bytes_read;
    uint64_t kv_bytes = e->draft_kv_bytes + e->ops.kv_bytes_read;
    for (int k = first; k < first + n; k++) {
        size_t i = e->members[k];
        fk_session *s = r->sessions[i];
        sequence_advance(&s->seq, s->seq.n_tokens, engine_bits(e), true);
        s->stats.weight_bytes += weight_bytes / (uint64_t)n;
        s->stats.kv_bytes += kv_bytes / (uint64_t)n;
        ahead_keep(s, logits, e->parts[k].n_rows - 1);
        r->statuses[i] = pick(s, logits, &r->events[i], err);
        logits += (size_t)e->parts[k].n_out * (size_t)e->model->config.n_vocab;
    }
    return FK_OK;
}

/* One step for all members. If it fails, each has a step alone, so that one session with broken
 * numbers, or too little memory for all at once, costs nobody else a token. */
static void run_members(struct round *r, struct fk_error *err)
{
    int n = r->n;
    r->n = 0;
    for (int k = 0; k < n; k++) r->sessions[r->e->members[k]]->in_step = false;
    enum fk_status together = n ? run_some(r, 0, n, err) : FK_OK;
    if (together == FK_OK) return;
    for (int k = 0; k < n; k++) {
        size_t i = r->e->members[k];
        enum fk_status st = n > 1 ? run_some(r, k, 1, err) : together;
        if (st == FK_OK) continue;
        r->statuses[i] = st;
        if (st != FK_ENOMEM) r->sessions[i]->state = SESSION_IDLE; /* memory may be there next time */
    }
}

enum fk_status engine_next(fk_engine *e, fk_session *const *sessions, size_t n,
                           struct fk_event *events, enum fk_status *statuses, struct fk_error *err)
{
    struct round r = {.e = e, .sessions = sessions, .events = events, .statuses = statuses};
    double begun = clock_seconds(), cpu = clock_cpu_seconds();
    for (size_t i = 0; i < n; i++) {
        fk_session *s = sessions[i];
        if (s->engine != e || s->in_step) {
            events[i] = (struct fk_event){.token = -1, .text = ""};
            statuses[i] = fail(err, FK_EINVAL, s->in_step ? "session %zu is given twice"
                                                          : "session %zu is of another engine", i);
            continue;
        }
        if (!begin(s, &events[i], &statuses[i], err)) continue;
        s->in_step = true;
        e->members[r.n] = i;
        e->parts[r.n++] = (struct step_part){.seq = &s->seq, .n_rows = 1, .n_out = 1};
        if (r.n == e->plan.n_batch) run_members(&r, err);
    }
    run_members(&r, err);

    double spent = clock_seconds() - begun, spent_cpu = clock_cpu_seconds() - cpu;
    enum fk_status first = FK_OK;
    for (size_t i = 0; i < n; i++) {
        if (statuses[i] == FK_OK) {
            sessions[i]->stats.decode_s += spent;
            sessions[i]->stats.cpu_s += spent_cpu / (double)n;
        } else if (first == FK_OK || first == FK_ESTATE) {
            first = statuses[i];
        }
    }
    return first == FK_ESTATE && n > 1 ? FK_OK : first;
}
