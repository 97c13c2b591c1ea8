/* SPDX-License-Identifier: Apache-2.0
 * matmul_test.c - matmul, matmul_many, matmul_heads and embed against sums in double, and the same
 * bits for every number of threads and rows. */
#include <math.h>
#include "tests/unit/device/lab.h"

static const enum dtype types[] = {DT_F32,  DT_F16,  DT_BF16, DT_Q8_0, DT_Q4_0,
                                   DT_Q4_1, DT_Q4_K, DT_Q6_K};
#define N_TYPES (sizeof types / sizeof *types)

/* got = W[mat] x of one row, within the rounding of activations. */
static void check_row(const struct tensor *w, int64_t mat, const float *x, const float *bias,
                      const float *got, const char *what)
{
    static float row[4096];
    double max_x = 0;
    for (int64_t c = 0; c < w->n_cols; c++) max_x = fmax(max_x, fabs((double)x[c]));
    for (int64_t r = 0; r < w->n_rows; r++) {
        double want = bias ? (double)bias[r] : 0, sum_w = 0;
        lab_weight_row(w, mat, r, row);
        for (int64_t c = 0; c < w->n_cols; c++) {
            want += (double)row[c] * (double)x[c];
            sum_w += fabs((double)row[c]);
        }
        lab_near((double)got[r], want, sum_w * max_x * lab_act_error(w->dtype) + 1e-5, what, mat,
                 r);
    }
}

static void equals_naive(void **state)
{
    (void)state;
    const char *masks[] = {NULL, "ref"};
    for (int i = 0; i < 2; i++) {
        struct lab l;
        lab_open(&l, 2, masks[i]);
        for (size_t t = 0; t < N_TYPES; t++) {
            int64_t k = dtype_info(types[t])->block_weights > 1 ? 512 : 131;
            struct tensor *w = lab_weight(&l, types[t], k, 77, 1), *bias = lab_vector(&l, 77);
            for (int64_t n = 1; n <= 37; n += 18) {
                struct tensor *x = lab_act(&l, n, k);
                ops_begin(&l.ops, NULL);
                struct tensor *y = op_matmul(&l.ops, w, bias, x);
                lab_ok(&l.ops);
                assert_int_equal(l.ops.weight_bytes_read, 77 * w->row_bytes);
                for (int64_t r = 0; r < n; r++)
                    check_row(w, 0, tensor_row_f32(x, r), bias->data, tensor_row_f32(y, r),
                              dtype_name(types[t]));
            }
        }
        lab_close(&l);
    }
}

static void group_is_its_parts(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 3, NULL);
    const struct tensor *w[4] = {
        lab_weight(&l, DT_Q4_K, 1024, 300, 1), lab_weight(&l, DT_F32, 1024, 5, 1),
        lab_weight(&l, DT_Q8_0, 1024, 129, 1), lab_weight(&l, DT_Q6_K, 1024, 64, 1)};
    const struct tensor *bias[4] = {NULL, lab_vector(&l, 5), NULL, lab_vector(&l, 64)};
    for (int n = 1; n < 100; n += 70) {
        struct tensor *x = lab_act(&l, n, 1024), *y[4];
        ops_begin(&l.ops, NULL);
        op_matmul_many(&l.ops, 4, w, bias, x, y);
        for (int i = 0; i < 4; i++) lab_same_bits(y[i], 0, op_matmul(&l.ops, w[i], bias[i], x));
        lab_ok(&l.ops);
    }
    lab_close(&l);
}

/* Big enough that chunks, token groups and L2 blocks all come into play. */
static void same_bits_everywhere(void **state)
{
    (void)state;
    struct lab l[3];
    for (int i = 0; i < 3; i++) lab_open(&l[i], i + 1, NULL);
    for (size_t t = 0; t < N_TYPES; t++) {
        struct tensor *w = lab_weight(&l[0], types[t], 1024, 200, 1);
        struct tensor *x = lab_act(&l[0], 150, 1024);
        ops_begin(&l[0].ops, NULL);
        struct tensor *y = op_matmul(&l[0].ops, w, NULL, x);
        for (int i = 1; i < 3; i++) {
            ops_begin(&l[i].ops, NULL);
            lab_same_bits(y, 0, op_matmul(&l[i].ops, w, NULL, x));
        }
        for (int64_t n = 1; n < 40; n = n * 2 + 3)
            for (int64_t first = 0; first + n <= 150; first += 31) {
                struct tensor part = lab_rows(x, first, n);
                ops_begin(&l[2].ops, NULL);
                lab_same_bits(y, first, op_matmul(&l[2].ops, w, NULL, &part));
            }
    }
    for (int i = 0; i < 3; i++) lab_close(&l[i]);
}

