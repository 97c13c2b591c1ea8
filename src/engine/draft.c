/* SPDX-License-Identifier: Apache-2.0
 * draft.c - what is drafted, how much of it, and what becomes of it. The verifying step is step.c's. */
#include "src/engine/draft.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/engine/session.h"

#define FIRST_GUESS 0.8    /* of accept */
#define ACCEPT_WEIGHT 0.05 /* of the newest token in a mean */
#define TIME_WEIGHT 0.2    /* of the newest step */
#define FORGET 0.9995      /* a time that is not measured again looks that much better with each step */

int pace_choose(const struct pace *p, double accept)
{
    if (p->n_fixed) return p->n_fixed;
    double best = 0, tokens = 1, power = 1, verify = 0, step = 0;
    int n = 0;
    for (int k = 0; k <= DRAFT_MAX; k++, power *= accept, tokens += power) {
        /* What was never tried is taken to cost as much more as the last token did, the first nothing. */
        double before = verify;
        verify = p->verify_s[k] > 0 ? p->verify_s[k] : verify + step;
        step = k && verify > before ? verify - before : 0;
        double rate = tokens / (verify + k * p->draft_s);
        if (k && !(rate > best)) continue;
        best = rate;
        n = k;
        if (!(verify > 0)) break; /* nothing is known: a plain step first */
    }
    return n;
}

static void blend(double *mean, double x)
{
    *mean = *mean > 0 ? *mean + TIME_WEIGHT * (x - *mean) : x;
}

void pace_learn(struct pace *p, int n, double draft_s, double verify_s)
{
    for (int k = 0; k <= DRAFT_MAX; k++)
        if (k != n) p->verify_s[k] *= FORGET;
    blend(&p->verify_s[n], verify_s);
    if (n) blend(&p->draft_s, draft_s);
    else p->draft_s *= FORGET;
}

/* Tokens that a draft for s may have, with the cache and memory for them. */
static int room(fk_session *s, int n)
{
    const struct fk_session_params *p = &s->settings.p;
    struct ahead *a = &s->ahead;
    size_t n_vocab = (size_t)s->engine->model->config.n_vocab;
    int left = s->seq.cap - s->seq.n_tokens - 1;
    if (n > left) n = left;
    if (p->max_tokens && s->n_reply + (uint64_t)n >= (uint64_t)p->max_tokens)
        n = (int)((uint64_t)p->max_tokens - s->n_reply) - 1;
    if (n <= 0) return 0;
    if (!a->logits) a->logits = mem_array(DRAFT_MAX * n_vocab, sizeof *a->logits, MEM_ENGINE);
    if (!a->logits || sequence_reserve(&s->seq, s->seq.n_tokens + n, NULL)) return 0;
    return n;
}

/* Token i of the draft, by the drafting step's logits. */
static void take(fk_session *s, int i, const float *logits)
{
    const struct tokenizer *t = s->engine->model->tokenizer;
    int n = s->seq.n_tokens + i;
    int32_t id = sampler_pick(&s->engine->sampler, &s->settings.p.sampling, logits, s->seq.tokens, n, n);
    s->seq.tokens[n] = s->ahead.tokens[i] = id;
    s->ahead.n++;
    if (t && tokenizer_is_end(t, id)) s->ahead.n_wanted = i + 1;
}

void draft_ahead(fk_engine *e, fk_session *const *sessions, int first, int n)
{
    int most = e->plan.n_batch / n - 1;
    struct step_part *parts = e->parts + first;
    const size_t *members = e->members + first;
    for (int k = 0; k < n; k++) {
        fk_session *s = sessions[members[k]];
        struct ahead *a = &s->ahead;
        if (!(a->accept > 0)) a->accept = FIRST_GUESS;
        a->n = a->i = 0;
        a->n_wanted = pace_choose(&e->pace, a->accept);
        a->n_wanted = room(s, a->n_wanted < most ? a->n_wanted : most);
    }
    int bits = e->ops.bits, n_drafting = n;
    e->ops.bits = e->draft_bits;
    for (int i = 0; i < DRAFT_MAX && n_drafting; i++) {
        const float *logits;
        n_drafting = 0;
        for (int k = 0; k < n; k++) {
            fk_session *s = sessions[members[k]];
            if (s->ahead.n_wanted <= i) continue;
            e->drafting[n_drafting] = s;
            e->draft_parts[n_drafting++] = (struct step_part){.seq = &s->seq, .skip = i, .n_rows = 1,
                                                              .n_out = 1};
        }
        /* A draft that fails is a short one: the verifying step says what is wrong. */
        if (!n_drafting || engine_step(e, e->draft_parts, n_drafting, &logits, NULL)) break;
        for (int k = 0; k < n_drafting; k++, logits += e->model->config.n_vocab)
            take(e->drafting[k], i, logits);
        e->draft_weight_bytes += e->ops.weight_bytes_read;
        e->draft_kv_bytes += e->ops.kv_bytes_read;
    }
    e->ops.bits = bits;
    for (int k = 0; k < n; k++) {
        fk_session *s = sessions[members[k]];
        parts[k].n_rows = parts[k].n_out = 1 + s->ahead.n;
        s->stats.n_drafted += (uint64_t)s->ahead.n;
    }
}

void ahead_keep(fk_session *s, const float *logits, int n)
{
    size_t n_vocab = (size_t)s->engine->model->config.n_vocab;
    if (n) memcpy(s->ahead.logits, logits + n_vocab, (size_t)n * n_vocab * sizeof *logits);
    s->ahead.n = n;
    s->ahead.i = 0;
}

const float *ahead_next(fk_session *s)
{
    struct ahead *a = &s->ahead;
    int i = a->i++;
    if (i >= a->n || !s->engine->draft_bits) {
        a->n = 0;
        return NULL;
    }
    bool is_right = s->seq.tokens[s->seq.n_tokens - 1] == a->tokens[i];
    a->accept += ACCEPT_WEIGHT * ((is_right ? 1 : 0.01) - a->accept);
    if (!is_right) {
        a->n = 0;
        return NULL;
    }
    s->stats.n_accepted++;
    sequence_advance(&s->seq, s->seq.n_tokens, engine_bits(s->engine), true);
    return a->logits + (size_t)i * (size_t)s->engine->model->config.n_vocab;
}
