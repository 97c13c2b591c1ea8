/* SPDX-License-Identifier: Apache-2.0
 * moe.c - a mixture of experts (DeepSeekMoE, Dai et al. 2024; the gate of DeepSeek-V3, equations
 * 12-16).   y = sum over chosen e of g_e FFN_e(x)  (+ FFN_shared(x))
 * How experts are chosen is in config.route. */
#include "src/model/blocks.h"

struct tensor *moe(const struct model *m, struct ops *o, const struct model_layer *l,
                   const struct tensor *x)
{
    struct tensor *ids, *weights;
    op_route(o, &m->config.route, op_matmul(o, l->router, NULL, x), l->router_bias, &ids, &weights);
    struct tensor *y = op_experts(o, ACT_SILU, l->gate_exps, l->up_exps, l->down_exps, x, ids,
                                  weights);
    if (!l->gate_shared) return y;
    return op_add(o, y, ffn(o, ACT_SILU, l->gate_shared, l->up_shared, l->down_shared, x));
}
