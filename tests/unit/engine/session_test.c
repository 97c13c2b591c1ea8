/* SPDX-License-Identifier: Apache-2.0
 * session_test.c - what a session computes does not depend on what was cached, who its neighbours are
 * or how its prompt was cut: bit for bit. And prompts at the edge of the context. */
#include "tests/unit/engine/desk.h"
#include <stdio.h>
#include <string.h>
#include "src/base/alloc.h"

#define VOCAB_BYTES(d) ((size_t)(d)->model->config.n_vocab * sizeof(float))

static const char *const files[] = {"llama.gguf", "gemma3.gguf", "qwen3moe.gguf",
                                    "deepseek2-v3.gguf"};
#define N_FILES (sizeof files / sizeof *files)

/* Logits of the last of n ids, computed by a fresh engine without any cache. */
static void fresh_logits(const char *file, const struct fk_engine_params *params,
                         const int32_t *ids, int n, float *out)
{
    struct desk d;
    desk_open(&d, file, params);
    fk_session *s = desk_session(&d, NULL);
    assert_int_equal(session_eval(s, ids, (size_t)n, (size_t)n - 1, 0, out, NULL), FK_OK);
    session_destroy(&s);
    desk_close(&d);
}

static void check_reuse(const char *file, enum fk_kv_type kv)
{
    struct fk_engine_params params = desk_params();
    params.kv_type = kv;
    struct desk d;
    int32_t ids[100], other[100];
    float want[512];
    desk_open(&d, file, &params);
    assert_true(VOCAB_BYTES(&d) <= sizeof want);
    desk_ids(ids, 100, 1);
    desk_ids(other, 100, 2);
    memcpy(other, ids, 70 * sizeof *ids);
    fk_session *a = desk_session(&d, NULL), *b = desk_session(&d, NULL);

    const struct { fk_session *s; const int32_t *ids; int n, cached; } steps[] = {
        {a, ids, 100, 0},
        {b, ids, 100, 96},  /* six full pages of a's */
        {a, ids, 100, 99},  /* its own partial page too */
        {b, other, 100, 70},/* from the middle of a shared page */
        {a, other, 100, 96},
        {a, ids, 64, 63},   /* shorter */
        {b, ids, 65, 64},
        {b, ids, 1, 0},
        {b, ids, 100, 96},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        desk_prompt(steps[i].s, steps[i].ids, steps[i].n);
        assert_int_equal(steps[i].s->stats.n_cached, steps[i].cached);
        assert_int_equal(steps[i].s->stats.n_prompt, steps[i].n);
        fresh_logits(file, &params, steps[i].ids, steps[i].n, want);
        assert_memory_equal(steps[i].s->logits, want, VOCAB_BYTES(&d));
    }
    session_destroy(&a);
    a = desk_session(&d, NULL); /* the pages outlive their session */
    desk_prompt(a, other, 100);
    assert_int_equal(a->stats.n_cached, 96);
    session_destroy(&a);
    session_destroy(&b);
    desk_close(&d);
}

static void reused_prefixes_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) check_reuse(files[i], FK_KV_F32);
    check_reuse("llama.gguf", FK_KV_F16);
    check_reuse("llama.gguf", FK_KV_I8);
    check_reuse("llama.gguf", FK_KV_I4);
    check_reuse("deepseek2-v3.gguf", FK_KV_I4);
}

static void chunks_and_threads_give_the_same_bits(void **state)
{
    (void)state;
    static float all[3][80 * 512];
    int32_t ids[80];
    desk_ids(ids, 80, 3);
    for (size_t f = 0; f < N_FILES; f++) {
        const int chunks[] = {0, 1, 7};
        for (int i = 0; i < 3; i++) {
            struct fk_engine_params params = desk_params();
            params.n_threads = 1 + i % 2;
            struct desk d;
            desk_open(&d, files[f], &params);
            fk_session *s = desk_session(&d, NULL);
            assert_int_equal(session_eval(s, ids, 80, 0, chunks[i], all[i], NULL), FK_OK);
            assert_memory_equal(all[i], all[0], 80 * VOCAB_BYTES(&d));
            float some[512 * 10];
            assert_int_equal(session_eval(s, ids, 80, 70, chunks[i], some, NULL), FK_OK);
            assert_memory_equal(some, all[0] + 70 * d.model->config.n_vocab, 10 * VOCAB_BYTES(&d));
            session_destroy(&s);
            desk_close(&d);
        }
    }
}

