/* SPDX-License-Identifier: Apache-2.0
 * cmd_bench.c - speed and memory traffic of a model here. Prompts are random ids, new in each
 * repetition, so that no cache of prefixes helps; end tokens are banned, so that every run is as
 * long as asked. The bandwidth is measured in turn with the decode runs, and how fast int8 is
 * multiplied with the prefills: both see the same machine. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fikr/session.h"
#include "fikr/tokenizer.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/cli/bench_depth.h"
#include "src/cli/bench_ops.h"
#include "src/cli/models.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

enum { MAX_BATCHES = 32, MAX_END_TOKENS = 64 };

struct series {
    double *values; /* [n] of [reps] */
    int n;
};

struct bench {
    const struct args *args;
    const fk_model *model;
    fk_engine *engine;
    struct fk_session_params params;
    struct fk_logit_bias bans[MAX_END_TOKENS];
    int32_t *ids; /* [pp] */
    float *logits; /* [n_vocab] */
    uint64_t stream; /* of random ids; another for each prompt */
    struct series prefill, decode, bandwidth, int8_rate, first_token, batches[MAX_BATCHES];
    struct series depths[MAX_BATCHES];
    struct depth_run at_depth[MAX_BATCHES]; /* the last one's bytes */
    uint64_t bytes_per_token;
    uint64_t int8_products; /* of a token of prefill */
    struct bench_ops ops, batch_ops, depth_ops; /* of the last decode run, batch and depth */
    struct bar bar;
    int n_steps, i_step;
};

static enum fk_status series_init(struct series *s, int n, struct fk_error *err)
{
    s->n = 0;
    s->values = mem_array((size_t)n, sizeof *s->values, MEM_CLI);
    return s->values ? FK_OK : fail_nomem(err, (size_t)n * sizeof *s->values, "the timings");
}

static void series_add(struct series *s, double v)
{
    s->values[s->n++] = v;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct series *s)
{
    qsort(s->values, (size_t)s->n, sizeof *s->values, by_value);
    return (s->values[(s->n - 1) / 2] + s->values[s->n / 2]) / 2;
}

static void ban_end_tokens(struct bench *b)
{
    size_t n = 0;
    for (int32_t id = 0; id < fk_n_vocab(b->model) && n < MAX_END_TOKENS; id++)
        if (fk_token_is_end(b->model, id)) b->bans[n++] = (struct fk_logit_bias){id, -1e9f};
    fk_session_default_params(&b->params);
    b->params.sampling.temperature = 0;
    b->params.sampling.repeat_penalty = 1;
    b->params.sampling.bias = b->bans;
    b->params.sampling.n_bias = n;
    b->params.raw = 1;
    b->params.no_loop_guard = 1;
}

/* Random ids that are no control tokens. */
static void draw_ids(struct bench *b, int32_t *ids, size_t n)
{
    uint64_t n_vocab = (uint64_t)fk_n_vocab(b->model);
    b->stream++;
    for (size_t i = 0, k = 0; i < n; i++) {
        do {
            ids[i] = (int32_t)(rng_u64(b->args->seed, b->stream, k++) % n_vocab);
        } while (fk_token_is_control(b->model, ids[i]) && k < 100 * (n + 1));
    }
}

static enum fk_status check_interrupt(struct bench *b, struct fk_error *err)
{
    if (bar_update(&b->bar, "bench", (unsigned long long)b->i_step++,
                   (unsigned long long)b->n_steps))
        return fail(err, FK_ECANCELLED, "interrupted");
    return FK_OK;
}

static enum fk_status run_prefill(struct bench *b, fk_session *s, bool counts, struct fk_error *err)
{
    size_t n = (size_t)b->args->pp;
    struct fk_event ev;
    double int8_rate;
    TRY(check_interrupt(b, err));
    TRY(fk_engine_measure_int8(b->engine, 0.1, &int8_rate, err));
    draw_ids(b, b->ids, n);
    uint64_t n_products = fk_engine_int8_products(b->engine);
    double begun = clock_seconds();
    TRY(fk_session_eval(s, b->ids, n, n - 1, 0, b->logits, err));
    double spent = clock_seconds() - begun;
    b->int8_products = (fk_engine_int8_products(b->engine) - n_products) / n;
    /* The same length again through the way a chat goes, to its first token. */
    draw_ids(b, b->ids, n);
    begun = clock_seconds();
    TRY(fk_session_prompt(s, b->ids, n, 0, err));
    TRY(fk_session_next(s, &ev, err));
    if (counts) {
        series_add(&b->prefill, (double)n / spent);
        series_add(&b->int8_rate, int8_rate);
        series_add(&b->first_token, (clock_seconds() - begun) * 1000);
    }
    return FK_OK;
}

