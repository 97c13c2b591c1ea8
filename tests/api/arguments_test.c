/* SPDX-License-Identifier: Apache-2.0
 * arguments_test.c - the public calls with wrong arguments: a status and a sentence that names what
 * was wrong, never a crash; and a short conversation through the public door only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fikr/fikr.h"

static const char *golden(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("FIKR_GOLDEN_DIR"), name);
    return path;
}

/* The status is FK_EINVAL and the sentence has this word in it. */
#define REFUSED(call, word)                                                                        \
    do {                                                                                           \
        memset(&err, 0, sizeof err);                                                               \
        assert_int_equal(call, FK_EINVAL);                                                         \
        assert_non_null(strstr(err.message, word));                                                \
    } while (0)

static void null_is_named(void **state)
{
    (void)state;
    struct fk_error err;
    struct fk_event ev;
    struct fk_fit fit;
    fk_model *m = NULL;
    fk_engine *e = NULL;
    fk_session *s = NULL;
    int32_t id = 5, *ids = NULL;
    size_t n = 0;
    char *text = NULL;
    double gb;
    REFUSED(fk_model_open(NULL, "x", NULL, &err), "out");
    REFUSED(fk_model_open(&m, NULL, NULL, &err), "path");
    REFUSED(fk_engine_create(NULL, NULL, NULL, &err), "out");
    REFUSED(fk_engine_create(&e, NULL, NULL, &err), "m is NULL");
    REFUSED(fk_session_create(NULL, NULL, NULL, &err), "out");
    REFUSED(fk_session_create(&s, NULL, NULL, &err), "e is NULL");
    REFUSED(fk_session_set_params(NULL, NULL, &err), "s is NULL");
    REFUSED(fk_session_prompt(NULL, &id, 1, 0, &err), "s is NULL");
    REFUSED(fk_session_next(NULL, &ev, &err), "s is NULL");
    REFUSED(fk_session_eval(NULL, &id, 1, 1, 0, NULL, &err), "s is NULL");
    REFUSED(fk_session_fill(NULL, &id, 1, 1, &err), "s is NULL");
    REFUSED(fk_engine_next(NULL, NULL, 0, NULL, NULL, &err), "e is NULL");
    REFUSED(fk_engine_measure_bandwidth(NULL, 1, &gb, &err), "e is NULL");
    REFUSED(fk_engine_measure_int8(NULL, 1, &gb, &err), "e is NULL");
    assert_int_equal(fk_engine_int8_products(NULL), 0);
    REFUSED(fk_fit(NULL, NULL, NULL, &err), "out");
    REFUSED(fk_fit(NULL, NULL, &fit, &err), "m is NULL");
    REFUSED(fk_tokenize(NULL, "a", 1, 0, NULL, NULL, &err), "ids");
    REFUSED(fk_tokenize(NULL, "a", 1, 0, &ids, &n, &err), "tokenizer");
    REFUSED(fk_detokenize(NULL, &id, 1, 0, NULL, NULL, &err), "text");
    REFUSED(fk_detokenize(NULL, &id, 1, 0, &text, &n, &err), "tokenizer");
    assert_int_equal(fk_model_get_info(NULL, NULL), FK_EINVAL);
    assert_int_equal(fk_model_get_meta(NULL, 0, NULL, NULL, NULL), FK_EINVAL);
    assert_int_equal(fk_model_get_tensor(NULL, 0, NULL), FK_EINVAL);
    assert_int_equal(fk_engine_get_info(NULL, NULL), FK_EINVAL);
    assert_int_equal(fk_session_get_stats(NULL, NULL), FK_EINVAL);
    assert_int_equal(fk_model_n_meta(NULL) + fk_model_n_tensors(NULL), 0);
    assert_int_equal(fk_model_failed(NULL), 0);
    assert_int_equal(fk_n_vocab(NULL), 0);
    assert_int_equal(fk_token_bos(NULL), -1);
    assert_null(fk_session_tokens(NULL, &n));
    assert_int_equal(fk_handle_fault(&n), 0);
    fk_model_close(NULL);
    fk_model_close(&m);
    fk_engine_destroy(NULL);
    fk_engine_destroy(&e);
    fk_session_destroy(NULL);
    fk_session_destroy(&s);
    fk_session_cancel(NULL);
    fk_session_answer_now(NULL);
    fk_model_default_params(NULL);
    fk_engine_default_params(NULL);
    fk_session_default_params(NULL);
    fk_get_memory(NULL);
    fk_free(NULL);
    assert_int_equal(fk_model_open(&m, "/nonexistent.gguf", NULL, NULL), FK_ENOTFOUND);
}

