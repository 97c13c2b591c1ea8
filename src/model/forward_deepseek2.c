/* SPDX-License-Identifier: Apache-2.0
 * forward_deepseek2.c - DeepSeek-V2, V2-Lite, V3, R1: latent attention, the first layers dense, then
 * experts (DeepSeek-V2, section 2; DeepSeek-V3, section 2.1). MTP layers are not run here. */
#include "src/model/blocks.h"

struct tensor *forward_deepseek2(const struct model *m, struct ops *o)
{
    const float eps = m->config.norm_eps;
    struct tensor *x = op_embed(o, m->tok_embd, 1);
    for (int i = 0; i < m->config.n_layers; i++) {
        const struct model_layer *l = &m->layers[i];
        struct tensor *a = mla_attention(m, o, i, op_rmsnorm(o, l->attn_norm, eps, x));
        keep_out_rows(m, o, i, &x, &a);
        x = op_add(o, x, op_matmul(o, l->wo, NULL, a));
        struct tensor *h = op_rmsnorm(o, l->ffn_norm, eps, x);
        h = l->is_moe ? moe(m, o, l, h) : ffn(o, ACT_SILU, l->gate, l->up, l->down, h);
        x = op_add(o, x, h);
        x = ops_layer_end(o, x);
    }
    return lm_head(m, o, x);
}
