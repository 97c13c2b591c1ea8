/* SPDX-License-Identifier: Apache-2.0
 * session_api.c - fk_session: checks arguments, calls the engine room. */
#include "src/api/handles.h"
#include "src/base/fail.h"
#include "src/engine/session.h"

static void take_float(const struct gguf *g, const char *key, double min, double max, float *out)
{
    double v = *out;
    if (!gguf_get_f64(g, key, false, min, max, &v, NULL)) *out = (float)v;
}

static void take_int(const struct gguf *g, const char *key, int *out)
{
    int64_t v = *out;
    if (!gguf_get_int(g, key, false, 0, 1 << 24, &v, NULL)) *out = (int)v;
}

void fk_session_model_params(const fk_model *m, struct fk_session_params *p)
{
    fk_session_default_params(p);
    if (!m || !p) return;
    struct fk_sampling *s = &p->sampling;
    take_float(m->gguf, "general.sampling.temp", 0, 100, &s->temperature);
    take_float(m->gguf, "general.sampling.top_p", 0, 1, &s->top_p);
    take_float(m->gguf, "general.sampling.min_p", 0, 1, &s->min_p);
    take_float(m->gguf, "general.sampling.penalty_repeat", 0.01, 100, &s->repeat_penalty);
    take_int(m->gguf, "general.sampling.top_k", &s->top_k);
    take_int(m->gguf, "general.sampling.penalty_last_n", &s->penalty_last_n);
}

enum fk_status fk_session_create(fk_session **out, fk_engine *e,
                                 const struct fk_session_params *params, struct fk_error *err)
{
    if (!out) return fail(err, FK_EINVAL, "fk_session_create: out is NULL");
    *out = NULL;
    if (!e) return fail(err, FK_EINVAL, "fk_session_create: e is NULL");
    return session_create(out, e, params, err);
}

void fk_session_destroy(fk_session **s)
{
    if (s) session_destroy(s);
}

enum fk_status fk_session_set_params(fk_session *s, const struct fk_session_params *params,
                                     struct fk_error *err)
{
    if (!s) return fail(err, FK_EINVAL, "fk_session_set_params: s is NULL");
    return session_set_params(s, params, err);
}

enum fk_status fk_session_prompt(fk_session *s, const int32_t *ids, size_t n_ids,
                                 int opens_thinking, struct fk_error *err)
{
    if (!s) return fail(err, FK_EINVAL, "fk_session_prompt: s is NULL");
    if (!ids) return fail(err, FK_EINVAL, "fk_session_prompt: ids is NULL");
    return session_prompt(s, ids, n_ids, opens_thinking != 0, err);
}

enum fk_status fk_session_next(fk_session *s, struct fk_event *ev, struct fk_error *err)
{
    enum fk_status st;
    if (!s) return fail(err, FK_EINVAL, "fk_session_next: s is NULL");
    if (!ev) return fail(err, FK_EINVAL, "fk_session_next: ev is NULL");
    return engine_next(s->engine, &s, 1, ev, &st, err);
}

void fk_session_answer_now(fk_session *s)
{
    if (s) atomic_store(&s->answer_now, 1);
}

void fk_session_cancel(fk_session *s)
{
    if (s) atomic_store(&s->cancelled, 1);
}

const int32_t *fk_session_tokens(const fk_session *s, size_t *n)
{
    if (n) *n = s ? (size_t)s->seq.n_tokens : 0;
    return s ? s->seq.tokens : NULL;
}

enum fk_status fk_session_get_stats(const fk_session *s, struct fk_session_stats *out)
{
    if (!s || !out) return FK_EINVAL;
    *out = s->stats;
    return FK_OK;
}

enum fk_status fk_session_eval(fk_session *s, const int32_t *ids, size_t n_ids, size_t first,
                               int chunk, float *logits, struct fk_error *err)
{
    if (!s) return fail(err, FK_EINVAL, "fk_session_eval: s is NULL");
    if (!ids) return fail(err, FK_EINVAL, "fk_session_eval: ids is NULL");
    return session_eval(s, ids, n_ids, first, chunk, logits, err);
}

enum fk_status fk_session_fill(fk_session *s, const int32_t *ids, size_t n_ids, size_t depth,
                               struct fk_error *err)
{
    if (!s) return fail(err, FK_EINVAL, "fk_session_fill: s is NULL");
    if (!ids) return fail(err, FK_EINVAL, "fk_session_fill: ids is NULL");
    return session_fill(s, ids, n_ids, depth, err);
}
