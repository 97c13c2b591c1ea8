/* SPDX-License-Identifier: Apache-2.0
 * params_test.c - weights are read as they stand in the file, and a model that borrows them sees every
 * change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <stdint.h>
#include <cmocka.h>
#include "src/train/params.h"

#define V3 GOLDEN "/deepseek2-v3.gguf"

static void weights_are_the_files(void **state)
{
    (void)state;
    struct gguf *g;
    struct train_params p;
    struct fk_error err;
    assert_int_equal(gguf_open(&g, V3, &err), FK_OK);
    assert_int_equal(train_params_open(&p, g, &err), FK_OK);
    assert_int_equal(p.n_items, gguf_n_tensors(g));
    size_t n = 0, end = 0;
    for (size_t i = 0; i < p.n_items; i++) {
        const struct param_item *it = &p.items[i];
        const struct gguf_tensor *t = gguf_find_tensor(g, it->name);
        assert_non_null(t);
        assert_int_equal(it->offset % PARAM_ALIGN, 0);
        assert_true(it->offset >= end);
        assert_int_equal(it->n, it->n_mats * it->n_rows * it->n_cols);
        assert_memory_equal(p.w + it->offset, t->data, it->n * sizeof(float));
        end = it->offset + it->n;
        n += it->n;
    }
    assert_true(end <= p.n_floats);
    assert_int_equal(n, p.n_weights);
    assert_int_equal(train_params_find(&p, "blk.1.exp_probs_b.bias")->kind, PARAM_ROUTE_BIAS);
    assert_int_equal(train_params_find(&p, "blk.1.attn_norm.weight")->kind, PARAM_VECTOR);
    assert_int_equal(train_params_find(&p, "blk.1.attn_v_b.weight")->kind, PARAM_MATRIX);
    assert_null(train_params_find(&p, "blk.9.attn_v_b.weight"));
    train_params_fini(&p);
    gguf_close(&g);
}

static enum fk_status inside(void *arg, struct tensor *t, struct fk_error *err)
{
    (void)err;
    const struct train_params *p = arg;
    const struct param_item *it = train_params_find(p, t->name);
    assert_non_null(it);
    assert_ptr_equal(t->data, p->w + it->offset);
    assert_int_equal(tensor_n_elements(t), it->n);
    return FK_OK;
}

static void a_model_borrows_them(void **state)
{
    (void)state;
    struct model *m;
    struct train_params p;
    struct fk_error err;
    assert_int_equal(model_open(&m, V3, false, &err), FK_OK);
    assert_int_equal(train_params_open(&p, m->gguf, &err), FK_OK);
    assert_int_equal(train_params_lend(&p, m, &err), FK_OK);
    assert_int_equal(train_each_tensor(m, inside, &p, &err), FK_OK);
    model_close(&m);
    train_params_fini(&p);
}

static void other_types_are_refused(void **state)
{
    (void)state;
    struct gguf *g;
    struct train_params p;
    struct fk_error err;
    assert_int_equal(gguf_open(&g, V3, &err), FK_OK);
    struct gguf_tensor *t = (struct gguf_tensor *)(uintptr_t)gguf_tensor_at(g, 3);
    t->dtype = DT_F16;
    assert_int_equal(train_params_open(&p, g, &err), FK_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "F16"));
    assert_null(p.items);
    gguf_close(&g);
}

static void survives_refused_memory(void **state)
{
    (void)state;
    struct gguf *g;
    struct train_params p;
    struct fk_error err;
    assert_int_equal(gguf_open(&g, V3, &err), FK_OK);
    int n_failed = 0;
    for (int i = 0;; i++) {
        mem_inject(i, true);
        enum fk_status st = train_params_open(&p, g, &err);
        mem_inject(-1, false);
        if (st == FK_OK) break;
        assert_int_equal(st, FK_ENOMEM);
        assert_null(p.w);
        n_failed++;
    }
    assert_int_equal(n_failed, 5);
    train_params_fini(&p);
    gguf_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_the_files),
        cmocka_unit_test(a_model_borrows_them),
        cmocka_unit_test(other_types_are_refused),
        cmocka_unit_test(survives_refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
