/* SPDX-License-Identifier: Apache-2.0
 * budget.c - which weight is read at which width.
 *
 * Loss: with all else at the widest, a unit (one weight, or two that see the same input) is read at 3
 * and at 4 bits and the divergence from the widest read is measured. 2 and 6 bits follow from what whole
 * models lose at them: measuring them as well would double the time and moves little. Losses are added
 * up as if they did not meet; the plan's own divergence is measured at the end. Losses stay in the
 * file, so that the next budget takes no measuring.
 * Choice: from the lowest width up, always the step that takes away most loss for a byte. On a convex
 * hull of each unit's points that is optimal but for the last step. */
#include "src/precision/budget.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/precision/quantize.h"

struct item {
    struct model_planes *w;
    size_t unit;
};

struct budget {
    struct model *model;
    struct judge *judge;
    const struct fk_quantize_params *params;
    struct fk_quantize_report *report;
    struct item *items;
    struct budget_unit *units;
    size_t n_items, n_units;
    int top;
    double fixed, target; /* bytes: of what is not in planes; in all */
};

static double total_cost(const struct budget_unit *u, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += u[i].cost[u[i].at];
    return sum;
}

bool budget_choose(struct budget_unit *u, size_t n, int low, int top, double budget)
{
    for (size_t i = 0; i < n; i++) u[i].at = low;
    double cost = total_cost(u, n);
    while (cost <= budget) {
        size_t best = n;
        int to = 0;
        double most = 0;
        for (size_t i = 0; i < n; i++) {
            for (int w = u[i].at + 1; w <= top; w++) {
                double bytes = u[i].cost[w] - u[i].cost[u[i].at];
                double gain = (u[i].loss[u[i].at] - u[i].loss[w]) / bytes;
                if (cost + bytes > budget || gain <= most) continue;
                best = i;
                to = w;
                most = gain;
            }
        }
        if (best == n) return true;
        cost += u[best].cost[to] - u[best].cost[u[best].at];
        u[best].at = to;
    }
    return false;
}

/* Whether two names differ only in a and b, which read the same input and are about as sensitive. */
static bool are_pair(const char *x, const char *y, const char *a, const char *b)
{
    const char *p = strstr(x, a), *q = strstr(y, b);
    return p && q && p - x == q - y && memcmp(x, y, (size_t)(p - x)) == 0 &&
           strcmp(p + strlen(a), q + strlen(b)) == 0;
}

static bool same_unit(const char *x, const char *y)
{
    return are_pair(x, y, "attn_q.", "attn_k.") || are_pair(x, y, "ffn_gate", "ffn_up") ||
           are_pair(y, x, "attn_q.", "attn_k.") || are_pair(y, x, "ffn_gate", "ffn_up");
}

/* How much of a weight counts: all for a size; for bits a weight what one token reads. */
static double share(const struct budget *b, const struct model_planes *w)
{
    const struct model *m = b->model;
    if (!(b->params->bpw > 0)) return 1;
    if (m->tok_embd->data == w->planes && m->output != m->tok_embd)
        return 1 / (double)w->planes->n_rows;
    return w->planes->n_mats > 1 ? (double)m->config.n_experts_used / (double)w->planes->n_mats : 1;
}

static void plan_all(const struct budget *b, int width)
{
    for (size_t i = 0; i < b->n_items; i++) b->items[i].w->planes->plan = planes_bits(width);
}

static void plan_unit(const struct budget *b, size_t unit, int width)
{
    for (size_t i = 0; i < b->n_items; i++)
        if (b->items[i].unit == unit) b->items[i].w->planes->plan = planes_bits(width);
}

static enum fk_status list_items(struct budget *b, struct fk_error *err)
{
    for (struct model_planes *w = b->model->plane_weights; w; w = w->next) b->n_items++;
    b->items = mem_calloc(b->n_items, sizeof *b->items, MEM_MODEL);
    b->units = mem_calloc(b->n_items, sizeof *b->units, MEM_MODEL);
    if (!b->items || !b->units) return fail_nomem(err, b->n_items * sizeof *b->units, "the budget");
    struct model_planes *w = b->model->plane_weights;
    for (size_t i = 0; i < b->n_items; i++, w = w->next) {
        struct item *item = &b->items[i];
        *item = (struct item){w, b->n_units};
        for (size_t k = 0; k < i; k++)
            if (same_unit(w->name, b->items[k].w->name)) item->unit = b->items[k].unit;
        if (item->unit == b->n_units) b->n_units++;
        for (int n = 0; n <= b->top; n++) {
            int64_t n_groups = w->planes->n_groups * w->planes->n_mats;
            b->units[item->unit].cost[n] +=
                share(b, w) * (double)planes_read_bytes(w->planes, 0, n_groups, planes_bits(n));
        }
    }
    return FK_OK;
}

static enum fk_status set_target(struct budget *b, struct fk_error *err)
{
    uint64_t bytes = b->model->weight_bytes;
    plan_all(b, b->top);
    if (b->params->bpw > 0) TRY(judge_bytes(b->judge, b->model, 0, &bytes, err));
    for (size_t i = 0; i < b->n_units; i++) b->units[i].at = b->top;
    b->fixed = (double)bytes - total_cost(b->units, b->n_units);
    b->target = b->params->bpw > 0 ? b->params->bpw * (double)b->model->n_active_params / 8
                                   : (double)b->params->size_bytes;
    double least = b->fixed;
    for (size_t i = 0; i < b->n_units; i++) least += b->units[i].cost[0];
    if (least > b->target)
        return fail(err, FK_EINVAL, "the budget is %.0f bytes; at 2 bits the weights take %.0f",
                    b->target, least);
    return FK_OK;
}

