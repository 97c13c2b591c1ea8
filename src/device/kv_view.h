/* SPDX-License-Identifier: Apache-2.0
 * kv_view.h - how keys and values lie in memory: what the engine allocates and devices read.
 *
 * A page holds the keys and values of page_tokens consecutive positions of one sequence, for all
 * layers. Inside a page, layer after layer; inside a layer, keys then values; inside those, kv head
 * after kv head; inside a head, slot after slot (slot = position % page_tokens):
 *
 *   page [ layer 0: K [head 0: slot 0, slot 1, ...][head 1: ...]  V [head 0: ...] ][ layer 1: ... ]
 *
 * For F32 and F16 a slot is a row of k_dim (v_dim) elements, 16-byte aligned. For cells of 8 or 4 bits (I8, KV_I4) rows are rotated,
 * quantized in groups of columns and interleaved: kernels/kv_i8.h and kv_i4.h say how; a page then has 16
 * tokens or more, and the scales stand behind the cells of their head ([groups][page_tokens] floats).
 * Every head starts 64-byte aligned.
 * Where v_in_k is set (MLA latents) there are no values: v is the first v_dim elements of k. */
#ifndef DEVICE_KV_VIEW_H
#define DEVICE_KV_VIEW_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "src/tensor/dtype.h"

struct kv_layout {
    enum dtype dtype;             /* DT_F32, DT_F16, DT_I8, DT_KV_I4 */
    int n_layers, n_kv_heads, k_dim, v_dim, page_tokens;
    bool v_in_k;
    int k_rotation, v_rotation;        /* cells: columns that are rotated together */
    size_t k_row_bytes, v_row_bytes;   /* cells of a token and head; without scales */
    size_t k_head_bytes, v_head_bytes; /* of one head of one layer: rows and, of cells, scales */
    size_t layer_bytes, page_bytes;
};

/* Cells of few bits, with scales. */
static inline bool kv_has_cells(const struct kv_layout *l)
{
    return l->dtype == DT_I8 || l->dtype == DT_KV_I4;
}

/* Fills the derived sizes. False if a field is out of range or a size overflows. */
bool kv_layout_init(struct kv_layout *l, enum dtype dtype, int n_layers, int n_kv_heads, int k_dim,
                    int v_dim, bool v_in_k, int page_tokens);

static inline uint8_t *kv_k_head(const struct kv_layout *l, void *page, int i_layer, int head)
{
    return (uint8_t *)page + (size_t)i_layer * l->layer_bytes + (size_t)head * l->k_head_bytes;
}

static inline uint8_t *kv_v_head(const struct kv_layout *l, void *page, int i_layer, int head)
{
    return (uint8_t *)page + (size_t)i_layer * l->layer_bytes +
           (size_t)l->n_kv_heads * l->k_head_bytes + (size_t)head * l->v_head_bytes;
}

/* The float scales of a head of cells: [groups][page_tokens], behind its cells. */
static inline float *kv_scales(const struct kv_layout *l, uint8_t *head, size_t row_bytes)
{
    return (float *)(void *)(head + (size_t)l->page_tokens * row_bytes);
}

/* One sequence's part of a batch: rows [first_row, first_row + n_rows) are its positions
 * [pos0, pos0 + n_rows); pages[i] holds positions [i*page_tokens, (i+1)*page_tokens) and there are
 * enough of them for the last position. */
struct batch_seq {
    int first_row, n_rows;
    int pos0;
    void *const *pages;
};

/* The tokens of one step: any mix of prompt chunks and single decode tokens. */
struct batch {
    int n_rows;
    const int32_t *tokens; /* [n_rows] */
    const int32_t *pos;    /* [n_rows] */
    int n_seqs;
    const struct batch_seq *seqs;
    const struct kv_layout *kv;
    int n_out;             /* rows whose logits are wanted, ascending */
    const int32_t *out_rows;
};

#endif
