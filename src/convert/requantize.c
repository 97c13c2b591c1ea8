/* SPDX-License-Identifier: Apache-2.0
 * requantize.c - plans a GGUF file's own tensors in another type. */
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/convert.h"

enum dtype plan_main_dtype(const struct plan *p)
{
    uint64_t bytes[DT_NONE + 1] = {0};
    enum dtype best = DT_F32;
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_tensor *t = &p->tensors[i];
        uint64_t n = t->shape[0];
        for (int k = 1; k < t->n_dims; k++) n *= t->shape[k];
        bytes[t->dtype] += n;
        if (bytes[t->dtype] > bytes[best]) best = t->dtype;
    }
    return best;
}

enum fk_status plan_from_gguf(struct plan *p, const struct gguf *g, enum dtype want,
                              struct fk_error *err)
{
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        char name[1100];
        snprintf(name, sizeof name, "%.*s", (int)t->name.n, t->name.p);
        struct plan_tensor *out = plan_add(p, name);
        if (!out) return fail_nomem(err, sizeof *out, "a tensor directory");
        uint64_t n_rows = t->shape[1] * t->shape[2] * t->shape[3];
        struct plan_source s = {.data = t->data, .dtype = t->dtype, .n_cols = t->shape[0],
                                .n_rows = n_rows, .row_bytes = t->bytes / n_rows};
        TRY(plan_set_rows(p, out, &s, 1, err));
        out->n_dims = t->n_dims;
        memcpy(out->shape, t->shape, sizeof out->shape);
        bool moves = dtype_info(t->dtype)->is_weight && want != DT_NONE;
        out->dtype = moves ? plan_dtype(out, want) : t->dtype;
        /* what was f32 for a reason of its own (a vector, a router) stays */
        if (t->n_dims <= 1) out->dtype = t->dtype;
    }
    return FK_OK;
}
