/* SPDX-License-Identifier: Apache-2.0
 * pool.h - a fork-join thread pool. The caller is worker 0. Between jobs workers spin for at most
 * 50 microseconds, then sleep on a futex. */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include <stdint.h>
#include "fikr/status.h"

struct pool;

/* Runs chunk i of a job on some worker; `worker` is 0..n_threads-1 and names per-worker scratch. */
typedef void (*pool_fn)(void *arg, int64_t chunk, int worker);

/* n_threads counts the caller; 1 makes no threads. Fails with FK_ENOMEM if a thread is refused. */
enum fk_status pool_create(struct pool **out, int n_threads, struct fk_error *err);
void pool_destroy(struct pool **p);
int pool_n_threads(const struct pool *p);

/* Calls fn for every chunk in [0, n_chunks), each once, and returns when all are done. A worker takes
 * neighbouring chunks in ascending order and, when its share is done, chunks of the others. Never
 * fails. Not re-entrant. */
void pool_run(struct pool *p, pool_fn fn, void *arg, int64_t n_chunks);

/* The chunk that a worker begins a job of n_chunks with. */
static inline int64_t pool_first_chunk(int64_t n_chunks, int worker, int n_threads)
{
    return n_chunks * worker / n_threads;
}

/* What a thread that has run out of chunks does until the next job (a worker) or until the last chunk is
 * done (the caller): fn(arg, worker, turn), turn 0, 1, 2 ... It must be short, and ready to be called at any
 * time. To be set once, before the first job. */
typedef void (*pool_idle_fn)(void *arg, int worker, unsigned turn);
void pool_set_idle(struct pool *p, pool_idle_fn fn, void *arg);

/* Usable cores (affinity respected), at least 1. */
int pool_n_cores(void);

#endif
