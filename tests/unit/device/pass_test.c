/* SPDX-License-Identifier: Apache-2.0
 * pass_test.c - whole passes: sticky errors, arenas, fall-back, recorder, no allocation in steady
 * state, every allocation failing once, and the same bits in every arrangement. */
#include <stdlib.h>
#include <string.h>
#include "src/device/op_times.h"
#include "tests/unit/device/lab.h"

#define N 60
#define N_LONG 120 /* in steps of 110 and 10: arenas grow more than once */

/* Logits of positions 0..total-1 computed in chunks. */
static struct tensor *run_long(struct lab *l, const struct lab_model *m, int total, int chunk)
{
    const struct kv_layout *kv = lab_model_kv(m);
    void **pages = lab_pages(l, kv, total);
    struct tensor *out = NULL;
    for (int at = 0; at < total; at += chunk) {
        int n = total - at < chunk ? total - at : chunk;
        ops_begin(&l->ops, lab_batch(l, kv, &(struct lab_seq){at, n, pages}, 1));
        struct tensor *y = lab_model_forward(m, &l->ops);
        lab_ok(&l->ops);
        if (!out) out = lab_act(l, total, y->n_cols);
        memcpy(tensor_row_f32(out, at), y->data, y->mat_bytes);
    }
    return out;
}

static struct tensor *run_in_chunks(struct lab *l, const struct lab_model *m, int chunk)
{
    return run_long(l, m, N, chunk);
}

static void chunks_and_threads_keep_bits(void **state)
{
    (void)state;
    const enum dtype types[] = {DT_F32, DT_BF16, DT_Q8_0, DT_Q4_1};
    struct lab l[3];
    for (int i = 0; i < 3; i++) lab_open(&l[i], i + 1, NULL);
    for (int t = 0; t < 4; t++) {
        struct lab_model *m = lab_model_new(&l[0], types[t]);
        struct tensor *y = run_in_chunks(&l[0], m, N);
        for (int i = 0; i < 3; i++)
            for (int chunk = 1; chunk < N; chunk = chunk * 3 + 4)
                lab_same_bits(y, 0, run_in_chunks(&l[i], m, chunk));
    }
    for (int i = 0; i < 3; i++) lab_close(&l[i]);
}

static void steady_state_allocates_nothing(void **state)
{
    (void)state;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        struct lab l;
        lab_open(&l, n_threads, NULL);
        struct lab_model *m = lab_model_new(&l, DT_Q8_0);
        const struct kv_layout *kv = lab_model_kv(m);
        void **pages = lab_pages(&l, kv, N);
        struct batch *b[N];
        struct mem_stats before, after;
        for (int i = 0; i < N; i++)
            b[i] = lab_batch(&l, kv, &(struct lab_seq){i, 1, pages}, 1);
        for (int i = 0; i < N; i++) {
            if (i == 1) mem_get_stats(&before); /* the first step has made room */
            ops_begin(&l.ops, b[i]);
            lab_model_forward(m, &l.ops);
            lab_ok(&l.ops);
        }
        mem_get_stats(&after);
        assert_int_equal(after.n_calls, before.n_calls);
        lab_close(&l);
    }
}

/* Every allocation of creation and of a pass fails once; what comes after is as if nothing was. */
static void any_allocation_may_fail(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    struct lab_model *m = lab_model_new(&l, DT_Q8_0);
    struct tensor *want = run_long(&l, m, N_LONG, N_LONG);
    const struct kv_layout *kv = lab_model_kv(m);
    void **pages = lab_pages(&l, kv, N_LONG);
    struct batch *b[2] = {lab_batch(&l, kv, &(struct lab_seq){0, 110, pages}, 1),
                          lab_batch(&l, kv, &(struct lab_seq){110, 10, pages}, 1)};
    int n_failed = 0;
    for (int64_t n = 0;; n++) {
        struct device *d = NULL;
        struct ops o;
        struct mem_stats before, after;
        struct device_params p = {.n_threads = 2};
        mem_get_stats(&before);
        mem_inject(n, false);
        enum fk_status st = device_cpu_create(&d, &p, NULL);
        for (int step = 0; st == FK_OK && step < 2; step++) {
            if (step == 0) ops_init(&o, d, 0);
            ops_begin(&o, b[step]);
            struct tensor *y = lab_model_forward(m, &o);
            if (ops_status(&o, NULL)) {
                assert_int_equal(ops_status(&o, NULL), FK_ENOMEM);
                assert_null(y);
                ops_begin(&o, b[step]); /* the same step again, with memory */
                y = lab_model_forward(m, &o);
            }
            lab_ok(&o);
            lab_same_bits(want, 110 * step, y);
        }
        uint64_t n_injected = mem_inject(-1, false);
        if (st == FK_OK) {
            ops_fini(&o);
            device_destroy(&d);
        } else {
            assert_int_equal(st, FK_ENOMEM);
            assert_null(d);
        }
        mem_get_stats(&after);
        assert_int_equal(after.live_bytes, before.live_bytes);
        if (!n_injected) break;
        n_failed++;
    }
    assert_true(n_failed > 10);
    lab_close(&l);
}

