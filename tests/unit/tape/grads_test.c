/* SPDX-License-Identifier: Apache-2.0
 * grads_test.c - every op's gradient against central differences of the same op in double precision:
 * within 1e-4 of the norm of the tensor's gradient. Inputs are embeddings of themselves, so that they
 * are parameters too. */
#include <math.h>
#include <string.h>
#include "src/tape/tape.h"
#include "src/tensor/dtype.h"
#include "tests/unit/device/lab.h"
#include "tests/unit/tape/ref.h"

#define MAX_PARAMS 6
#define STEP 1e-5
#define BOUND 1e-4
#define PROBES 60

struct rig {
    struct lab lab;
    struct tape *tape;
    struct tensor *p[MAX_PARAMS];
    float *grad[MAX_PARAMS];
    double *value[MAX_PARAMS];
    int n;
    double bound, forward_bound; /* of a gradient, in its norm; of an output */
};

typedef struct tensor *(*forward_fn)(struct rig *r, struct tensor *x[]);
typedef int (*ref_fn)(struct rig *r, double *const p[], double *y); /* gives the number of outputs */

static void rig_open(struct rig *r, int n_threads)
{
    memset(r, 0, sizeof *r);
    r->bound = r->forward_bound = BOUND;
    lab_open(&r->lab, n_threads, NULL);
    assert_int_equal(tape_create(&r->tape, r->lab.device, NULL), FK_OK);
    r->lab.ops.recorder = tape_recorder(r->tape);
}

static void rig_close(struct rig *r)
{
    tape_destroy(&r->tape);
    lab_close(&r->lab);
}

static struct tensor *add_param(struct rig *r, struct tensor *w)
{
    size_t n = (size_t)tensor_n_elements(w);
    r->p[r->n] = w;
    r->grad[r->n] = lab_alloc(&r->lab, n * sizeof(float));
    r->value[r->n] = lab_alloc(&r->lab, n * sizeof(double));
    /* lab weights may have gaps between rows; gradients want none */
    w->row_bytes = (size_t)w->n_cols * (w->dtype == DT_BF16 ? sizeof(uint16_t) : sizeof(float));
    w->mat_bytes = w->row_bytes * (size_t)w->n_rows;
    float *data = lab_alloc(&r->lab, n * sizeof(float));
    for (size_t i = 0; i < n; i++) data[i] = lab_random(&r->lab);
    w->data = data;
    for (size_t i = 0; i < n && w->dtype == DT_BF16; i++) {
        uint16_t h = f32_to_bf16(data[i]);
        memcpy((uint16_t *)w->data + i, &h, sizeof h); /* in the same memory, which is twice too large */
        r->value[r->n][i] = (double)bf16_to_f32(h);
    }
    for (size_t i = 0; i < n && w->dtype == DT_F32; i++) r->value[r->n][i] = (double)data[i];
    assert_int_equal(tape_add_param(r->tape, w, r->grad[r->n], NULL), FK_OK);
    r->n++;
    return w;
}

static void add_matrix(struct rig *r, int n_cols, int n_rows, int n_mats)
{
    add_param(r, lab_weight(&r->lab, DT_F32, n_cols, n_rows, n_mats));
}

static void add_vector(struct rig *r, int n)
{
    add_param(r, lab_vector(&r->lab, n));
}

/* Runs forward and backward with the loss sum_i c_i y_i, then compares. The first n_inputs params
 * become activations of n_rows rows. */