static void a_container_is_no_model(void **state)
{
    (void)state;
    struct fk_error err;
    struct fk_model_params p;
    struct fk_model_info info;
    struct fk_fit fit;
    fk_model *m = NULL;
    fk_engine *e = NULL;
    fk_model_default_params(&p);
    p.container_only = 1;
    assert_int_equal(fk_model_open(&m, golden("llama.gguf"), &p, &err), FK_OK);
    assert_int_equal(fk_model_get_info(m, &info), FK_OK);
    assert_string_equal(info.architecture, "llama");
    assert_true(fk_model_n_tensors(m) > 5);
    REFUSED(fk_engine_create(&e, m, NULL, &err), "container_only");
    REFUSED(fk_fit(m, NULL, &fit, &err), "container_only");
    fk_model_close(&m);
    assert_null(m);
}

static void out_of_range_is_named(void **state)
{
    (void)state;
    struct fk_error err;
    struct fk_event ev[2];
    enum fk_status statuses[2];
    fk_model *m = NULL;
    fk_engine *e = NULL, *other = NULL;
    fk_session *s[2] = {NULL, NULL};
    float logit[512];
    double gb;
    assert_int_equal(fk_model_open(&m, golden("llama.gguf"), NULL, &err), FK_OK);
    assert_int_equal(fk_engine_create(&e, m, NULL, &err), FK_OK);
    assert_int_equal(fk_engine_create(&other, m, NULL, &err), FK_OK);
    struct fk_session_params p;
    fk_session_default_params(&p);
    p.max_tokens = -1;
    REFUSED(fk_session_create(&s[0], e, &p, &err), "max_tokens");
    fk_session_default_params(&p);
    p.think_budget = -1;
    REFUSED(fk_session_create(&s[0], e, &p, &err), "think_budget");
    fk_session_default_params(&p);
    p.thinking = (enum fk_thinking)17;
    REFUSED(fk_session_create(&s[0], e, &p, &err), "thinking");
    fk_session_default_params(&p);
    p.sampling.top_k = -2;
    REFUSED(fk_session_create(&s[0], e, &p, &err), "top_k");
    fk_session_default_params(&p);
    p.sampling.n_bias = 3;
    REFUSED(fk_session_create(&s[0], e, &p, &err), "n_bias");
    assert_int_equal(fk_session_create(&s[0], e, NULL, &err), FK_OK);
    assert_int_equal(fk_session_create(&s[1], other, NULL, &err), FK_OK);

    const int32_t ids[] = {5, 6, 7}, bad[] = {5, 1 << 20}, negative[] = {-1};
    REFUSED(fk_session_prompt(s[0], NULL, 3, 0, &err), "ids");
    REFUSED(fk_session_prompt(s[0], ids, 0, 0, &err), "no tokens");
    REFUSED(fk_session_prompt(s[0], bad, 2, 0, &err), "1048576");
    REFUSED(fk_session_prompt(s[0], negative, 1, 0, &err), "-1");
    REFUSED(fk_session_eval(s[0], ids, 3, 4, 0, logit, &err), "first");
    REFUSED(fk_session_eval(s[0], ids, 3, 2, -1, logit, &err), "chunk");
    REFUSED(fk_session_eval(s[0], ids, 3, 0, 0, NULL, &err), "logits");
    REFUSED(fk_session_next(s[0], NULL, &err), "ev");
    assert_int_equal(fk_session_next(s[0], ev, &err), FK_ESTATE);
    REFUSED(fk_engine_measure_bandwidth(e, 0, &gb, &err), "seconds");
    REFUSED(fk_engine_measure_bandwidth(e, NAN, &gb, &err), "seconds");
    REFUSED(fk_engine_measure_bandwidth(e, 1, NULL, &err), "gb_per_s");
    REFUSED(fk_engine_measure_int8(e, 0, &gb, &err), "seconds");
    REFUSED(fk_engine_measure_int8(e, NAN, &gb, &err), "seconds");
    REFUSED(fk_engine_measure_int8(e, 1, NULL, &err), "products_per_s");
    REFUSED(fk_engine_next(e, NULL, 2, ev, statuses, &err), "sessions");
    REFUSED(fk_engine_next(e, s, 2, NULL, statuses, &err), "events");
    REFUSED(fk_engine_next(e, s, 2, ev, NULL, &err), "statuses");
    assert_int_equal(fk_session_prompt(s[0], ids, 3, 0, &err), FK_OK);
    assert_int_equal(fk_session_prompt(s[1], ids, 3, 0, &err), FK_OK);
    REFUSED(fk_engine_next(e, s, 2, ev, statuses, &err), "another engine");
    assert_int_equal(statuses[0], FK_OK);
    assert_int_equal(statuses[1], FK_EINVAL);
    for (int i = 0; i < 2; i++) fk_session_destroy(&s[i]);
    fk_engine_destroy(&e);
    fk_engine_destroy(&other);
    fk_model_close(&m);
}

