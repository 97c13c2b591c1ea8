/* SPDX-License-Identifier: Apache-2.0
 * v3_test.c - a whole DeepSeek-V3 of three layers (MLA with q rank, YaRN, shared and routed experts,
 * sigmoid routing in groups with a bias) against PyTorch's gradients: within 1e-4 of each tensor's
 * norm, whether documents are packed or alone and with any number of threads. tools/make_grads.py
 * writes the file. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "src/tape/pass.h"
#include "tests/golden/gold.h"

#define CUT 40
#define MODEL GOLDEN "/deepseek2-v3.gguf"

struct bench {
    struct device *device;
    struct model *model;
    struct pass *pass;
    struct gguf *want;
    float *grads; /* of all tensors, each at its offset in the file's order */
    size_t n_floats;
};

static size_t offset_of(const struct bench *r, const char *name)
{
    size_t at = 0;
    for (size_t i = 0; i < gguf_n_tensors(r->model->gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(r->model->gguf, i);
        if (t->name.n == strlen(name) && !memcmp(t->name.p, name, t->name.n)) return at;
        at += (size_t)t->bytes / sizeof(float);
    }
    fail_msg("no tensor %s", name);
    return 0;
}

static void add(struct bench *r, struct tensor *t)
{
    if (!t) return;
    struct fk_error err = {0};
    if (tape_add_param(pass_tape(r->pass), t, r->grads + offset_of(r, t->name), &err) != FK_OK)
        fail_msg("%s", err.message);
}

static void bench_open(struct bench *r, int n_threads)
{
    struct fk_error err = {0};
    memset(r, 0, sizeof *r);
    struct device_params p = {.n_threads = n_threads};
    assert_int_equal(device_cpu_create(&r->device, &p, &err), FK_OK);
    assert_int_equal(model_open(&r->model, MODEL, false, &err), FK_OK);
    assert_int_equal(pass_create(&r->pass, r->model, r->device, 64, &err), FK_OK);
    assert_int_equal(gguf_open(&r->want, GOLDEN "/deepseek2-v3.grads", &err), FK_OK);
    for (size_t i = 0; i < gguf_n_tensors(r->model->gguf); i++)
        r->n_floats += (size_t)gguf_tensor_at(r->model->gguf, i)->bytes / sizeof(float);
    r->grads = mem_calloc(r->n_floats, sizeof(float), MEM_MISC);
    struct model *m = r->model;
    add(r, m->tok_embd);
    add(r, m->output);
    add(r, m->output_norm);
    for (int i = 0; i < m->config.n_layers; i++) {
        struct model_layer *l = &m->layers[i];
        struct tensor *all[] = {l->attn_norm, l->q_a, l->q_a_norm, l->q_b, l->kv_a, l->kv_a_norm,
                                l->k_b, l->v_b, l->wo, l->ffn_norm, l->gate, l->up, l->down,
                                l->router, l->gate_exps, l->up_exps, l->down_exps, l->gate_shared,
                                l->up_shared, l->down_shared};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) add(r, all[k]);
    }
}

static void bench_close(struct bench *r)
{
    pass_destroy(&r->pass);
    gguf_close(&r->want);
    model_close(&r->model);
    device_destroy(&r->device);
    mem_free(r->grads);
}

/* The loss of docs [first, first + n); the targets are all tokens but the first of each. */
static double run(struct bench *r, int first, int n)
{
    static int32_t ids[64];
    static uint8_t target[64];
    struct gold g = {0};
    struct fk_error err = {0};
    gold_read(&g, "deepseek2-v3");
    memcpy(ids, g.ids, sizeof ids);
    gold_free(&g);
    memset(target, 1, sizeof target);
    struct pass_doc docs[2] = {{ids, target, CUT}, {ids + CUT, target, 64 - CUT}};
    if (pass_forward(r->pass, docs + first, n, &err) != FK_OK) fail_msg("%s", err.message);
    double loss = 0;
    for (int i = 0; i < pass_n_targets(r->pass); i++) loss -= (double)pass_logp(r->pass)[i];
    if (pass_backward(r->pass, NULL, &err) != FK_OK) fail_msg("%s", err.message);
    return loss;
}

