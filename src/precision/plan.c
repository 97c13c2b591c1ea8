/* SPDX-License-Identifier: Apache-2.0
 * plan.c - what a plan that is given says of a weight: a list of names, or a file of planes. */
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/precision/quantize.h"

bool plan_is_file(const char *plan)
{
    return plan && !strchr(plan, '=');
}

enum fk_status plan_bits(const char *plan, const char *name, int *bits, struct fk_error *err)
{
    *bits = 0;
    for (const char *s = plan; s && *s;) {
        size_t n = strcspn(s, ","), key = strcspn(s, "=");
        int v = key + 2 == n ? s[key + 1] - '0' : 0;
        if (!planes_is_width(v))
            return fail(err, FK_EINVAL, "the plan has '%.*s'; it takes NAME=BITS with " PLANES_WIDTHS " bits",
                        (int)(n < 60 ? n : 60), s);
        if (!*bits && memmem(name, strlen(name), s, key)) *bits = v;
        s += n + (s[n] == ',');
    }
    return FK_OK;
}

static const struct planes *planes_of(const struct model *m, const char *name)
{
    for (const struct model_planes *p = m->plane_weights; p; p = p->next)
        if (strcmp(p->name, name) == 0) return p->planes;
    return NULL;
}

static enum fk_status take_plan(const struct model *m, const char *path, struct plane_weight *w, size_t n,
                                struct fk_error *err)
{
    if (!m->has_plan)
        return fail(err, FK_EINVAL, "%s plans nothing; `fikr quantize` with --plan, --bpw, --size or --kl "
                    "makes a file that does", path);
    for (size_t i = 0; i < n; i++) {
        const struct planes *p = planes_of(m, w[i].name);
        if (!p || (uint64_t)p->n_cols != w[i].n_cols || (uint64_t)p->n_rows != w[i].n_rows)
            return fail(err, FK_EINVAL, "%s has no plan for tensor '%s' of %llu x %llu", path, w[i].name,
                        (unsigned long long)w[i].n_cols, (unsigned long long)w[i].n_rows);
        if (!w[i].first) w[i].first = p->first;
        w[i].plan = w[i].first ? 0 : p->plan;
        memcpy(w[i].loss, p->loss, sizeof w[i].loss);
    }
    return FK_OK;
}

enum fk_status plan_of_file(const char *path, struct plane_weight *w, size_t n, struct fk_error *err)
{
    struct model *m = NULL;
    TRY(model_open(&m, path, false, err));
    enum fk_status st = take_plan(m, path, w, n, err);
    model_close(&m);
    return st;
}
