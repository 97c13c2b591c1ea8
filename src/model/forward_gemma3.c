/* SPDX-License-Identifier: Apache-2.0
 * forward_gemma3.c - Gemma 3, text (Gemma Team 2025): embeddings times sqrt(n_embd), norms before and
 * after both blocks, local layers with a window and their own rotary base between global ones.
 * GGUF's norms hold 1 + w. */
#include "src/model/blocks.h"

struct tensor *forward_gemma3(const struct model *m, struct ops *o)
{
    const float eps = m->config.norm_eps;
    struct tensor *x = op_embed(o, m->tok_embd, m->config.embed_scale);
    for (int i = 0; i < m->config.n_layers; i++) {
        const struct model_layer *l = &m->layers[i];
        struct tensor *a = gqa_attention(m, o, i, op_rmsnorm(o, l->attn_norm, eps, x));
        keep_out_rows(m, o, i, &x, &a);
        a = op_matmul(o, l->wo, l->bo, a);
        x = op_add(o, x, op_rmsnorm(o, l->attn_post_norm, eps, a));
        struct tensor *h = op_rmsnorm(o, l->ffn_norm, eps, x);
        h = ffn(o, ACT_GELU_TANH, l->gate, l->up, l->down, h);
        x = op_add(o, x, op_rmsnorm(o, l->ffn_post_norm, eps, h));
        x = ops_layer_end(o, x);
    }
    return lm_head(m, o, x);
}
