/* SPDX-License-Identifier: Apache-2.0
 * head.c - from the last layer to logits, of the rows that are wanted only. */
#include "src/model/blocks.h"
#include "src/tensor/planes.h"

void keep_out_rows(const struct model *m, struct ops *o, int i_layer, struct tensor **x,
                   struct tensor **attn)
{
    const struct batch *b = o->batch;
    if (i_layer != m->config.n_layers - 1 || b->n_out == b->n_rows) return;
    *x = op_take_rows(o, *x, b->out_rows, b->n_out);
    *attn = op_take_rows(o, *attn, b->out_rows, b->n_out);
}

/* Bits of the head's first stage: those asked for, or the file's where weights are read as it plans. */
static int first_stage(const struct model *m, const struct ops *o)
{
    if (o->head_bits) return o->head_bits > 0 ? o->head_bits : 0;
    if (o->bits || m->output->dtype != DT_PLANES) return 0;
    return ((const struct planes *)m->output->data)->first;
}

struct tensor *lm_head(const struct model *m, struct ops *o, struct tensor *x)
{
    const struct model_config *c = &m->config;
    x = op_rmsnorm(o, m->output_norm, c->norm_eps, x);
    int first = first_stage(m, o);
    x = first ? op_matmul_best(o, m->output, x, first, HEAD_BEST_GROUPS) : op_matmul(o, m->output, NULL, x);
    return c->logit_softcap > 0 ? op_softcap(o, x, c->logit_softcap) : x;
}
