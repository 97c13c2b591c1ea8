/* SPDX-License-Identifier: Apache-2.0
 * gqa.c - softmax attention with grouped heads (Ainslie et al. 2023): n_kv_heads keys and values, each
 * read by n_heads / n_kv_heads queries.
 *
 *   q = rope(norm(Wq x + bq))   k = rope(norm(Wk x + bk))   v = Wv x + bv
 *   heads = softmax(scale q k') v        biases and the per-head norms where the family has them */
#include "src/model/blocks.h"

struct tensor *gqa_attention(const struct model *m, struct ops *o, int i_layer,
                             const struct tensor *x)
{
    const struct model_config *c = &m->config;
    const struct model_layer *l = &m->layers[i_layer];
    const struct tensor *w[3] = {l->wq, l->wk, l->wv}, *b[3] = {l->bq, l->bk, l->bv};
    struct tensor *qkv[3];
    op_matmul_many(o, 3, w, b, x, qkv);
    struct tensor *q = qkv[0], *k = qkv[1], *v = qkv[2];
    if (l->q_norm) q = op_rmsnorm(o, l->q_norm, c->norm_eps, q);
    if (l->k_norm) k = op_rmsnorm(o, l->k_norm, c->norm_eps, k);
    q = op_rope(o, l->rope, c->n_heads, q);
    k = op_rope(o, l->rope, c->n_kv_heads, k);
    op_kv_write(o, i_layer, k, v);
    struct attention_params p = {.n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads,
                                 .k_dim = c->head_dim, .v_dim = c->v_head_dim,
                                 .scale = c->attn_scale, .window = l->window,
                                 .softcap = c->attn_softcap};
    return op_attention(o, i_layer, &p, q);
}