static enum fk_status run_decode(struct bench *b, fk_session *s, bool counts, struct fk_error *err)
{
    int32_t id = fk_token_bos(b->model);
    struct fk_session_stats before, after;
    struct fk_event ev;
    double gb_per_s = 0;
    TRY(check_interrupt(b, err));
    TRY(fk_engine_measure_bandwidth(b->engine, 0.2, &gb_per_s, err));
    if (id < 0) draw_ids(b, &id, 1);
    TRY(fk_session_prompt(s, &id, 1, 0, err));
    TRY(fk_session_next(s, &ev, err)); /* its logits come from the prompt's step */
    TRY(fk_session_get_stats(s, &before));
    if (b->args->ops) fk_engine_op_times(b->engine, NULL, 0);
    double begun = clock_seconds();
    for (int i = 0; i < b->args->tg; i++) {
        TRY(fk_session_next(s, &ev, err));
        if (ev.finish == FK_FINISH_CANCELLED) return fail(err, FK_ECANCELLED, "interrupted");
        if (ev.finish)
            return fail(err, FK_ESTATE, "the reply ended after %d of %d tokens", i, b->args->tg);
    }
    double spent = clock_seconds() - begun;
    if (b->args->ops) bench_ops_take(&b->ops, b->engine, b->args->tg, spent);
    TRY(fk_session_get_stats(s, &after));
    if (!counts) return FK_OK;
    series_add(&b->decode, b->args->tg / spent);
    series_add(&b->bandwidth, gb_per_s);
    b->bytes_per_token = (after.weight_bytes + after.kv_bytes - before.weight_bytes -
                          before.kv_bytes) / (uint64_t)b->args->tg;
    return FK_OK;
}

static enum fk_status step_batch(struct bench *b, fk_session **s, size_t n, struct fk_event *events,
                                 enum fk_status *statuses, struct fk_error *err)
{
    TRY(fk_engine_next(b->engine, s, n, events, statuses, err));
    if (signals_interrupted()) return fail(err, FK_ECANCELLED, "interrupted");
    for (size_t i = 0; i < n; i++) {
        if (statuses[i]) return fail(err, statuses[i], "session %zu of the batch failed", i);
        if (events[i].finish) return fail(err, FK_ESTATE, "session %zu of the batch ended early", i);
    }
    return FK_OK;
}

static enum fk_status run_batch(struct bench *b, struct series *out, size_t n, bool counts,
                                struct fk_error *err)
{
    enum { MAX = 256 };
    fk_session *s[MAX] = {0};
    struct fk_event events[MAX];
    enum fk_status statuses[MAX], st;
    TRY(check_interrupt(b, err));
    for (size_t i = 0; i < n; i++) {
        int32_t id;
        draw_ids(b, &id, 1);
        TRY_GOTO(fk_session_create(&s[i], b->engine, &b->params, err), done);
        TRY_GOTO(fk_session_prompt(s[i], &id, 1, 0, err), done);
    }
    TRY_GOTO(step_batch(b, s, n, events, statuses, err), done);
    if (b->args->ops) fk_engine_op_times(b->engine, NULL, 0);
    double begun = clock_seconds();
    for (int i = 0; i < b->args->tg; i++)
        TRY_GOTO(step_batch(b, s, n, events, statuses, err), done);
    double spent = clock_seconds() - begun;
    if (b->args->ops) bench_ops_take(&b->batch_ops, b->engine, b->args->tg, spent);
    if (counts) series_add(out, (double)n * b->args->tg / spent);
done:
    for (size_t i = 0; i < n; i++) fk_session_destroy(&s[i]);
    return st;
}

