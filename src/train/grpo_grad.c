/* SPDX-License-Identifier: Apache-2.0
 * grpo_grad.c - the gradient of the clipped objective: passes of as many replies as fit.
 *
 *   d/d logp of  w min(rho A, clip(rho) A)  =  w rho A      where not clipped, else 0
 *   (rejection sampling: w)
 *   d/d logp of -w kl (q - 1 - log q), q = ref/new  =  w kl (q - 1) */
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/train/grpo_impl.h"

/* Replies [*next, end) that take part and fit one pass; none: *next is end. */
static int gather(struct grpo *g, int64_t *next, int64_t end)
{
    int n = 0;
    int64_t rows = 0;
    for (; *next < end; ++*next) {
        struct reply_of *y = &g->replies[*next];
        if (y->is_masked || !y->r.n_reply) continue;
        int64_t len = y->r.n_prompt + y->r.n_reply;
        if (n && rows + len > g->l->max_tokens) break;
        rows += len;
        g->docs[n] = (struct pass_doc){y->r.tokens, y->is_target, (int)len};
        g->members[n++] = (int)*next;
    }
    return n;
}

static enum fk_status mark_targets(struct grpo *g, struct fk_error *err)
{
    for (int64_t i = 0; i < g->n_groups * g->p.group; i++) {
        struct reply_of *y = &g->replies[i];
        size_t n = (size_t)(y->r.n_prompt + y->r.n_reply);
        y->is_target = mem_zalloc(n, MEM_TRAIN);
        if (!y->is_target) return fail_nomem(err, n, "targets");
        memset(y->is_target + y->r.n_prompt, 1, (size_t)y->r.n_reply);
    }
    return FK_OK;
}

static void exchange(float *a, float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = a[i];
        a[i] = b[i];
        b[i] = x;
    }
}

/* The log-probabilities of the reference's weights, which stand in for the learner's meanwhile. */
static enum fk_status reference_logp(struct grpo *g, struct fk_error *err)
{
    struct train_params *p = &g->l->params;
    int64_t next = 0, end = g->n_groups * g->p.group;
    enum fk_status st = FK_OK;
    for (int64_t i = 0; i < end && !st; i++) {
        struct reply_of *y = &g->replies[i];
        y->ref_logp = mem_array((size_t)y->r.n_reply, sizeof(float), MEM_TRAIN);
        if (!y->ref_logp) st = fail_nomem(err, (size_t)y->r.n_reply * 4, "log-probabilities");
    }
    if (st) return st;
    exchange(p->w, g->reference, p->n_floats);
    for (int n; !st && (n = gather(g, &next, end)) > 0;) {
        st = pass_forward(g->l->pass, g->docs, n, err);
        const float *logp = pass_logp(g->l->pass);
        for (int i = 0; !st && i < n; i++) {
            struct reply_of *y = &g->replies[g->members[i]];
            memcpy(y->ref_logp, logp, (size_t)y->r.n_reply * sizeof *logp);
            logp += y->r.n_reply;
        }
    }
    exchange(p->w, g->reference, p->n_floats);
    return st;
}

enum fk_status grpo_prepare(struct grpo *g, struct fk_error *err)
{
    TRY(mark_targets(g, err));
    if (g->p.kl > 0 && g->reference) TRY(reference_logp(g, err));
    return FK_OK;
}

static double token_weight(const struct grpo *g, const struct rollout *r, int64_t n_replies,
                           int64_t n_tokens)
{
    switch (g->p.kind) {
    case GRPO_GRPO: return 1 / ((double)n_replies * r->n_reply);
    case GRPO_DR_GRPO: return 1 / ((double)n_replies * (double)g->p.max_new);
    case GRPO_DAPO:
    case GRPO_REJECTION: return 1 / (double)n_tokens;
    }
    return 0;
}

/* coef of one reply's tokens; pass_backward takes the gradient of -coef logp. */
static enum fk_status reply_coef(struct grpo *g, const struct reply_of *y, const float *logp,
                                 double weight, bool is_first, float *coef, struct grpo_stats *s,
                                 struct fk_error *err)
{
    for (int t = 0; t < y->r.n_reply; t++) {
        double rho = exp((double)logp[t] - (double)y->r.logp[t]), a = y->advantage;
        if (is_first && logp[t] != y->r.logp[t])
            return fail(err, FK_ESTATE, "token %d of a reply has the log-probability %.9g in the "
                        "training pass and %.9g in the engine", t, (double)logp[t],
                        (double)y->r.logp[t]);
        if (g->p.kind == GRPO_REJECTION) { /* plain log-likelihood: no ratio */
            coef[t] = (float)weight;
            continue;
        }
        bool is_clipped = (a > 0 && rho > 1 + g->p.clip_high) || (a < 0 && rho < 1 - g->p.clip_low);
        double c = is_clipped ? 0 : rho * a;
        s->clipped += is_clipped;
        if (y->ref_logp) {
            double log_q = (double)y->ref_logp[t] - (double)logp[t], q = exp(log_q);
            s->kl += q - 1 - log_q;
            c += g->p.kl * (q - 1);
        }
        coef[t] = (float)(weight * c);
    }
    return FK_OK;
}

enum fk_status grpo_gradient(struct grpo *g, int64_t i_update, double balance,
                             struct grpo_stats *out, struct fk_error *err)
{
    int64_t first = g->n_groups * i_update / g->p.n_updates * g->p.group;
    int64_t end = g->n_groups * (i_update + 1) / g->p.n_updates * g->p.group;
    int64_t n_tokens = 0, n_replies = end - first, n_rows = 0;
    out->entropy = out->kl = out->clipped = 0;
    for (int64_t i = first; i < end; i++) {
        const struct reply_of *y = &g->replies[i];
        if (y->is_masked) continue;
        n_tokens += y->r.n_reply;
        n_rows += y->r.n_prompt + y->r.n_reply;
    }
    if (!n_tokens) return FK_OK;
    tape_set_balance(pass_tape(g->l->pass), (float)(balance / (double)n_rows));
    for (int n; (n = gather(g, &first, end)) > 0;) {
        TRY(pass_forward(g->l->pass, g->docs, n, err));
        const float *logp = pass_logp(g->l->pass), *entropy = pass_entropy(g->l->pass);
        for (int i = 0, at = 0; i < n; i++) {
            const struct reply_of *y = &g->replies[g->members[i]];
            TRY(reply_coef(g, y, logp + at, token_weight(g, &y->r, n_replies, n_tokens),
                           i_update == 0, g->coef + at, out, err));
            for (int t = 0; t < y->r.n_reply; t++) out->entropy += (double)entropy[at + t];
            at += y->r.n_reply;
        }
        learner_count_load(g->l);
        TRY(pass_backward(g->l->pass, g->coef, err));
    }
    out->entropy /= (double)n_tokens;
    out->kl /= (double)n_tokens;
    out->clipped /= (double)n_tokens;
    return FK_OK;
}
