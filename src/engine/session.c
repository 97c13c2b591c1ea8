/* SPDX-License-Identifier: Apache-2.0
 * session.c - the life of a session, its prompt (prefill) and plain evaluation. The reply is made in
 * step.c. */
#include "src/engine/session.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"

#define CHUNK_SECONDS 0.2 /* a cancel is seen after about this long */
#define MIN_CHUNK 32
#define MAX_LOGIT_BYTES ((size_t)64 << 20) /* of one chunk of an evaluation */

enum fk_status session_create(fk_session **out, fk_engine *e,
                              const struct fk_session_params *params, struct fk_error *err)
{
    enum fk_status st;
    size_t n_vocab = (size_t)e->model->config.n_vocab;
    *out = NULL;
    fk_session *s = mem_zalloc(sizeof *s, MEM_ENGINE);
    if (!s) return fail_nomem(err, sizeof *s, "a session");
    s->engine = e;
    TRY_GOTO(settings_copy(&s->settings, params, (int)n_vocab, err), failed);
    TRY_GOTO(sequence_init(&s->seq, &e->pool, &e->tree, e->plan.n_ctx, err), failed);
    TRY_GOTO(reply_init(&s->reply, err), failed);
    s->logits = mem_array(n_vocab, sizeof *s->logits, MEM_ENGINE);
    if (!s->logits) {
        st = fail_nomem(err, n_vocab * sizeof *s->logits, "a session's logits");
        goto failed;
    }
    *out = s;
    return FK_OK;
failed:
    session_destroy(&s);
    return st;
}

void session_destroy(fk_session **session)
{
    fk_session *s = *session;
    if (!s) return;
    settings_fini(&s->settings);
    settings_fini(&s->next_settings);
    reply_fini(&s->reply);
    sequence_fini(&s->seq);
    mem_free(s->logits);
    mem_free(s->ahead.logits);
    mem_free(s);
    *session = NULL;
}

enum fk_status session_set_params(fk_session *s, const struct fk_session_params *params,
                                  struct fk_error *err)
{
    struct session_settings next = {0};
    TRY(settings_copy(&next, params, s->engine->model->config.n_vocab, err));
    settings_fini(&s->next_settings);
    s->next_settings = next;
    s->has_next_settings = true;
    return FK_OK;
}

static enum fk_status check_ids(const fk_session *s, const int32_t *ids, size_t n_ids,
                                struct fk_error *err)
{
    int n_vocab = s->engine->model->config.n_vocab;
    for (size_t i = 0; i < n_ids; i++)
        if (ids[i] < 0 || ids[i] >= n_vocab)
            return fail(err, FK_EINVAL, "token %zu of the prompt is %d; the vocabulary has %d", i,
                        (int)ids[i], n_vocab);
    return FK_OK;
}

static enum fk_status tell_progress(fk_session *s, const char *what, struct fk_error *err)
{
    const struct fk_session_params *p = &s->settings.p;
    unsigned long long done = (unsigned long long)s->seq.n_computed;
    bool stop = atomic_exchange(&s->cancelled, 0);
    if (p->progress && p->progress(p->progress_arg, what, done, (unsigned long long)s->seq.n_tokens))
        stop = true;
    if (!stop) return FK_OK;
    return fail(err, FK_ECANCELLED, "cancelled after %d of %d prompt tokens", s->seq.n_computed,
                s->seq.n_tokens);
}

/* So many rows that a chunk takes about CHUNK_SECONDS, given what the last one took. */
static int next_rows(int n_batch, int rows, double seconds)
{
    if (seconds <= CHUNK_SECONDS) return rows * 2 < n_batch ? rows * 2 : n_batch;
    int fit = (int)((double)rows * CHUNK_SECONDS / seconds) / MIN_CHUNK * MIN_CHUNK;
    if (fit < MIN_CHUNK) fit = MIN_CHUNK;
    return fit < rows ? fit : rows;
}

static enum fk_status prefill(fk_session *s, struct fk_error *err)
{
    struct sequence *q = &s->seq;
    int n_batch = s->engine->plan.n_batch, rows = n_batch;
    TRY(sequence_reserve(q, q->n_tokens, err));
    while (q->n_computed < q->n_tokens) {
        TRY(tell_progress(s, "prompt", err));
        int left = q->n_tokens - q->n_computed, n = left < rows ? left : rows;
        struct step_part part = {.seq = q, .n_rows = n, .n_out = n == left};
        const float *logits;
        double begun = clock_seconds();
        TRY(engine_step(s->engine, &part, 1, &logits, err));
        sequence_advance(q, q->n_computed + n, engine_bits(s->engine), true);
        if (n == left)
            memcpy(s->logits, logits, (size_t)s->engine->model->config.n_vocab * sizeof *logits);
        rows = next_rows(n_batch, n, clock_seconds() - begun);
    }
    return tell_progress(s, "prompt", err);
}

static enum fk_status begin_reply(fk_session *s, bool opens_thinking, struct fk_error *err)
{
    s->state = SESSION_IDLE;
    s->has_logits = false;
    s->ahead.n = 0;
    if (s->has_next_settings) {
        settings_fini(&s->settings);
        s->settings = s->next_settings;
        s->next_settings = (struct session_settings){0};
        s->has_next_settings = false;
    }
    if (!reply_begin(&s->reply, s->engine->model->tokenizer, &s->settings, opens_thinking))
        return fail_nomem(err, sizeof s->reply, "a reply");
    think_begin(s, opens_thinking);
    loop_guard_reset(&s->guard);
    s->stats = (struct fk_session_stats){0};
    s->n_reply = 0;
    s->finish = FK_RUNNING;
    return FK_OK;
}

