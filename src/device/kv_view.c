/* SPDX-License-Identifier: Apache-2.0
 * kv_view.c - sizes of a cache page. The layout itself is specified in kv_view.h. */
#include "src/device/kv_view.h"
#include "src/base/alloc.h"
#include "src/kernels/kv_i8.h"

#define MAX_DIM (1 << 16)
#define MAX_LAYERS 4096
#define MAX_HEADS (1 << 14)
#define MAX_PAGE 256

static bool row_bytes(enum dtype t, int dim, size_t *out)
{
    if (t == DT_KV_I4) {
        *out = (size_t)kv_i8_cols(dim) / 2;
        return true;
    }
    size_t bytes = t == DT_F32 ? 4 : t == DT_F16 ? 2 : 1;
    if (!size_mul((size_t)dim, bytes, out) || !size_add(*out, 15, out)) return false;
    *out &= ~(size_t)15;
    return true;
}

static bool head_bytes(const struct kv_layout *l, size_t row, int dim, size_t *out)
{
    size_t n = (size_t)l->page_tokens, scales = n * (size_t)kv_i8_groups(dim) * sizeof(float);
    if (!size_mul(row, n, out)) return false;
    if (kv_has_cells(l) && row && !size_add(*out, scales, out)) return false;
    if (!size_add(*out, 63, out)) return false;
    *out &= ~(size_t)63;
    return true;
}

static bool in_range(const struct kv_layout *l)
{
    if (l->dtype != DT_F32 && l->dtype != DT_F16 && !kv_has_cells(l)) return false;
    if (l->n_layers < 1 || l->n_layers > MAX_LAYERS) return false;
    if (l->n_kv_heads < 1 || l->n_kv_heads > MAX_HEADS) return false;
    if (l->k_dim < 1 || l->k_dim > MAX_DIM || l->v_dim < 1 || l->v_dim > MAX_DIM) return false;
    if (l->v_in_k && l->v_dim > l->k_dim) return false;
    int n = l->page_tokens;
    if (kv_has_cells(l) && n < KV_I8_SLOTS) return false;
    return n >= 1 && n <= MAX_PAGE && (n & (n - 1)) == 0;
}

bool kv_layout_init(struct kv_layout *l, enum dtype dtype, int n_layers, int n_kv_heads, int k_dim,
                    int v_dim, bool v_in_k, int page_tokens)
{
    struct kv_layout r = {.dtype = dtype, .n_layers = n_layers, .n_kv_heads = n_kv_heads,
                          .k_dim = k_dim, .v_dim = v_dim, .page_tokens = page_tokens,
                          .v_in_k = v_in_k};
    if (!in_range(&r)) return false;
    r.k_rotation = kv_i8_rotation(v_in_k ? k_dim | v_dim : k_dim); /* of both, where both are columns of k */
    r.v_rotation = v_in_k ? r.k_rotation : kv_i8_rotation(v_dim);
    if (!row_bytes(dtype, k_dim, &r.k_row_bytes)) return false;
    if (!v_in_k && !row_bytes(dtype, v_dim, &r.v_row_bytes)) return false;
    if (!head_bytes(&r, r.k_row_bytes, k_dim, &r.k_head_bytes)) return false;
    if (!v_in_k && !head_bytes(&r, r.v_row_bytes, v_dim, &r.v_head_bytes)) return false;
    size_t head;
    if (!size_add(r.k_head_bytes, r.v_head_bytes, &head)) return false;
    if (!size_mul(head, (size_t)n_kv_heads, &r.layer_bytes)) return false;
    if (!size_mul(r.layer_bytes, (size_t)n_layers, &r.page_bytes)) return false;
    *l = r;
    return true;
}
