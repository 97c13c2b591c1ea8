/* SPDX-License-Identifier: Apache-2.0
 * fit.c - what a model will take on this machine, before anything is computed.
 *
 * Memory is the peak that stays resident while one session fills its context: the weights that a
 * forward reads (mapped from the file), the whole cache of n_ctx, the largest step's scratch, and
 * what the process holds already. Speed is measured: a few tokens are decoded, or the first part of
 * one (engine/trial_pass.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/api/handles.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/base/memory.h"
#include "src/base/pool.h"
#include "src/engine/session.h"

#define FAULT_BYTES ((uint64_t)64 << 10) /* what one page fault maps of a cached file */
#define BANDWIDTH_SECONDS 0.1
#define TRIAL_SECONDS 0.3

/* Of an embedding that is not the output head too, only the rows of tokens that occur are read. */
static uint64_t touched_weights(const struct model *m, int n_ctx)
{
    const struct tensor *embd = m->tok_embd;
    if (m->output == embd) return m->weight_bytes;
    uint64_t bytes = embd->mat_bytes, touched = (uint64_t)n_ctx * FAULT_BYTES;
    if (touched >= bytes || m->weight_bytes < bytes) return m->weight_bytes;
    return m->weight_bytes - bytes + touched;
}

/* Encoded inputs of the widest matrix, and the partial sums of attention. */
static uint64_t device_scratch(const struct model_config *c, int n_rows)
{
    int64_t widest = c->n_ff > c->n_embd ? c->n_ff : c->n_embd;
    int64_t heads = (int64_t)c->n_heads * c->head_dim;
    if (heads > widest) widest = heads;
    return (uint64_t)n_rows * (uint64_t)widest * 3 / 2 + ((uint64_t)1 << 20);
}

static enum fk_status measure(const struct model *m, const struct kv_layout *kv,
                              const struct fk_engine_params *params, struct fk_fit *out,
                              struct fk_error *err)
{
    struct device_params dp = {0};
    struct device *device;
    double seconds = 0;
    if (params) dp = (struct device_params){.n_threads = params->n_threads, .cpu_mask = params->cpu_mask};
    TRY(device_cpu_create(&device, &dp, err));
    enum fk_status st = engine_bandwidth(m, device, 0, BANDWIDTH_SECONDS, &out->bandwidth_gb_per_s,
                                         err);
    if (!st) st = engine_trial(m, kv, device, TRIAL_SECONDS, &seconds, err);
    device_destroy(&device);
    if (seconds > 0) out->tokens_per_s = 1 / seconds;
    return st;
}

enum fk_status fk_fit(const fk_model *model, const struct fk_engine_params *params,
                      struct fk_fit *out, struct fk_error *err)
{
    struct engine_plan plan;
    uint64_t activations, rss = clock_rss_bytes();
    if (!out) return fail(err, FK_EINVAL, "fk_fit: out is NULL");
    *out = (struct fk_fit){0};
    if (!model) return fail(err, FK_EINVAL, "fk_fit: m is NULL");
    if (!model->model) return fail(err, FK_EINVAL, "fk_fit: the model was opened with container_only");
    const struct model *m = model->model;
    TRY(engine_plan(&plan, m, params, err));
    int n_rows = plan.n_batch < plan.n_ctx ? plan.n_batch : plan.n_ctx;
    TRY(engine_activation_bytes(m, &plan.kv, n_rows, 1, &activations, err));

    uint64_t n_vocab = (uint64_t)m->config.n_vocab, page = (uint64_t)plan.kv.page_tokens;
    uint64_t n_pages = ((uint64_t)plan.n_ctx + page - 1) / page;
    out->weight_bytes = touched_weights(m, plan.n_ctx);
    out->kv_bytes = n_pages * plan.kv.page_bytes;
    out->scratch_bytes = activations + device_scratch(&m->config, n_rows) +
                         5 * n_vocab * sizeof(float);
    if (params && params->bits == FK_BITS_EXACT)
        out->scratch_bytes += DRAFT_MAX * n_vocab * sizeof(float);
    out->other_bytes = rss;
    out->total_bytes = out->weight_bytes + out->kv_bytes + out->scratch_bytes + out->other_bytes;
    out->available_bytes = memory_available();

    uint64_t fixed = out->weight_bytes + out->scratch_bytes;
    out->fits = fixed + out->kv_bytes <= out->available_bytes;
    uint64_t left = out->available_bytes > fixed ? out->available_bytes - fixed : 0;
    uint64_t tokens = left / plan.kv.page_bytes * page;
    uint64_t most = m->config.n_ctx_train > 0 ? (uint64_t)m->config.n_ctx_train : ENGINE_MAX_CTX;
    out->n_ctx_max = (int)(tokens < most ? tokens : most);

    return measure(m, &plan.kv, params, out, err);
}
