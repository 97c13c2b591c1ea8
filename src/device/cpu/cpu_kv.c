/* SPDX-License-Identifier: Apache-2.0
 * cpu_kv.c - keys and values on their way into the pages, narrowed to the cache's type. */
#include <string.h>
#include "src/device/cpu/cpu.h"

/* The sequence that holds batch row t: sequences cover the rows in order. */
static const struct batch_seq *seq_of_row(const struct batch *b, int t)
{
    int lo = 0, hi = b->n_seqs;
    while (hi - lo > 1) {
        int mid = lo + (hi - lo) / 2;
        if (b->seqs[mid].first_row <= t)
            lo = mid;
        else
            hi = mid;
    }
    return &b->seqs[lo];
}

static void store(const struct cpu *c, const struct kv_layout *l, uint8_t *head, size_t row_bytes,
                  int slot, const float *x, int dim)
{
    uint8_t *row = head + (size_t)slot * row_bytes;
    if (l->dtype == DT_F16)
        c->k.to_f16(x, dim, (uint16_t *)(void *)row);
    else if (l->dtype == DT_I8)
        kv_scales(l, head, row_bytes)[slot] = c->k.to_i8(x, dim, (int8_t *)row);
    else
        memcpy(row, x, (size_t)dim * sizeof(float));
}

static void write_row(struct cpu *c, const struct op_call *call, int64_t t)
{
    const struct kv_layout *l = call->batch->kv;
    const struct batch_seq *s = seq_of_row(call->batch, (int)t);
    int pos = s->pos0 + ((int)t - s->first_row), slot = pos % l->page_tokens;
    void *page = s->pages[pos / l->page_tokens];
    const float *k = tensor_row_f32(call->in[0], t);
    for (int h = 0; h < l->n_kv_heads; h++)
        store(c, l, kv_k_head(l, page, call->i_layer, h), l->k_row_bytes, slot,
              k + (size_t)h * (size_t)l->k_dim, l->k_dim);
    if (l->v_in_k) return;
    const float *v = tensor_row_f32(call->in[1], t);
    for (int h = 0; h < l->n_kv_heads; h++)
        store(c, l, kv_v_head(l, page, call->i_layer, h), l->v_row_bytes, slot,
              v + (size_t)h * (size_t)l->v_dim, l->v_dim);
}

CPU_OP(kv_write)
{
    (void)err;
    cpu_run_rows((struct cpu *)d, call, write_row, call->in[0]->n_rows,
                 call->in[0]->n_cols * 2);
    return FK_OK;
}
