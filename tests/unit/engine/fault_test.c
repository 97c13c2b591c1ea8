/* SPDX-License-Identifier: Apache-2.0
 * fault_test.c - what goes wrong: allocations that fail, NaN in weights, a file cut under us, a cancel
 * from another thread. Nothing leaks, and who is not concerned notices nothing. */
#include "tests/unit/engine/desk.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "src/base/map.h"

#define N_OUT 24

static uint64_t live_bytes(void)
{
    struct mem_stats s;
    mem_get_stats(&s);
    return s.live_bytes;
}

/* A whole conversation; gives the first status that is no success. Tokens go to out. */
static enum fk_status converse(const struct model *m, int32_t *out)
{
    struct fk_engine_params ep = desk_params();
    struct fk_session_params sp = desk_greedy();
    const char *stops[] = {"\x01\x02"};
    fk_engine *e = NULL;
    fk_session *s = NULL;
    struct fk_event ev;
    enum fk_status st, each;
    int32_t ids[40];
    desk_ids(ids, 40, 8);
    sp.sampling.temperature = 0.8f;
    sp.stop = stops;
    sp.n_stop = 1;
    st = engine_create(&e, m, &ep, NULL);
    if (!st) st = session_create(&s, e, &sp, NULL);
    if (!st) st = session_set_params(s, &sp, NULL);
    if (!st) st = session_prompt(s, ids, 40, true, NULL);
    for (int i = 0; !st && i < N_OUT; i++) {
        st = engine_next(e, &s, 1, &ev, &each, NULL);
        if (!st) out[i] = ev.token;
    }
    session_destroy(&s);
    engine_destroy(&e);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct model *m = NULL;
    char path[4096];
    int32_t want[N_OUT], got[N_OUT];
    snprintf(path, sizeof path, "%s/llama.gguf", getenv("FIKR_GOLDEN_DIR"));
    assert_int_equal(model_open(&m, path, true, NULL), FK_OK);
    uint64_t baseline = live_bytes();
    assert_int_equal(converse(m, want), FK_OK);
    assert_int_equal(live_bytes(), baseline);
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        int64_t n = 0, n_failed = 0;
        for (;; n++) {
            mem_inject(n, for_ever != 0);
            enum fk_status st = converse(m, got);
            uint64_t n_injected = mem_inject(-1, false);
            assert_int_equal(live_bytes(), baseline);
            if (!n_injected) break;
            if (st) {
                assert_int_equal(st, FK_ENOMEM);
                n_failed++;
            } else {
                assert_memory_equal(got, want, sizeof want); /* it was not needed after all */
            }
        }
        assert_true(n_failed > 20);
        assert_memory_equal(got, want, sizeof want);
    }
    model_close(&m);
}

/* In a living session: the call fails, the session goes on with the same tokens. */
static void a_session_survives_failed_allocations(void **state)
{
    (void)state;
    struct desk d;
    struct fk_error err;
    struct fk_event ev;
    enum fk_status st;
    int32_t ids[60], want[N_OUT], got[N_OUT];
    struct fk_session_params p = desk_greedy();
    p.raw = 1;
    desk_ids(ids, 60, 8);
    desk_open(&d, "gemma3.gguf", NULL);
    fk_session *s = desk_session(&d, &p);
    desk_prompt(s, ids, 60);
    desk_generate(s, want, N_OUT, NULL);
    session_destroy(&s);
    desk_close(&d);

    for (int for_ever = 0; for_ever < 2; for_ever++) {
        bool is_clean = false;
        for (int64_t n = 0; !is_clean; n++) {
            desk_open(&d, "gemma3.gguf", NULL); /* fresh, so that its scratch has to grow */
            s = desk_session(&d, &p);
            mem_inject(n, for_ever != 0);
            enum fk_status first = session_prompt(s, ids, 60, false, &err);
            is_clean = mem_inject(-1, false) == 0;
            if (first) {
                assert_int_equal(first, FK_ENOMEM);
                desk_prompt(s, ids, 60);
            }
            int n_told = 0;
            for (int64_t k = 0; n_told < N_OUT; k++) {
                mem_inject(k < 12 ? k / 2 : -1, for_ever != 0);
                enum fk_status next = engine_next(d.engine, &s, 1, &ev, &st, &err);
                mem_inject(-1, false);
                if (next) assert_int_equal(next, FK_ENOMEM);
                else if (ev.token >= 0) got[n_told++] = ev.token;
            }
            assert_memory_equal(got, want, sizeof want);
            session_destroy(&s);
            desk_close(&d);
        }
    }
}

