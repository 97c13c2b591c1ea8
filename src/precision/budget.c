/* SPDX-License-Identifier: Apache-2.0
 * budget.c - which weight is read at which width.
 *
 * Loss: with all else at the widest, a unit (one weight, or two that see the same input) is read at 3
 * bits and the divergence from the widest read is measured, over half of the judge's pieces. Whatever
 * changes a little makes all later activations round another way to int8, which alone has a divergence: that
 * of the smallest unit at 6 bits, a floor that is taken off. What remains is scaled so that units add up to
 * what the whole model loses, and other widths follow from what it loses at them: a loss goes by the square
 * of the error, which grows alike in all units as bits are taken away. Losses are added up as if they did
 * not meet; the plan's own divergence is measured at the end. Losses stay in the
 * file, so that the next budget takes no measuring.
 * What is rounded again with its plan as the aim loses less: `aimed` says how much, from the errors of four
 * matrices of SmolLM2 that were rounded both ways (at 5 bits from the divergence of the whole model).
 * Choice: from the lowest width up, always the step that takes away most loss for a byte. On a convex
 * hull of each unit's points that is optimal but for the last step. An embedding or a head is so large that
 * its step may never fit once smaller ones were taken, so all widths of the largest two units are tried. */
#include "src/precision/budget.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"

#define LEAST_SHARE 0.02 /* of what was measured, that is a loss in any case */
#define KL_STEPS 10 /* halvings in the search for a divergence */

/* Of the loss at 2, 3, 4, 5 and 6 bits, what is left when the weight is rounded for that width. */
static const double aimed[PLANES_N - 1] = {0.85, 0.58, 0.9, 0.43, 0.36};

struct item {
    struct model_planes *w;
    size_t unit;
};

