/* SPDX-License-Identifier: Apache-2.0
 * map_ahead.c - see the header. Stops by itself where the system cannot do it (Linux before 5.14) or
 * the file was cut. */
#include "src/base/map_ahead.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/pool.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#define STEP ((size_t)2 << 20) /* bytes between two looks at stop */

struct map_ahead {
    pthread_t thread;
    _Atomic bool stop;
    const struct map_span *spans;
    size_t n;
};

static bool map_span(struct map_ahead *a, const struct map_span *s)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)s->p + s->bytes;
    for (uintptr_t at = (uintptr_t)s->p & ~(page - 1); at < end; at += STEP) {
        size_t bytes = end - at < STEP ? (end - at + page - 1) & ~(page - 1) : STEP;
        if (atomic_load_explicit(&a->stop, memory_order_relaxed)) return false;
        if (madvise((void *)at, bytes, MADV_POPULATE_READ)) return false;
    }
    return true;
}

static void *map_all(void *arg)
{
    struct map_ahead *a = arg;
    for (size_t i = 0; i < a->n; i++)
        if (!map_span(a, &a->spans[i])) break;
    return NULL;
}

struct map_ahead *map_ahead_begin(const struct map_span *spans, size_t n)
{
    if (!n || pool_n_cores() < 2) return NULL;
    struct map_ahead *a = mem_zalloc(sizeof *a, MEM_FILE);
    if (!a) return NULL;
    a->spans = spans;
    a->n = n;
    if (!pthread_create(&a->thread, NULL, map_all, a)) return a;
    mem_free(a);
    return NULL;
}

void map_ahead_end(struct map_ahead **a)
{
    if (!*a) return;
    atomic_store_explicit(&(*a)->stop, true, memory_order_relaxed);
    pthread_join((*a)->thread, NULL);
    mem_free(*a);
    *a = NULL;
}
