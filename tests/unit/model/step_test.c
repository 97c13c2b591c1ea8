/* SPDX-License-Identifier: Apache-2.0
 * step_test.c - one step: what it reads, what it allocates, and what it survives: NaN in weights, a
 * file cut under it, memory that is refused. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/map.h"
#include "tests/unit/model/mutant.h"

static const char *const files[] = {"llama.gguf", "llama-rope3.gguf", "qwen2.gguf", "qwen3.gguf",
                                    "qwen3moe.gguf", "gemma3.gguf", "deepseek2-v3.gguf",
                                    "deepseek2-lite-unsplit.gguf"};
#define N_FILES (sizeof files / sizeof *files)

static const int32_t prompt[] = {5, 17, 99, 42, 8, 120, 64, 3};

static struct mem_stats memory(void)
{
    struct mem_stats s;
    mem_get_stats(&s);
    return s;
}

/* Ops count matrices; active_bytes counts norms and biases too. */
static void active_bytes_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        struct rig r;
        const float *logits;
        rig_open(&r, gold_path(files[i]), 1, DT_F16, MLA_AUTO);
        assert_int_equal(rig_step(&r, prompt, 1, 1, &logits, NULL), FK_OK);
        uint64_t read = r.ops.weight_bytes_read, active = r.model->active_bytes;
        assert_true(read <= active);
        assert_true(active - read <= active / 25);
        assert_true(active <= r.model->weight_bytes + r.model->tok_embd->row_bytes);
        assert_true(r.model->n_active_params <= r.model->n_params);
        rig_close(&r);
    }
}

static void decoding_allocates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        struct rig r;
        const float *logits;
        rig_open(&r, gold_path(files[i]), 2, DT_F16, MLA_AUTO);
        assert_int_equal(rig_step(&r, prompt, 8, 1, &logits, NULL), FK_OK);
        uint64_t before = memory().n_calls;
        for (int k = 0; k < 20; k++)
            assert_int_equal(rig_step(&r, prompt + k % 8, 1, 1, &logits, NULL), FK_OK);
        assert_int_equal(memory().n_calls, before);
        rig_close(&r);
    }
}

/* The first number of a tensor. */
static void poison(struct mutant *m, const char *golden, const char *tensor, float v)
{
    struct gguf *g;
    mutant_init(m, golden);
    assert_int_equal(gguf_open(&g, gold_path(golden), NULL), FK_OK);
    const struct gguf_tensor *t = gguf_find_tensor(g, tensor);
    assert_non_null(t);
    assert_true(t->dtype == DT_F32 && t->offset + 4 <= m->n);
    memcpy(m->data + t->offset, &v, 4);
    gguf_close(&g);
}

static void nan_is_named_and_ends_the_step_only(void **state)
{
    (void)state;
    /* chooses: what it makes infinite is a score, of which softmax has a finite limit */
    static const struct { const char *file, *tensor; bool chooses; } rows[] = {
        {"llama.gguf", "blk.0.attn_norm.weight", false},
        {"llama.gguf", "blk.1.ffn_down.weight", false},
        {"llama.gguf", "output_norm.weight", false},
        {"gemma3.gguf", "blk.6.post_ffw_norm.weight", false},
        {"qwen3moe.gguf", "blk.0.ffn_gate_inp.weight", true},
        {"deepseek2-v3.gguf", "blk.1.ffn_gate_inp.weight", true},
        {"deepseek2-v3.gguf", "blk.2.attn_k_b.weight", true},
    };
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3 * sizeof rows / sizeof *rows; i++) {
        struct mutant m;
        struct rig r;
        const float *logits;
        struct fk_error err;
        poison(&m, rows[i / 3].file, rows[i / 3].tensor, bad[i % 3]);
        rig_open(&r, mutant_save(&m), 1, DT_F32, MLA_AUTO);
        for (int again = 0; again < 2; again++) {
            rig_rewind(&r);
            enum fk_status st = rig_step(&r, prompt, 8, 8, &logits, &err);
            if (st == FK_OK && i % 3 && rows[i / 3].chooses) continue;
            if (st != FK_ENONFINITE || !strstr(err.message, "non-finite logits at position"))
                fail_msg("%s, %g: %s", rows[i / 3].tensor, (double)bad[i % 3], fk_status_name(st));
        }
        rig_close(&r);
        mutant_fini(&m);
    }
}

