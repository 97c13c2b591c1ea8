/* SPDX-License-Identifier: Apache-2.0
 * trial_pass.c - how long a decoded token takes, found by decoding a few on the mapped weights.
 *
 * A forward of one token, the last of a page, runs on a device that hands its ops to the real one.
 * In the first pass it does so until the time is up and then does nothing; later passes run as many
 * ops. Each token is computed twice, since its experts may have to come from the disk at first, and
 * the median of the second times counts. Where passes end early, the time is stretched from the
 * bytes that they read to those of a whole token. */
#include <stdlib.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/device/device.h"
#include "src/engine/engine.h"

#define MAX_TOKENS 64

struct trial {
    struct device base;
    struct device *real;
    const struct ops *ops;
    double deadline;      /* of the first pass; 0 later */
    uint64_t n_done, n_most, bytes;
};

/* The ids of experts are looked at before any device is asked: they have to be some. */
static enum fk_status skip(const struct op_call *call)
{
    for (int i = 0; call->kind == OP_ROUTE && i < call->n_out; i++)
        memset(call->out[i]->data, 0, call->out[i]->mat_bytes);
    return FK_OK;
}

static enum fk_status try_op(struct device *d, const struct op_call *call, struct fk_error *err)
{
    struct trial *t = (struct trial *)d;
    if (t->n_done == t->n_most) return skip(call);
    if (t->deadline > 0 && t->bytes && clock_seconds() > t->deadline) {
        t->n_most = t->n_done;
        return skip(call);
    }
    t->n_done++;
    t->bytes = t->ops->weight_bytes_read;
    return device_run(t->real, call, err);
}

static const struct device_ops trial_ops = {
    .name = "trial",
    .op = {
        [OP_EMBED] = try_op,         [OP_MATMUL] = try_op,  [OP_MATMUL_HEADS] = try_op,
        [OP_RMSNORM] = try_op,       [OP_ADD] = try_op,     [OP_SCALE] = try_op,
        [OP_ROPE] = try_op,          [OP_CONCAT] = try_op,  [OP_GLU] = try_op,
        [OP_KV_WRITE] = try_op,      [OP_ATTENTION] = try_op, [OP_ROUTE] = try_op,
        [OP_EXPERTS] = try_op,       [OP_TAKE_ROWS] = try_op, [OP_SOFTCAP] = try_op,
        [OP_COLUMNS] = try_op,
    },
};

static enum fk_status run_pass(struct trial *t, const struct model *m, struct ops *o,
                               const struct batch *b, double *seconds, struct fk_error *err)
{
    double begun = clock_seconds();
    t->n_done = t->bytes = 0;
    ops_begin(o, b);
    m->forward(m, o);
    *seconds = clock_seconds() - begun;
    return ops_status(o, err);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum fk_status run_passes(struct trial *t, const struct model *m, struct ops *o,
                                 const struct batch *b, int32_t *token, double limit, double *median,
                                 struct fk_error *err)
{
    double begun = clock_seconds(), seconds[MAX_TOKENS];
    int n = 0;
    t->deadline = begun + limit / 2;
    TRY(run_pass(t, m, o, b, &seconds[0], err));
    t->deadline = 0;
    do {
        *token = (int32_t)((int64_t)(n + 1) * 7919 % m->config.n_vocab);
        TRY(run_pass(t, m, o, b, &seconds[n], err));
        TRY(run_pass(t, m, o, b, &seconds[n], err));
    } while (++n < MAX_TOKENS && (n < 2 || clock_seconds() - begun < limit));
    qsort(seconds, (size_t)n, sizeof *seconds, by_value);
    *median = seconds[n / 2];
    return FK_OK;
}

enum fk_status engine_trial(const struct model *m, const struct kv_layout *kv, struct device *d,
                            double limit_seconds, double *seconds, struct fk_error *err)
{
    struct trial t = {.base = {.ops = &trial_ops, .n_threads = d->n_threads, .isa = d->isa},
                      .real = d, .n_most = UINT64_MAX};
    void *page = mem_map(kv->page_bytes, MEM_KV);
    int32_t token = 0, pos = kv->page_tokens - 1, row = 0;
    struct batch_seq seq = {.n_rows = 1, .pos0 = pos, .pages = &page};
    struct batch b = {.n_rows = 1, .tokens = &token, .pos = &pos, .n_seqs = 1, .seqs = &seq, .kv = kv,
                      .n_out = 1, .out_rows = &row};
    struct ops o;
    if (!page) return fail_nomem(err, kv->page_bytes, "a page of the cache");
    ops_init(&o, &t.base, 0);
    t.ops = &o;
    enum fk_status st = run_passes(&t, m, &o, &b, &token, limit_seconds, seconds, err);
    if (!st && t.n_most != UINT64_MAX && t.bytes)
        *seconds *= (double)m->active_bytes / (double)t.bytes;
    ops_fini(&o);
    mem_unmap(page, kv->page_bytes, MEM_KV);
    if (!st && gguf_failed(m->gguf))
        return fail(err, FK_EGONE, "%s was cut while it was being read", gguf_path(m->gguf));
    return st;
}
