/* SPDX-License-Identifier: Apache-2.0
 * plane_cut.c - where a file of planes may end. Such a file has its planes one after the other, so that
 * one that is cut still holds the coarser reads of every weight. */
#include "src/file/gguf_impl.h"
#include "src/file/le.h"

uint64_t gguf_plane_cut(const struct gguf_meta *meta, uint64_t bytes)
{
    const struct gguf_kv *kv = gguf_meta_find(meta, "fikr.plane_end");
    if (!kv || kv->type != GGUF_ARRAY || kv->item_type != GGUF_U64 || !kv->n_items) return UINT64_MAX;
    uint64_t best = 0;
    for (uint64_t i = 0, before = 0; i < kv->n_items; i++) {
        uint64_t end = le64(kv->data + 8 * i);
        if (end <= before) return UINT64_MAX; /* no list of ends: then nothing may be missing */
        before = end;
        if (end <= bytes) best = end;
        else if (i + 1 == kv->n_items) return best;
    }
    return UINT64_MAX;
}
