/* SPDX-License-Identifier: Apache-2.0
 * plane_list.c - the weights of a file that is in planes, with where their parts lie. */
#include <stdio.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/precision/quantize.h"

static const struct gguf_tensor *part_of(const struct gguf *g, const char *name, const char *part)
{
    char full[NAME_BYTES + 8];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return gguf_find_tensor(g, full);
}

static int by_place(const struct plane_weight *a, const struct plane_weight *b)
{
    return (a->src->offset > b->src->offset) - (a->src->offset < b->src->offset);
}

enum fk_status plane_list(const struct model *m, struct plane_weight **out, size_t *n, struct fk_error *err)
{
    size_t n_all = 0;
    *n = 0;
    for (const struct model_planes *p = m->plane_weights; p; p = p->next) n_all++;
    *out = mem_calloc(n_all + 1, sizeof **out, MEM_MODEL);
    if (!*out) return fail_nomem(err, n_all * sizeof **out, "the weights");
    for (const struct model_planes *p = m->plane_weights; p; p = p->next) {
        struct plane_weight w = {.tap = -1, .n_planes = p->planes->n_planes, .plan = p->planes->plan};
        snprintf(w.name, sizeof w.name, "%s", p->name);
        w.src = part_of(m->gguf, p->name, "s");
        w.n_cols = (uint64_t)p->planes->n_cols;
        w.n_rows = (uint64_t)p->planes->n_rows;
        w.n_mats = (uint64_t)p->planes->n_mats;
        if (!w.src || !planes_sizes(&w.sizes, w.n_cols, w.n_rows, w.n_mats))
            return fail(err, FK_EFORMAT, "tensor '%s' is not in planes", p->name);
        w.side = (uint8_t *)(uintptr_t)w.src->data; /* only read */
        for (int i = 0; i < w.n_planes; i++) w.plane[i] = part_of(m->gguf, p->name, planes_part[i])->data;
        /* In the order of the file: binding goes another way. */
        size_t at = (*n)++;
        for (; at && by_place(&(*out)[at - 1], &w) > 0; at--) (*out)[at] = (*out)[at - 1];
        (*out)[at] = w;
    }
    return FK_OK;
}

bool plane_list_has(const struct plane_weight *w, size_t n, const struct gguf_tensor *t)
{
    if (t->name.n > 9 && memcmp(t->name.p, "fikr.pad.", 9) == 0) return true;
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(w[i].name);
        if (t->name.n <= length + 1 || memcmp(t->name.p, w[i].name, length) != 0) continue;
        const char *part = t->name.p + length;
        if (t->name.n == length + 2 && memcmp(part, ".s", 2) == 0) return true;
        if (t->name.n == length + 3 && memcmp(part, ".p", 2) == 0) return true;
    }
    return false;
}