static void a_reply_through_the_public_door(void **state)
{
    (void)state;
    struct fk_error err;
    struct fk_event ev = {0};
    struct fk_engine_info info;
    struct fk_session_stats stats;
    struct fk_memory before, after;
    fk_model *m = NULL;
    fk_engine *e = NULL;
    fk_session *s = NULL;
    int32_t *ids = NULL;
    size_t n_ids, n_all;
    fk_get_memory(&before);
    assert_int_equal(fk_model_open(&m, golden("gemma3.gguf"), NULL, &err), FK_OK);
    struct fk_engine_params ep;
    fk_engine_default_params(&ep);
    ep.n_threads = 2;
    ep.n_ctx = 100;
    ep.page_tokens = 32;
    assert_int_equal(fk_engine_create(&e, m, &ep, &err), FK_OK);
    assert_int_equal(fk_engine_get_info(e, &info), FK_OK);
    assert_int_equal(info.n_threads, 2);
    assert_int_equal(info.n_ctx, 100);
    assert_int_equal(info.page_tokens, 32);
    assert_true(info.kv_bytes_max >= 4 * 32 * info.kv_bytes_per_token);
    struct fk_session_params sp;
    fk_session_default_params(&sp);
    sp.max_tokens = 9;
    sp.sampling.seed = 4;
    assert_int_equal(fk_session_create(&s, e, &sp, &err), FK_OK);
    assert_int_equal(fk_tokenize(m, "the cat and the hat", 19, FK_TOKENIZE_BOS, &ids, &n_ids, &err),
                     FK_OK);
    assert_int_equal(fk_session_prompt(s, ids, n_ids, 0, &err), FK_OK);
    int n = 0;
    while (!ev.finish) {
        assert_int_equal(fk_session_next(s, &ev, &err), FK_OK);
        assert_true(ev.logprob <= 1e-6f);
        n += ev.token >= 0;
    }
    const int32_t *all = fk_session_tokens(s, &n_all);
    assert_int_equal(n_all, n_ids + (size_t)n);
    assert_memory_equal(all, ids, n_ids * sizeof *ids);
    assert_int_equal(fk_session_get_stats(s, &stats), FK_OK);
    assert_int_equal(stats.n_prompt, n_ids);
    assert_int_equal(stats.n_answer + stats.n_thinking, n);
    assert_true(n == 1 || stats.weight_bytes > 0);
    assert_true(stats.prefill_s > 0 && stats.first_token_s >= stats.prefill_s && stats.cpu_s > 0);
    fk_free(ids);
    fk_session_destroy(&s);
    fk_engine_destroy(&e);
    fk_model_close(&m);
    fk_get_memory(&after);
    assert_int_equal(after.live_bytes, before.live_bytes);
    assert_true(after.n_allocations > before.n_allocations && after.peak_rss_bytes > 0);
}

static void fit_adds_up_and_grows_with_the_context(void **state)
{
    (void)state;
    struct fk_error err;
    struct fk_fit a, b;
    fk_model *m = NULL;
    struct fk_engine_params p;
    assert_int_equal(fk_model_open(&m, golden("llama.gguf"), NULL, &err), FK_OK);
    fk_engine_default_params(&p);
    p.n_ctx = 64;
    assert_int_equal(fk_fit(m, &p, &a, &err), FK_OK);
    p.n_ctx = 256;
    assert_int_equal(fk_fit(m, &p, &b, &err), FK_OK);
    assert_int_equal(a.total_bytes, a.weight_bytes + a.kv_bytes + a.scratch_bytes + a.other_bytes);
    assert_int_equal(b.kv_bytes, 4 * a.kv_bytes);
    assert_int_equal(a.weight_bytes, b.weight_bytes);
    assert_true(b.scratch_bytes > a.scratch_bytes);
    assert_true(a.fits && a.n_ctx_max > 0 && a.bandwidth_gb_per_s > 0 && a.tokens_per_s > 0);
    p.n_ctx = -4;
    REFUSED(fk_fit(m, &p, &a, &err), "n_ctx");
    fk_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_is_named),
        cmocka_unit_test(a_container_is_no_model),
        cmocka_unit_test(out_of_range_is_named),
        cmocka_unit_test(a_reply_through_the_public_door),
        cmocka_unit_test(fit_adds_up_and_grows_with_the_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