static void errors_stick(void **state)
{
    (void)state;
    struct lab l;
    struct fk_error err;
    lab_open(&l, 1, NULL);
    struct tensor *x = lab_act(&l, 2, 10), *w = lab_weight(&l, DT_F32, 11, 4, 1), *out[2];
    w->name = "blk.0.odd.weight";
    ops_begin(&l.ops, NULL);
    assert_null(op_matmul(&l.ops, w, NULL, x));
    assert_int_equal(ops_status(&l.ops, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "blk.0.odd.weight has 11 columns, the input 10"));
    assert_null(op_add(&l.ops, NULL, x)); /* NULL is an input like any other now */
    assert_null(op_rmsnorm(&l.ops, NULL, 0, NULL));
    op_matmul_many(&l.ops, 2, (const struct tensor *const[]){w, w}, NULL, NULL, out);
    assert_null(out[0]);
    assert_null(out[1]);
    assert_null(ops_layer_end(&l.ops, NULL));
    ops_status(&l.ops, &err);
    assert_non_null(strstr(err.message, "11 columns")); /* the first sentence stands */
    ops_begin(&l.ops, NULL);
    assert_non_null(op_add(&l.ops, x, x));
    lab_ok(&l.ops);
    lab_close(&l);
}

static void layers_reuse_memory(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 1, NULL);
    struct tensor *x = lab_act(&l, 9, 700), *y;
    ops_begin(&l.ops, NULL);
    y = ops_layer_end(&l.ops, op_scale(&l.ops, x, 1));
    for (int i = 0; i < 4; i++) y = ops_layer_end(&l.ops, op_scale(&l.ops, y, 2));
    struct mem_stats before, after;
    mem_get_stats(&before);
    for (int i = 0; i < 500; i++) {
        y = op_scale(&l.ops, op_scale(&l.ops, y, 4), 0.25f);
        y = ops_layer_end(&l.ops, y);
        if (i % 3 == 0) y = ops_layer_end(&l.ops, y); /* a layer that does nothing */
    }
    mem_get_stats(&after);
    assert_int_equal(before.n_calls, after.n_calls);
    lab_same_bits(y, 0, op_scale(&l.ops, x, 16));
    lab_ok(&l.ops);
    lab_close(&l);
}

static int n_recorded[OP_N_KINDS];

static void record(void *arg, const struct op_call *call)
{
    assert_ptr_equal(arg, n_recorded);
    assert_non_null(op_kind_name(call->kind));
    n_recorded[call->kind]++;
    for (int i = 0; i < call->n_out; i++) assert_true(call->out[i]->id > 0);
}

static void recorder_sees_every_op(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    struct lab_model *m = lab_model_new(&l, DT_F32);
    struct op_recorder r = {n_recorded, record};
    l.ops.recorder = &r;
    memset(n_recorded, 0, sizeof n_recorded);
    run_in_chunks(&l, m, N);
    assert_int_equal(n_recorded[OP_ATTENTION], 2);
    assert_int_equal(n_recorded[OP_KV_WRITE], 2);
    assert_int_equal(n_recorded[OP_EXPERTS], 2);
    assert_int_equal(n_recorded[OP_MATMUL], 11);
    assert_int_equal(n_recorded[OP_EMBED], 1);
    struct tensor *x = lab_act(&l, 2, 8);
    op_columns(&l.ops, x, 1, 2, 4);
    op_columns(&l.ops, x, 2, 2, 2);
    assert_int_equal(n_recorded[OP_COLUMNS], 2);
    assert_ptr_equal(ops_layer_end(&l.ops, x), x);
    lab_close(&l);
}

