/* SPDX-License-Identifier: Apache-2.0
 * exact_test.c - exact mode says what plain decoding at the widest read says, and leaves the same cache:
 * same tokens, same probabilities, same pages, bit for bit, however much is drafted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fikr/quantize.h"
#include "src/device/cpu/cpu.h"
#include "src/engine/session.h"
#include "tests/golden/gold.h"

#define N_PROMPT 20
#define N_REPLY 90
#define N_CTX 160

/* GQA; MLA with experts; GQA with experts; biases. */
static const char *const files[] = {"llama.gguf", "deepseek2-v3.gguf", "qwen3moe.gguf", "qwen2.gguf"};
#define N_FILES (int)(sizeof files / sizeof files[0])
static char folder[] = "/tmp/fikr-exact-XXXXXX", paths[N_FILES][80], cut[80];

static int setup(void **state)
{
    (void)state;
    struct fk_quantize_params p;
    fk_quantize_default_params(&p);
    p.n_threads = 2;
    p.max_tokens = 256;
    if (!mkdtemp(folder)) return 1;
    for (int i = 0; i < N_FILES; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d.gguf", folder, i);
        if (fk_quantize(gold_path(files[i]), paths[i], &p, NULL)) return 1;
    }
    snprintf(cut, sizeof cut, "%s/cut.gguf", folder);
    p.strip = 2;
    return fk_quantize(paths[0], cut, &p, NULL);
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < N_FILES; i++) unlink(paths[i]);
    unlink(cut);
    return rmdir(folder);
}

struct desk {
    fk_model *model;
    fk_engine *engine;
};

static struct desk desk_open(const char *path, int bits, int n_draft, enum fk_kv_type kv)
{
    struct desk d = {0};
    struct fk_engine_params p;
    struct fk_error err = {0};
    fk_engine_default_params(&p);
    p.bits = bits;
    p.kv_type = kv;
    p.n_threads = 2;
    p.n_ctx = N_CTX;
    p.page_tokens = 16;
    if (fk_model_open(&d.model, path, NULL, &err) || fk_engine_create(&d.engine, d.model, &p, &err))
        fail_msg("%s", err.message);
    d.engine->pace.n_fixed = n_draft;
    /* A hint to the system, which must change nothing: given where there are drafts. */
    ((struct cpu *)d.engine->device)->fetch_experts = n_draft > 0;
    return d;
}

static void desk_close(struct desk *d)
{
    fk_engine_destroy(&d->engine);
    fk_model_close(&d->model);
}

static struct fk_session_params params(float temperature, uint64_t seed)
{
    struct fk_session_params p;
    fk_session_default_params(&p);
    p.sampling = (struct fk_sampling){.temperature = temperature, .top_k = temperature > 0 ? 50 : 0,
                                      .top_p = 0.98f, .repeat_penalty = 1.1f, .penalty_last_n = 32,
                                      .seed = seed};
    p.raw = 1;
    p.no_loop_guard = 1;
    return p;
}

static fk_session *begin(const struct desk *d, const struct fk_session_params *p, int seed)
{
    fk_session *s = NULL;
    int32_t ids[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++) ids[i] = 3 + (11 * i + 17 * seed) % 120;
    assert_int_equal(fk_session_create(&s, d->engine, p, NULL), FK_OK);
    assert_int_equal(fk_session_prompt(s, ids, N_PROMPT, 0, NULL), FK_OK);
    return s;
}

struct said {
    struct fk_event events[N_CTX];
    int n;
};

static void take(struct said *r, const struct fk_event *ev)
{
    assert_true(r->n < N_CTX);
    r->events[r->n] = *ev;
    r->events[r->n++].text = NULL;
}

static struct said run(fk_session *s, int n)
{
    struct said r = {.n = 0};
    struct fk_event ev = {0};
    while (r.n < n && !ev.finish) {
        assert_int_equal(fk_session_next(s, &ev, NULL), FK_OK);
        take(&r, &ev);
    }
    return r;
}

static void check_reply(const struct said *got, const struct said *want)
{
    assert_int_equal(got->n, want->n);
    for (int i = 0; i < want->n; i++) {
        const struct fk_event *a = &got->events[i], *b = &want->events[i];
        assert_int_equal(a->token, b->token);
        assert_int_equal(a->finish, b->finish);
        assert_int_equal(a->forced, b->forced);
        assert_int_equal(a->n_bytes, b->n_bytes);
        assert_memory_equal(&a->logprob, &b->logprob, sizeof a->logprob);
    }
}

