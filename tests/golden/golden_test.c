/* SPDX-License-Identifier: Apache-2.0
 * golden_test.c - every family against transformers (tools/make_goldens.py): logits of 64 positions
 * within 1e-4, the same best token everywhere, the same 64 greedy tokens; and the same bits for chunks
 * of 1, 7 and 64 with 1 and 2 threads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/golden/gold.h"

#define BOUND 1e-4

struct example {
    const char *gguf, *gold;
    enum mla_form form;
};

static double distance(const float *a, const float *b, size_t n)
{
    double diff = 0, max = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= diff)) diff = d; /* NaN stays */
        if (fabs((double)b[i]) > max) max = fabs((double)b[i]);
    }
    return diff / max;
}

static float *eval(struct rig *r, const struct gold *g, int chunk)
{
    float *out = calloc((size_t)g->n_ids * g->n_vocab, sizeof *out);
    assert_non_null(out);
    rig_rewind(r);
    rig_eval(r, g->ids, (int)g->n_ids, chunk, out);
    return out;
}

static void open_example(const struct example *e, int n_threads, struct rig *r, struct gold *g)
{
    gold_read(g, e->gold);
    rig_open(r, gold_path(e->gguf), n_threads, DT_F32, e->form);
    assert_int_equal(r->model->config.n_vocab, g->n_vocab);
}

static void logits_are_the_references(void **state)
{
    const struct example *e = *state;
    struct rig r;
    struct gold g;
    open_example(e, 1, &r, &g);
    float *x = eval(&r, &g, 64);
    double d = distance(x, g.logits, (size_t)g.n_ids * g.n_vocab);
    printf("%s: %.2e\n", e->gguf, d);
    assert_true(d <= BOUND);
    for (uint32_t i = 0; i < g.n_ids; i++)
        assert_int_equal(best_of(x + (size_t)i * g.n_vocab, (int)g.n_vocab),
                         best_of(g.logits + (size_t)i * g.n_vocab, (int)g.n_vocab));
    free(x);
    rig_close(&r);
    gold_free(&g);
}

static void greedy_text_is_the_references(void **state)
{
    const struct example *e = *state;
    struct rig r;
    struct gold g;
    struct fk_error err;
    const float *logits;
    open_example(e, 2, &r, &g);
    if (rig_step(&r, g.ids, (int)g.n_prompt, 1, &logits, &err) != FK_OK) fail_msg("%s", err.message);
    for (uint32_t i = 0; i < g.n_greedy; i++) {
        int32_t id = best_of(logits, (int)g.n_vocab);
        assert_int_equal(id, g.greedy[i]);
        if (rig_step(&r, &id, 1, 1, &logits, &err) != FK_OK) fail_msg("%s", err.message);
    }
    rig_close(&r);
    gold_free(&g);
}

static void bits_do_not_depend_on_chunks_or_threads(void **state)
{
    const struct example *e = *state;
    float *first = NULL;
    for (int n_threads = 1; n_threads <= 2; n_threads++) {
        struct rig r;
        struct gold g;
        open_example(e, n_threads, &r, &g);
        const int chunks[] = {1, 7, 64};
        for (int i = 0; i < 3; i++) {
            float *x = eval(&r, &g, chunks[i]);
            if (first) {
                assert_memory_equal(first, x, (size_t)g.n_ids * g.n_vocab * sizeof *x);
                free(x);
            } else {
                first = x;
            }
        }
        rig_close(&r);
        gold_free(&g);
    }
    free(first);
}

/* Logits of the last row only are that row's of a full pass: what a prompt costs less. */
static void wanted_rows_are_the_same(void **state)
{
    const struct example *e = *state;
    struct rig r;
    struct gold g;
    struct fk_error err;
    const float *logits;
    open_example(e, 1, &r, &g);
    float *x = eval(&r, &g, 64);
    rig_rewind(&r);
    assert_int_equal(rig_step(&r, g.ids, 40, 0, &logits, &err), FK_OK);
    assert_int_equal(rig_step(&r, g.ids + 40, 24, 1, &logits, &err), FK_OK);
    assert_memory_equal(logits, x + (size_t)(g.n_ids - 1) * g.n_vocab, g.n_vocab * sizeof *x);
    free(x);
    rig_close(&r);
    gold_free(&g);
}

