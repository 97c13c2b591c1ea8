/* SPDX-License-Identifier: Apache-2.0
 * rollout.c - n_parallel sessions of one engine; whoever is done takes the next prompt. */
#include "src/train/rollout.h"
#include <string.h>
#include "src/base/fail.h"
#include "src/engine/session.h"

struct desk {
    const struct rollout_params *p;
    struct rollout *r;
    int n, next, n_desks;
    fk_engine *engine;
    fk_session **sessions;  /* [n_desks] */
    int *at;                /* [n_desks] the rollout a session works on; -1: none */
    fk_session **busy;      /* those with work, and what they gave */
    int *busy_desk;
    struct fk_event *events;
    enum fk_status *statuses;
};

static enum fk_status open_engine(struct desk *d, const struct model *m, struct fk_error *err)
{
    struct kv_layout kv;
    TRY(model_kv_layout(m, DT_F32, MLA_EXPANDED, ENGINE_DEFAULT_PAGE, &kv, err));
    uint64_t pages = (uint64_t)(d->p->n_ctx / ENGINE_DEFAULT_PAGE + 1);
    struct fk_engine_params ep = {.n_threads = d->p->n_threads, .n_ctx = d->p->n_ctx,
                                  .kv_type = FK_KV_F32, .mla = FK_MLA_EXPANDED,
                                  .n_batch = d->n_desks > 512 ? d->n_desks : 512,
                                  .kv_bytes_max = pages * (uint64_t)(d->n_desks + 1) * kv.page_bytes};
    return engine_create(&d->engine, m, &ep, err);
}

static enum fk_status open_desks(struct desk *d, struct fk_error *err)
{
    size_t n = (size_t)d->n_desks;
    d->sessions = mem_calloc(n, sizeof *d->sessions, MEM_TRAIN);
    d->at = mem_array(n, sizeof *d->at, MEM_TRAIN);
    d->busy = mem_array(n, sizeof *d->busy, MEM_TRAIN);
    d->busy_desk = mem_array(n, sizeof *d->busy_desk, MEM_TRAIN);
    d->events = mem_array(n, sizeof *d->events, MEM_TRAIN);
    d->statuses = mem_array(n, sizeof *d->statuses, MEM_TRAIN);
    if (!d->sessions || !d->at || !d->busy || !d->busy_desk || !d->events || !d->statuses)
        return fail_nomem(err, n * 64, "rollouts");
    for (size_t i = 0; i < n; i++) {
        d->at[i] = -1;
        TRY(session_create(&d->sessions[i], d->engine, NULL, err));
    }
    return FK_OK;
}

static void close_desks(struct desk *d)
{
    for (int i = 0; d->sessions && i < d->n_desks; i++)
        if (d->sessions[i]) session_destroy(&d->sessions[i]);
    engine_destroy(&d->engine);
    mem_free(d->sessions);
    mem_free(d->at);
    mem_free(d->busy);
    mem_free(d->busy_desk);
    mem_free(d->events);
    mem_free(d->statuses);
}

static enum fk_status begin(struct desk *d, int desk, struct fk_error *err)
{
    struct rollout *r = &d->r[d->next];
    struct fk_session_params sp = {.sampling = {.temperature = d->p->temperature, .top_p = 1,
                                                .repeat_penalty = 1, .seed = r->seed},
                                   .max_tokens = d->p->max_new, .no_loop_guard = 1};
    buf_init(&r->thinking, 0, MEM_TRAIN);
    buf_init(&r->answer, 0, MEM_TRAIN);
    r->logp = mem_array((size_t)d->p->max_new, sizeof *r->logp, MEM_TRAIN);
    r->tokens = mem_array((size_t)(r->n_prompt + d->p->max_new), sizeof *r->tokens, MEM_TRAIN);
    if (!r->logp || !r->tokens) return fail_nomem(err, (uint64_t)d->p->max_new * 8, "a rollout");
    memcpy(r->tokens, r->prompt, (size_t)r->n_prompt * sizeof *r->tokens);
    TRY(session_set_params(d->sessions[desk], &sp, err));
    TRY(session_prompt(d->sessions[desk], r->prompt, (size_t)r->n_prompt, !d->p->in_answer,
                       err));
    d->at[desk] = d->next++;
    return FK_OK;
}

/* One event of the rollout. */
static enum fk_status take(struct desk *d, int desk, const struct fk_event *e, struct fk_error *err)
{
    struct rollout *r = &d->r[d->at[desk]];
    if (e->token >= 0) {
        if (r->n_reply >= d->p->max_new || e->forced)
            return fail(err, FK_ESTATE, "a reply has a token that nobody sampled");
        r->logp[r->n_reply] = e->logprob;
        r->tokens[r->n_prompt + r->n_reply++] = e->token;
    }
    struct buf *part = e->part == FK_PART_CONTENT ? &r->answer : &r->thinking;
    if (e->n_bytes && !buf_append(part, e->text, e->n_bytes))
        return fail_nomem(err, e->n_bytes, "a reply");
    if (!e->finish) return FK_OK;
    struct fk_session_stats stats = d->sessions[desk]->stats;
    r->ended = e->finish == FK_FINISH_STOP;
    r->n_thinking = (int)stats.n_thinking;
    r->closed = !reply_in_thinking(&d->sessions[desk]->reply);
    d->at[desk] = -1;
    return FK_OK;
}

static enum fk_status one_round(struct desk *d, int *n_busy, struct fk_error *err)
{
    *n_busy = 0;
    for (int i = 0; i < d->n_desks; i++) {
        if (d->at[i] < 0 && d->next < d->n) TRY(begin(d, i, err));
        if (d->at[i] < 0) continue;
        d->busy_desk[*n_busy] = i;
        d->busy[(*n_busy)++] = d->sessions[i];
    }
    if (!*n_busy) return FK_OK;
    TRY(engine_next(d->engine, d->busy, (size_t)*n_busy, d->events, d->statuses, err));
    for (int i = 0; i < *n_busy; i++) TRY(take(d, d->busy_desk[i], &d->events[i], err));
    return FK_OK;
}

enum fk_status rollout_run(const struct model *m, const struct rollout_params *p, struct rollout *r,
                           int n, struct fk_error *err)
{
    struct desk d = {.p = p, .r = r, .n = n, .n_desks = n < p->n_parallel ? n : p->n_parallel};
    enum fk_status st;
    int n_busy;
    if (n < 1) return FK_OK;
    if (p->max_new < 1 || p->n_parallel < 1)
        return fail(err, FK_EINVAL, "rollouts of %d tokens, %d at a time", p->max_new, p->n_parallel);
    TRY_GOTO(open_engine(&d, m, err), done);
    TRY_GOTO(open_desks(&d, err), done);
    do TRY_GOTO(one_round(&d, &n_busy, err), done);
    while (n_busy);
done:
    close_desks(&d);
    return st;
}

void rollout_fini(struct rollout *r)
{
    mem_free(r->tokens);
    mem_free(r->logp);
    buf_fini(&r->thinking);
    buf_fini(&r->answer);
    *r = (struct rollout){.prompt = r->prompt, .n_prompt = r->n_prompt, .seed = r->seed};
}
