/* SPDX-License-Identifier: Apache-2.0
 * moe_test.c - the router against the published rules computed naively, the experts against sums in
 * double, and the same bits whatever the neighbours chose. */
#include <math.h>
#include <string.h>
#include "tests/unit/device/lab.h"

static const struct route_params routers[] = {
    {ROUTE_SOFTMAX, 4, 0, 0, false, true, 1},       /* qwen3moe */
    {ROUTE_SOFTMAX, 3, 1, 1, false, false, 1},      /* deepseek v2 lite */
    {ROUTE_SOFTMAX, 6, 8, 3, false, false, 16},     /* deepseek v2 */
    {ROUTE_SIGMOID, 8, 8, 4, true, true, 2.5f},     /* deepseek v3 */
    {ROUTE_SIGMOID, 32, 8, 8, true, true, 1},       /* everything */
};

/* The k best of x by repeated scans; ties go to the lowest index. */
static void best(const double *x, int n, int k, int *out)
{
    for (int j = 0; j < k; j++) {
        out[j] = -1;
        for (int i = 0; i < n; i++) {
            bool is_taken = false;
            for (int m = 0; m < j; m++) is_taken |= out[m] == i;
            if (!is_taken && (out[j] < 0 || x[i] > x[out[j]])) out[j] = i;
        }
    }
}

static void naive_route(const struct route_params *p, const float *logits, const float *bias, int n,
                        int *ids, double *weights)
{
    double gate[64], score[64], sum = 0, groups[64];
    int kept[64], size = p->n_groups > 1 ? n / p->n_groups : n;
    for (int i = 0; i < n; i++) sum += exp((double)logits[i]);
    for (int i = 0; i < n; i++) {
        double e = exp((double)logits[i]);
        gate[i] = p->gate == ROUTE_SOFTMAX ? e / sum : e / (1 + e);
        score[i] = gate[i] + (bias ? (double)bias[i] : 0);
    }
    if (p->n_groups > 1) {
        for (int g = 0; g < p->n_groups; g++) {
            int two[2];
            best(score + g * size, size, 2, two);
            groups[g] = score[g * size + two[0]] +
                        (p->group_by_top2 ? score[g * size + two[1]] : 0);
        }
        best(groups, p->n_groups, p->n_groups_used, kept);
        for (int i = 0; i < n; i++) {
            bool is_kept = false;
            for (int g = 0; g < p->n_groups_used; g++) is_kept |= kept[g] == i / size;
            if (!is_kept) score[i] = -INFINITY;
        }
    }
    best(score, n, p->n_used, ids);
    sum = 0;
    for (int j = 0; j < p->n_used; j++) sum += gate[ids[j]];
    for (int j = 0; j < p->n_used; j++)
        weights[j] = gate[ids[j]] / (p->normalize ? sum : 1) * (double)p->scale;
}

static void routes_like_the_papers(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    for (size_t i = 0; i < sizeof routers / sizeof *routers; i++) {
        struct tensor *logits = lab_act(&l, 200, 32), *ids, *weights;
        struct tensor *bias = routers[i].gate == ROUTE_SIGMOID ? lab_vector(&l, 32) : NULL;
        ops_begin(&l.ops, NULL);
        op_route(&l.ops, &routers[i], logits, bias, &ids, &weights);
        lab_ok(&l.ops);
        for (int64_t t = 0; t < 200; t++) {
            int want[64];
            double want_w[64];
            const int32_t *got = (const int32_t *)(const void *)tensor_row_f32(ids, t);
            naive_route(&routers[i], tensor_row_f32(logits, t), bias ? bias->data : NULL, 32, want,
                        want_w);
            for (int s = 0; s < routers[i].n_used; s++) {
                assert_int_equal(got[s], want[s]);
                lab_near((double)tensor_row_f32(weights, t)[s], want_w[s], 1e-5 * want_w[s],
                         "weight", t, s);
            }
        }
    }
    lab_close(&l);
}

