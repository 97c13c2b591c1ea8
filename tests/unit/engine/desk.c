/* SPDX-License-Identifier: Apache-2.0
 * desk.c - see desk.h. */
#include "tests/unit/engine/desk.h"
#include <stdio.h>
#include <stdlib.h>
#include "src/base/rng.h"

void desk_fail(const struct fk_error *err)
{
    print_error("%s\n", err->message);
    assert_true(false);
}

struct fk_engine_params desk_params(void)
{
    return (struct fk_engine_params){.n_threads = 2, .page_tokens = 16, .n_ctx = 256, .n_batch = 64,
                                     .kv_type = FK_KV_F32};
}

void desk_open(struct desk *d, const char *name, const struct fk_engine_params *params)
{
    char path[4096];
    struct fk_error err = {0};
    struct fk_engine_params defaults = desk_params();
    const char *dir = getenv("FIKR_GOLDEN_DIR");
    assert_non_null(dir);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    *d = (struct desk){0};
    if (model_open(&d->model, path, true, &err)) desk_fail(&err);
    if (engine_create(&d->engine, d->model, params ? params : &defaults, &err))
        desk_fail(&err);
}

void desk_close(struct desk *d)
{
    const fk_engine *e = d->engine;
    assert_int_equal(e->pool.n_free + e->tree.n_nodes, e->pool.n_pages);
    engine_destroy(&d->engine);
    model_close(&d->model);
}

struct fk_session_params desk_greedy(void)
{
    static const struct fk_logit_bias no_end = {DESK_END, -1e9f};
    struct fk_session_params p;
    fk_session_default_params(&p);
    p.sampling.temperature = 0;
    p.sampling.bias = &no_end;
    p.sampling.n_bias = 1;
    p.no_loop_guard = 1;
    return p;
}

fk_session *desk_session(struct desk *d, const struct fk_session_params *params)
{
    fk_session *s = NULL;
    struct fk_error err = {0};
    struct fk_session_params greedy = desk_greedy();
    if (session_create(&s, d->engine, params ? params : &greedy, &err)) desk_fail(&err);
    return s;
}

void desk_ids(int32_t *ids, int n, uint64_t seed)
{
    for (int i = 0; i < n; i++) ids[i] = 2 + (int32_t)(rng_u64(seed, 9, (uint64_t)i) % 120);
}

void desk_prompt(fk_session *s, const int32_t *ids, int n)
{
    struct fk_error err = {0};
    if (session_prompt(s, ids, (size_t)n, false, &err)) desk_fail(&err);
}

int desk_generate(fk_session *s, int32_t *out, int n, enum fk_finish *finish)
{
    int n_out = 0;
    struct fk_error err = {0};
    struct fk_event ev = {0};
    while (n_out < n && !ev.finish) {
        enum fk_status st;
        if (engine_next(s->engine, &s, 1, &ev, &st, &err)) desk_fail(&err);
        if (ev.token >= 0) out[n_out++] = ev.token;
    }
    if (finish) *finish = ev.finish;
    return n_out;
}
