/* SPDX-License-Identifier: Apache-2.0
 * lab_model.c - a transformer of two layers, random weights, for tests of whole passes. */
#include "tests/unit/device/lab.h"

#define N_EMBD 96
#define N_FF 160
#define N_HEADS 6
#define N_KV 2
#define HEAD 32
#define N_VOCAB 71
#define N_EXPERTS 8

struct layer {
    struct tensor *norm, *wq, *wk, *wv, *wo, *bq, *q_norm, *ffn_norm, *gate, *up, *down;
    struct tensor *router, *bias, *gate_exps, *up_exps, *down_exps;
    struct attention_params attention;
};

struct lab_model {
    struct kv_layout kv;
    struct rope_params rope;
    struct route_params route;
    struct tensor *embd, *norm, *head;
    struct layer layers[2];
};

static void fill_layer(struct lab *l, struct layer *y, enum dtype t, int window)
{
    y->norm = lab_vector(l, N_EMBD);
    y->ffn_norm = lab_vector(l, N_EMBD);
    y->q_norm = lab_vector(l, HEAD);
    y->wq = lab_weight(l, t, N_EMBD, N_HEADS * HEAD, 1);
    y->bq = lab_vector(l, N_HEADS * HEAD);
    y->wk = lab_weight(l, t, N_EMBD, N_KV * HEAD, 1);
    y->wv = lab_weight(l, t, N_EMBD, N_KV * HEAD, 1);
    y->wo = lab_weight(l, t, N_HEADS * HEAD, N_EMBD, 1);
    y->gate = lab_weight(l, t, N_EMBD, N_FF, 1);
    y->up = lab_weight(l, t, N_EMBD, N_FF, 1);
    y->down = lab_weight(l, t, N_FF, N_EMBD, 1);
    y->router = lab_weight(l, DT_F32, N_EMBD, N_EXPERTS, 1);
    y->bias = lab_vector(l, N_EXPERTS);
    y->gate_exps = lab_weight(l, t, N_EMBD, N_FF, N_EXPERTS);
    y->up_exps = lab_weight(l, t, N_EMBD, N_FF, N_EXPERTS);
    y->down_exps = lab_weight(l, t, N_FF, N_EMBD, N_EXPERTS);
    y->attention = (struct attention_params){.n_heads = N_HEADS, .n_kv_heads = N_KV, .k_dim = HEAD,
                                             .v_dim = HEAD, .scale = 0.17f, .window = window};
}

struct lab_model *lab_model_new(struct lab *l, enum dtype t)
{
    struct lab_model *m = lab_alloc(l, sizeof *m);
    assert_true(kv_layout_init(&m->kv, DT_F16, 2, N_KV, HEAD, HEAD, false, 16));
    float *freq = lab_alloc(l, HEAD / 2 * sizeof *freq);
    for (int i = 0; i < HEAD / 2; i++) freq[i] = 1.0f / (float)(1 + i);
    m->rope = (struct rope_params){.style = ROPE_HALVES, .n_rot = HEAD, .inv_freq = freq,
                                   .mscale = 1};
    m->route = (struct route_params){.gate = ROUTE_SIGMOID, .n_used = 3, .n_groups = 4,
                                     .n_groups_used = 2, .group_by_top2 = true, .normalize = true,
                                     .scale = 2.5f};
    m->embd = lab_weight(l, t, N_EMBD, N_VOCAB, 1);
    m->norm = lab_vector(l, N_EMBD);
    m->head = m->embd;
    fill_layer(l, &m->layers[0], t, 0);
    fill_layer(l, &m->layers[1], t, 16);
    return m;
}

const struct kv_layout *lab_model_kv(const struct lab_model *m)
{
    return &m->kv;
}

static struct tensor *attend(const struct lab_model *m, struct ops *o, int i, struct tensor *x)
{
    const struct layer *y = &m->layers[i];
    struct tensor *h = op_rmsnorm(o, y->norm, 1e-5f, x), *qkv[3];
    op_matmul_many(o, 3, (const struct tensor *const[]){y->wq, y->wk, y->wv},
                   (const struct tensor *const[]){y->bq, NULL, NULL}, h, qkv);
    struct tensor *q = op_rope(o, &m->rope, N_HEADS, op_rmsnorm(o, y->q_norm, 1e-5f, qkv[0]));
    op_kv_write(o, i, op_rope(o, &m->rope, N_KV, qkv[1]), qkv[2]);
    return op_add(o, x, op_matmul(o, y->wo, NULL, op_attention(o, i, &y->attention, q)));
}

struct tensor *lab_model_forward(const struct lab_model *m, struct ops *o)
{
    struct tensor *x = op_embed(o, m->embd, 3.0f);
    for (int i = 0; i < 2; i++) {
        const struct layer *y = &m->layers[i];
        x = attend(m, o, i, x);
        struct tensor *h = op_rmsnorm(o, y->ffn_norm, 1e-5f, x), *gu[2], *ids, *weights;
        op_matmul_many(o, 2, (const struct tensor *const[]){y->gate, y->up}, NULL, h, gu);
        struct tensor *f = op_matmul(o, y->down, NULL, op_glu(o, ACT_SILU, gu[0], gu[1]));
        op_route(o, &m->route, op_matmul(o, y->router, NULL, h), y->bias, &ids, &weights);
        f = op_add(o, f, op_experts(o, ACT_GELU_TANH, y->gate_exps, y->up_exps, y->down_exps, h,
                                    ids, weights));
        x = ops_layer_end(o, op_add(o, x, op_scale(o, f, 0.5f)));
    }
    return op_softcap(o, op_matmul(o, m->head, NULL, op_rmsnorm(o, m->norm, 1e-5f, x)), 30);
}
