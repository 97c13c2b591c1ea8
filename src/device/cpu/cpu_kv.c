/* SPDX-License-Identifier: Apache-2.0
 * cpu_kv.c - keys and values on their way into the pages, narrowed to the cache's type; cells
 * as kernels/kv_i8.h and kv_i4.h have them. */
#include <string.h>
#include "src/device/cpu/cpu.h"
#include "src/kernels/kv_i4.h"

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

/* Columns [col, col + n) of a row of int8 on their way to their places; col is the first of a group. */
static void scatter_key(const struct kv_layout *l, uint8_t *head, int slot, int col, int n,
                        const int8_t *cells)
{
    uint8_t *fours = head + kv_i8_key(kv_i8_cols(l->k_dim), slot, col);
    for (int i = 0; i < n; i++)
        fours[i / 4 * 4 * KV_I8_SLOTS + kv_i8_in_four(i)] = (uint8_t)cells[i];
}

static void scatter_value(const struct kv_layout *l, uint8_t *head, int slot, int col, int n,
                          const int8_t *cells)
{
    int cols = kv_i8_cols(l->v_dim);
    for (int g = 0; g < n; g += KV_I8_GROUP) {
        uint8_t *group = head + kv_i8_value(cols, l->page_tokens, slot, col + g);
        for (int i = 0; i < KV_I8_GROUP && g + i < n; i++)
            group[4 * i] = (uint8_t)cells[g + i];
    }
}

static void scatter_i4(const struct kv_layout *l, bool is_key, uint8_t *head, int slot, int col, int n,
                       const int8_t *cells)
{
    int cols = kv_i8_cols(is_key ? l->k_dim : l->v_dim);
    for (int i = 0; i < n; i++)
        kv_i4_put(head, is_key ? kv_i4_key(cols, slot, col + i)
                               : kv_i4_value(cols, l->page_tokens, slot, col + i), cells[i]);
}

static void store_cells(const struct cpu *c, const struct kv_layout *l, bool is_key, uint8_t *head,
                        int slot, const float *x)
{
    int dim = is_key ? l->k_dim : l->v_dim;
    float *scales = kv_scales(l, head, is_key ? l->k_row_bytes : l->v_row_bytes);
    for (int at = 0; at < dim; at += KV_I8_CHUNK) {
        float turned[KV_I8_CHUNK], scale[KV_I8_CHUNK / KV_I8_GROUP];
        int8_t cells[KV_I8_CHUNK];
        int n = dim - at < KV_I8_CHUNK ? dim - at : KV_I8_CHUNK;
        c->k.rotate(x + at, n, is_key ? l->k_rotation : l->v_rotation, turned);
        (l->dtype == DT_I8 ? c->k.to_i8 : c->k.to_i4)(turned, n, cells, scale);
        if (l->dtype == DT_I8)
            (is_key ? scatter_key : scatter_value)(l, head, slot, at, n, cells);
        else
            scatter_i4(l, is_key, head, slot, at, n, cells);
        for (int g = 0; g < kv_i8_groups(n); g++)
            scales[(at / KV_I8_GROUP + g) * l->page_tokens + slot] = scale[g];
    }
}

static void store(const struct cpu *c, const struct kv_layout *l, bool is_key, uint8_t *head,
                  int slot, const float *x)
{
    size_t row_bytes = is_key ? l->k_row_bytes : l->v_row_bytes;
    uint8_t *row = head + (size_t)slot * row_bytes;
    int dim = is_key ? l->k_dim : l->v_dim;
    if (l->dtype == DT_F16)
        c->k.to_f16(x, dim, (uint16_t *)(void *)row);
    else if (kv_has_cells(l))
        store_cells(c, l, is_key, head, slot, x);
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
        store(c, l, true, kv_k_head(l, page, call->i_layer, h), slot,
              k + (size_t)h * (size_t)l->k_dim);
    if (l->v_in_k) return;
    const float *v = tensor_row_f32(call->in[1], t);
    for (int h = 0; h < l->n_kv_heads; h++)
        store(c, l, false, kv_v_head(l, page, call->i_layer, h), slot,
              v + (size_t)h * (size_t)l->v_dim);
}

/* Values of 4 bits share a byte with those of other slots of their eight: a thread writes all of them, with
 * the first row that falls into them. */
static void write_eight(struct cpu *c, const struct op_call *call, int64_t t)
{
    const struct batch_seq *s = seq_of_row(call->batch, (int)t);
    int row = (int)t - s->first_row;
    if (row && (s->pos0 + row) % 8) return;
    do {
        write_row(c, call, s->first_row + row++);
    } while (row < s->n_rows && (s->pos0 + row) % 8);
}

CPU_OP(kv_write)
{
    (void)err;
    cpu_row_fn write = call->batch->kv->dtype == DT_KV_I4 ? write_eight : write_row;
    cpu_run_rows((struct cpu *)d, call, write, call->in[0]->n_rows,
                 call->in[0]->n_cols * 2);
    return FK_OK;
}