static void check(struct rig *r, struct batch *b, int n_inputs, forward_fn forward, ref_fn ref)
{
    struct tensor *x[MAX_PARAMS];
    double *y = lab_alloc(&r->lab, 65536 * sizeof *y), c[64];
    ops_begin(&r->lab.ops, b);
    tape_begin(r->tape, b);
    int32_t *tokens = lab_alloc(&r->lab, (size_t)b->n_rows * sizeof *tokens);
    for (int i = 0; i < b->n_rows; i++) tokens[i] = i;
    b->tokens = tokens;
    for (int i = 0; i < n_inputs; i++) x[i] = op_embed(&r->lab.ops, r->p[i], 1);
    struct tensor *out = forward(r, x);
    lab_ok(&r->lab.ops);
    size_t n_out = (size_t)tensor_n_elements(out);
    float *dout = lab_alloc(&r->lab, n_out * sizeof *dout);
    for (int i = 0; i < 64; i++) c[i] = (double)lab_random(&r->lab);
    for (size_t i = 0; i < n_out; i++) dout[i] = (float)(c[i % 61] + 0.1 * c[i / 61 % 59]);
    struct fk_error err = {0};
    if (tape_backward(r->tape, out, dout, &err) != FK_OK) fail_msg("%s", err.message);
    assert_int_equal(ref(r, r->value, y), n_out);
    for (size_t i = 0; i < n_out; i++)
        lab_near(tensor_row_f32(out, 0)[i], y[i], r->forward_bound, "forward", (int64_t)i, 0);
    for (int p = 0; p < r->n; p++) {
        int64_t n = tensor_n_elements(r->p[p]), step = n > PROBES ? n / PROBES | 1 : 1;
        double norm = 0, error = 0;
        for (int64_t i = 0; i < n; i += step) {
            double keep = r->value[p][i], loss[2];
            for (int s = 0; s < 2; s++) {
                r->value[p][i] = keep + (s ? STEP : -STEP);
                ref(r, r->value, y);
                loss[s] = 0;
                for (size_t k = 0; k < n_out; k++) loss[s] += (double)dout[k] * y[k];
            }
            r->value[p][i] = keep;
            double want = (loss[1] - loss[0]) / (2 * STEP), got = (double)r->grad[p][i];
            norm += want * want;
            error += (want - got) * (want - got);
        }
        assert_true(norm > 0);
        if (!(error <= r->bound * r->bound * norm))
            fail_msg("parameter %d: the gradient is off by %g of its norm %g", p, sqrt(error / norm),
                     sqrt(norm));
    }
}

#define ROWS 70 /* more than one chunk of rows and one block of attention */

static struct tensor *f_matmul(struct rig *r, struct tensor *x[])
{
    struct tensor *out[2];
    op_matmul_many(&r->lab.ops, 2, (const struct tensor *const[]){r->p[1], r->p[2]},
                   (const struct tensor *const[]){r->p[3], NULL}, x[0], out);
    return op_add(&r->lab.ops, out[0], op_scale(&r->lab.ops, out[1], 0.5f));
}
static int r_matmul(struct rig *r, double *const p[], double *y)
{
    static double z[ROWS * 48];
    (void)r;
    ref_matmul(p[0], p[1], p[3], ROWS, 40, 48, y);
    ref_matmul(p[0], p[2], NULL, ROWS, 40, 48, z);
    for (int i = 0; i < ROWS * 48; i++) y[i] += 0.5 * z[i];
    return ROWS * 48;
}
static void test_matmul(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 2);
    add_matrix(&r, 40, ROWS, 1);
    add_matrix(&r, 40, 48, 1);
    add_matrix(&r, 40, 48, 1);
    add_vector(&r, 48);
    check(&r, lab_plain_batch(&r.lab, ROWS), 1, f_matmul, r_matmul);
    rig_close(&r);
}

/* Operands in bf16, whatever the weights are; more rows than a slice has, and whole tiles of 32 inputs in all
 * three products but for the last slice's. */
#define WIDE 2100
#define WIDE_ROWS 32
#define WIDE_COLS 32
static struct tensor *f_wide(struct rig *r, struct tensor *x[])
{
    struct tensor *h = op_matmul(&r->lab.ops, r->p[1], r->p[3], x[0]);
    return op_matmul(&r->lab.ops, r->p[2], NULL, h);
}
static int r_wide(struct rig *r, double *const p[], double *y)
{
    static double h[WIDE_ROWS * WIDE];
    (void)r;
    ref_matmul(p[0], p[1], p[3], WIDE_ROWS, WIDE_COLS, WIDE, h);
    ref_matmul(h, p[2], NULL, WIDE_ROWS, WIDE, 33, y);
    return WIDE_ROWS * 33;
}
static void test_matmul_bf16(void **state)
{
    (void)state;
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        struct rig r;
        rig_open(&r, 2);
        r.bound = 1e-2;
        r.forward_bound = 0.5;
        tape_set_bf16(r.tape, true);
        add_matrix(&r, WIDE_COLS, WIDE_ROWS, 1);
        add_param(&r, lab_weight(&r.lab, is_bf16 ? DT_BF16 : DT_F32, WIDE_COLS, WIDE, 1));
        add_param(&r, lab_weight(&r.lab, is_bf16 ? DT_BF16 : DT_F32, WIDE, 33, 1));
        add_vector(&r, WIDE);
        check(&r, lab_plain_batch(&r.lab, WIDE_ROWS), 1, f_wide, r_wide);
        rig_close(&r);
    }
}

