/* SPDX-License-Identifier: Apache-2.0
 * pool.c - fork-join over the chunks of a job, which lie in one lane per thread.
 *
 * A thread takes the chunks of its own lane in order, so that it goes through memory in one direction,
 * and then helps in the others. A lane holds where its chunks end (high half) and the next one to take
 * (low half), so one atomic addition gives a thread a chunk and tells whether it exists. A job ends when
 * its chunks are done, not when every worker has passed by: a worker that the kernel has put aside
 * delays nobody.
 *
 * Invariants: (1) fn, arg, first are written before the lanes are, and only when no chunk is out: whoever
 * holds a chunk reads the right ones, even a worker that slept through other jobs. (2) Work is
 * visible in the lanes before epoch is raised, so a worker that sleeps on the epoch it read before it
 * found no work misses nothing. */
#include "src/base/pool.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"

#define SPIN_SECONDS 50e-6
#define MAX_THREADS 1024
#define MAX_CHUNKS ((int64_t)1 << 30) /* of one job: a half of a lane */

struct lane {
    _Alignas(64) _Atomic uint64_t state;
};

struct worker {
    pthread_t thread;
    struct pool *pool;
    int index;
};

struct pool {
    _Alignas(64) _Atomic int64_t n_done;
    _Alignas(64) _Atomic uint32_t epoch; /* futex */
    _Atomic uint32_t n_sleeping;
    _Atomic bool stop;
    _Alignas(64) pool_fn fn;
    void *arg;
    int64_t first; /* chunk that index 0 stands for */
    _Atomic(pool_idle_fn) idle;
    void *idle_arg; /* written before idle is */
    int n_threads, n_started;
    struct worker *workers;
    struct lane *lanes; /* [n_threads] */
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static bool has_chunk(uint64_t state)
{
    return (uint32_t)state < (uint32_t)(state >> 32);
}

static bool has_work(struct pool *p)
{
    for (int i = 0; i < p->n_threads; i++)
        if (has_chunk(atomic_load(&p->lanes[i].state))) return true;
    return false;
}

static void take_lane(struct pool *p, struct lane *lane, int worker)
{
    for (;;) {
        uint64_t s = atomic_fetch_add_explicit(&lane->state, 1, memory_order_acquire);
        if (!has_chunk(s)) return;
        p->fn(p->arg, p->first + (uint32_t)s, worker);
        atomic_fetch_add_explicit(&p->n_done, 1, memory_order_release);
    }
}

static void take_chunks(struct pool *p, int worker)
{
    for (int i = 0; i < p->n_threads; i++) {
        struct lane *lane = &p->lanes[(worker + i) % p->n_threads];
        if (has_chunk(atomic_load_explicit(&lane->state, memory_order_relaxed)))
            take_lane(p, lane, worker);
    }
}

static void idle(struct pool *p, int worker, unsigned turn)
{
    pool_idle_fn fn = atomic_load_explicit(&p->idle, memory_order_acquire);
    if (fn) fn(p->idle_arg, worker, turn);
    relax();
}

/* Returns once there is work (true) or the pool ends: spins, then sleeps. */
static bool await_work(struct pool *p, int worker)
{
    double until = 0;
    for (unsigned n = 1;; n++) {
        uint32_t seen = atomic_load(&p->epoch);
        if (has_work(p)) return true;
        if (atomic_load(&p->stop)) return false;
        idle(p, worker, n - 1);
        if (n % 64) continue;
        double t = clock_seconds();
        if (until == 0) until = t + SPIN_SECONDS;
        if (t < until) continue;
        atomic_fetch_add(&p->n_sleeping, 1);
        futex_wait(&p->epoch, seen);
        atomic_fetch_sub(&p->n_sleeping, 1);
        until = 0;
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    while (await_work(w->pool, w->index)) take_chunks(w->pool, w->index);
    return NULL;
}

static void announce(struct pool *p)
{
    atomic_fetch_add(&p->epoch, 1);
    if (atomic_load(&p->n_sleeping)) futex_wake_all(&p->epoch);
}

void pool_run(struct pool *p, pool_fn fn, void *arg, int64_t n_chunks)
{
    if (p->n_started == 0 || n_chunks <= 1) {
        for (int64_t i = 0; i < n_chunks; i++) fn(arg, i, 0);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    for (p->first = 0; p->first < n_chunks; p->first += MAX_CHUNKS) {
        int64_t n = n_chunks - p->first < MAX_CHUNKS ? n_chunks - p->first : MAX_CHUNKS;
        atomic_store_explicit(&p->n_done, 0, memory_order_relaxed);
        for (int64_t i = 0, t = p->n_threads; i < t; i++)
            atomic_store(&p->lanes[i].state,
                         (uint64_t)pool_first_chunk(n, (int)i + 1, (int)t) << 32 |
                             (uint64_t)pool_first_chunk(n, (int)i, (int)t));
        announce(p);
        take_chunks(p, 0);
        /* With more threads than cores a spinning caller would keep a worker from finishing. */
        for (unsigned i = 1; atomic_load_explicit(&p->n_done, memory_order_acquire) < n; i++) {
            idle(p, 0, i - 1);
            if (i % 1024 == 0) sched_yield();
        }
    }
}

enum fk_status pool_create(struct pool **out, int n_threads, struct fk_error *err)
{
    *out = NULL;
    if (n_threads < 1 || n_threads > MAX_THREADS)
        return fail(err, FK_EINVAL, "threads is %d; it must be 1 to %d", n_threads, MAX_THREADS);
    struct pool *p = mem_zalloc(sizeof *p, MEM_ENGINE);
    if (!p) return fail_nomem(err, sizeof *p, "the thread pool");
    p->n_threads = n_threads;
    p->workers = mem_calloc((size_t)n_threads, sizeof *p->workers, MEM_ENGINE);
    p->lanes = mem_calloc((size_t)n_threads, sizeof *p->lanes, MEM_ENGINE);
    if (!p->workers || !p->lanes) {
        mem_free(p->lanes);
        mem_free(p->workers);
        mem_free(p);
        return fail_nomem(err, sizeof *p->workers * (size_t)n_threads, "the thread pool");
    }
    for (int i = 1; i < n_threads; i++) {
        struct worker *w = &p->workers[i];
        *w = (struct worker){.pool = p, .index = i};
        int e = pthread_create(&w->thread, NULL, worker_main, w);
        if (e) {
            pool_destroy(&p);
            return fail(err, FK_ENOMEM, "cannot start thread %d of %d: %s", i + 1, n_threads,
                        strerror(e));
        }
        p->n_started++;
    }
    *out = p;
    return FK_OK;
}

void pool_destroy(struct pool **pp)
{
    struct pool *p = *pp;
    if (!p) return;
    atomic_store(&p->stop, true);
    announce(p);
    for (int i = 1; i <= p->n_started; i++) pthread_join(p->workers[i].thread, NULL);
    mem_free(p->lanes);
    mem_free(p->workers);
    mem_free(p);
    *pp = NULL;
}

void pool_set_idle(struct pool *p, pool_idle_fn fn, void *arg)
{
    p->idle_arg = arg;
    atomic_store_explicit(&p->idle, fn, memory_order_release);
}

int pool_n_threads(const struct pool *p)
{
    return p->n_threads;
}

int pool_n_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        int n = CPU_COUNT(&set);
        if (n > 0) return n;
    }
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}