/* whole[w]: the loss of all weights at w. */
static enum fk_status measure_units(struct budget *b, const double *whole, struct fk_error *err)
{
    const struct fk_quantize_params *p = b->params;
    int first = b->top > 1 ? 1 : 0, last = b->top > 2 ? 2 : b->top - 1;
    for (size_t i = 0; i < b->n_units; i++) {
        struct budget_unit *u = &b->units[i];
        if (p->progress && p->progress(p->progress_arg, "measuring", i, b->n_units))
            return fail(err, FK_ECANCELLED, "cancelled after %zu of %zu measurements", i, b->n_units);
        for (int w = first; w <= last; w++) {
            plan_unit(b, i, w);
            TRY(judge_kl(b->judge, b->model, 0, &u->loss[w], err));
        }
        plan_unit(b, i, b->top);
        for (int w = 0; w < b->top; w++) {
            int from = w < first ? first : w > last ? last : w;
            if (from != w) u->loss[w] = u->loss[from] * whole[w] / (whole[from] > 0 ? whole[from] : 1);
        }
        for (int w = b->top - 1; w > 0; w--)
            if (u->loss[w - 1] < u->loss[w]) u->loss[w - 1] = u->loss[w];
    }
    return FK_OK;
}

/* What an earlier budget measured, if it did at all widths that are here. */
static bool recall_units(struct budget *b)
{
    for (size_t i = 0; i < b->n_items; i++)
        for (int w = 0; w < b->top; w++) {
            double loss = (double)b->items[i].w->planes->loss[w];
            b->units[b->items[i].unit].loss[w] = loss;
            if (!(loss > 0)) return false;
        }
    for (size_t i = 0; i < b->n_units; i++) b->units[i].loss[b->top] = 0;
    return true;
}

static enum fk_status write_plan(const struct budget *b, const char *path, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fail(err, FK_EIO, "%s cannot be opened: %s", path, strerror(errno));
    for (size_t i = 0; i < b->n_items && st == FK_OK; i++) {
        char name[NAME_BYTES + 8];
        snprintf(name, sizeof name, "%s.s", b->items[i].w->name);
        const struct gguf_tensor *t = gguf_find_tensor(b->model->gguf, name);
        const struct budget_unit *u = &b->units[b->items[i].unit];
        uint8_t plan = (uint8_t)b->items[i].w->planes->plan, bytes[4 * (PLANES_N - 1)];
        float loss[PLANES_N - 1];
        for (int k = 0; k < PLANES_N - 1; k++) loss[k] = (float)u->loss[k];
        planes_loss_write(loss, bytes);
        if (!t || pwrite(fd, &plan, 1, (off_t)(t->offset + PLANES_PLAN_AT)) != 1 ||
            pwrite(fd, bytes, sizeof bytes, (off_t)(t->offset + PLANES_LOSS_AT)) != sizeof bytes)
            st = fail(err, FK_EIO, "writing the plan of %s failed: %s", path, strerror(errno));
    }
    if (st == FK_OK && fsync(fd)) st = fail(err, FK_EIO, "%s: %s", path, strerror(errno));
    close(fd);
    return st;
}

static enum fk_status choose(struct budget *b, struct fk_error *err)
{
    double whole[PLANES_N] = {0};
    struct fk_quantize_report *r = b->report;
    TRY(list_items(b, err));
    TRY(set_target(b, err));
    TRY(judge_base(b->judge, b->model, planes_bits(b->top), err));
    bool is_known = recall_units(b);
    for (int w = 0; w < b->top && !is_known; w++)
        TRY(judge_kl(b->judge, b->model, planes_bits(w), &whole[w], err));
    if (!is_known) TRY(measure_units(b, whole, err));
    double left = b->target - b->fixed;
    if (b->top < 2 || !budget_choose(b->units, b->n_units, 1, b->top, left))
        budget_choose(b->units, b->n_units, 0, b->top, left);
    memset(r->n_at, 0, sizeof r->n_at);
    for (size_t i = 0; i < b->n_items; i++) {
        int at = b->units[b->items[i].unit].at;
        b->items[i].w->planes->plan = planes_bits(at);
        r->n_at[at]++;
    }
    TRY(judge_bytes(b->judge, b->model, 0, &r->plan_bytes, err));
    r->plan_bpw = 8 * (double)r->plan_bytes / (double)b->model->n_active_params;
    return judge_kl(b->judge, b->model, 0, &r->plan_kl, err);
}

enum fk_status budget_plan(const char *path, struct judge *j, const struct fk_quantize_params *params,
                           struct fk_quantize_report *report, struct fk_error *err)
{
    struct budget b = {.judge = j, .params = params, .report = report};
    enum fk_status st = model_open(&b.model, path, false, err);
    if (st == FK_OK && !b.model->n_planes)
        st = fail(err, FK_EINVAL, "%s is not in planes", path);
    if (st == FK_OK) {
        b.top = b.model->n_planes - 1;
        st = choose(&b, err);
    }
    if (st == FK_OK) st = write_plan(&b, path, err);
    mem_free(b.items);
    mem_free(b.units);
    model_close(&b.model);
    return st;
}