/* A token whose embedding is NaN fails the sequence that uses it, not the next one. */
static void a_bad_token_is_alone(void **state)
{
    (void)state;
    struct mutant m;
    struct rig r;
    const float *logits;
    poison(&m, "llama-rope3.gguf", "token_embd.weight", NAN); /* untied: the head does not read it */
    rig_open(&r, mutant_save(&m), 1, DT_F32, MLA_AUTO);
    assert_int_equal(rig_step(&r, (int32_t[]){7, 0, 7}, 3, 3, &logits, NULL), FK_ENONFINITE);
    rig_rewind(&r);
    assert_int_equal(rig_step(&r, prompt, 8, 8, &logits, NULL), FK_OK);
    rig_close(&r);
    mutant_fini(&m);
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (map_handle_fault(info->si_addr)) return;
    signal(sig, SIG_DFL);
    raise(sig);
}

static void a_cut_file_is_gone(void **state)
{
    (void)state;
    struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO}, old;
    struct mutant m;
    struct rig r;
    const float *logits;
    struct fk_error err;
    sigaction(SIGBUS, &sa, &old);
    mutant_init(&m, "qwen2.gguf");
    rig_open(&r, mutant_save(&m), 1, DT_F32, MLA_AUTO);
    assert_int_equal(truncate(m.path, 16384), 0);
    assert_int_equal(rig_step(&r, prompt, 8, 8, &logits, &err), FK_EGONE);
    assert_non_null(strstr(err.message, m.path));
    assert_int_equal(rig_step(&r, prompt, 8, 8, &logits, &err), FK_EGONE);
    rig_close(&r);
    mutant_fini(&m);
    sigaction(SIGBUS, &old, NULL);
}

/* Every allocation of opening and stepping fails once and for ever: an error, nothing lost. */
static void memory_may_be_refused(void **state)
{
    (void)state;
    const char *const some[] = {"llama-rope3.gguf", "deepseek2-v3.gguf",
                                "deepseek2-lite-unsplit.gguf"};
    for (int i = 0; i < 6; i++) {
        const char *path = gold_path(some[i % 3]);
        uint64_t live = memory().live_bytes;
        for (int64_t n = 0;; n++) {
            struct model *model;
            struct fk_error err;
            mem_inject(n, i >= 3);
            enum fk_status st = model_open(&model, path, false, &err);
            uint64_t n_failed = mem_inject(-1, false);
            if (st == FK_OK) {
                model_close(&model);
                if (!n_failed) break;
            } else {
                assert_int_equal(st, FK_ENOMEM);
                assert_null(model);
            }
            assert_int_equal(memory().live_bytes, live);
            assert_in_range(n, 0, 10000);
        }
    }
    struct rig r;
    const float *logits;
    rig_open(&r, gold_path("deepseek2-v3.gguf"), 2, DT_F32, MLA_AUTO);
    for (int64_t n = 0;; n++) {
        rig_rewind(&r);
        ops_fini(&r.ops);
        ops_init(&r.ops, r.device, 0);
        mem_inject(n, false);
        enum fk_status st = rig_step(&r, prompt, 8, 8, &logits, NULL);
        if (!mem_inject(-1, false)) break;
        assert_int_equal(st, FK_ENOMEM);
    }
    assert_non_null(logits);
    rig_close(&r);
}

static void nonsense_batches_are_refused(void **state)
{
    (void)state;
    struct rig r;
    const float *logits;
    struct fk_error err;
    rig_open(&r, gold_path("llama.gguf"), 1, DT_F32, MLA_AUTO);
    assert_int_equal(rig_step(&r, (int32_t[]){288}, 1, 1, &logits, &err), FK_EINVAL);
    rig_rewind(&r);
    assert_int_equal(rig_step(&r, (int32_t[]){-1}, 1, 1, &logits, &err), FK_EINVAL);
    rig_rewind(&r);
    struct batch b = {.n_rows = 1, .n_out = 2, .kv = &r.kv};
    assert_int_equal(model_step(r.model, &r.ops, &b, &logits, &err), FK_EINVAL);
    assert_int_equal(rig_step(&r, prompt, 8, 1, &logits, &err), FK_OK);
    struct kv_layout l;
    assert_int_equal(model_kv_layout(r.model, DT_Q4_0, MLA_AUTO, 16, &l, &err), FK_EINVAL);
    assert_int_equal(model_kv_layout(r.model, DT_F16, MLA_AUTO, 17, &l, &err), FK_EINVAL);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(active_bytes_are_read),
        cmocka_unit_test(decoding_allocates_nothing),
        cmocka_unit_test(nan_is_named_and_ends_the_step_only),
        cmocka_unit_test(a_bad_token_is_alone),
        cmocka_unit_test(a_cut_file_is_gone),
        cmocka_unit_test(memory_may_be_refused),
        cmocka_unit_test(nonsense_batches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