static void free_device(struct device *d)
{
    mem_free(d);
}

/* A device that can do nothing by itself gives the CPU's results, and says so once. */
static void missing_ops_fall_back(void **state)
{
    (void)state;
    static const struct device_ops empty = {.name = "empty", .destroy = free_device};
    struct lab l;
    lab_open(&l, 1, NULL);
    struct device *d = mem_zalloc(sizeof *d, MEM_MISC);
    assert_non_null(d);
    d->ops = &empty;
    d->n_threads = 2;
    assert_null(device_note(d));
    struct ops o;
    ops_init(&o, d, 0);
    struct tensor *x = lab_act(&l, 3, 33);
    ops_begin(&o, NULL);
    ops_begin(&l.ops, NULL);
    lab_same_bits(op_softcap(&o, x, 2), 0, op_softcap(&l.ops, x, 2));
    lab_ok(&o);
    assert_string_equal(device_note(d), "device empty lacks the op softcap: it runs on the CPU");
    op_add(&o, x, x);
    assert_non_null(strstr(device_note(d), "softcap"));
    ops_fini(&o);
    device_destroy(&d);
    assert_null(d);
    lab_close(&l);
}

static void creation_checks_its_arguments(void **state)
{
    (void)state;
    struct device *d;
    struct fk_error err;
    struct device_params unknown = {.n_threads = 2, .cpu_mask = "avx3"};
    assert_int_equal(device_cpu_create(&d, &unknown, &err), FK_EINVAL);
    assert_null(d);
    assert_non_null(strstr(err.message, "'avx3'"));
    assert_non_null(strstr(err.message, "avx512vnni"));
    assert_int_equal(device_cpu_create(&d, &(struct device_params){.n_threads = -1}, &err), FK_EINVAL);
    assert_int_equal(device_cpu_create(&d, &(struct device_params){.n_threads = 1 << 20}, &err),
                     FK_EINVAL);
    setenv("FIKR_CPU", "nonsense", 1);
    assert_int_equal(device_cpu_create(&d, &(struct device_params){.n_threads = 1}, &err), FK_EINVAL);
    setenv("FIKR_CPU", "ref", 1);
    assert_int_equal(device_cpu_create(&d, NULL, &err), FK_OK);
    assert_string_equal(device_isa(d), "ref");
    assert_true(device_n_threads(d) >= 1);
    unsetenv("FIKR_CPU");
    device_destroy(&d);
    device_destroy(&d);
}

static void times_add_up(void **state)
{
    (void)state;
    struct lab l;
    static struct op_times t;
    struct op_recorder r = {n_recorded, record};
    lab_open(&l, 2, NULL);
    struct lab_model *m = lab_model_new(&l, DT_Q8_0);
    run_in_chunks(&l, m, N); /* not timed */
    l.ops.times = &t;
    l.ops.recorder = &r;
    memset(n_recorded, 0, sizeof n_recorded);
    uint64_t bytes = 0;
    int64_t n_calls = 0;
    void **pages = lab_pages(&l, lab_model_kv(m), 20);
    for (int at = 0; at < 20; at += 10) {
        ops_begin(&l.ops, lab_batch(&l, lab_model_kv(m), &(struct lab_seq){at, 10, pages}, 1));
        lab_model_forward(m, &l.ops);
        lab_ok(&l.ops);
        bytes += l.ops.weight_bytes_read + l.ops.kv_bytes_read;
    }
    for (size_t i = 0; i < t.n; i++) {
        n_calls += (int64_t)t.lines[i].sum.n_calls;
        bytes -= t.lines[i].sum.bytes;
        assert_true(t.lines[i].sum.seconds >= 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(t.lines[i].sum.name, t.lines[j].sum.name);
    }
    for (int k = 0; k < OP_N_KINDS; k++) n_calls -= n_recorded[k];
    assert_int_equal(bytes, 0);
    assert_int_equal(n_calls, 0);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_and_threads_keep_bits),
        cmocka_unit_test(steady_state_allocates_nothing),
        cmocka_unit_test(any_allocation_may_fail), cmocka_unit_test(errors_stick),
        cmocka_unit_test(layers_reuse_memory), cmocka_unit_test(recorder_sees_every_op),
        cmocka_unit_test(missing_ops_fall_back), cmocka_unit_test(times_add_up),
        cmocka_unit_test(creation_checks_its_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
