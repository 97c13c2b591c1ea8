/* SPDX-License-Identifier: Apache-2.0
 * forward_llama.c - the Llama line (Touvron et al. 2023; Llama 3; Mistral, SmolLM2, R1-Distill-Llama).
 *   a = x + Wo attention(norm(x))      y = a + ffn(norm(a))
 * Rotary pairs are neighbours: GGUF stores Wq and Wk permuted for that. */
#include "src/model/blocks.h"

struct tensor *forward_llama(const struct model *m, struct ops *o)
{
    const float eps = m->config.norm_eps;
    struct tensor *x = op_embed(o, m->tok_embd, 1);
    for (int i = 0; i < m->config.n_layers; i++) {
        const struct model_layer *l = &m->layers[i];
        struct tensor *a = gqa_attention(m, o, i, op_rmsnorm(o, l->attn_norm, eps, x));
        keep_out_rows(m, o, i, &x, &a);
        x = op_add(o, x, op_matmul(o, l->wo, l->bo, a));
        struct tensor *h = op_rmsnorm(o, l->ffn_norm, eps, x);
        x = op_add(o, x, ffn(o, ACT_SILU, l->gate, l->up, l->down, h));
        x = ops_layer_end(o, x);
    }
    return lm_head(m, o, x);
}