/* The cache has room for one session only: the other is refused, and gets its turn later. */
static void a_full_cache_fails_one_session_only(void **state)
{
    (void)state;
    struct fk_engine_params params = desk_params();
    struct desk d;
    struct fk_error err;
    struct fk_event events[2];
    enum fk_status statuses[2];
    int32_t ids[100];
    struct engine_plan plan;
    desk_open(&d, "llama.gguf", NULL);
    assert_int_equal(engine_plan(&plan, d.model, &params, NULL), FK_OK);
    desk_close(&d);
    params.kv_bytes_max = 5 * plan.kv.page_bytes;
    desk_open(&d, "llama.gguf", &params);
    desk_ids(ids, 100, 8);
    fk_session *s[] = {desk_session(&d, NULL), desk_session(&d, NULL)};
    desk_prompt(s[0], ids, 47);
    desk_ids(ids, 100, 9);
    assert_int_equal(session_prompt(s[1], ids, 40, false, &err), FK_ENOMEM);
    assert_non_null(strstr(err.message, "kv_bytes_max"));
    desk_prompt(s[1], ids, 31);
    enum fk_status st = FK_OK;
    int n_told = 0;
    for (int i = 0; i < 10; i++) {
        st = engine_next(d.engine, s, 2, events, statuses, &err);
        n_told += statuses[0] == FK_OK;
    }
    assert_int_equal(st, FK_ENOMEM); /* both wanted a page, and there is none */
    assert_true(n_told >= 1 && n_told < 10);
    session_destroy(&s[1]);
    for (int i = 0; i < 10; i++) assert_int_equal(engine_next(d.engine, s, 1, events, statuses, &err), FK_OK);
    session_destroy(&s[0]);
    desk_close(&d);
}

static char copy_path[64];

/* A private copy of a golden file; bytes of tensor `name` from `at` on may be overwritten. */
static void copy_golden(const char *name)
{
    char path[4096], data[65536];
    snprintf(path, sizeof path, "%s/%s", getenv("FIKR_GOLDEN_DIR"), name);
    snprintf(copy_path, sizeof copy_path, "/tmp/fikr-fault-XXXXXX");
    int to = mkstemp(copy_path), from = open(path, O_RDONLY);
    assert_true(to >= 0 && from >= 0);
    for (ssize_t n; (n = read(from, data, sizeof data)) > 0;) assert_int_equal(write(to, data, (size_t)n), n);
    close(from);
    close(to);
}

static void open_copy(struct desk *d)
{
    struct fk_error err;
    struct fk_engine_params params = desk_params();
    *d = (struct desk){0};
    if (model_open(&d->model, copy_path, true, &err)) desk_fail(&err);
    if (engine_create(&d->engine, d->model, &params, &err)) desk_fail(&err);
}

/* F16: one token's embedding is NaN. The session that meets it fails, its neighbour does not. */
static void nan_fails_the_one_request(void **state)
{
    (void)state;
    struct desk d;
    struct fk_error err;
    struct fk_event events[2];
    enum fk_status statuses[2];
    int32_t good[20], bad[20], want[10];
    desk_ids(good, 20, 8);
    for (int i = 0; i < 20; i++) good[i] = good[i] == 50 ? 51 : good[i];
    copy_golden("qwen2.gguf");
    open_copy(&d);
    const struct gguf_tensor *t = gguf_find_tensor(d.model->gguf, "token_embd.weight");
    assert_int_equal(t->dtype, DT_F32);
    off_t at = (off_t)(t->offset + 50 * t->shape[0] * sizeof(float));
    struct fk_session_params p = desk_greedy();
    struct fk_logit_bias no_50[] = {{50, -1e9f}, {DESK_END, -1e9f}};
    p.sampling.bias = no_50;
    p.sampling.n_bias = 2;
    fk_session *s[] = {desk_session(&d, &p), NULL};
    desk_prompt(s[0], good, 20);
    desk_generate(s[0], want, 10, NULL);
    session_destroy(&s[0]);
    desk_close(&d);

    const uint32_t nan_bits = 0x7fc00000u;
    int fd = open(copy_path, O_WRONLY);
    assert_int_equal(pwrite(fd, &nan_bits, sizeof nan_bits, at), sizeof nan_bits);
    close(fd);
    open_copy(&d);
    s[0] = desk_session(&d, &p);
    memcpy(bad, good, sizeof bad);
    bad[19] = 50;
    assert_int_equal(session_prompt(s[0], bad, 20, false, &err), FK_ENONFINITE);
    assert_non_null(strstr(err.message, "non-finite"));

    struct fk_logit_bias only_50[] = {{50, 1e9f}};
    p.sampling.bias = only_50;
    p.sampling.n_bias = 1;
    s[1] = desk_session(&d, &p);
    desk_prompt(s[0], good, 20);
    desk_prompt(s[1], good, 10);
    for (int i = 0; i < 10; i++) {
        engine_next(d.engine, s, 2, events, statuses, &err);
        assert_int_equal(statuses[0], FK_OK);
        assert_int_equal(events[0].token, want[i]);
        assert_int_equal(statuses[1], i == 0 ? FK_OK : i == 1 ? FK_ENONFINITE : FK_ESTATE);
    }
    session_destroy(&s[0]);
    session_destroy(&s[1]);
    desk_close(&d);
    unlink(copy_path);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (map_handle_fault(info->si_addr)) return;
    signal(sig, SIG_DFL);
    raise(sig);
}

