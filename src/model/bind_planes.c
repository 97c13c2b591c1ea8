/* SPDX-License-Identifier: Apache-2.0
 * bind_planes.c - a weight that a file keeps in planes (tensor/planes.h):
 *
 *   NAME.s   I8, the head, f16 row factors, scales        NAME.p2, .p3, .p4, .p6, .p8   I8, the planes
 *
 * Accepted if the head is well formed and every part has exactly the bytes that its dimensions ask for.
 * At least NAME.p2 is there, and no plane is missing before one that is; a file that was cut or stripped has
 * the first ones. */
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/model/blocks.h"

static const struct gguf_tensor *part_of(const struct model *m, const char *name, const char *part)
{
    char full[160];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return gguf_find_tensor(m->gguf, full);
}

static enum fk_status check_part(const struct gguf_tensor *t, const char *name, const char *part,
                                 uint64_t bytes, struct fk_error *err)
{
    if (t->dtype != DT_I8)
        return fail(err, FK_EFORMAT, "tensor '%s.%s' is of type %s; planes are I8", name, part,
                    dtype_name(t->dtype));
    if (t->bytes != bytes)
        return fail(err, FK_EFORMAT, "tensor '%s.%s' has %llu bytes; its head asks for %llu", name,
                    part, (unsigned long long)t->bytes, (unsigned long long)bytes);
    return FK_OK;
}

static enum fk_status read_side(struct planes *p, struct planes_sizes *s, const struct gguf_tensor *t,
                                const char *name, struct fk_error *err)
{
    struct planes_head head;
    if (t->dtype != DT_I8 || t->bytes < PLANES_HEAD_BYTES)
        return fail(err, FK_EFORMAT, "tensor '%s.s' has %llu bytes of %s; a head of planes has %d of I8",
                    name, (unsigned long long)t->bytes, dtype_name(t->dtype), PLANES_HEAD_BYTES);
    const char *wrong = planes_head_read(&head, t->data);
    if (wrong) return fail(err, FK_EFORMAT, "tensor '%s.s' has %s", name, wrong);
    planes_sizes(s, head.n_cols, head.n_rows, head.n_mats);
    TRY(check_part(t, name, "s", s->side_bytes, err));
    *p = (struct planes){.n_cols = (int64_t)head.n_cols, .n_rows = (int64_t)head.n_rows,
                         .n_mats = (int64_t)head.n_mats, .plan = head.plan, .first = head.first,
                         .tables = head.tables};
    memcpy(p->loss, head.loss, sizeof p->loss);
    p->n_blocks = p->n_cols / PLANES_COLS;
    p->n_groups = (int64_t)s->n_groups / p->n_mats;
    p->rows = t->data + s->rows_at;
    p->scales = (const int8_t *)t->data + s->scales_at;
    return FK_OK;
}

enum fk_status model_find_planes(struct model *m, const char *name, struct planes **out,
                                 struct fk_error *err)
{
    const struct gguf_tensor *side = part_of(m, name, "s");
    struct planes_sizes sizes;
    *out = NULL;
    if (!side) return FK_OK;
    for (const struct model_planes *w = m->plane_weights; w; w = w->next)
        if (strcmp(w->name, name) == 0) *out = w->planes;
    if (*out) return FK_OK; /* the embedding is asked for twice */
    struct planes *p = arena_alloc(&m->memory, sizeof *p);
    struct model_planes *entry = arena_alloc(&m->memory, sizeof *entry);
    char *copy = arena_strndup(&m->memory, name, strlen(name));
    if (!p || !entry || !copy) return fail_nomem(err, sizeof *p, "the table of planes");
    TRY(read_side(p, &sizes, side, name, err));
    for (int i = 0; i < PLANES_N; i++) {
        const struct gguf_tensor *t = part_of(m, name, planes_part[i]);
        if (!t) continue;
        if (p->n_planes != i)
            return fail(err, FK_EFORMAT, "tensor '%s.%s' is there, but '%s.%s' is missing", name,
                        planes_part[i], name, planes_part[p->n_planes]);
        TRY(check_part(t, name, planes_part[i], sizes.plane_bytes[i], err));
        p->plane[i] = t->data;
        p->n_planes = i + 1;
    }
    if (!p->n_planes) return fail(err, FK_EFORMAT, "tensor '%s.p2' is missing", name);
    m->has_plan |= p->plan != 0;
    if (p->n_planes > m->n_planes) m->n_planes = p->n_planes;
    *entry = (struct model_planes){p, copy, m->plane_weights};
    m->plane_weights = entry;
    *out = p;
    return FK_OK;
}