/* W x + 1.5 B (A x) */
static struct tensor *f_adapter(struct rig *r, struct tensor *x[])
{
    static struct tensor_adapter ad;
    static struct tensor w;
    ad = (struct tensor_adapter){r->p[1], r->p[2], 1.5f};
    w = *r->p[3];
    w.adapter = &ad;
    return op_matmul(&r->lab.ops, &w, NULL, x[0]);
}
static int r_adapter(struct rig *r, double *const p[], double *y)
{
    static double low[ROWS * 6], more[ROWS * 48];
    (void)r;
    ref_matmul(p[0], p[1], NULL, ROWS, 40, 6, low);
    ref_matmul(low, p[2], NULL, ROWS, 6, 48, more);
    ref_matmul(p[0], p[3], NULL, ROWS, 40, 48, y);
    for (int i = 0; i < ROWS * 48; i++) y[i] += 1.5 * more[i];
    return ROWS * 48;
}
static void test_adapter(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 2);
    add_matrix(&r, 40, ROWS, 1);
    add_matrix(&r, 40, 6, 1);
    add_matrix(&r, 6, 48, 1);
    add_matrix(&r, 40, 48, 1);
    check(&r, lab_plain_batch(&r.lab, ROWS), 1, f_adapter, r_adapter);
    rig_close(&r);
}

/* 3 heads of [5, 8] */
static struct tensor *f_heads(struct rig *r, struct tensor *x[])
{
    struct ops *o = &r->lab.ops;
    struct tensor *a = op_matmul_heads(o, r->p[1], false, x[0]);  /* [15] */
    struct tensor *b = op_matmul_heads(o, r->p[1], true, a);      /* [24] */
    struct tensor *c = op_matmul_heads(o, r->p[2], true, op_columns(o, a, 1, 3, 5)); /* [24] */
    return op_add(o, b, c);
}
static int r_heads(struct rig *r, double *const p[], double *y)
{
    static double a[ROWS * 15], v[ROWS * 5], c[ROWS * 24];
    (void)r;
    ref_heads(p[0], p[1], ROWS, 3, 5, 8, 0, 0, a);
    ref_heads(a, p[1], ROWS, 3, 5, 8, 1, 0, y);
    for (int t = 0; t < ROWS; t++)
        for (int i = 0; i < 5; i++) v[t * 5 + i] = a[t * 15 + 3 + i];
    ref_heads(v, p[2], ROWS, 3, 5, 8, 1, 1, c);
    for (int i = 0; i < ROWS * 24; i++) y[i] += c[i];
    return ROWS * 24;
}
static void test_heads(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 2);
    add_matrix(&r, 24, ROWS, 1);
    add_matrix(&r, 8, 5, 3);
    add_matrix(&r, 8, 5, 3);
    check(&r, lab_plain_batch(&r.lab, ROWS), 1, f_heads, r_heads);
    rig_close(&r);
}

static struct tensor *f_norm(struct rig *r, struct tensor *x[])
{
    struct ops *o = &r->lab.ops;
    struct tensor *h = op_rmsnorm(o, r->p[1], 1e-3f, x[0]); /* three groups of 8 */
    h = op_softcap(o, op_rmsnorm(o, NULL, 1e-3f, h), 0.7f);
    return op_add(o, h, h);
}
static int r_norm(struct rig *r, double *const p[], double *y)
{
    static double h[ROWS * 24];
    (void)r;
    ref_rmsnorm(p[0], p[1], ROWS, 3, 8, 1e-3, h);
    ref_rmsnorm(h, NULL, ROWS, 1, 24, 1e-3, y);
    for (int i = 0; i < ROWS * 24; i++) y[i] = 2 * 0.7 * tanh(y[i] / 0.7);
    return ROWS * 24;
}
static void test_norm(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 2);
    add_matrix(&r, 24, ROWS, 1);
    add_vector(&r, 8);
    check(&r, lab_plain_batch(&r.lab, ROWS), 1, f_norm, r_norm);
    rig_close(&r);
}

static const float freqs[4] = {1, 0.3f, 0.1f, 0.02f};
static const struct rope_params rope_pairs = {ROPE_INTERLEAVED, 8, 2, freqs, 1.1f};
static const struct rope_params rope_halves = {ROPE_HALVES, 8, 0, freqs, 1};