static void a_cut_file_ends_the_request(void **state)
{
    (void)state;
    struct desk d;
    struct fk_error err;
    struct fk_event ev;
    enum fk_status st;
    int32_t ids[20], out[5];
    struct sigaction new = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO}, old;
    desk_ids(ids, 20, 8);
    copy_golden("llama.gguf");
    open_copy(&d);
    fk_session *s = desk_session(&d, NULL);
    desk_prompt(s, ids, 20);
    desk_generate(s, out, 5, NULL);
    sigaction(SIGBUS, &new, &old);
    assert_int_equal(truncate(copy_path, 4096), 0);
    assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, &err), FK_EGONE);
    assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, &err), FK_ESTATE);
    assert_int_equal(session_prompt(s, ids, 20, false, &err), FK_EGONE);
    sigaction(SIGBUS, &old, NULL);
    session_destroy(&s);
    desk_close(&d);
    unlink(copy_path);
}

static void *cancel_later(void *arg)
{
    usleep(2000);
    fk_session_cancel(arg);
    return NULL;
}

static void another_thread_may_cancel(void **state)
{
    (void)state;
    struct fk_engine_params params = desk_params();
    params.n_ctx = 1 << 16;
    struct desk d;
    struct fk_event ev;
    enum fk_status st;
    int32_t ids[20];
    desk_open(&d, "llama.gguf", &params);
    desk_ids(ids, 20, 8);
    fk_session *s = desk_session(&d, NULL);
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        desk_prompt(s, ids, 20);
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, s), 0);
        do {
            assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, NULL), FK_OK);
        } while (!ev.finish);
        assert_int_equal(ev.finish, FK_FINISH_CANCELLED);
        pthread_join(thread, NULL);
    }
    session_destroy(&s);
    desk_close(&d);
}

static void parameters_are_checked(void **state)
{
    (void)state;
    struct desk d;
    struct fk_error err;
    fk_engine *e = NULL;
    const struct { struct fk_engine_params p; const char *name; } cases[] = {
        {{.n_ctx = -1}, "n_ctx"},          {{.n_ctx = 1}, "n_ctx"},
        {{.n_ctx = 1 << 30}, "n_ctx"},     {{.n_batch = -3}, "n_batch"},
        {{.page_tokens = 8}, "page_tokens"}, {{.page_tokens = 48}, "page_tokens"},
        {{.page_tokens = 512}, "page_tokens"}, {{.kv_type = 7}, "kv_type"},
        {{.mla = 9}, "mla"},               {{.n_threads = -1}, "threads"},
        {{.cpu_mask = "abacus"}, "abacus"}, {{.kv_bytes_max = 1}, "kv_bytes_max"},
    };
    desk_open(&d, "llama.gguf", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(engine_create(&e, d.model, &cases[i].p, &err), FK_EINVAL);
        assert_null(e);
        assert_non_null(strstr(err.message, cases[i].name));
    }
    desk_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_session_survives_failed_allocations),
        cmocka_unit_test(a_full_cache_fails_one_session_only),
        cmocka_unit_test(nan_fails_the_one_request),
        cmocka_unit_test(a_cut_file_ends_the_request),
        cmocka_unit_test(another_thread_may_cancel),
        cmocka_unit_test(parameters_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