static void compare(const struct bench *r)
{
    for (size_t i = 0; i < gguf_n_tensors(r->want); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(r->want, i);
        char name[96];
        assert_true(t->name.n < sizeof name);
        memcpy(name, t->name.p, t->name.n);
        name[t->name.n] = 0;
        const float *want = (const float *)(const void *)t->data, *got = r->grads + offset_of(r, name);
        double norm = 0, error = 0;
        for (size_t k = 0; k < (size_t)t->bytes / sizeof(float); k++) {
            norm += (double)want[k] * (double)want[k];
            error += ((double)got[k] - (double)want[k]) * ((double)got[k] - (double)want[k]);
        }
        if (strstr(name, "exp_probs_b"))
            assert_true(norm == 0 && error == 0); /* steers the choice, has no gradient */
        else if (!(norm > 0) || error > 1e-8 * norm)
            fail_msg("%s: off by %g of its norm %g", name, sqrt(error / norm), sqrt(norm));
    }
}

static void test_packed(void **state)
{
    (void)state;
    float *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        struct bench r;
        bench_open(&r, threads);
        struct gguf_str text;
        assert_int_equal(gguf_get_str(r.want, "general.description", true, &text, NULL), FK_OK);
        double want = strtod(text.p, NULL), loss = run(&r, 0, 2);
        assert_true(fabs(loss - want) < 1e-4 * want);
        compare(&r);
        /* The same bits with any number of threads. */
        if (!first) {
            first = mem_array(r.n_floats, sizeof(float), MEM_MISC);
            memcpy(first, r.grads, r.n_floats * sizeof(float));
        }
        assert_memory_equal(first, r.grads, r.n_floats * sizeof(float));
        bench_close(&r);
    }
    mem_free(first);
}

/* Gradients of passes add up. */
static void test_alone(void **state)
{
    struct bench r;
    (void)state;
    bench_open(&r, 2);
    run(&r, 0, 1);
    run(&r, 1, 1);
    compare(&r);
    bench_close(&r);
}

/* Targets that are none add nothing, and coefficients weigh. */
static void test_targets(void **state)
{
    struct bench r;
    struct fk_error err = {0};
    (void)state;
    bench_open(&r, 2);
    int32_t ids[12] = {5, 9, 2, 7, 7, 1, 30, 31, 8, 4, 60, 3};
    uint8_t target[12] = {0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1};
    float coef[4] = {0, 0, 0, 0};
    struct pass_doc doc = {ids, target, 12};
    assert_int_equal(pass_forward(r.pass, &doc, 1, &err), FK_OK);
    assert_int_equal(pass_n_targets(r.pass), 4);
    for (int i = 0; i < 4; i++) {
        assert_true(pass_logp(r.pass)[i] < 0 && pass_entropy(r.pass)[i] > 0);
        assert_true(pass_entropy(r.pass)[i] < logf(128));
    }
    assert_int_equal(pass_backward(r.pass, coef, &err), FK_OK);
    for (size_t i = 0; i < r.n_floats; i++) assert_true(r.grads[i] == 0);
    assert_int_equal(pass_backward(r.pass, coef, &err), FK_ESTATE);
    doc.n = 65;
    assert_int_equal(pass_forward(r.pass, &doc, 1, &err), FK_ETOOBIG);
    bench_close(&r);
}

/* Every allocation of a pass may fail; the next pass works. */
static void test_memory(void **state)
{
    struct bench r;
    (void)state;
    int n_failed = 0;
    bench_open(&r, 1);
    for (int i = 0;; i++) {
        int32_t ids[12] = {5, 9, 2, 7, 7, 1, 30, 31, 8, 4, 60, 3};
        uint8_t target[12] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        struct pass_doc doc = {ids, target, 12};
        struct pass *p = NULL;
        struct fk_error err = {0};
        mem_inject(i, true);
        enum fk_status st = pass_create(&p, r.model, r.device, 16, &err);
        if (st == FK_OK) st = pass_forward(p, &doc, 1, &err);
        if (st == FK_OK) st = pass_backward(p, NULL, &err);
        mem_inject(-1, false);
        pass_destroy(&p);
        if (st == FK_OK) break;
        assert_int_equal(st, FK_ENOMEM);
        n_failed++;
    }
    assert_true(n_failed > 12);
    run(&r, 0, 2);
    bench_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed), cmocka_unit_test(test_alone), cmocka_unit_test(test_targets),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
