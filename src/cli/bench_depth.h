/* SPDX-License-Identifier: Apache-2.0
 * bench_depth.h - how fast a reply is once the cache holds so many tokens. */
#ifndef CLI_BENCH_DEPTH_H
#define CLI_BENCH_DEPTH_H
#include "fikr/session.h"
#include "src/cli/bench_ops.h"

struct depth_run {
    double tokens_per_s;
    uint64_t kv_bytes, bytes; /* that a token reads: of the cache, and of cache and weights */
};

/* Fills a session of its own up to `depth` with ids (a page of them) and times n_tokens of its
 * reply; by ops too where ops is not NULL. */
enum fk_status bench_depth(fk_engine *e, const struct fk_session_params *params,
                           const int32_t *ids, size_t n_ids, int depth, int n_tokens,
                           struct bench_ops *ops, struct depth_run *out, struct fk_error *err);

#endif
