/* SPDX-License-Identifier: Apache-2.0
 * bench_depth.c - replies at a depth. The cache is filled with copies of a page that was computed
 * (fk_session_fill): each copy is memory of its own, so that a step reads what it would read after a
 * real prompt, without the minutes that 32,000 tokens take to compute. */
#include "src/cli/bench_depth.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/cli/signals.h"

static enum fk_status step(fk_session *s, struct fk_error *err)
{
    struct fk_event ev;
    TRY(fk_session_next(s, &ev, err));
    if (ev.finish == FK_FINISH_CANCELLED || signals_interrupted())
        return fail(err, FK_ECANCELLED, "interrupted");
    if (ev.finish) return fail(err, FK_ESTATE, "the reply ended early");
    return FK_OK;
}

static enum fk_status time_reply(fk_engine *e, fk_session *s, int n_tokens, struct bench_ops *ops,
                                 struct depth_run *out, struct fk_error *err)
{
    struct fk_session_stats before, after;
    TRY(step(s, err)); /* its logits come from the filling */
    TRY(fk_session_get_stats(s, &before));
    if (ops) fk_engine_op_times(e, NULL, 0);
    double begun = clock_seconds();
    for (int i = 0; i < n_tokens; i++) TRY(step(s, err));
    double spent = clock_seconds() - begun;
    out->tokens_per_s = n_tokens / spent;
    if (ops) bench_ops_take(ops, e, n_tokens, spent);
    TRY(fk_session_get_stats(s, &after));
    uint64_t n = (uint64_t)n_tokens, weights = after.weight_bytes - before.weight_bytes;
    out->kv_bytes = (after.kv_bytes - before.kv_bytes) / n;
    out->bytes = out->kv_bytes + weights / n;
    return FK_OK;
}

enum fk_status bench_depth(fk_engine *e, const struct fk_session_params *params,
                           const int32_t *ids, size_t n_ids, int depth, int n_tokens,
                           struct bench_ops *ops, struct depth_run *out, struct fk_error *err)
{
    fk_session *s = NULL;
    TRY(fk_session_create(&s, e, params, err));
    enum fk_status st = fk_session_fill(s, ids, n_ids, (size_t)depth, err);
    if (!st) st = time_reply(e, s, n_tokens, ops, out, err);
    fk_session_destroy(&s);
    return st;
}
