/* SPDX-License-Identifier: Apache-2.0
 * bench_ops.h - the time of a decode run, or of a batch's steps, by ops. */
#ifndef CLI_BENCH_OPS_H
#define CLI_BENCH_OPS_H
#include "fikr/engine.h"
#include "src/cli/term.h"

enum { BENCH_MAX_OPS = 128 };

struct bench_ops {
    struct fk_op_time lines[BENCH_MAX_OPS];
    size_t n;
    int n_tokens;   /* of the run, or steps of a batch */
    double seconds; /* of the run, ops and all else */
};

/* What ran on e since its times were cleared (fk_engine_op_times of no lines): n_tokens, or steps. */
void bench_ops_take(struct bench_ops *o, fk_engine *e, int n_tokens, double seconds);
/* `of`: "one token" */
void bench_ops_print(const struct bench_ops *o, const char *of, double bandwidth_gb_per_s);
/* A list of {op, calls, us, bytes} per token or step; NULL if there is no memory for it. */
json_t *bench_ops_json(const struct bench_ops *o);

#endif