/* Several sessions in one step say what each says alone; they end at different times. */
static void check_neighbours(const char *file)
{
    enum { N = 5, MOST = 60 };
    int32_t alone[N][MOST], ids[N][40];
    int n_alone[N];
    float logprobs[N][MOST];
    struct fk_error err;
    for (int i = 0; i < N; i++) {
        struct desk d;
        struct fk_session_params p = desk_greedy();
        p.sampling.temperature = i % 2 ? 0.9f : 0;
        p.sampling.seed = (uint64_t)i;
        p.max_tokens = 12 * (i + 1);
        desk_ids(ids[i], 40, (uint64_t)i);
        desk_open(&d, file, NULL);
        fk_session *s = desk_session(&d, &p);
        desk_prompt(s, ids[i], 5 + 7 * i);
        struct fk_event ev = {0};
        for (n_alone[i] = 0; !ev.finish; n_alone[i]++) {
            enum fk_status st;
            assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, &err), FK_OK);
            alone[i][n_alone[i]] = ev.token;
            logprobs[i][n_alone[i]] = ev.logprob;
        }
        session_destroy(&s);
        desk_close(&d);
    }
    struct desk d;
    fk_session *s[N];
    struct fk_event events[N];
    enum fk_status statuses[N];
    desk_open(&d, file, NULL);
    for (int i = 0; i < N; i++) {
        struct fk_session_params p = desk_greedy();
        p.sampling.temperature = i % 2 ? 0.9f : 0;
        p.sampling.seed = (uint64_t)i;
        p.max_tokens = 12 * (i + 1);
        s[i] = desk_session(&d, &p);
        desk_prompt(s[i], ids[i], 5 + 7 * i);
    }
    int n[N] = {0};
    for (int step = 0; step < MOST; step++) {
        assert_int_equal(engine_next(d.engine, s, N, events, statuses, &err), FK_OK);
        for (int i = 0; i < N; i++) {
            if (n[i] == n_alone[i]) {
                assert_int_equal(statuses[i], FK_ESTATE);
                continue;
            }
            assert_int_equal(statuses[i], FK_OK);
            assert_int_equal(events[i].token, alone[i][n[i]]);
            assert_memory_equal(&events[i].logprob, &logprobs[i][n[i]], sizeof(float));
            n[i]++;
            assert_int_equal(events[i].finish, n[i] == n_alone[i] ? FK_FINISH_LENGTH : FK_RUNNING);
        }
    }
    for (int i = 0; i < N; i++) session_destroy(&s[i]);
    desk_close(&d);
}

static void neighbours_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) check_neighbours(files[i]);
}

static void more_sessions_than_rows_take_more_steps(void **state)
{
    (void)state;
    enum { N = 9 };
    struct fk_engine_params params = desk_params();
    params.n_batch = 4;
    struct desk d;
    fk_session *s[N];
    struct fk_event events[N];
    enum fk_status statuses[N];
    int32_t ids[10];
    desk_open(&d, "llama.gguf", &params);
    desk_ids(ids, 10, 1);
    for (int i = 0; i < N; i++) {
        s[i] = desk_session(&d, NULL);
        desk_prompt(s[i], ids, 10);
    }
    for (int step = 0; step < 5; step++) {
        assert_int_equal(engine_next(d.engine, s, N, events, statuses, NULL), FK_OK);
        for (int i = 0; i < N; i++) assert_int_equal(events[i].token, events[0].token);
    }
    fk_session *twice[] = {s[0], s[1], s[0]};
    assert_int_equal(engine_next(d.engine, twice, 3, events, statuses, NULL), FK_EINVAL);
    assert_int_equal(statuses[0], FK_OK);
    assert_int_equal(statuses[1], FK_OK);
    assert_int_equal(statuses[2], FK_EINVAL);
    for (int i = 0; i < N; i++) session_destroy(&s[i]);
    desk_close(&d);
}

/* R8: a prompt of n_ctx - 1 leaves room for one token; n_ctx and more are refused with both counts,
 * and the session is as it was. Generation ends exactly where the context does. */