/* A half cache is near the f32 one; a rounding may flip the choice of an expert at a few positions. */
static void half_cache_is_near(void **state)
{
    const struct example *e = *state;
    struct rig r;
    struct gold g;
    gold_read(&g, e->gold);
    rig_open(&r, gold_path(e->gguf), 1, DT_F16, e->form);
    float *x = eval(&r, &g, 64);
    unsigned n_far = 0;
    for (uint32_t i = 0; i < g.n_ids; i++) {
        size_t at = (size_t)i * g.n_vocab;
        n_far += !(distance(x + at, g.logits + at, g.n_vocab) <= 1e-2);
    }
    assert_true(n_far <= (r.model->config.n_experts ? g.n_ids / 8 : 0));
    free(x);
    rig_close(&r);
    gold_free(&g);
}

static struct example examples[] = {
    {"llama.gguf", "llama", MLA_AUTO},
    {"llama-rope3.gguf", "llama-rope3", MLA_AUTO},
    {"qwen2.gguf", "qwen2", MLA_AUTO},
    {"qwen2-yarn.gguf", "qwen2-yarn", MLA_AUTO},
    {"qwen3.gguf", "qwen3", MLA_AUTO},
    {"qwen3moe.gguf", "qwen3moe", MLA_AUTO},
    {"gemma3.gguf", "gemma3", MLA_AUTO},
    {"deepseek2-lite.gguf", "deepseek2-lite", MLA_ABSORBED},
    {"deepseek2-lite.gguf", "deepseek2-lite", MLA_EXPANDED},
    {"deepseek2-lite-unsplit.gguf", "deepseek2-lite", MLA_ABSORBED},
    {"deepseek2-lite-unsplit.gguf", "deepseek2-lite", MLA_EXPANDED},
    {"deepseek2-v2.gguf", "deepseek2-v2", MLA_ABSORBED},
    {"deepseek2-v2.gguf", "deepseek2-v2", MLA_EXPANDED},
    {"deepseek2-v3.gguf", "deepseek2-v3", MLA_ABSORBED},
    {"deepseek2-v3.gguf", "deepseek2-v3", MLA_EXPANDED},
    {"deepseek2-v3-noq.gguf", "deepseek2-v3-noq", MLA_ABSORBED},
    {"deepseek2-v3-noq.gguf", "deepseek2-v3-noq", MLA_EXPANDED},
};
#define N_EXAMPLES (sizeof examples / sizeof *examples)

int main(void)
{
    static const struct { const char *name; CMUnitTestFunction run; } checks[] = {
        {"logits", logits_are_the_references},
        {"greedy", greedy_text_is_the_references},
        {"bits", bits_do_not_depend_on_chunks_or_threads},
        {"wanted_rows", wanted_rows_are_the_same},
        {"half_cache", half_cache_is_near},
    };
    enum { N_CHECKS = sizeof checks / sizeof *checks };
    static struct CMUnitTest tests[N_EXAMPLES * N_CHECKS];
    static char names[N_EXAMPLES * N_CHECKS][80];
    static const char *const forms[] = {"", " absorbed", " expanded"};
    for (size_t i = 0; i < N_EXAMPLES * N_CHECKS; i++) {
        struct example *e = &examples[i / N_CHECKS];
        snprintf(names[i], sizeof names[i], "%s%s %s", e->gguf, forms[e->form],
                 checks[i % N_CHECKS].name);
        tests[i] = (struct CMUnitTest){.name = names[i], .test_func = checks[i % N_CHECKS].run,
                                       .initial_state = e};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
