/* SPDX-License-Identifier: Apache-2.0
 * merge.c - a low-rank adapter added to the weights that it adapts, row by row:
 *
 *   W'[r,c] = W[r,c] + scale sum_k B[r,k] A[k,c] */
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/convert.h"

/* Rows of an adapter's matrix as floats. */
static void read_rows(const struct plan *p, const struct tensor *t, int64_t first, int64_t n, float *out)
{
    struct weight_kernels k;
    if (!kernels_for_weight(&p->kernels, t->dtype, &k)) return; /* not reached: adapter.c has checked */
    for (int64_t r = first; r < first + n; r++, out += t->n_cols)
        k.dequant((const char *)t->data + (size_t)r * t->row_bytes, t->n_cols, out);
}

enum fk_status merge_begin(const struct plan_tensor *t, struct fk_error *err)
{
    struct plan *p = t->plan;
    const struct tensor *a = t->adapter->a;
    size_t n, cap;
    if (!size_mul((size_t)a->n_rows, (size_t)a->n_cols + 1, &n) || !size_mul(n, sizeof(float), &cap))
        return fail(err, FK_ETOOBIG, "the adapter of '%s' is too large", t->name);
    if (n > p->low_cap) {
        float *low = mem_realloc(p->low, cap, MEM_FILE);
        if (!low) return fail_nomem(err, cap, t->name);
        p->low = low;
        p->low_cap = n;
    }
    read_rows(p, a, 0, a->n_rows, p->low);
    return FK_OK;
}

void merge_row(const struct plan_tensor *t, uint64_t row, float *out)
{
    const struct plan *p = t->plan;
    const struct tensor_adapter *ad = t->adapter;
    int64_t rank = ad->a->n_rows, n = ad->a->n_cols;
    float *b = p->low + rank * n;
    read_rows(p, ad->b, (int64_t)row, 1, b);
    for (int64_t k = 0; k < rank; k++) {
        float x = ad->scale * b[k];
        const float *a = p->low + k * n;
        for (int64_t c = 0; c < n; c++) out[c] += x * a[c];
    }
}

static bool can_write(enum dtype t)
{
    return t == DT_F32 || t == DT_F16 || t == DT_BF16 || t == DT_Q8_0;
}

void plan_merge(struct plan *p, const struct model *m)
{
    for (const struct model_adapter *a = m->adapters; a; a = a->next)
        for (size_t i = 0; i < p->n; i++) {
            struct plan_tensor *t = &p->tensors[i];
            if (strcmp(t->name, a->weight->name) != 0) continue;
            t->adapter = &a->link;
            if (!can_write(t->dtype)) t->dtype = DT_F16;
        }
}