static void the_context_has_an_edge(void **state)
{
    (void)state;
    enum { CTX = 64 };
    struct fk_engine_params params = desk_params();
    params.n_ctx = CTX;
    struct desk d;
    struct fk_error err;
    int32_t ids[10 * CTX], out[CTX], again[CTX];
    enum fk_finish finish;
    desk_open(&d, "llama.gguf", &params);
    desk_ids(ids, 10 * CTX, 5);
    fk_session *s = desk_session(&d, NULL);

    desk_prompt(s, ids, CTX - 1);
    assert_int_equal(desk_generate(s, out, CTX, &finish), 1);
    assert_int_equal(finish, FK_FINISH_CONTEXT);

    desk_prompt(s, ids, 10);
    int32_t first[8];
    assert_int_equal(desk_generate(s, first, 8, &finish), 8);
    const int too_long[] = {CTX, CTX + 1, 10 * CTX};
    for (int i = 0; i < 3; i++) {
        char count[32];
        assert_int_equal(session_prompt(s, ids, (size_t)too_long[i], false, &err), FK_ETOOBIG);
        snprintf(count, sizeof count, "%d tokens", too_long[i]);
        assert_non_null(strstr(err.message, count));
        assert_non_null(strstr(err.message, "holds 64"));
    }
    ids[3] = d.model->config.n_vocab;
    assert_int_equal(session_prompt(s, ids, 10, false, &err), FK_EINVAL);
    ids[3] = -1;
    assert_int_equal(session_prompt(s, ids, 10, false, &err), FK_EINVAL);
    int n = desk_generate(s, out, CTX, &finish); /* goes on as if nothing had happened */
    assert_int_equal(n, CTX - 18);
    assert_int_equal(finish, FK_FINISH_CONTEXT);
    assert_int_equal(s->seq.n_tokens, CTX);

    desk_ids(ids, CTX, 5);
    desk_prompt(s, ids, 10);
    assert_int_equal(desk_generate(s, again, CTX, &finish), CTX - 10);
    assert_memory_equal(again, first, sizeof first);
    assert_memory_equal(again + 8, out, (size_t)n * sizeof *out);

    float logits[CTX * 512];
    assert_int_equal(session_eval(s, ids, CTX, 0, 0, logits, &err), FK_OK);
    assert_int_equal(session_eval(s, ids, CTX + 1, 0, 0, logits, &err), FK_ETOOBIG);
    session_destroy(&s);
    desk_close(&d);
}

static void seeds_reproduce(void **state)
{
    (void)state;
    struct desk d;
    int32_t ids[20], a[40], b[40], c[40];
    desk_open(&d, "qwen3.gguf", NULL);
    desk_ids(ids, 20, 5);
    struct fk_session_params p = desk_greedy();
    p.sampling.temperature = 1;
    p.sampling.top_p = 0.95f;
    p.sampling.seed = 77;
    fk_session *s = desk_session(&d, &p);
    desk_prompt(s, ids, 20);
    desk_generate(s, a, 40, NULL);
    desk_prompt(s, ids, 20);
    desk_generate(s, b, 40, NULL);
    assert_memory_equal(a, b, sizeof a);
    p.sampling.seed = 78;
    assert_int_equal(session_set_params(s, &p, NULL), FK_OK);
    desk_prompt(s, ids, 20);
    desk_generate(s, c, 40, NULL);
    assert_memory_not_equal(a, c, sizeof a);
    session_destroy(&s);
    desk_close(&d);
}

/* What was said is in the cache: a second turn computes only what is new. */
static void the_next_turn_reuses_the_reply(void **state)
{
    (void)state;
    struct desk d;
    int32_t ids[80], out[30];
    float want[512];
    desk_open(&d, "llama.gguf", NULL);
    desk_ids(ids, 20, 5);
    fk_session *s = desk_session(&d, NULL);
    desk_prompt(s, ids, 20);
    desk_generate(s, out, 30, NULL);
    memcpy(ids + 20, out, sizeof out);
    desk_ids(ids + 50, 10, 6);
    desk_prompt(s, ids, 60);
    assert_int_equal(s->stats.n_cached, 49); /* the last token told was not computed */
    fresh_logits("llama.gguf", NULL, ids, 60, want);
    assert_memory_equal(s->logits, want, VOCAB_BYTES(&d));
    session_destroy(&s);
    desk_close(&d);
}

/* A filled cache costs what a real one costs, and is never taken for one. */
static void filled_pages_stay_private(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        struct fk_engine_params params = desk_params();
        struct fk_error err;
        struct desk d;
        int32_t ids[64], out[20];
        float want[512];
        params.n_ctx = 160;
        desk_open(&d, files[i], &params);
        desk_ids(ids, 64, 5);
        fk_session *s = desk_session(&d, NULL), *real = desk_session(&d, NULL);
        desk_prompt(real, ids, 64);
        int n_known = d.engine->tree.n_nodes;
        assert_int_equal(session_fill(s, ids, 40, 140, &err), FK_OK);
        for (int p = 2; p < 8; p++)
            assert_memory_equal(s->seq.pages[p], s->seq.pages[p % 2], d.engine->plan.kv.page_bytes);
        assert_int_equal(desk_generate(s, out, 20, NULL), 20);
        assert_int_equal(s->seq.n_tokens, 160);
        assert_int_equal(d.engine->tree.n_nodes, n_known);
        desk_prompt(s, ids, 50);
        assert_int_equal(s->stats.n_cached, 48); /* the real session's three pages */
        fresh_logits(files[i], &params, ids, 50, want);
        assert_memory_equal(s->logits, want, VOCAB_BYTES(&d));
        assert_int_equal(session_fill(s, ids, 15, 140, &err), FK_EINVAL);
        assert_int_equal(session_fill(s, ids, 40, 40, &err), FK_EINVAL);
        assert_int_equal(session_fill(s, ids, 40, 160, &err), FK_EINVAL);
        session_destroy(&s);
        session_destroy(&real);
        desk_close(&d);
    }
}

