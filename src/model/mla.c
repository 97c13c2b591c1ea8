/* SPDX-License-Identifier: Apache-2.0
 * mla.c - multi-head latent attention (DeepSeek-V2, section 2.1 and appendix C).
 *
 *   c[kv_rank] ++ kr[rope] = Wkv_a x           c = norm(c)   kr = rope(kr), one for all heads
 *   q[h] = qn[nope] ++ qr[rope]                of Wq x, or of Wq_b norm(Wq_a x); qr = rope(qr)
 *   k[h] = Uk[h] c ++ kr     v[h] = Uv[h] c    scores = scale (q[h] . k[h])
 *
 * Two forms. Expanded computes k and v of every head and caches them. Absorbed caches c ++ kr alone:
 *   q.k = (Uk' qn).c + qr.kr     and     sum_t p_t v_t = Uv sum_t p_t c_t
 * so it is attention with one kv head of kv_rank + rope columns whose values are the first kv_rank.
 *
 * Files: newer ones split Uk and Uv into attn_k_b [h][kv_rank, nope] (already transposed) and
 * attn_v_b [h][v, kv_rank]; older ones keep attn_kv_b, per head nope rows of Uk then v rows of Uv,
 * of which k_b and v_b are then views. */
#include "src/model/blocks.h"

static struct tensor *absorbed(const struct model *m, struct ops *o, int i_layer,
                               const struct tensor *q, const struct tensor *c_kv,
                               const struct tensor *k_rope)
{
    const struct model_config *c = &m->config;
    const struct model_layer *l = &m->layers[i_layer];
    struct tensor *q_nope = op_columns(o, q, c->n_heads, 0, c->nope_dim);
    struct tensor *q_rope = op_columns(o, q, c->n_heads, c->nope_dim, c->rope_dim);
    struct tensor *q_latent = op_matmul_heads(o, l->k_b, l->k_b_transposed, q_nope);
    op_kv_write(o, i_layer, op_concat(o, 1, c_kv, k_rope, false), NULL);
    struct attention_params p = {.n_heads = c->n_heads, .n_kv_heads = 1,
                                 .k_dim = c->kv_rank + c->rope_dim, .v_dim = c->kv_rank,
                                 .scale = c->attn_scale};
    struct tensor *latents = op_attention(o, i_layer, &p,
                                          op_concat(o, c->n_heads, q_latent, q_rope, false));
    return op_matmul_heads(o, l->v_b, false, latents);
}

static struct tensor *expanded(const struct model *m, struct ops *o, int i_layer,
                               const struct tensor *q, const struct tensor *c_kv,
                               const struct tensor *k_rope)
{
    const struct model_config *c = &m->config;
    const struct model_layer *l = &m->layers[i_layer];
    struct tensor *k_nope, *v;
    if (l->kv_b) {
        struct tensor *kv = op_matmul(o, l->kv_b, NULL, c_kv);
        k_nope = op_columns(o, kv, c->n_heads, 0, c->nope_dim);
        v = op_columns(o, kv, c->n_heads, c->nope_dim, c->v_head_dim);
    } else {
        k_nope = op_matmul_heads(o, l->k_b, true, c_kv);
        v = op_matmul(o, l->v_b_flat, NULL, c_kv);
    }
    op_kv_write(o, i_layer, op_concat(o, c->n_heads, k_nope, k_rope, true), v);
    struct attention_params p = {.n_heads = c->n_heads, .n_kv_heads = c->n_heads,
                                 .k_dim = c->head_dim, .v_dim = c->v_head_dim,
                                 .scale = c->attn_scale};
    return op_attention(o, i_layer, &p, q);
}

struct tensor *mla_attention(const struct model *m, struct ops *o, int i_layer,
                             const struct tensor *x)
{
    const struct model_config *c = &m->config;
    const struct model_layer *l = &m->layers[i_layer];
    const struct tensor *w[2] = {c->q_rank ? l->q_a : l->wq, l->kv_a};
    struct tensor *out[2];
    op_matmul_many(o, 2, w, NULL, x, out);
    struct tensor *q = out[0], *kv = out[1];
    if (c->q_rank) q = op_matmul(o, l->q_b, NULL, op_rmsnorm(o, l->q_a_norm, c->norm_eps, q));
    q = op_rope(o, &m->rope_global, c->n_heads, q);
    struct tensor *c_kv = op_rmsnorm(o, l->kv_a_norm, c->norm_eps,
                                     op_columns(o, kv, 1, 0, c->kv_rank));
    struct tensor *k_rope = op_rope(o, &m->rope_k, 1,
                                    op_columns(o, kv, 1, c->kv_rank, c->rope_dim));
    const struct kv_layout *cache = o->batch->kv;
    return cache && !cache->v_in_k ? expanded(m, o, i_layer, q, c_kv, k_rope)
                                   : absorbed(m, o, i_layer, q, c_kv, k_rope);
}
