/* SPDX-License-Identifier: Apache-2.0
 * settings.c - checks a caller's parameters and keeps a copy of all they point to. */
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/engine/session.h"

void fk_session_default_params(struct fk_session_params *p)
{
    if (!p) return;
    *p = (struct fk_session_params){
        .sampling = {.temperature = 0.6f, .top_p = 0.95f, .repeat_penalty = 1, .penalty_last_n = 64},
    };
}

static enum fk_status check(const struct fk_session_params *p, int n_vocab, struct fk_error *err)
{
    TRY(sampling_check(&p->sampling, n_vocab, err));
    if (p->max_tokens < 0)
        return fail(err, FK_EINVAL, "max_tokens is %d; 0 is no limit", p->max_tokens);
    if (p->think_budget < 0)
        return fail(err, FK_EINVAL, "think_budget is %d; 0 is no limit", p->think_budget);
    if ((unsigned)p->thinking > FK_THINK_OFF)
        return fail(err, FK_EINVAL, "thinking is %d; there are auto, on and off", (int)p->thinking);
    if (p->n_stop > SESSION_MAX_STOPS || (p->n_stop && !p->stop))
        return fail(err, FK_EINVAL, "n_stop is %zu%s; at most %d strings are taken", p->n_stop,
                    p->stop ? "" : " and stop is NULL", SESSION_MAX_STOPS);
    for (size_t i = 0; i < p->n_stop; i++) {
        size_t n = p->stop[i] ? strlen(p->stop[i]) : 0;
        if (n < 1 || n > SESSION_MAX_STOP_BYTES)
            return fail(err, FK_EINVAL, "stop string %zu has %zu bytes; it must have 1 to %d", i, n,
                        SESSION_MAX_STOP_BYTES);
    }
    return FK_OK;
}

enum fk_status settings_copy(struct session_settings *out, const struct fk_session_params *params,
                             int n_vocab, struct fk_error *err)
{
    struct fk_session_params defaults;
    fk_session_default_params(&defaults);
    const struct fk_session_params *p = params ? params : &defaults;
    TRY(check(p, n_vocab, err));
    struct session_settings s = {.p = *p};
    if (p->sampling.n_bias) {
        size_t bytes = p->sampling.n_bias * sizeof *s.bias;
        s.bias = mem_alloc(bytes, MEM_ENGINE);
        if (!s.bias) return fail_nomem(err, bytes, "the logit biases");
        memcpy(s.bias, p->sampling.bias, bytes);
    }
    for (size_t i = 0; i < p->n_stop; i++) {
        s.stop[i] = mem_strdup(p->stop[i], MEM_ENGINE);
        if (s.stop[i]) continue;
        settings_fini(&s);
        return fail_nomem(err, strlen(p->stop[i]), "the stop strings");
    }
    *out = s;
    out->p.sampling.bias = out->bias;
    out->p.stop = NULL; /* out->stop holds them, wherever the struct moves */
    return FK_OK;
}

void settings_fini(struct session_settings *s)
{
    mem_free(s->bias);
    for (int i = 0; i < SESSION_MAX_STOPS; i++) mem_free(s->stop[i]);
    *s = (struct session_settings){0};
}
