/* SPDX-License-Identifier: Apache-2.0
 * trial_test.c - the trial pass behind `fit`: on every family, when there is time for whole tokens
 * and when there is none, and with every allocation failing. What it measures is no test's matter. */
#include <math.h>
#include "src/base/alloc.h"
#include "src/model/model.h"
#include "tests/unit/engine/desk.h"

static const char *const files[] = {"llama.gguf", "qwen2.gguf", "qwen3.gguf", "qwen3moe.gguf",
                                    "gemma3.gguf", "deepseek2-v2.gguf", "deepseek2-v3.gguf"};

static void every_family_gets_a_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        for (int whole = 0; whole < 2; whole++) {
            struct desk d;
            struct fk_error err = {0};
            struct mem_stats before, after;
            double seconds = -1;
            desk_open(&d, files[i], NULL);
            mem_get_stats(&before);
            if (engine_trial(d.model, &d.engine->plan.kv, d.engine->device, whole ? 0.01 : 0,
                             &seconds, &err))
                desk_fail(&err);
            mem_get_stats(&after);
            assert_true(isfinite(seconds) && seconds > 0);
            assert_int_equal(after.bytes[MEM_KV], before.bytes[MEM_KV]);
            desk_close(&d);
        }
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, "deepseek2-v3.gguf", NULL);
    bool done = false;
    int n_failed = 0;
    for (int64_t k = 0; !done; k++) {
        struct fk_error err = {0};
        double seconds;
        mem_inject(k, true);
        enum fk_status st = engine_trial(d.model, &d.engine->plan.kv, d.engine->device, 0.01,
                                         &seconds, &err);
        done = !mem_inject(-1, false);
        assert_int_equal(st, done ? FK_OK : FK_ENOMEM);
        n_failed += !done;
    }
    assert_true(n_failed > 1);
    desk_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_gets_a_time),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