/* Two heads of 12; the rows of x are positions. */
static struct tensor *f_rope(struct rig *r, struct tensor *x[])
{
    struct ops *o = &r->lab.ops;
    static const int32_t rows[3] = {7, 2, 7};
    struct tensor *a = op_rope(o, &rope_pairs, 2, x[0]), *b = op_rope(o, &rope_halves, 2, a);
    struct tensor *k = op_columns(o, b, 2, 1, 6);             /* [12] */
    k = op_concat(o, 2, k, op_columns(o, a, 1, 0, 4), true);  /* [20] */
    k = op_concat(o, 2, k, op_columns(o, a, 1, 4, 6), false); /* [26] */
    return op_take_rows(o, k, rows, 3);
}
static int r_rope(struct rig *r, double *const p[], double *y)
{
    static double a[ROWS * 24], b[ROWS * 24];
    static const int rows[3] = {7, 2, 7};
    const int32_t *pos = r->lab.ops.batch->pos;
    ref_rope(p[0], &rope_pairs, pos, ROWS, 2, 12, a);
    ref_rope(a, &rope_halves, pos, ROWS, 2, 12, b);
    for (int i = 0; i < 3; i++)
        for (int h = 0; h < 2; h++) {
            double *to = y + (i * 2 + h) * 13;
            const double *bt = b + rows[i] * 24 + h * 12, *at = a + rows[i] * 24;
            for (int c = 0; c < 6; c++) to[c] = bt[1 + c];
            for (int c = 0; c < 4; c++) to[6 + c] = at[c];
            for (int c = 0; c < 3; c++) to[10 + c] = at[4 + h * 3 + c];
        }
    return 3 * 26;
}
static void test_rope(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 2);
    add_matrix(&r, 24, ROWS, 1);
    check(&r, lab_plain_batch(&r.lab, ROWS), 1, f_rope, r_rope);
    rig_close(&r);
}

static enum act glu_act;
static struct tensor *f_glu(struct rig *r, struct tensor *x[])
{
    return op_glu(&r->lab.ops, glu_act, x[0], x[1]);
}
static int r_glu(struct rig *r, double *const p[], double *y)
{
    (void)r;
    ref_glu(glu_act, p[0], p[1], ROWS * 24, y);
    return ROWS * 24;
}
static void test_glu(void **state)
{
    (void)state;
    for (glu_act = ACT_SILU; glu_act <= ACT_GELU_TANH; glu_act++) {
        struct rig r;
        rig_open(&r, 1);
        add_matrix(&r, 24, ROWS, 1);
        add_matrix(&r, 24, ROWS, 1);
        check(&r, lab_plain_batch(&r.lab, ROWS), 2, f_glu, r_glu);
        rig_close(&r);
    }
}

/* Documents of 70, 1 and 19 rows in one batch. */
static struct attention_params attention;
static const int lengths[3] = {ROWS, 1, 19};
#define PACKED 90
static struct tensor *f_attention(struct rig *r, struct tensor *x[])
{
    op_kv_write(&r->lab.ops, 0, x[1], x[2]);
    return op_attention(&r->lab.ops, 0, &attention, x[0]);
}
static int r_attention(struct rig *r, double *const p[], double *y)
{
    (void)r;
    for (int i = 0, first = 0; i < 3; first += lengths[i++])
        ref_attention(&attention, p[0], p[1], p[2], first, lengths[i], y);
    return PACKED * attention.n_heads * attention.v_dim;
}
static void attention_case(int n_kv_heads, int window, float softcap)
{
    struct rig r;
    struct kv_layout kv;
    struct lab_seq seqs[3];
    rig_open(&r, 2);
    attention = (struct attention_params){.n_heads = 4, .n_kv_heads = n_kv_heads, .k_dim = 12,
                                          .v_dim = 8, .scale = 0.6f, .window = window,
                                          .softcap = softcap};
    assert_true(kv_layout_init(&kv, DT_F32, 1, n_kv_heads, 12, 8, false, 16));
    for (int i = 0; i < 3; i++)
        seqs[i] = (struct lab_seq){.n_rows = lengths[i], .pages = lab_pages(&r.lab, &kv, lengths[i])};
    add_matrix(&r, 4 * 12, PACKED, 1);
    add_matrix(&r, n_kv_heads * 12, PACKED, 1);
    add_matrix(&r, n_kv_heads * 8, PACKED, 1);
    check(&r, lab_batch(&r.lab, &kv, seqs, 3), 3, f_attention, r_attention);
    rig_close(&r);
}
static void test_attention(void **state)
{
    (void)state;
    attention_case(4, 0, 0);
    attention_case(2, 0, 0);
    attention_case(2, 24, 0);
    attention_case(4, 24, 1.5f);
}

