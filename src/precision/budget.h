/* SPDX-License-Identifier: Apache-2.0
 * budget.h - chooses the width of every weight of a plane file, so that it fits a budget of bytes and
 * its predictions move little, and writes that as the file's plan. */
#ifndef PRECISION_BUDGET_H
#define PRECISION_BUDGET_H
#include "fikr/quantize.h"
#include "src/precision/judge.h"

/* Of the file at path, which is in planes, as params' bpw or size_bytes say; changes the file in place.
 * report (not NULL) gets the plan. FK_EINVAL if even 2 bits do not fit. */
enum fk_status budget_plan(const char *path, struct judge *j, const struct fk_quantize_params *params,
                           struct fk_quantize_report *report, struct fk_error *err);

/* The choice alone. n units; cost[i][w] bytes and loss[i][w] of unit i at width w, 0 <= w <= top. Starts
 * at `low` everywhere and goes to at[i], costing `budget` at most; false if low costs more. */
struct budget_unit {
    double cost[PLANES_N], loss[PLANES_N];
    int at;
};
bool budget_choose(struct budget_unit *u, size_t n, int low, int top, double budget);

#endif
