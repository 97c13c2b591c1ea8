/* SPDX-License-Identifier: Apache-2.0
 * cpu_ahead.c - what a thread does while it waits: it fetches the beginning of what it will read next.
 *
 * Between two ops that read weights memory is idle: threads end a part of a chunk apart, then the caller norms
 * rows and routes tokens alone. A step does the same ops as the step before, so what follows an op is learned:
 * its successor's first places, one for each thread, are remembered under the op's key and hold for the next
 * step. They are hints; a wrong one costs a few lines of bandwidth, an address that is gone costs nothing.
 *
 * Invariant: `target` is all that other threads read, and is atomic. */
#include <stdatomic.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/device/cpu/cpu.h"

#define SLOTS 2048             /* by hash of key; a later op takes the place of another */
#define LINES_PER_TURN 4
#define MAX_TURNS 128          /* 32 KB */
#define CALLER_TURNS 8         /* after an op, whatever it waited */

struct target {
    _Alignas(64) _Atomic(const uint8_t *) place;
};

struct cpu_ahead {
    const void *last;         /* key of the op before */
    const void **keys;        /* [SLOTS] */
    const uint8_t **places;   /* [SLOTS][n_threads] */
    struct target *targets;   /* [n_threads] */
};

static void fetch(void *arg, int worker, unsigned turn)
{
    struct cpu_ahead *a = arg;
    if (turn >= MAX_TURNS) return;
    const uint8_t *p = atomic_load_explicit(&a->targets[worker].place, memory_order_relaxed);
    if (!p) return;
    for (int i = 0; i < LINES_PER_TURN; i++)
        __builtin_prefetch(p + ((size_t)turn * LINES_PER_TURN + (size_t)i) * 64, 0, 2);
}

enum fk_status cpu_ahead_create(struct cpu *c, struct fk_error *err)
{
    size_t n = (size_t)c->base.n_threads;
    struct cpu_ahead *a = c->ahead = mem_zalloc(sizeof *a, MEM_ENGINE);
    if (!a) return fail_nomem(err, sizeof *a, "the CPU device");
    a->keys = mem_calloc(SLOTS, sizeof *a->keys, MEM_ENGINE);
    a->places = mem_calloc(SLOTS * n, sizeof *a->places, MEM_ENGINE);
    a->targets = mem_calloc(n, sizeof *a->targets, MEM_ENGINE);
    if (!a->keys || !a->places || !a->targets)
        return fail_nomem(err, SLOTS * n * sizeof *a->places, "the CPU device");
    pool_set_idle(c->pool, fetch, a);
    return FK_OK;
}

void cpu_ahead_destroy(struct cpu *c)
{
    if (!c->ahead) return;
    mem_free(c->ahead->keys);
    mem_free(c->ahead->places);
    mem_free(c->ahead->targets);
    mem_free(c->ahead);
    c->ahead = NULL;
}

static size_t slot_of(const void *key)
{
    return (size_t)((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u >> 53);
}

static void aim(struct cpu_ahead *a, int worker, const uint8_t *place)
{
    atomic_store_explicit(&a->targets[worker].place, place, memory_order_relaxed);
}

void cpu_ahead_next(struct cpu *c, cpu_place_fn place, const void *arg, int64_t n_chunks)
{
    const int n = c->base.n_threads;
    for (int i = 0; i < n; i++) aim(c->ahead, i, place(arg, pool_first_chunk(n_chunks, i, n)));
}

void cpu_ahead_here(struct cpu *c, const void *key, cpu_place_fn place, const void *arg, int64_t n_chunks)
{
    struct cpu_ahead *a = c->ahead;
    const int n = c->base.n_threads;
    const size_t before = slot_of(a->last), now = slot_of(key);
    const uint8_t **follows = a->places + before * (size_t)n;
    a->keys[before] = a->last;
    for (int i = 0; i < n; i++)
        follows[i] = place ? place(arg, pool_first_chunk(n_chunks, i, n)) : NULL;
    a->last = key;
    for (int i = 0; i < n; i++)
        aim(a, i, a->keys[now] == key ? a->places[now * (size_t)n + (size_t)i] : NULL);
}

void cpu_ahead_fetch(struct cpu *c)
{
    for (unsigned turn = 0; turn < CALLER_TURNS; turn++) fetch(c->ahead, 0, turn);
}