static enum fk_status run_depth(struct bench *b, size_t i, bool counts, struct fk_error *err)
{
    struct fk_engine_info info;
    TRY(check_interrupt(b, err));
    TRY(fk_engine_get_info(b->engine, &info));
    int32_t ids[256]; /* the most that a page holds */
    draw_ids(b, ids, (size_t)info.page_tokens);
    TRY(bench_depth(b->engine, &b->params, ids, (size_t)info.page_tokens, b->args->depths.values[i],
                    b->args->tg, b->args->ops ? &b->depth_ops : NULL, &b->at_depth[i], err));
    if (counts) series_add(&b->depths[i], b->at_depth[i].tokens_per_s);
    return FK_OK;
}

static enum fk_status run_all(struct bench *b, struct fk_error *err)
{
    const struct args *a = b->args;
    fk_session *s = NULL;
    enum fk_status st;
    TRY(fk_session_create(&s, b->engine, &b->params, err));
    signals_watch(s);
    b->n_steps = (a->reps + 1) * (2 + (int)a->batch.n + (int)a->depths.n);
    for (int rep = 0; rep <= a->reps; rep++) {
        TRY_GOTO(run_prefill(b, s, rep > 0, err), done);
        TRY_GOTO(run_decode(b, s, rep > 0, err), done);
        for (size_t k = 0; k < a->batch.n; k++)
            TRY_GOTO(run_batch(b, &b->batches[k], (size_t)a->batch.values[k], rep > 0, err), done);
        for (size_t k = 0; k < a->depths.n; k++) TRY_GOTO(run_depth(b, k, rep > 0, err), done);
    }
    st = FK_OK;
done:
    signals_watch(NULL);
    bar_fini(&b->bar);
    fk_session_destroy(&s);
    return st;
}

static enum fk_status prepare(struct bench *b, struct opened *o, struct fk_error *err)
{
    const struct args *a = b->args;
    struct fk_engine_params p;
    struct fk_model_info info;
    uint64_t n_most = 2;
    if (a->batch.n > MAX_BATCHES || a->depths.n > MAX_BATCHES)
        return fail(err, FK_EINVAL, "--%s has %zu numbers; at most %d are allowed",
                    a->batch.n > MAX_BATCHES ? "batch" : "ctx-depth",
                    a->batch.n > MAX_BATCHES ? a->batch.n : a->depths.n, MAX_BATCHES);
    TRY(opened_model(o, a->model, a->lora, false, err));
    b->model = o->model;
    ban_end_tokens(b);
    opened_params(a, &p);
    int longest = a->pp > a->tg ? a->pp : a->tg;
    for (size_t i = 0; i < a->depths.n; i++)
        if (a->depths.values[i] + a->tg > longest) longest = a->depths.values[i] + a->tg;
    if (!a->ctx) p.n_ctx = longest + 8;
    TRY(fk_model_get_info(o->model, &info));
    for (size_t i = 0; i < a->batch.n; i++)
        if ((uint64_t)a->batch.values[i] > n_most) n_most = (uint64_t)a->batch.values[i];
    /* The default holds two contexts. Pages are at most 256 tokens; twice f16 is f32. */
    uint64_t n_cached = n_most * ((uint64_t)a->tg + 264) + (uint64_t)longest;
    if (n_cached > 2 * (uint64_t)p.n_ctx) p.kv_bytes_max = info.kv_bytes_per_token_f16 * 2 * n_cached;
    TRY(opened_engine(o, &p, err));
    b->engine = o->engine;
    b->ids = mem_array((size_t)a->pp, sizeof *b->ids, MEM_CLI);
    b->logits = mem_array((size_t)fk_n_vocab(o->model), sizeof *b->logits, MEM_CLI);
    if (!b->ids || !b->logits) return fail_nomem(err, (size_t)a->pp * 4, "the prompt");
    TRY(series_init(&b->prefill, a->reps, err));
    TRY(series_init(&b->decode, a->reps, err));
    TRY(series_init(&b->bandwidth, a->reps, err));
    TRY(series_init(&b->int8_rate, a->reps, err));
    TRY(series_init(&b->first_token, a->reps, err));
    for (size_t i = 0; i < a->batch.n; i++) TRY(series_init(&b->batches[i], a->reps, err));
    for (size_t i = 0; i < a->depths.n; i++) TRY(series_init(&b->depths[i], a->reps, err));
    return FK_OK;
}