/* Six experts, two used, width 16, ff 24; the choice is that of the forward. */
static struct route_params route;
static enum act expert_act;
static struct tensor *route_ids;
static struct tensor *f_moe(struct rig *r, struct tensor *x[])
{
    struct ops *o = &r->lab.ops;
    struct tensor *w;
    op_route(o, &route, op_matmul(o, r->p[1], NULL, x[0]), r->p[5], &route_ids, &w);
    return op_experts(o, expert_act, r->p[2], r->p[3], r->p[4], x[0], route_ids, w);
}
static int r_moe(struct rig *r, double *const p[], double *y)
{
    double logits[6], w[2], g[24], u[24], h[24], d[16];
    (void)r;
    for (int t = 0; t < ROWS; t++) {
        const int32_t *ids = (const int32_t *)(const void *)tensor_row_f32(route_ids, t);
        const double *x = p[0] + t * 16;
        ref_matmul(x, p[1], NULL, 1, 16, 6, logits);
        ref_route(&route, logits, 6, ids, w);
        memset(y + t * 16, 0, 16 * sizeof *y);
        for (int s = 0; s < 2; s++) {
            ref_matmul(x, p[2] + ids[s] * 384, NULL, 1, 16, 24, g);
            ref_matmul(x, p[3] + ids[s] * 384, NULL, 1, 16, 24, u);
            ref_glu(expert_act, g, u, 24, h);
            ref_matmul(h, p[4] + ids[s] * 384, NULL, 1, 24, 16, d);
            for (int i = 0; i < 16; i++) y[t * 16 + i] += w[s] * d[i];
        }
    }
    return ROWS * 16;
}
static void moe_case(enum route_gate gate, bool normalize, enum act act)
{
    struct rig r;
    rig_open(&r, 2);
    route = (struct route_params){.gate = gate, .n_used = 2, .normalize = normalize, .scale = 1.5f};
    expert_act = act;
    add_matrix(&r, 16, ROWS, 1);
    add_matrix(&r, 16, 6, 1);
    add_matrix(&r, 16, 24, 6);
    add_matrix(&r, 16, 24, 6);
    add_matrix(&r, 24, 16, 6);
    r.p[5] = lab_vector(&r.lab, 6); /* steers the choice; no parameter */
    check(&r, lab_plain_batch(&r.lab, ROWS), 1, f_moe, r_moe);
    rig_close(&r);
}
static void test_moe(void **state)
{
    (void)state;
    moe_case(ROUTE_SIGMOID, true, ACT_SILU);
    moe_case(ROUTE_SIGMOID, false, ACT_GELU_TANH);
    moe_case(ROUTE_SOFTMAX, false, ACT_SILU);
    moe_case(ROUTE_SOFTMAX, true, ACT_SILU);
}