struct budget {
    const struct budget_request *request;
    struct model *model;
    struct judge *judge;
    const struct fk_quantize_params *params;
    struct fk_quantize_report *report;
    struct item *items;
    struct budget_unit *units;
    double (*measured)[PLANES_N]; /* [n_units] losses as the file keeps them */
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

static bool climb(struct budget_unit *u, size_t n, int low, int top, double budget)
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
                if (!(bytes > 0) || cost + bytes > budget) continue; /* planes that are not there */
                double gain = (u[i].loss[u[i].at] - u[i].loss[w]) / bytes;
                if (gain <= most) continue;
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

/* The unit that costs most of those that are not `but`. */
static size_t largest(const struct budget_unit *u, size_t n, int top, size_t but)
{
    size_t best = but == 0;
    for (size_t i = 0; i < n; i++)
        if (i != but && u[i].cost[top] > u[best].cost[top]) best = i;
    return best;
}

static struct budget_unit only_at(const struct budget_unit *u, int w)
{
    struct budget_unit one = *u;
    for (int i = 0; i < PLANES_N; i++) {
        one.cost[i] = u->cost[w];
        one.loss[i] = u->loss[w];
    }
    return one;
}

bool budget_choose(struct budget_unit *u, size_t n, int low, int top, double budget)
{
    if (n < 3) return climb(u, n, low, top, budget);
    size_t a = largest(u, n, top, n), b = largest(u, n, top, a);
    struct budget_unit was_a = u[a], was_b = u[b];
    int best_a = -1, best_b = -1;
    double least = 0;
    for (int pair = 0; pair < PLANES_N * PLANES_N; pair++) {
        int wa = pair / PLANES_N, wb = pair % PLANES_N;
        if (wa < low || wb < low || wa > top || wb > top) continue;
        u[a] = only_at(&was_a, wa);
        u[b] = only_at(&was_b, wb);
        if (!climb(u, n, low, top, budget)) continue;
        double loss = 0;
        for (size_t i = 0; i < n; i++) loss += u[i].loss[u[i].at];
        if (best_a >= 0 && loss >= least) continue;
        least = loss;
        best_a = wa;
        best_b = wb;
    }
    bool fits = best_a >= 0;
    if (fits) {
        u[a] = only_at(&was_a, best_a);
        u[b] = only_at(&was_b, best_b);
    }
    climb(u, n, low, top, budget);
    u[a] = was_a;
    u[b] = was_b;
    u[a].at = fits ? best_a : low;
    u[b].at = fits ? best_b : low;
    return fits;
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
    if (b->params->size_bytes) return 1;
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
    b->measured = mem_calloc(b->n_items, sizeof *b->measured, MEM_MODEL);
    if (!b->items || !b->units || !b->measured) return fail_nomem(err, b->n_items * sizeof *b->units, "the budget");
    struct model_planes *w = b->model->plane_weights;
    for (size_t i = 0; i < b->n_items; i++, w = w->next) {
        struct item *item = &b->items[i];
        *item = (struct item){w, b->n_units};
        w->planes->first = 0;
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
    if (!b->params->size_bytes) TRY(judge_bytes(b->judge, b->model, 0, &bytes, err));
    for (size_t i = 0; i < b->n_units; i++) b->units[i].at = b->top;
    b->fixed = (double)bytes - total_cost(b->units, b->n_units);
    b->target = b->params->bpw > 0 ? b->params->bpw * (double)b->model->n_active_params / 8
              : b->params->size_bytes ? (double)b->params->size_bytes : (double)bytes;
    double least = b->fixed;
    for (size_t i = 0; i < b->n_units; i++) least += b->units[i].cost[0];
    if (least > b->target)
        return fail(err, FK_EINVAL, "the budget is %.0f bytes; at 2 bits the weights take %.0f",
                    b->target, least);
    return FK_OK;
}

/* The head is no choice any more: it is read in two stages, which cost the same whatever is planned for it, and
 * lose next to nothing. Of a size it counts whole. */
static void stage_head(struct budget *b)
{
    for (size_t i = 0; i < b->n_items; i++) {
        struct planes *p = b->items[i].w->planes;
        struct budget_unit *u = &b->units[b->items[i].unit];
        if (!b->params->head_bits || b->model->output->data != p) continue;
        p->first = b->params->head_bits;
        double bytes = (double)planes_staged_bytes(p, p->first, HEAD_BEST_GROUPS), all = u->cost[b->top];
        for (int w = 0; w <= b->top; w++) {
            u->cost[w] = b->params->size_bytes || bytes > all ? all : bytes;
            u->loss[w] = 0;
        }
    }
}

/* Which unit costs least. */
static size_t smallest(const struct budget *b)
{
    size_t best = 0;
    for (size_t i = 1; i < b->n_units; i++)
        if (b->units[i].cost[b->top] < b->units[best].cost[b->top]) best = i;
    return best;
}

/* *kl: of the unit at a width, with all else at the widest. */
static enum fk_status measure_unit(struct budget *b, size_t unit, int width, double *kl,
                                   struct fk_error *err)
{
    plan_unit(b, unit, width);
    enum fk_status st = judge_kl(b->judge, b->model, 0, kl, err);
    plan_unit(b, unit, b->top);
    return st;
}

/* Takes the floor off, scales to the whole and fills the other widths. whole[w]: of all weights at w. */
static void spread_losses(struct budget *b, const double *whole, int at, double floor)
{
    double sum = 0, left[PLANES_N] = {0};
    for (int w = 0; w < b->top; w++) left[w] = fmax(whole[w] - floor, LEAST_SHARE * whole[w]);
    for (size_t i = 0; i < b->n_units; i++) {
        double *loss = b->units[i].loss;
        loss[at] = fmax(loss[at] - floor, LEAST_SHARE * loss[at]);
        sum += loss[at];
    }
    for (size_t i = 0; i < b->n_units && sum > 0 && left[at] > 0; i++) {
        double share = b->units[i].loss[at] / sum;
        for (int w = b->top - 1; w >= 0; w--)
            b->units[i].loss[w] = fmax(share * left[w], b->units[i].loss[w + 1]);
    }
}

static enum fk_status measure_units(struct budget *b, const double *whole, struct fk_error *err)
{
    const struct fk_quantize_params *p = b->params;
    int at = b->top > 1 ? 1 : 0;
    double floor = 0;
    for (size_t i = 0; i < b->n_units; i++) {
        if (p->progress && p->progress(p->progress_arg, "measuring", i, b->n_units))
            return fail(err, FK_ECANCELLED, "cancelled after %zu of %zu measurements", i, b->n_units);
        TRY(measure_unit(b, i, at, &b->units[i].loss[at], err));
    }
    if (b->top > 2) TRY(measure_unit(b, smallest(b), b->top - 1, &floor, err));
    spread_losses(b, whole, at, floor);
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
        uint8_t plan[2] = {(uint8_t)b->items[i].w->planes->plan, (uint8_t)b->items[i].w->planes->first}, bytes[4 * (PLANES_N - 1)];
        float loss[PLANES_N - 1];
        for (int k = 0; k < PLANES_N - 1; k++) loss[k] = (float)b->measured[b->items[i].unit][k];
        planes_loss_write(loss, bytes);
        if (!t || pwrite(fd, plan, 2, (off_t)(t->offset + PLANES_PLAN_AT)) != 2 ||
            pwrite(fd, bytes, sizeof bytes, (off_t)(t->offset + PLANES_LOSS_AT)) != sizeof bytes)
            st = fail(err, FK_EIO, "writing the plan of %s failed: %s", path, strerror(errno));
    }
    if (st == FK_OK && fsync(fd)) st = fail(err, FK_EIO, "%s: %s", path, strerror(errno));
    close(fd);
    return st;
}

/* Plans for `bytes`, not more. */
static void plan_bytes(struct budget *b, double bytes)
{
    double left = bytes - b->fixed;
    if (b->top < 2 || !budget_choose(b->units, b->n_units, 1, b->top, left))
        budget_choose(b->units, b->n_units, 0, b->top, left);
    for (size_t i = 0; i < b->n_items; i++) {
        struct planes *p = b->items[i].w->planes;
        p->plan = p->first ? 0 : planes_bits(b->units[b->items[i].unit].at);
    }
}

/* What of the plan's loss is left when weights are rounded for it. */
static double left_when_aimed(const struct budget *b)
{
    double before = 0, after = 0;
    for (size_t i = 0; i < b->n_units; i++) {
        const struct budget_unit *u = &b->units[i];
        if (u->at == b->top) continue;
        after += u->loss[u->at];
        before += u->loss[u->at] / (u->at < PLANES_N - 1 ? aimed[u->at] : 1);
    }
    return b->request->w && before > 0 ? after / before : 1;
}

static double total_loss(const struct budget *b)
{
    double sum = 0;
    for (size_t i = 0; i < b->n_units; i++) sum += b->units[i].loss[b->units[i].at];
    return sum;
}

/* The fewest bytes whose plan stays within the divergence, to 1/1000 of what there is to choose. */
static enum fk_status search_kl(struct budget *b, struct fk_error *err)
{
    double low = b->fixed, high = b->target;
    for (size_t i = 0; i < b->n_units; i++) low += b->units[i].cost[0];
    for (int i = 0; i < KL_STEPS; i++) {
        const struct fk_quantize_params *p = b->params;
        double middle = (low + high) / 2, kl;
        if (p->progress && p->progress(p->progress_arg, "searching", (uint64_t)i, KL_STEPS))
            return fail(err, FK_ECANCELLED, "cancelled in the search for a plan");
        plan_bytes(b, middle);
        if (b->request->kl_per_loss > 0) {
            kl = b->request->kl_per_loss * total_loss(b);
        } else {
            TRY(judge_kl(b->judge, b->model, 0, &kl, err));
            kl *= left_when_aimed(b);
        }
        if (kl <= b->request->max_kl) high = middle;
        else low = middle;
    }
    plan_bytes(b, high);
    return FK_OK;
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
    if (!is_known) {
        judge_use_part(b->judge, 2);
        enum fk_status st = measure_units(b, whole, err);
        judge_use_part(b->judge, 1);
        if (st) return st;
    }
    for (size_t i = 0; i < b->n_units; i++) {
        memcpy(b->measured[i], b->units[i].loss, sizeof b->measured[i]);
        for (int w = 0; w < b->top && b->request->w; w++) b->units[i].loss[w] *= aimed[w];
    }
    stage_head(b);
    if (b->params->kl > 0) TRY(search_kl(b, err));
    else plan_bytes(b, b->target);
    memset(r->n_at, 0, sizeof r->n_at);
    for (size_t i = 0; i < b->n_items; i++)
        r->n_at[b->items[i].w->planes->first ? b->top : b->units[b->items[i].unit].at]++;
    TRY(judge_bytes(b->judge, b->model, 0, &r->plan_bytes, err));
    r->plan_loss = total_loss(b);
    r->plan_bpw = 8 * (double)r->plan_bytes / (double)b->model->n_active_params;
    return b->request->w ? FK_OK : judge_kl(b->judge, b->model, 0, &r->plan_kl, err);
}

static enum fk_status give_plan(const struct budget *b, const char *path, struct fk_error *err)
{
    for (size_t k = 0; k < b->request->n; k++) {
        struct plane_weight *w = &b->request->w[k];
        size_t i = 0;
        while (i < b->n_items && strcmp(b->items[i].w->name, w->name) != 0) i++;
        if (i == b->n_items || (uint64_t)b->items[i].w->planes->n_cols != w->n_cols ||
            (uint64_t)b->items[i].w->planes->n_rows != w->n_rows)
            return fail(err, FK_EINVAL, "%s has no tensor '%s' of %llu x %llu in planes", path, w->name,
                        (unsigned long long)w->n_cols, (unsigned long long)w->n_rows);
        w->plan = b->items[i].w->planes->plan;
        for (int n = 0; n < PLANES_N - 1; n++)
            w->loss[n] = (float)b->measured[b->items[i].unit][n];
    }
    return FK_OK;
}

enum fk_status budget_plan(const char *path, const struct budget_request *r, struct fk_error *err)
{
    struct budget b = {.request = r, .judge = r->judge, .params = r->params, .report = r->report};
    enum fk_status st = model_open(&b.model, path, false, err);
    if (st == FK_OK && !b.model->n_planes)
        st = fail(err, FK_EINVAL, "%s is not in planes", path);
    if (st == FK_OK) {
        b.top = b.model->n_planes - 1;
        st = choose(&b, err);
    }
    if (st == FK_OK) st = r->w ? give_plan(&b, path, err) : write_plan(&b, path, err);
    mem_free(b.items);
    mem_free(b.units);
    mem_free(b.measured);
    model_close(&b.model);
    return st;
}