static int cancel_at_second(void *arg, const char *what, unsigned long long done,
                            unsigned long long total)
{
    int *calls = arg;
    assert_non_null(what);
    assert_true(done <= total);
    return ++*calls == 2;
}

static void cancel_leaves_a_usable_session(void **state)
{
    (void)state;
    struct fk_engine_params params = desk_params();
    params.n_batch = 16;
    struct desk d;
    struct fk_error err;
    struct fk_event ev;
    enum fk_status st;
    int32_t ids[100], want[10], got[10];
    int calls = 0;
    desk_open(&d, "llama.gguf", &params);
    desk_ids(ids, 100, 5);
    fk_session *s = desk_session(&d, NULL);
    desk_prompt(s, ids, 100);
    desk_generate(s, want, 10, NULL);
    session_destroy(&s);
    desk_close(&d);

    desk_open(&d, "llama.gguf", &params);
    struct fk_session_params p = desk_greedy();
    p.progress = cancel_at_second;
    p.progress_arg = &calls;
    s = desk_session(&d, &p);
    assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, &err), FK_ESTATE);
    assert_int_equal(session_prompt(s, ids, 100, false, &err), FK_ECANCELLED);
    assert_non_null(strstr(err.message, "16 of 100"));
    assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, &err), FK_ESTATE);
    atomic_store(&s->cancelled, 1);
    assert_int_equal(session_prompt(s, ids, 100, false, &err), FK_ECANCELLED);
    desk_prompt(s, ids, 100);
    assert_int_equal(s->stats.n_cached, 16);
    desk_generate(s, got, 5, NULL);
    atomic_store(&s->cancelled, 1);
    assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, &err), FK_OK);
    assert_int_equal(ev.finish, FK_FINISH_CANCELLED);
    assert_int_equal(ev.token, -1);
    assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, &err), FK_ESTATE);
    desk_prompt(s, ids, 100);
    desk_generate(s, got, 10, NULL);
    assert_memory_equal(got, want, sizeof want);
    session_destroy(&s);
    desk_close(&d);
}

/* A step of decode allocates nothing, also where a page begins, with sampling and with neighbours. */
static void steady_decode_allocates_nothing(void **state)
{
    (void)state;
    enum { N = 3 };
    for (size_t f = 0; f < N_FILES; f++) {
        struct desk d;
        fk_session *s[N];
        struct fk_event events[N];
        enum fk_status statuses[N];
        int32_t ids[30];
        struct mem_stats before, after;
        desk_open(&d, files[f], NULL);
        desk_ids(ids, 30, 5);
        for (int i = 0; i < N; i++) {
            struct fk_session_params p = desk_greedy();
            p.no_loop_guard = 0;
            p.sampling.temperature = i ? 1 : 0;
            p.sampling.top_k = 50 * i;
            p.sampling.top_p = 0.9f;
            p.sampling.repeat_penalty = 1.1f;
            s[i] = desk_session(&d, &p);
            desk_prompt(s[i], ids, 20 + 3 * i);
        }
        for (int i = 0; i < 4; i++)
            assert_int_equal(engine_next(d.engine, s, N, events, statuses, NULL), FK_OK);
        mem_get_stats(&before);
        for (int i = 0; i < 40; i++)
            assert_int_equal(engine_next(d.engine, s, N, events, statuses, NULL), FK_OK);
        mem_get_stats(&after);
        assert_int_equal(after.n_calls, before.n_calls);
        for (int i = 0; i < N; i++) session_destroy(&s[i]);
        desk_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reused_prefixes_give_the_same_bits),
        cmocka_unit_test(chunks_and_threads_give_the_same_bits),
        cmocka_unit_test(neighbours_change_nothing),
        cmocka_unit_test(more_sessions_than_rows_take_more_steps),
        cmocka_unit_test(the_context_has_an_edge),
        cmocka_unit_test(seeds_reproduce),
        cmocka_unit_test(the_next_turn_reuses_the_reply),
        cmocka_unit_test(filled_pages_stay_private),
        cmocka_unit_test(cancel_leaves_a_usable_session),
        cmocka_unit_test(steady_decode_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