static json_t *series_json(struct series *s)
{
    double mid = median(s);
    json_t *o = json_object();
    if (json_put(o, "min", json_num(s->values[0])) && json_put(o, "median", json_num(mid)) &&
        json_put(o, "max", json_num(s->values[s->n - 1])))
        return o;
    json_decref(o);
    return NULL;
}

/* Products a second of the median prefill, and their share of what the threads can do. */
static double int8_used(struct bench *b, double *share)
{
    double used = median(&b->prefill) * (double)b->int8_products;
    *share = used / median(&b->int8_rate);
    return used;
}

static json_t *prefill_json(struct bench *b)
{
    json_t *o = json_object();
    double share, used = int8_used(b, &share);
    bool ok = json_put(o, "n_tokens", json_integer(b->args->pp)) &&
              json_put(o, "tokens_per_s", series_json(&b->prefill)) &&
              json_put(o, "int8_products_per_token", json_count(b->int8_products));
    if (ok && b->int8_products)
        ok = json_put(o, "int8_gproducts_per_s", json_num(used / 1e9)) &&
             json_put(o, "int8_limit_gproducts_per_s", json_num(median(&b->int8_rate) / 1e9)) &&
             json_put(o, "int8_share", json_num(share));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static json_t *decode_json(struct bench *b, double gb_per_s, double share)
{
    json_t *o = json_object();
    if (json_put(o, "n_tokens", json_integer(b->args->tg)) &&
        json_put(o, "tokens_per_s", series_json(&b->decode)) &&
        json_put(o, "bytes_per_token", json_count(b->bytes_per_token)) &&
        json_put(o, "gb_per_s", json_num(gb_per_s)) &&
        json_put(o, "bandwidth_share", json_num(share)))
        return o;
    json_decref(o);
    return NULL;
}

static json_t *batches_json(struct bench *b)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < b->args->batch.n; i++) {
        json_t *o = json_object();
        if (!json_put(o, "n", json_integer(b->args->batch.values[i])) ||
            !json_put(o, "tokens_per_s", series_json(&b->batches[i])) ||
            json_array_append(list, o)) {
            json_decref(o);
            json_decref(list);
            return NULL;
        }
        json_decref(o);
    }
    return list;
}

static json_t *depths_json(struct bench *b)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < b->args->depths.n; i++) {
        const struct depth_run *r = &b->at_depth[i];
        json_t *o = json_object();
        if (!json_put(o, "n_ctx", json_integer(b->args->depths.values[i])) ||
            !json_put(o, "tokens_per_s", series_json(&b->depths[i])) ||
            !json_put(o, "kv_bytes", json_count(r->kv_bytes)) ||
            !json_put(o, "bytes_per_token", json_count(r->bytes)) || json_array_append(list, o)) {
            json_decref(o);
            json_decref(list);
            return NULL;
        }
        json_decref(o);
    }
    return list;
}