/* Equal scores go to the lowest ids; NaN and infinity give distinct ids in range. */
static void route_survives_anything(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 1, NULL);
    const float fills[] = {0, NAN, INFINITY, -INFINITY, 3e38f};
    for (size_t i = 0; i < sizeof routers / sizeof *routers; i++)
        for (int f = 0; f < 5; f++)
            for (int every = 1; every < 4; every++) {
                struct tensor *logits = lab_act(&l, 1, 32), *ids, *weights;
                for (int e = 0; e < 32; e += every) ((float *)logits->data)[e] = fills[f];
                ops_begin(&l.ops, NULL);
                op_route(&l.ops, &routers[i], logits, NULL, &ids, &weights);
                lab_ok(&l.ops);
                const int32_t *got = ids->data;
                uint32_t seen = 0;
                for (int s = 0; s < routers[i].n_used; s++) {
                    assert_in_range(got[s], 0, 31);
                    assert_false(seen & 1u << got[s]);
                    seen |= 1u << got[s];
                    if (f == 0 && every == 1) assert_int_equal(got[s], s);
                }
            }
    struct route_params p = routers[3];
    struct tensor *logits = lab_act(&l, 1, 30), *ids, *weights;
    ops_begin(&l.ops, NULL);
    op_route(&l.ops, &p, logits, NULL, &ids, &weights); /* 30 experts in 8 groups */
    assert_int_equal(ops_status(&l.ops, NULL), FK_EINVAL);
    lab_close(&l);
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* One expert in double, from exact weights: y += a * down(silu(gate x) * up x). */
static void add_expert(const struct tensor *gate, const struct tensor *up,
                       const struct tensor *down, int e, double a, const float *x, double *y)
{
    static float row[512];
    static double h[512];
    for (int64_t r = 0; r < gate->n_rows; r++) {
        double g = 0, u = 0;
        lab_weight_row(gate, e, r, row);
        for (int64_t c = 0; c < gate->n_cols; c++) g += (double)row[c] * (double)x[c];
        lab_weight_row(up, e, r, row);
        for (int64_t c = 0; c < up->n_cols; c++) u += (double)row[c] * (double)x[c];
        h[r] = silu(g) * u;
    }
    for (int64_t r = 0; r < down->n_rows; r++) {
        lab_weight_row(down, e, r, row);
        for (int64_t c = 0; c < down->n_cols; c++) y[r] += a * (double)row[c] * h[c];
    }
}

struct moe {
    struct tensor *gate, *up, *down, *x, *ids, *weights;
};

static void make_moe(struct lab *l, struct moe *m, enum dtype t, enum dtype t_down, int n)
{
    m->gate = lab_weight(l, t, 256, 96, 12);
    m->up = lab_weight(l, t, 256, 96, 12);
    m->down = lab_weight(l, t_down, 96, 80, 12);
    m->x = lab_act(l, n, 256);
    m->weights = lab_act(l, n, 4);
    m->ids = lab_act(l, n, 4);
    m->ids->dtype = DT_I32;
    for (int i = 0; i < n; i++)
        for (int s = 0; s < 4; s++) ((int32_t *)m->ids->data)[4 * i + s] = (i * 5 + s * 3) % 11;
}

static struct tensor *run(struct lab *l, const struct moe *m, int64_t first, int64_t n)
{
    struct tensor x = lab_rows(m->x, first, n), i = lab_rows(m->ids, first, n),
                  w = lab_rows(m->weights, first, n);
    struct tensor *y = op_experts(&l->ops, ACT_SILU, m->gate, m->up, m->down, &x, &i, &w);
    lab_ok(&l->ops);
    return y;
}

static void experts_equal_naive(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    struct moe m;
    make_moe(&l, &m, DT_F32, DT_F32, 19);
    ops_begin(&l.ops, NULL);
    struct tensor *y = run(&l, &m, 0, 19);
    for (int64_t t = 0; t < 19; t++) {
        double want[80] = {0}, scale = 0;
        for (int s = 0; s < 4; s++)
            add_expert(m.gate, m.up, m.down, ((int32_t *)m.ids->data)[4 * t + s],
                       (double)tensor_row_f32(m.weights, t)[s], tensor_row_f32(m.x, t), want);
        for (int r = 0; r < 80; r++) scale = fmax(scale, fabs(want[r]));
        for (int r = 0; r < 80; r++)
            lab_near((double)tensor_row_f32(y, t)[r], want[r], 1e-5 * scale, "experts", t, r);
    }
    lab_close(&l);
}