enum fk_status session_prompt(fk_session *s, const int32_t *ids, size_t n_ids,
                              bool opens_thinking, struct fk_error *err)
{
    int n_ctx = s->engine->plan.n_ctx;
    if (!n_ids) return fail(err, FK_EINVAL, "the prompt has no tokens");
    if (n_ids >= (size_t)n_ctx)
        return fail(err, FK_ETOOBIG, "the prompt has %zu tokens and the context holds %d; at least one "
                    "must be left for the reply", n_ids, n_ctx);
    TRY(check_ids(s, ids, n_ids, err));
    double begun = clock_seconds(), cpu = clock_cpu_seconds();
    TRY(begin_reply(s, opens_thinking, err));
    s->begun = begun;
    sequence_set(&s->seq, ids, (int)n_ids, engine_bits(s->engine));
    s->stats.n_prompt = n_ids;
    s->stats.n_cached = (uint64_t)s->seq.n_computed;
    enum fk_status st = prefill(s, err);
    s->stats.prefill_s = clock_seconds() - begun;
    s->stats.cpu_s = clock_cpu_seconds() - cpu;
    if (st != FK_OK) {
        s->seq.n_tokens = s->seq.n_computed;
        return st;
    }
    s->has_logits = true;
    s->state = SESSION_RUNNING;
    return FK_OK;
}

static enum fk_status eval_chunks(fk_session *s, int first, int chunk, float *logits,
                                  struct fk_error *err)
{
    struct sequence *q = &s->seq;
    size_t n_vocab = (size_t)s->engine->model->config.n_vocab;
    size_t most = MAX_LOGIT_BYTES / (n_vocab * sizeof *logits);
    int n_batch = s->engine->plan.n_batch, rows = chunk && chunk < n_batch ? chunk : n_batch;
    TRY(sequence_reserve(q, q->n_tokens, err));
    while (q->n_computed < q->n_tokens) {
        TRY(tell_progress(s, "logits", err));
        int left = q->n_tokens - q->n_computed, n = left < rows ? left : rows;
        /* Rows whose logits nobody wants go apart from those whose logits need much memory. */
        int unwanted = first - q->n_computed;
        if (unwanted <= 0 && most < (size_t)n) n = most ? (int)most : 1;
        int n_out = unwanted <= 0 ? n : n > unwanted ? n - unwanted : 0;
        if (n_out && (size_t)n_out > most && unwanted > 0) {
            n = unwanted;
            n_out = 0;
        }
        struct step_part part = {.seq = q, .n_rows = n, .n_out = n_out};
        const float *out;
        TRY(engine_step(s->engine, &part, 1, &out, err));
        if (n_out) memcpy(logits, out, (size_t)n_out * n_vocab * sizeof *out);
        logits += (size_t)n_out * n_vocab;
        sequence_advance(q, q->n_computed + n, engine_bits(s->engine), false);
    }
    return FK_OK;
}

enum fk_status session_eval(fk_session *s, const int32_t *ids, size_t n_ids, size_t first,
                            int chunk, float *logits, struct fk_error *err)
{
    int n_ctx = s->engine->plan.n_ctx;
    if (!n_ids) return fail(err, FK_EINVAL, "there are no tokens to evaluate");
    if (n_ids > (size_t)n_ctx)
        return fail(err, FK_ETOOBIG, "%zu tokens to evaluate and the context holds %d", n_ids, n_ctx);
    if (first > n_ids)
        return fail(err, FK_EINVAL, "first is %zu of %zu tokens", first, n_ids);
    if (chunk < 0) return fail(err, FK_EINVAL, "chunk is %d; 0 is the engine's n_batch", chunk);
    if (!logits && first < n_ids) return fail(err, FK_EINVAL, "logits is NULL");
    TRY(check_ids(s, ids, n_ids, err));
    s->state = SESSION_IDLE;
    s->has_logits = false;
    sequence_clear(&s->seq);
    memcpy(s->seq.tokens, ids, n_ids * sizeof *ids);
    s->seq.n_tokens = (int)n_ids;
    enum fk_status st = eval_chunks(s, (int)first, chunk, logits, err);
    if (st != FK_OK) s->seq.n_tokens = s->seq.n_computed;
    return st;
}

enum fk_status session_fill(fk_session *s, const int32_t *ids, size_t n_ids, size_t depth,
                            struct fk_error *err)
{
    size_t n_ctx = (size_t)s->engine->plan.n_ctx, page = (size_t)s->engine->plan.kv.page_tokens;
    if (n_ids < page || depth <= n_ids || depth >= n_ctx)
        return fail(err, FK_EINVAL, "a depth of %zu from %zu tokens: there must be at least a page "
                    "(%zu), and more in the context (%zu)", depth, n_ids, page, n_ctx);
    TRY(session_eval(s, ids, n_ids, n_ids, 0, NULL, err));
    TRY(begin_reply(s, false, err));
    TRY(sequence_repeat(&s->seq, (int)depth - 1, err));
    s->seq.tokens[s->seq.n_tokens++] = ids[0];
    enum fk_status st = prefill(s, err);
    if (st != FK_OK) {
        sequence_clear(&s->seq);
        return st;
    }
    s->has_logits = true;
    s->state = SESSION_RUNNING;
    return FK_OK;
}
