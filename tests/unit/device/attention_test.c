/* SPDX-License-Identifier: Apache-2.0
 * attention_test.c - attention over pages against softmax in double, and the same bits however a
 * prompt is cut, whoever shares the batch and however many threads there are. */
#include <math.h>
#include <string.h>
#include "tests/unit/device/lab.h"

struct shape {
    enum dtype dtype;
    int n_heads, n_kv, k_dim, v_dim, page, window;
    bool v_in_k;
    float softcap;
};

static const struct shape shapes[] = {
    {DT_F32, 6, 2, 20, 12, 16, 0, false, 0},   {DT_F32, 6, 2, 20, 12, 16, 16, false, 0},
    {DT_F16, 9, 3, 64, 64, 64, 0, false, 0},   {DT_F16, 4, 4, 32, 32, 16, 7, false, 20},
    {DT_I8, 8, 1, 48, 48, 32, 0, false, 0},    {DT_F32, 40, 1, 72, 64, 16, 0, true, 0},
    {DT_F16, 16, 1, 72, 64, 16, 33, true, 0},  {DT_I8, 5, 1, 64, 32, 16, 0, true, 0},
    {DT_F32, 7, 7, 16, 16, 256, 100, false, 0},
    {DT_I8, 6, 2, 192, 128, 16, 40, false, 20}, {DT_I8, 16, 1, 144, 128, 64, 0, true, 0},
    {DT_I8, 3, 3, 75, 30, 256, 0, false, 0},
    {DT_KV_I4, 6, 2, 192, 128, 16, 40, false, 20}, {DT_KV_I4, 16, 1, 144, 128, 64, 0, true, 0},
    {DT_KV_I4, 9, 3, 64, 64, 64, 0, false, 0}, {DT_KV_I4, 3, 3, 75, 30, 256, 0, false, 0},
};
#define BOUND_I4 0.2 /* steps of turned numbers up to 1.5 are some 0.18 */
#define N_SHAPES (int)(sizeof shapes / sizeof *shapes)

struct story { /* one sequence: everything its attention depends on */
    struct tensor *q, *k, *v;
    struct kv_layout kv;
    struct attention_params p;
};

static void tell(struct lab *l, const struct shape *s, int n, struct story *out)
{
    out->q = lab_act(l, n, (int64_t)s->n_heads * s->k_dim);
    out->k = lab_act(l, n, (int64_t)s->n_kv * s->k_dim);
    out->v = lab_act(l, n, (int64_t)s->n_kv * s->v_dim);
    assert_true(kv_layout_init(&out->kv, s->dtype, 2, s->n_kv, s->k_dim, s->v_dim, s->v_in_k,
                               s->page));
    out->p = (struct attention_params){.n_heads = s->n_heads, .n_kv_heads = s->n_kv,
                                       .k_dim = s->k_dim, .v_dim = s->v_dim,
                                       /* keys of 4 bits move scores; that is to show as little as it is */
                                       .scale = s->dtype == DT_KV_I4 ? 0.1f : 0.9f,
                                       .window = s->window, .softcap = s->softcap};
}

/* Runs the story in chunks; row t of the result is position t. */
static struct tensor *run_in_chunks(struct lab *l, const struct story *s, int chunk)
{
    int n = (int)s->q->n_rows;
    struct tensor *out = lab_act(l, n, (int64_t)s->p.n_heads * s->p.v_dim);
    void **pages = lab_pages(l, &s->kv, n);
    for (int at = 0; at < n; at += chunk) {
        int m = n - at < chunk ? n - at : chunk;
        struct tensor q = lab_rows(s->q, at, m), k = lab_rows(s->k, at, m),
                      v = lab_rows(s->v, at, m);
        ops_begin(&l->ops, lab_batch(l, &s->kv, &(struct lab_seq){at, m, pages}, 1));
        op_kv_write(&l->ops, 1, &k, s->kv.v_in_k ? NULL : &v);
        struct tensor *y = op_attention(&l->ops, 1, &s->p, &q);
        lab_ok(&l->ops);
        memcpy(tensor_row_f32(out, at), y->data, y->mat_bytes);
    }
    return out;
}

