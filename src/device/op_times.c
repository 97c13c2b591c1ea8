/* SPDX-License-Identifier: Apache-2.0
 * op_times.c - sums of the calls of a pass. Calls whose weights have equal types and shapes share a
 * line, so that a model of many layers gives a dozen. */
#include "src/device/op_times.h"
#include <stdio.h>
#include <string.h>

static bool same_shape(const struct tensor *a, const struct tensor *b)
{
    if (!a || !b) return a == b;
    return a->dtype == b->dtype && a->n_cols == b->n_cols && a->n_rows == b->n_rows &&
           a->n_mats == b->n_mats;
}

static bool same_line(const struct op_line *l, const struct op_call *call)
{
    if (l->kind != call->kind) return false;
    for (int i = 0; i < OP_MAX_OUT; i++)
        if (!same_shape(l->w[i], call->w[i])) return false;
    return true;
}

/* "matmul q4_k 8960+8960 x 1536" */
static void name_line(const struct op_call *call, char *out, size_t bytes)
{
    const struct tensor *w = call->w[0];
    size_t at = (size_t)snprintf(out, bytes, "%s", op_kind_name(call->kind));
    if (w && w->n_rows == 1) {
        snprintf(out + at, bytes - at, " %lld", (long long)w->n_cols);
        return;
    }
    if (!w) return;
    for (int i = 0; i < OP_MAX_OUT && call->w[i] && at < bytes; i++) {
        const struct tensor *v = call->w[i];
        if (!i || v->dtype != call->w[i - 1]->dtype)
            at += (size_t)snprintf(out + at, bytes - at, " %s", dtype_name(v->dtype));
        if (at < bytes)
            at += (size_t)snprintf(out + at, bytes - at, "%s%lld", i ? "+" : " ",
                                   (long long)v->n_rows);
    }
    if (at < bytes) snprintf(out + at, bytes - at, " x %lld", (long long)w->n_cols);
}

static struct op_line *find_line(struct op_times *t, const struct op_call *call)
{
    for (size_t i = 0; i < t->n; i++)
        if (same_line(&t->lines[i], call)) return &t->lines[i];
    if (t->n == OP_TIMES_MAX) return &t->lines[t->n - 1];
    struct op_line *l = &t->lines[t->n++];
    *l = (struct op_line){.kind = call->kind};
    memcpy(l->w, call->w, sizeof l->w);
    name_line(call, l->sum.name, sizeof l->sum.name);
    if (t->n == OP_TIMES_MAX) snprintf(l->sum.name, sizeof l->sum.name, "other");
    return l;
}

void op_times_add(struct op_times *t, const struct op_call *call, double seconds, uint64_t bytes)
{
    struct fk_op_time *sum = &find_line(t, call)->sum;
    sum->n_calls++;
    sum->bytes += bytes;
    sum->seconds += seconds;
}