/* The balance loss in double: logits [24, 6] of two documents, their choice as it is. */
static struct tensor *balance_ids;
static double ref_balance(const double *logits, enum route_gate gate)
{
    static const int n_rows[2] = {15, 9};
    double loss = 0;
    for (int d = 0, first = 0; d < 2; first += n_rows[d++]) {
        double f[6] = {0}, mean[6] = {0};
        for (int t = first; t < first + n_rows[d]; t++) {
            const int32_t *ids = (const int32_t *)(const void *)tensor_row_f32(balance_ids, t);
            double g[6], sum = 0;
            for (int i = 0; i < 6; i++) {
                double e = exp(logits[t * 6 + i]);
                sum += g[i] = gate == ROUTE_SIGMOID ? e / (1 + e) : e;
            }
            for (int i = 0; i < 6; i++) mean[i] += g[i] / sum / n_rows[d];
            for (int s = 0; s < 2; s++) f[ids[s]] += 3.0 / n_rows[d];
        }
        for (int i = 0; i < 6; i++) loss += n_rows[d] * 0.01 * f[i] * mean[i];
    }
    return loss;
}
static void test_balance(void **state)
{
    (void)state;
    for (enum route_gate gate = ROUTE_SOFTMAX; gate <= ROUTE_SIGMOID; gate++) {
        struct rig r;
        struct kv_layout kv;
        rig_open(&r, 2);
        route = (struct route_params){.gate = gate, .n_used = 2, .scale = 1};
        assert_true(kv_layout_init(&kv, DT_F32, 1, 1, 4, 4, false, 16));
        struct lab_seq seqs[2] = {{0, 15, lab_pages(&r.lab, &kv, 15)}, {0, 9, lab_pages(&r.lab, &kv, 9)}};
        struct batch *b = lab_batch(&r.lab, &kv, seqs, 2);
        int32_t tokens[24];
        for (int i = 0; i < 24; i++) tokens[i] = i;
        b->tokens = tokens;
        add_matrix(&r, 6, 24, 1);
        tape_set_balance(r.tape, 0.01f);
        ops_begin(&r.lab.ops, b);
        tape_begin(r.tape, b);
        struct tensor *w, *logits = op_embed(&r.lab.ops, r.p[0], 1);
        op_route(&r.lab.ops, &route, logits, NULL, &balance_ids, &w);
        lab_ok(&r.lab.ops);
        float zeros[48] = {0};
        assert_int_equal(tape_backward(r.tape, w, zeros, NULL), FK_OK);
        assert_true(fabs(tape_balance_loss(r.tape) - ref_balance(r.value[0], gate)) < 1e-6);
        double norm = 0, error = 0;
        for (int i = 0; i < 144; i++) {
            double keep = r.value[0][i];
            r.value[0][i] = keep + STEP;
            double up = ref_balance(r.value[0], gate);
            r.value[0][i] = keep - STEP;
            double want = (up - ref_balance(r.value[0], gate)) / (2 * STEP);
            r.value[0][i] = keep;
            norm += want * want;
            error += (want - (double)r.grad[0][i]) * (want - (double)r.grad[0][i]);
        }
        assert_true(norm > 0 && error <= BOUND * BOUND * norm);
        rig_close(&r);
    }
}

static void test_refuses(void **state)
{
    struct rig r;
    struct fk_error err = {0};
    (void)state;
    rig_open(&r, 1);
    struct tensor *half = lab_weight(&r.lab, DT_F16, 32, 4, 1);
    assert_int_equal(tape_add_param(r.tape, half, NULL, &err), FK_EINVAL);
    rig_close(&r);
}

/* The gradient passes through a frozen weight of any type as if it were the floats that it stands for. */
static void test_frozen(void **state)
{
    static const enum dtype types[] = {DT_F16, DT_BF16, DT_Q8_0, DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1,
                                       DT_Q2_K, DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K, DT_IQ4_NL, DT_IQ4_XS};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        enum { N = 256, OUT = 40, T = 4 };
        struct rig r;
        struct fk_error err = {0};
        rig_open(&r, 2);
        struct tensor *w = lab_weight(&r.lab, types[i], N, OUT, 1);
        add_matrix(&r, N, T, 1);
        int32_t tokens[T] = {0, 1, 2, 3};
        struct batch *b = lab_plain_batch(&r.lab, T);
        b->tokens = tokens;
        ops_begin(&r.lab.ops, b);
        tape_begin(r.tape, b);
        struct tensor *y = op_matmul(&r.lab.ops, w, NULL, op_embed(&r.lab.ops, r.p[0], 1));
        lab_ok(&r.lab.ops);
        float dy[T * OUT], row[N];
        static double want[T * N], size[T * N];
        memset(want, 0, sizeof want);
        memset(size, 0, sizeof size);
        for (int k = 0; k < T * OUT; k++) dy[k] = lab_random(&r.lab);
        for (int o = 0; o < OUT; o++) {
            lab_weight_row(w, 0, o, row);
            for (int t = 0; t < T; t++)
                for (int c = 0; c < N; c++) {
                    double x = (double)dy[t * OUT + o] * (double)row[c];
                    want[t * N + c] += x;
                    size[t * N + c] += fabs(x);
                }
        }
        if (tape_backward(r.tape, y, dy, &err) != FK_OK) fail_msg("%s", err.message);
        for (int k = 0; k < T * N; k++)
            lab_near(r.grad[0][k], want[k], 1e-6 * size[k], dtype_name(types[i]), k / N, k % N);
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul), cmocka_unit_test(test_matmul_bf16),
        cmocka_unit_test(test_adapter), cmocka_unit_test(test_heads),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_rope), cmocka_unit_test(test_glu), cmocka_unit_test(test_attention),
        cmocka_unit_test(test_moe), cmocka_unit_test(test_balance), cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