/* Softmax of one query over its keys, in double. */
static void check_query(const struct story *s, int pos, int head, const float *got, double bound)
{
    static double w[2048];
    int kv_head = head / (s->p.n_heads / s->p.n_kv_heads), lo = 0;
    const float *q = tensor_row_f32(s->q, pos) + head * s->p.k_dim;
    double max = -INFINITY, sum = 0;
    if (s->p.window && pos >= s->p.window) lo = pos - s->p.window + 1;
    for (int t = lo; t <= pos; t++) {
        const float *k = tensor_row_f32(s->k, t) + kv_head * s->p.k_dim;
        double dot = 0;
        for (int c = 0; c < s->p.k_dim; c++) dot += (double)q[c] * (double)k[c];
        dot *= (double)s->p.scale;
        double cap = (double)s->p.softcap;
        w[t] = cap > 0 ? cap * tanh(dot / cap) : dot;
        max = fmax(max, w[t]);
    }
    for (int t = lo; t <= pos; t++) sum += w[t] = exp(w[t] - max);
    for (int c = 0; c < s->p.v_dim; c++) {
        double want = 0;
        for (int t = lo; t <= pos; t++)
            want += w[t] / sum *
                    (double)(s->kv.v_in_k ? tensor_row_f32(s->k, t)[kv_head * s->p.k_dim + c]
                                          : tensor_row_f32(s->v, t)[kv_head * s->p.v_dim + c]);
        lab_near((double)got[c], want, bound, "attention", pos, head * s->p.v_dim + c);
    }
}

static void equals_naive(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    for (int i = 0; i < N_SHAPES; i++) {
        struct story s;
        tell(&l, &shapes[i], 143, &s);
        struct tensor *y = run_in_chunks(&l, &s, 143);
        double bound = s.kv.dtype == DT_F32 ? 1e-5 : s.kv.dtype == DT_F16 ? 5e-3
                       : s.kv.dtype == DT_I8 ? 6e-2 : BOUND_I4;
        for (int t = 0; t < 143; t++)
            for (int h = 0; h < s.p.n_heads; h++)
                check_query(&s, t, h, tensor_row_f32(y, t) + h * s.p.v_dim, bound);
    }
    lab_close(&l);
}

static void chunking_and_threads_keep_bits(void **state)
{
    (void)state;
    const int chunks[] = {143, 1, 7, 64};
    struct lab l[3];
    for (int i = 0; i < 3; i++) lab_open(&l[i], i + 1, NULL);
    for (int i = 0; i < N_SHAPES; i++) {
        struct story s;
        tell(&l[0], &shapes[i], 143, &s);
        struct tensor *y = run_in_chunks(&l[0], &s, 143);
        for (int t = 0; t < 3; t++)
            for (int c = 0; c < 4; c++) lab_same_bits(y, 0, run_in_chunks(&l[t], &s, chunks[c]));
    }
    for (int i = 0; i < 3; i++) lab_close(&l[i]);
}

