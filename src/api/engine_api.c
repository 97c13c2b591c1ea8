/* SPDX-License-Identifier: Apache-2.0
 * engine_api.c - fk_engine: checks arguments, calls the engine room. */
#include "src/api/handles.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/engine/session.h"

void fk_engine_default_params(struct fk_engine_params *p)
{
    if (p) *p = (struct fk_engine_params){0};
}

enum fk_status fk_engine_create(fk_engine **out, const fk_model *m,
                                const struct fk_engine_params *params, struct fk_error *err)
{
    if (!out) return fail(err, FK_EINVAL, "fk_engine_create: out is NULL");
    *out = NULL;
    if (!m) return fail(err, FK_EINVAL, "fk_engine_create: m is NULL");
    if (!m->model)
        return fail(err, FK_EINVAL, "fk_engine_create: the model was opened with container_only");
    if (gguf_failed(m->gguf))
        return fail(err, FK_EGONE, "%s was cut while it was mapped", gguf_path(m->gguf));
    return engine_create(out, m->model, params, err);
}

void fk_engine_destroy(fk_engine **e)
{
    if (e) engine_destroy(e);
}

enum fk_status fk_engine_get_info(const fk_engine *e, struct fk_engine_info *out)
{
    if (!e || !out) return FK_EINVAL;
    const struct engine_plan *p = &e->plan;
    *out = (struct fk_engine_info){
        .n_threads = device_n_threads(e->device),
        .n_ctx = p->n_ctx,
        .n_batch = p->n_batch,
        .page_tokens = p->kv.page_tokens,
        .isa = device_isa(e->device),
        .kv_bytes_per_token = p->kv.page_bytes / (uint64_t)p->kv.page_tokens,
        .kv_bytes_used = kv_pool_used_bytes(&e->pool),
        .kv_bytes_max = (uint64_t)e->pool.n_pages * p->kv.page_bytes,
        .bits = engine_bits(e),
        .draft_bits = e->draft_bits,
        .head_bits = e->ops.head_bits,
        .bits_max = e->model->n_planes ? planes_bits(e->model->n_planes - 1) : 0,
    };
    return FK_OK;
}

enum fk_status fk_engine_set_bits(fk_engine *e, int bits, struct fk_error *err)
{
    if (!e) return fail(err, FK_EINVAL, "fk_engine_set_bits: e is NULL");
    return engine_set_bits(e, bits, err);
}

enum fk_status fk_engine_set_head(fk_engine *e, int bits, struct fk_error *err)
{
    if (!e) return fail(err, FK_EINVAL, "fk_engine_set_head: e is NULL");
    return engine_set_head(e, bits, err);
}

enum fk_status fk_engine_measure_bandwidth(fk_engine *e, double seconds, double *gb_per_s,
                                           struct fk_error *err)
{
    if (!e) return fail(err, FK_EINVAL, "fk_engine_measure_bandwidth: e is NULL");
    if (!gb_per_s) return fail(err, FK_EINVAL, "fk_engine_measure_bandwidth: gb_per_s is NULL");
    if (!(seconds > 0 && seconds <= 60))
        return fail(err, FK_EINVAL, "seconds is %g; it must be above 0 and at most 60", seconds);
    return engine_bandwidth(e->model, e->device, e->ops.bits, seconds, gb_per_s, err);
}

enum fk_status fk_engine_measure_int8(fk_engine *e, double seconds, double *products_per_s,
                                      struct fk_error *err)
{
    if (!e) return fail(err, FK_EINVAL, "fk_engine_measure_int8: e is NULL");
    if (!products_per_s)
        return fail(err, FK_EINVAL, "fk_engine_measure_int8: products_per_s is NULL");
    if (!(seconds > 0 && seconds <= 60))
        return fail(err, FK_EINVAL, "seconds is %g; it must be above 0 and at most 60", seconds);
    return engine_int8_rate(e->device, seconds, products_per_s, err);
}

uint64_t fk_engine_int8_products(const fk_engine *e)
{
    return e ? e->ops.int8_products : 0;
}

size_t fk_engine_op_times(fk_engine *e, struct fk_op_time *out, size_t cap)
{
    return e && (out || !cap) ? engine_op_times(e, out, cap) : 0;
}

enum fk_status fk_engine_next(fk_engine *e, fk_session *const *sessions, size_t n,
                              struct fk_event *events, enum fk_status *statuses,
                              struct fk_error *err)
{
    if (!e) return fail(err, FK_EINVAL, "fk_engine_next: e is NULL");
    if (!n) return FK_OK;
    if (!sessions || !events || !statuses)
        return fail(err, FK_EINVAL, "fk_engine_next: %s is NULL",
                    !sessions ? "sessions" : !events ? "events" : "statuses");
    for (size_t i = 0; i < n; i++)
        if (!sessions[i]) return fail(err, FK_EINVAL, "fk_engine_next: session %zu is NULL", i);
    return engine_next(e, sessions, n, events, statuses, err);
}

void fk_get_memory(struct fk_memory *out)
{
    struct mem_stats s;
    if (!out) return;
    mem_get_stats(&s);
    *out = (struct fk_memory){s.live_bytes, s.peak_bytes, s.n_calls, clock_peak_rss_bytes()};
}
