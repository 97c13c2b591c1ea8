/* SPDX-License-Identifier: Apache-2.0
 * bench_ops.c - the table of `bench --ops`: what a decoded token, or a step of a batch, spends on each
 * kind of op. */
#include "src/cli/bench_ops.h"
#include <stdio.h>

void bench_ops_take(struct bench_ops *o, fk_engine *e, int n_tokens, double seconds)
{
    o->n = fk_engine_op_times(e, o->lines, BENCH_MAX_OPS);
    if (o->n > BENCH_MAX_OPS) o->n = BENCH_MAX_OPS;
    o->n_tokens = n_tokens;
    o->seconds = seconds;
}

void bench_ops_print(const struct bench_ops *o, const char *of, double bandwidth)
{
    double rest = o->seconds;
    printf("\nop of %-38s %9s %9s %9s %7s %7s\n", of, "calls", "us", "MB", "GB/s", "time");
    for (size_t i = 0; i < o->n; i++) {
        const struct fk_op_time *t = &o->lines[i];
        double n = (double)o->n_tokens;
        rest -= t->seconds;
        printf("%-44s %9.1f %9.1f %9.3f %7.2f %5.1f %%\n", t->name, (double)t->n_calls / n,
               t->seconds / n * 1e6, (double)t->bytes / n / 1e6,
               t->seconds > 0 ? (double)t->bytes / t->seconds / 1e9 : 0,
               100 * t->seconds / o->seconds);
    }
    printf("%-44s %9s %9.1f %9s %7s %5.1f %%   (plain reading: %.2f GB/s)\n", "between ops, sampling",
           "", rest / (double)o->n_tokens * 1e6, "", "", 100 * rest / o->seconds, bandwidth);
}

json_t *bench_ops_json(const struct bench_ops *o)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < o->n; i++) {
        const struct fk_op_time *t = &o->lines[i];
        json_t *line = json_object();
        double n = (double)o->n_tokens;
        if (!json_put(line, "op", json_cstr(t->name)) ||
            !json_put(line, "calls", json_num((double)t->n_calls / n)) ||
            !json_put(line, "us", json_num(t->seconds / n * 1e6)) ||
            !json_put(line, "bytes", json_num((double)t->bytes / n)) ||
            json_array_append(list, line)) {
            json_decref(line);
            json_decref(list);
            return NULL;
        }
        json_decref(line);
    }
    return list;
}
