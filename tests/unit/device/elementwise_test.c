/* SPDX-License-Identifier: Apache-2.0
 * elementwise_test.c - the ops that map rows to rows against double, over views and many rows. */
#include <math.h>
#include <string.h>
#include "tests/unit/device/lab.h"

#define N 67
#define ROWS 300 /* enough that several threads take part */

static struct lab l;

static int open_lab(void **state)
{
    (void)state;
    lab_open(&l, 3, NULL);
    ops_begin(&l.ops, NULL);
    return 0;
}

static int close_lab(void **state)
{
    (void)state;
    lab_close(&l);
    return 0;
}

static void rmsnorm(void **state)
{
    (void)state;
    struct tensor *x = lab_act(&l, ROWS, 4 * N), *w = lab_vector(&l, N);
    struct tensor *y = op_rmsnorm(&l.ops, w, 1e-3f, x), *z = op_rmsnorm(&l.ops, NULL, 0, x);
    lab_ok(&l.ops);
    for (int64_t t = 0; t < ROWS; t++) {
        double all = 0;
        for (int g = 0; g < 4; g++) {
            const float *in = tensor_row_f32(x, t) + g * N;
            double sum = 0;
            for (int i = 0; i < N; i++) sum += (double)in[i] * (double)in[i];
            all += sum;
            for (int i = 0; i < N; i++)
                lab_near((double)tensor_row_f32(y, t)[g * N + i],
                         (double)in[i] / sqrt(sum / N + 1e-3) * (double)((float *)w->data)[i],
                         2e-6, "rmsnorm", t, g * N + i);
        }
        lab_near((double)tensor_row_f32(z, t)[5],
                 (double)tensor_row_f32(x, t)[5] / sqrt(all / (4 * N)), 2e-6, "rmsnorm", t, 5);
    }
}

static void arithmetic(void **state)
{
    (void)state;
    struct tensor *wide = lab_act(&l, ROWS, 3 * N), *b = lab_act(&l, ROWS, N);
    struct tensor *a = op_columns(&l.ops, wide, 1, N, N);
    struct tensor *sum = op_add(&l.ops, a, b), *scaled = op_scale(&l.ops, a, -3),
                  *capped = op_softcap(&l.ops, a, 0.5f), *silu = op_glu(&l.ops, ACT_SILU, a, b),
                  *gelu = op_glu(&l.ops, ACT_GELU_TANH, a, b);
    lab_ok(&l.ops);
    for (int64_t t = 0; t < ROWS; t++)
        for (int i = 0; i < N; i++) {
            double x = (double)tensor_row_f32(wide, t)[N + i], y = (double)tensor_row_f32(b, t)[i];
            double inner = 0.7978845608028654 * (x + 0.044715 * x * x * x);
            assert_float_equal(tensor_row_f32(sum, t)[i], (float)(x + y), 0);
            assert_float_equal(tensor_row_f32(scaled, t)[i], (float)(-3 * x), 0);
            lab_near((double)tensor_row_f32(capped, t)[i], 0.5 * tanh(x / 0.5), 1e-6, "cap", t, i);
            lab_near((double)tensor_row_f32(silu, t)[i], x / (1 + exp(-x)) * y, 1e-6, "silu", t, i);
            lab_near((double)tensor_row_f32(gelu, t)[i], 0.5 * x * (1 + tanh(inner)) * y, 1e-6,
                     "gelu", t, i);
        }
}

static void moving(void **state)
{
    (void)state;
    struct tensor *a = lab_act(&l, ROWS, 3 * 10), *b = lab_act(&l, ROWS, 3 * 7),
                  *one = lab_act(&l, ROWS, 7);
    struct tensor *ab = op_concat(&l.ops, 3, a, b, false), *as = op_concat(&l.ops, 3, a, one, true);
    struct tensor *back = op_columns(&l.ops, ab, 3, 10, 7), *head = op_columns(&l.ops, as, 3, 0, 10);
    const int32_t rows[] = {299, 0, 0, 17};
    struct tensor *some = op_take_rows(&l.ops, a, rows, 4), *none = op_take_rows(&l.ops, a, NULL, 0);
    lab_ok(&l.ops);
    lab_same_bits(back, 0, b);
    lab_same_bits(head, 0, a);
    for (int i = 0; i < 4; i++) {
        struct tensor row = lab_rows(a, rows[i], 1);
        lab_same_bits(some, i, &row);
    }
    assert_int_equal(none->n_rows, 0);
    for (int h = 0; h < 3; h++)
        assert_memory_equal(tensor_row_f32(as, 5) + h * 17 + 10, tensor_row_f32(one, 5),
                            7 * sizeof(float));
}

/* Pair (a, b) of a head turns by pos * freq and grows by mscale; other columns stay. */
static void check_rope(const struct rope_params *p, const struct batch *b, const struct tensor *x,
                       const struct tensor *y, int n_heads)
{
    int dim = (int)(x->n_cols / n_heads), half = p->n_rot / 2;
    for (int64_t t = 0; t < x->n_rows; t++)
        for (int h = 0; h < n_heads; h++) {
            const float *in = tensor_row_f32(x, t) + h * dim, *out = tensor_row_f32(y, t) + h * dim;
            for (int i = 0; i < dim; i++)
                if (i < p->first || i >= p->first + p->n_rot) assert_true(in[i] == out[i]);
            for (int i = 0; i < half; i++) {
                int u = p->first + (p->style == ROPE_HALVES ? i : 2 * i);
                int v = p->first + (p->style == ROPE_HALVES ? i + half : 2 * i + 1);
                double angle = (double)b->pos[t] * (double)p->inv_freq[i], m = (double)p->mscale;
                lab_near((double)out[u], m * ((double)in[u] * cos(angle) - (double)in[v] * sin(angle)),
                         3e-7 * m, "rope", t, u);
                lab_near((double)out[v], m * ((double)in[u] * sin(angle) + (double)in[v] * cos(angle)),
                         3e-7 * m, "rope", t, v);
            }
        }
}

static void rope(void **state)
{
    (void)state;
    static float freq[2][16];
    for (int i = 0; i < 16; i++) {
        freq[0][i] = powf(10000, -(float)i / 16);
        freq[1][i] = powf(1e6f, -(float)i / 16);
    }
    const struct rope_params params[] = {{ROPE_HALVES, 32, 0, freq[0], 1},
                                         {ROPE_INTERLEAVED, 20, 12, freq[1], 1.3f},
                                         {ROPE_HALVES, 2, 5, freq[1], 1}};
    struct tensor *x = lab_act(&l, ROWS, 5 * 32);
    for (int step = 0; step < 3; step++) {
        struct lab_seq seq = {step * 100000, ROWS, NULL};
        struct batch *b = lab_batch(&l, NULL, &seq, 1);
        ops_begin(&l.ops, b);
        for (int round = 0; round < 2; round++)
            for (int i = 0; i < 3; i++)
                check_rope(&params[i], b, x, op_rope(&l.ops, &params[i], 5, x), 5);
        lab_ok(&l.ops);
    }
    /* The tables behind the pointers change, the pointers do not. */
    ops_begin(&l.ops, lab_batch(&l, NULL, &(struct lab_seq){3, ROWS, NULL}, 1));
    op_rope(&l.ops, &params[0], 5, x);
    freq[0][3] = 0.77f;
    check_rope(&params[0], l.ops.batch, x, op_rope(&l.ops, &params[0], 5, x), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rmsnorm, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(arithmetic, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(moving, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(rope, open_lab, close_lab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
