/* SPDX-License-Identifier: Apache-2.0
 * head.c - from the last layer to logits, of the rows that are wanted only. */
#include "src/model/blocks.h"

#define BEST_GROUPS 128 /* of 8 tokens: doc/precision.md */

void keep_out_rows(const struct model *m, struct ops *o, int i_layer, struct tensor **x,
                   struct tensor **attn)
{
    const struct batch *b = o->batch;
    if (i_layer != m->config.n_layers - 1 || b->n_out == b->n_rows) return;
    *x = op_take_rows(o, *x, b->out_rows, b->n_out);
    *attn = op_take_rows(o, *attn, b->out_rows, b->n_out);
}

struct tensor *lm_head(const struct model *m, struct ops *o, struct tensor *x)
{
    const struct model_config *c = &m->config;
    x = op_rmsnorm(o, m->output_norm, c->norm_eps, x);
    x = o->head_bits ? op_matmul_best(o, m->output, x, o->head_bits, BEST_GROUPS)
                     : op_matmul(o, m->output, NULL, x);
    return c->logit_softcap > 0 ? op_softcap(o, x, c->logit_softcap) : x;
}