/* Whole pages, which are not written any more. */
static void check_cache(const fk_session *a, const fk_session *b)
{
    const struct kv_layout *kv = &a->engine->plan.kv;
    assert_int_equal(a->seq.n_computed, b->seq.n_computed);
    assert_int_equal(a->seq.n_pure, b->seq.n_pure);
    assert_int_equal(a->seq.n_shared, b->seq.n_shared);
    assert_true(a->seq.n_computed / kv->page_tokens >= 1);
    for (int i = 0; i < a->seq.n_computed / kv->page_tokens; i++)
        assert_memory_equal(a->seq.pages[i], b->seq.pages[i], kv->page_bytes);
}

static uint64_t n_drafted, n_accepted;

static void compare(int i_file, int n_draft, enum fk_kv_type kv, float temperature)
{
    struct desk plain = desk_open(paths[i_file], 8, 0, kv);
    struct desk exact = desk_open(paths[i_file], FK_BITS_EXACT, n_draft, kv);
    struct fk_session_params p = params(temperature, (uint64_t)(7 * i_file + n_draft));
    fk_session *a = begin(&plain, &p, i_file), *b = begin(&exact, &p, i_file);
    struct said want = run(a, N_REPLY), got = run(b, N_REPLY);
    check_reply(&got, &want);
    check_cache(b, a);
    n_drafted += b->stats.n_drafted;
    n_accepted += b->stats.n_accepted;
    assert_int_equal(a->stats.n_drafted, 0);
    fk_session_destroy(&a);
    fk_session_destroy(&b);
    desk_close(&plain);
    desk_close(&exact);
}

static void replies_and_caches_are_those_of_the_widest_read(void **state)
{
    (void)state;
    static const int drafts[] = {1, 3, DRAFT_MAX, 0};
    static const enum fk_kv_type kinds[] = {FK_KV_F16, FK_KV_I8, FK_KV_I4};
    for (int f = 0; f < N_FILES; f++) {
        n_drafted = n_accepted = 0;
        for (int i = 0; i < 4; i++)
            for (int t = 0; t < 2; t++) compare(f, drafts[i], kinds[f % 3], 0.8f * (float)t);
        print_message("%s: %llu of %llu drafted tokens were right\n", files[f],
                      (unsigned long long)n_accepted, (unsigned long long)n_drafted);
        assert_true(n_accepted > 50 && n_accepted < n_drafted);
    }
}

/* The context's end, a limit of tokens and a prompt that goes on from a reply. */
static void a_reply_ends_where_it_would(void **state)
{
    (void)state;
    struct desk plain = desk_open(paths[0], 8, 0, FK_KV_F16);
    struct desk exact = desk_open(paths[0], FK_BITS_EXACT, DRAFT_MAX, FK_KV_F16);
    for (int limit = 0; limit < 12; limit++) {
        struct fk_session_params p = params(0.7f, 3);
        p.max_tokens = limit;
        fk_session *a = begin(&plain, &p, limit), *b = begin(&exact, &p, limit);
        struct said want = run(a, N_CTX), got = run(b, N_CTX);
        check_reply(&got, &want);
        assert_true(want.events[want.n - 1].finish != FK_RUNNING);
        check_cache(b, a);
        /* Turns off in the middle of the reply. */
        int32_t ids[N_PROMPT + 4];
        size_t n;
        memcpy(ids, fk_session_tokens(a, &n), N_PROMPT * sizeof *ids);
        int n_ids = limit > 3 ? N_PROMPT + 3 : N_PROMPT;
        if (n_ids > N_PROMPT) memcpy(ids, fk_session_tokens(a, &n), (size_t)n_ids * sizeof *ids);
        ids[n_ids++] = 77;
        assert_int_equal(fk_session_prompt(a, ids, (size_t)n_ids, 0, NULL), FK_OK);
        assert_int_equal(fk_session_prompt(b, ids, (size_t)n_ids, 0, NULL), FK_OK);
        assert_int_equal(a->stats.n_cached, b->stats.n_cached);
        want = run(a, 20);
        got = run(b, 20);
        check_reply(&got, &want);
        fk_session_destroy(&a);
        fk_session_destroy(&b);
    }
    desk_close(&plain);
    desk_close(&exact);
}