static void experts_count_what_they_read(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 1, NULL);
    struct moe m;
    make_moe(&l, &m, DT_F32, DT_F16, 40);
    uint64_t one = m.gate->mat_bytes + m.up->mat_bytes + m.down->mat_bytes;
    ops_begin(&l.ops, NULL);
    run(&l, &m, 0, 1);
    assert_int_equal(l.ops.weight_bytes_read, 4 * one);
    ops_begin(&l.ops, NULL);
    run(&l, &m, 0, 40);
    assert_int_equal(l.ops.weight_bytes_read, 11 * one); /* of 12 */
    lab_close(&l);
}

/* Multiply-adds of bytes: a token's own experts, matrices of floats and transposed heads apart. */
static void products_are_counted(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    struct moe m;
    make_moe(&l, &m, DT_Q4_K, DT_Q8_0, 40);
    uint64_t one = 2 * 256 * 96 + 96 * 80;
    ops_begin(&l.ops, NULL);
    run(&l, &m, 0, 1);
    assert_int_equal(l.ops.int8_products, 4 * one);
    run(&l, &m, 0, 40); /* counts go on */
    assert_int_equal(l.ops.int8_products, 41 * 4 * one);
    make_moe(&l, &m, DT_F16, DT_Q8_0, 3);
    run(&l, &m, 0, 3);
    assert_int_equal(l.ops.int8_products, 41 * 4 * one + 12 * 96 * 80);

    uint64_t before = l.ops.int8_products;
    const struct tensor *w[2] = {lab_weight(&l, DT_Q6_K, 256, 7, 1), lab_weight(&l, DT_BF16, 256, 9, 1)};
    struct tensor *y[2], *x = lab_act(&l, 5, 256);
    op_matmul_many(&l.ops, 2, w, NULL, x, y);
    assert_int_equal(l.ops.int8_products - before, 5 * 7 * 256);
    before = l.ops.int8_products;
    struct tensor *heads = lab_weight(&l, DT_Q8_0, 64, 33, 4);
    op_matmul_heads(&l.ops, heads, false, x);
    assert_int_equal(l.ops.int8_products - before, 5 * 4 * 33 * 64);
    op_matmul_heads(&l.ops, heads, true, lab_act(&l, 5, 4 * 33));
    assert_int_equal(l.ops.int8_products - before, 5 * 4 * 33 * 64);
    lab_ok(&l.ops);
    lab_close(&l);
}

static void neighbours_keep_bits(void **state)
{
    (void)state;
    const enum dtype types[][2] = {{DT_F32, DT_F32}, {DT_Q4_K, DT_Q8_0}, {DT_BF16, DT_Q4_1}};
    struct lab l[3];
    for (int i = 0; i < 3; i++) lab_open(&l[i], i + 1, NULL);
    for (int t = 0; t < 3; t++) {
        struct moe m;
        make_moe(&l[0], &m, types[t][0], types[t][1], 50);
        for (int i = 0; i < 3; i++) ops_begin(&l[i].ops, NULL);
        struct tensor *y = run(&l[0], &m, 0, 50);
        for (int i = 0; i < 3; i++) {
            lab_same_bits(y, 0, run(&l[i], &m, 0, 50));
            for (int64_t r = 0; r < 50; r += 3) lab_same_bits(y, r, run(&l[i], &m, r, 1));
            lab_same_bits(y, 10, run(&l[i], &m, 10, 17));
        }
    }
    for (int i = 0; i < 3; i++) lab_close(&l[i]);
}

/* A row that names one expert twice is odd but defined; ids out of range are refused. */
static void odd_ids(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    struct moe m;
    make_moe(&l, &m, DT_Q8_0, DT_Q8_0, 3);
    int32_t *ids = m.ids->data;
    for (int i = 0; i < 8; i++) ids[i] = 7;
    ops_begin(&l.ops, NULL);
    struct tensor *y = run(&l, &m, 0, 3);
    lab_same_bits(y, 0, run(&l, &m, 0, 1));
    ids[5] = 12;
    assert_null(op_experts(&l.ops, ACT_SILU, m.gate, m.up, m.down, m.x, m.ids, m.weights));
    assert_int_equal(ops_status(&l.ops, NULL), FK_EINVAL);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_like_the_papers), cmocka_unit_test(route_survives_anything),
        cmocka_unit_test(experts_equal_naive),    cmocka_unit_test(experts_count_what_they_read),
        cmocka_unit_test(products_are_counted),   cmocka_unit_test(neighbours_keep_bits),
        cmocka_unit_test(odd_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