static json_t *bench_json(struct bench *b, const char *path, const struct fk_engine_info *e,
                          double gb_per_s, double bandwidth, uint64_t peak)
{
    json_t *o = json_object();
    bool ok = json_put(o, "model", json_cstr(path)) && json_put(o, "isa", json_cstr(e->isa)) &&
         json_put(o, "threads", json_integer(e->n_threads)) &&
         json_put(o, "reps", json_integer(b->args->reps)) && json_put(o, "prefill", prefill_json(b)) &&
         json_put(o, "decode", decode_json(b, gb_per_s, gb_per_s / bandwidth)) &&
         json_put(o, "bandwidth_gb_per_s", json_num(bandwidth)) &&
         json_put(o, "first_token_ms", json_num(median(&b->first_token))) &&
         json_put(o, "peak_rss_bytes", json_count(peak)) &&
         json_put(o, "batch", batches_json(b)) && json_put(o, "depth", depths_json(b)) &&
         (!b->args->ops || (json_put(o, "ops", bench_ops_json(&b->ops)) &&
                            json_put(o, "batch_ops", bench_ops_json(&b->batch_ops)) &&
                            json_put(o, "depth_ops", bench_ops_json(&b->depth_ops))));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static int report(struct bench *b, const char *path)
{
    struct fk_engine_info e;
    struct fk_memory memory;
    memset(&e, 0, sizeof e);
    fk_engine_get_info(b->engine, &e);
    fk_get_memory(&memory);
    double prefill = median(&b->prefill), decode = median(&b->decode);
    double bandwidth = median(&b->bandwidth);
    double gb_per_s = (double)b->bytes_per_token * decode / 1e9;
    if (b->args->json)
        return json_emit(bench_json(b, path, &e, gb_per_s, bandwidth, memory.peak_rss_bytes), 0);
    printf("%-10s %d threads, %s, %d repetitions (median, least to most)\n", "here", e.n_threads,
           e.isa ? e.isa : "?", b->args->reps);
    printf("%-10s %8.1f tokens/s (%.1f to %.1f), %d tokens; first token after %.0f ms\n", "prefill",
           prefill, b->prefill.values[0], b->prefill.values[b->prefill.n - 1], b->args->pp,
           median(&b->first_token));
    if (b->int8_products) {
        double share, used = int8_used(b, &share);
        printf("%-10s %8.1f G products/s of int8, %.0f M a token, %.1f %% of %.1f G\n", "", used / 1e9,
               (double)b->int8_products / 1e6, 100 * share, median(&b->int8_rate) / 1e9);
    }
    printf("%-10s %8.1f tokens/s (%.1f to %.1f), %s a token, %.2f GB/s, %.0f %% of %.2f GB/s\n",
           "decode", decode, b->decode.values[0], b->decode.values[b->decode.n - 1],
           term_bytes(b->bytes_per_token), gb_per_s, 100 * gb_per_s / bandwidth, bandwidth);
    for (size_t i = 0; i < b->args->batch.n; i++) {
        double mid = median(&b->batches[i]);
        printf("batch %-4d %8.1f tokens/s (%.1f to %.1f)\n", (int)b->args->batch.values[i], mid,
               b->batches[i].values[0], b->batches[i].values[b->batches[i].n - 1]);
    }
    for (size_t i = 0; i < b->args->depths.n; i++) {
        double mid = median(&b->depths[i]);
        printf("at %-7d %8.1f tokens/s (%.1f to %.1f), %.0f ms a token, %s of cache, %.2f GB/s\n",
               (int)b->args->depths.values[i], mid, b->depths[i].values[0],
               b->depths[i].values[b->depths[i].n - 1], 1000 / mid,
               term_bytes(b->at_depth[i].kv_bytes), mid * (double)b->at_depth[i].bytes / 1e9);
    }
    printf("%-10s %8s resident at most\n", "memory", term_bytes(memory.peak_rss_bytes));
    if (b->args->ops) bench_ops_print(&b->ops, "one token", bandwidth);
    if (b->batch_ops.n) bench_ops_print(&b->batch_ops, "one step of the last batch", bandwidth);
    if (b->depth_ops.n) bench_ops_print(&b->depth_ops, "one token at the last depth", bandwidth);
    return term_finish(0);
}

int cmd_bench(const struct args *a)
{
    struct fk_error err = {0};
    struct opened o = {0};
    struct bench b = {.args = a};
    bar_init(&b.bar);
    enum fk_status st = prepare(&b, &o, &err);
    if (!st) st = run_all(&b, &err);
    int code = st ? term_complain(&err) : report(&b, o.path);
    mem_free(b.ids);
    mem_free(b.logits);
    mem_free(b.prefill.values);
    mem_free(b.decode.values);
    mem_free(b.bandwidth.values);
    mem_free(b.int8_rate.values);
    mem_free(b.first_token.values);
    for (size_t i = 0; i < MAX_BATCHES; i++) {
        mem_free(b.batches[i].values);
        mem_free(b.depths[i].values);
    }
    opened_close(&o);
    return code;
}
