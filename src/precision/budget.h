/* SPDX-License-Identifier: Apache-2.0
 * budget.h - chooses the width of every weight of a plane file, so that it fits a budget of bytes and
 * its predictions move little, and writes that as the file's plan. */
#ifndef PRECISION_BUDGET_H
#define PRECISION_BUDGET_H
#include "fikr/quantize.h"
#include "src/precision/judge.h"
#include "src/precision/quantize.h"

/* What a plan is made for. */
struct budget_request {
    struct judge *judge;
    const struct fk_quantize_params *params; /* its bpw, size_bytes or kl */
    /* Not NULL: n weights that will be rounded with their plan as the aim. They get plans and losses, and the
     * file stays as it is. */
    struct plane_weight *w;
    size_t n;
    double max_kl; /* of the plan, where params ask for a divergence */
    /* What a plan had, over what its losses added up to; 0: plans are tried out on the file as it is. */
    double kl_per_loss;
    struct fk_quantize_report *report;
};

/* Of the file at path, which is in planes; unless there are weights the file is changed in place.
 * FK_EINVAL if even 2 bits do not fit. */
enum fk_status budget_plan(const char *path, const struct budget_request *r, struct fk_error *err);

/* The choice alone. n units; cost[i][w] bytes and loss[i][w] of unit i at width w, 0 <= w <= top. Starts
 * at `low` everywhere and goes to at[i], costing `budget` at most; false if low costs more. */
struct budget_unit {
    double cost[PLANES_N], loss[PLANES_N];
    int at;
};
bool budget_choose(struct budget_unit *u, size_t n, int low, int top, double budget);

#endif