/* A decode row and prompt chunks of other sequences in one step give what each gives alone. */
static void neighbours_keep_bits(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 3, NULL);
    for (int i = 0; i < N_SHAPES; i++) {
        const int n[3] = {90, 41, 143}, start[3] = {89, 0, 70};
        struct story s[3];
        struct lab_seq seqs[3];
        struct tensor *alone[3];
        int n_rows = 0;
        for (int j = 0; j < 3; j++) {
            tell(&l, &shapes[i], n[j], &s[j]);
            alone[j] = run_in_chunks(&l, &s[j], n[j]);
            seqs[j] = (struct lab_seq){0, start[j], lab_pages(&l, &s[j].kv, n[j])};
            struct tensor k = lab_rows(s[j].k, 0, start[j]), v = lab_rows(s[j].v, 0, start[j]);
            ops_begin(&l.ops, lab_batch(&l, &s[j].kv, &seqs[j], 1));
            op_kv_write(&l.ops, 1, &k, s[j].kv.v_in_k ? NULL : &v);
            seqs[j].pos0 = start[j];
            seqs[j].n_rows = n[j] - start[j];
            n_rows += seqs[j].n_rows;
        }
        struct tensor *q = lab_act(&l, n_rows, s[0].q->n_cols),
                      *k = lab_act(&l, n_rows, s[0].k->n_cols),
                      *v = lab_act(&l, n_rows, s[0].v->n_cols);
        for (int j = 0, at = 0; j < 3; at += seqs[j++].n_rows) {
            size_t m = (size_t)seqs[j].n_rows;
            memcpy(tensor_row_f32(q, at), tensor_row_f32(s[j].q, start[j]), m * q->row_bytes);
            memcpy(tensor_row_f32(k, at), tensor_row_f32(s[j].k, start[j]), m * k->row_bytes);
            memcpy(tensor_row_f32(v, at), tensor_row_f32(s[j].v, start[j]), m * v->row_bytes);
        }
        ops_begin(&l.ops, lab_batch(&l, &s[0].kv, seqs, 3));
        op_kv_write(&l.ops, 1, k, s[0].kv.v_in_k ? NULL : v);
        struct tensor *y = op_attention(&l.ops, 1, &s[0].p, q);
        lab_ok(&l.ops);
        for (int j = 0, at = 0; j < 3; at += seqs[j++].n_rows) {
            struct tensor want = lab_rows(alone[j], start[j], seqs[j].n_rows);
            lab_same_bits(y, at, &want);
        }
    }
    lab_close(&l);
}

/* More pages than a split window holds: rounds of partials, merged across rounds. */
static void long_context(void **state)
{
    (void)state;
    const struct shape s = {DT_F16, 2, 1, 16, 16, 16, 0, false, 0};
    struct lab one, three;
    lab_open(&one, 1, NULL);
    lab_open(&three, 3, NULL);
    struct story t;
    tell(&one, &s, 1900, &t);
    struct tensor *y = run_in_chunks(&one, &t, 1900);
    struct tensor *z = run_in_chunks(&three, &t, 1899); /* the last row decodes over 119 pages */
    lab_same_bits(y, 0, z);
    check_query(&t, 1899, 1, tensor_row_f32(z, 1899) + 16, 5e-3);
    lab_close(&one);
    lab_close(&three);
}

static void counts_cache_bytes(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 1, NULL);
    const struct shape s = {DT_F16, 4, 2, 8, 16, 16, 0, false, 0};
    struct story t;
    tell(&l, &s, 40, &t);
    run_in_chunks(&l, &t, 39);
    assert_int_equal(l.ops.kv_bytes_read, 40 * 2 * (8 + 16) * 2);
    t.p.window = 10;
    run_in_chunks(&l, &t, 39);
    assert_int_equal(l.ops.kv_bytes_read, 10 * 2 * (8 + 16) * 2);
    lab_close(&l);
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 1, NULL);
    struct story t;
    tell(&l, &shapes[0], 20, &t);
    struct lab_seq seq = {0, 20, lab_pages(&l, &t.kv, 20)};
    struct batch *b = lab_batch(&l, &t.kv, &seq, 1);
    ops_begin(&l.ops, b);
    assert_null(op_attention(&l.ops, 2, &t.p, t.q)); /* no such layer */
    assert_int_equal(ops_status(&l.ops, NULL), FK_EINVAL);
    t.p.n_heads = 5;
    ops_begin(&l.ops, b);
    assert_null(op_attention(&l.ops, 0, &t.p, t.q));
    seq.pages[1] = NULL;
    ops_begin(&l.ops, b);
    op_kv_write(&l.ops, 0, t.k, t.v);
    assert_int_equal(ops_status(&l.ops, NULL), FK_EINVAL);
    struct batch_seq gap = {1, 19, 0, (void *const *)seq.pages};
    b->seqs = &gap;
    ops_begin(&l.ops, b);
    assert_int_equal(ops_status(&l.ops, NULL), FK_EINVAL);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_naive),         cmocka_unit_test(chunking_and_threads_keep_bits),
        cmocka_unit_test(neighbours_keep_bits), cmocka_unit_test(long_context),
        cmocka_unit_test(counts_cache_bytes),   cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