/* Between two tokens, some of which were verified ahead: those that were not told count for nothing. */
static void a_switch_forgets_what_was_not_told(void **state)
{
    (void)state;
    static const int others[] = {3, 8};
    for (int o = 0; o < 2; o++)
        for (int at = 1; at < 12; at++) {
            struct desk plain = desk_open(paths[0], 8, 0, FK_KV_F16);
            struct desk exact = desk_open(paths[0], FK_BITS_EXACT, 5, FK_KV_F16);
            struct fk_session_params p = params(0, 1);
            fk_session *a = begin(&plain, &p, 9), *b = begin(&exact, &p, 9);
            struct said want = run(a, at), got = run(b, at);
            check_reply(&got, &want);
            assert_int_equal(fk_engine_set_bits(plain.engine, others[o], NULL), FK_OK);
            assert_int_equal(fk_engine_set_bits(exact.engine, others[o], NULL), FK_OK);
            want = run(a, 10);
            got = run(b, 10);
            check_reply(&got, &want);
            check_cache(b, a);
            assert_int_equal(fk_engine_set_bits(plain.engine, 8, NULL), FK_OK);
            assert_int_equal(fk_engine_set_bits(exact.engine, FK_BITS_EXACT, NULL), FK_OK);
            want = run(a, 20);
            got = run(b, 20);
            check_reply(&got, &want);
            check_cache(b, a);
            fk_session_destroy(&a);
            fk_session_destroy(&b);
            desk_close(&plain);
            desk_close(&exact);
        }
}

/* Sessions that share steps, of which one ends early, say what each says alone. */
static void sessions_together_say_what_each_says_alone(void **state)
{
    (void)state;
    enum { N = 4 };
    struct desk plain = desk_open(paths[1], 8, 0, FK_KV_F16);
    struct desk exact = desk_open(paths[1], FK_BITS_EXACT, 4, FK_KV_F16);
    fk_session *s[N];
    struct said want[N], got[N];
    for (int i = 0; i < N; i++) {
        struct fk_session_params p = params(i % 2 ? 0.9f : 0, (uint64_t)i);
        p.max_tokens = 30 + 10 * i;
        fk_session *alone = begin(&plain, &p, i);
        want[i] = run(alone, N_CTX);
        fk_session_destroy(&alone);
        s[i] = begin(&exact, &p, i);
        got[i].n = 0;
    }
    for (int n = 0; n < N_CTX; n++) {
        struct fk_event events[N];
        enum fk_status statuses[N];
        assert_int_equal(fk_engine_next(exact.engine, s, N, events, statuses, NULL), FK_OK);
        for (int i = 0; i < N; i++)
            if (!statuses[i]) take(&got[i], &events[i]);
    }
    for (int i = 0; i < N; i++) {
        check_reply(&got[i], &want[i]);
        fk_session_destroy(&s[i]);
    }
    desk_close(&plain);
    desk_close(&exact);
}

static void a_file_without_low_planes_is_refused(void **state)
{
    (void)state;
    struct fk_engine_params p;
    for (int i = 0; i < 2; i++) {
        struct fk_error err = {0};
        fk_model *m = NULL;
        fk_engine *e = NULL;
        char path[256];
        snprintf(path, sizeof path, "%s", i ? cut : gold_path("llama.gguf"));
        fk_engine_default_params(&p);
        p.bits = FK_BITS_EXACT;
        assert_int_equal(fk_model_open(&m, path, NULL, NULL), FK_OK);
        assert_int_equal(fk_engine_create(&e, m, &p, &err), FK_EINVAL);
        assert_non_null(strstr(err.message, i ? "this one has one" : "this one has none"));
        fk_model_close(&m);
    }
}

/* Drafts that pay get longer, drafts that do not stop, and what was slow once is tried again. */
static void drafts_follow_what_they_cost(void **state)
{
    (void)state;
    struct pace p = {0};
    assert_int_equal(pace_choose(&p, 0.9), 0);
    for (int i = 0; i < 40; i++) {
        int n = pace_choose(&p, 0.95);
        pace_learn(&p, n, 0.5, 1 + 0.01 * n); /* a draft costs half, to verify more costs little */
    }
    assert_true(pace_choose(&p, 0.95) >= 3);
    assert_true(pace_choose(&p, 0.3) <= 1);
    p = (struct pace){0};
    int n_tried = 0, n_last = 0;
    for (int i = 0; i < 4000; i++) {
        int n = pace_choose(&p, 0.6);
        pace_learn(&p, n, 0.9, 1 + 0.8 * n); /* verifying costs as much as saying */
        n_tried += n > 0;
        if (n > 0) n_last = i;
    }
    assert_true(n_tried < 60 && n_last > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_and_caches_are_those_of_the_widest_read),
        cmocka_unit_test(a_reply_ends_where_it_would),
        cmocka_unit_test(a_switch_forgets_what_was_not_told),
        cmocka_unit_test(sessions_together_say_what_each_says_alone),
        cmocka_unit_test(a_file_without_low_planes_is_refused),
        cmocka_unit_test(drafts_follow_what_they_cost),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