/* A view of some columns of a wider activation is an input like any other. */
static void takes_views(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    struct tensor *w = lab_weight(&l, DT_F32, 48, 20, 1), *x = lab_act(&l, 9, 100);
    ops_begin(&l.ops, NULL);
    struct tensor *v = op_columns(&l.ops, x, 1, 33, 48), *y = op_matmul(&l.ops, w, NULL, v);
    lab_ok(&l.ops);
    for (int64_t t = 0; t < 9; t++)
        check_row(w, 0, tensor_row_f32(x, t) + 33, NULL, tensor_row_f32(y, t), "view");
    lab_close(&l);
}

static void check_transposed(const struct tensor *w, int64_t h, const float *x, const float *got)
{
    static float row[4096];
    for (int64_t c = 0; c < w->n_cols; c++) {
        double want = 0, sum = 0;
        for (int64_t r = 0; r < w->n_rows; r++) {
            lab_weight_row(w, h, r, row);
            want += (double)row[c] * (double)x[r];
            sum += fabs((double)row[c] * (double)x[r]);
        }
        lab_near((double)got[c], want, 1e-6 * sum, "transposed", h, c);
    }
}

static void heads(void **state)
{
    (void)state;
    struct lab l, one;
    lab_open(&l, 3, NULL);
    lab_open(&one, 1, NULL);
    const enum dtype some[] = {DT_F32, DT_F16, DT_Q8_0};
    for (int t = 0; t < 3; t++)
        for (int n = 1; n < 40; n += 19) {
            struct tensor *w = lab_weight(&l, some[t], 64, 33, 5);
            struct tensor *x = lab_act(&l, n, 5 * 64), *xt = lab_act(&l, n, 5 * 33);
            ops_begin(&l.ops, NULL);
            ops_begin(&one.ops, NULL);
            struct tensor *y = op_matmul_heads(&l.ops, w, false, x);
            struct tensor *yt = op_matmul_heads(&l.ops, w, true, xt);
            lab_ok(&l.ops);
            assert_int_equal(l.ops.weight_bytes_read, 2 * 5 * w->mat_bytes);
            for (int64_t r = 0; r < n; r++)
                for (int64_t h = 0; h < 5; h++) {
                    check_row(w, h, tensor_row_f32(x, r) + h * 64, NULL,
                              tensor_row_f32(y, r) + h * 33, "heads");
                    check_transposed(w, h, tensor_row_f32(xt, r) + h * 33,
                                     tensor_row_f32(yt, r) + h * 64);
                }
            for (int64_t r = 0; r < n; r += 7) {
                struct tensor a = lab_rows(x, r, 1), b = lab_rows(xt, r, 1);
                lab_same_bits(y, r, op_matmul_heads(&one.ops, w, false, &a));
                lab_same_bits(yt, r, op_matmul_heads(&one.ops, w, true, &b));
            }
        }
    lab_close(&one);
    lab_close(&l);
}

static void embed(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, 2, NULL);
    for (size_t t = 0; t < N_TYPES; t++) {
        float row[256];
        struct tensor *w = lab_weight(&l, types[t], 256, 31, 1);
        struct batch *b = lab_plain_batch(&l, 130);
        ops_begin(&l.ops, b);
        struct tensor *y = op_embed(&l.ops, w, 2.5f);
        lab_ok(&l.ops);
        for (int i = 0; i < 130; i++) {
            lab_weight_row(w, 0, b->tokens[i], row);
            for (int c = 0; c < 256; c++)
                lab_near((double)tensor_row_f32(y, i)[c], (double)row[c] * 2.5,
                         1e-6 * fabs((double)row[c]) + 1e-9, "embed", i, c);
        }
    }
    struct batch *b = lab_plain_batch(&l, 3);
    int32_t bad[3] = {0, 31, 0};
    b->tokens = bad;
    ops_begin(&l.ops, b);
    assert_null(op_embed(&l.ops, lab_weight(&l, DT_F16, 8, 31, 1), 1));
    assert_int_equal(ops_status(&l.ops, NULL), FK_EINVAL);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_naive), cmocka_unit_test(group_is_its_parts),
        cmocka_unit_test(same_bits_everywhere), cmocka_unit_test(takes_views),
        cmocka_unit_test(heads), cmocka_unit_test(embed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
