/* SPDX-License-Identifier: Apache-2.0
 * alloc.c - tagged heap. A 64-byte header in front of each allocation holds its size and tag, so
 * that freeing keeps the counters right; memory handed out is 64-byte aligned. */
#include "src/base/alloc.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEADER 64
#define HUGE_BYTES ((size_t)8 << 20)

struct header {
    size_t bytes;
    uint32_t tag;
    uint32_t magic;
};
#define MAGIC 0x66696b72u

static _Atomic uint64_t tag_bytes[MEM_N_TAGS];
static _Atomic uint64_t live, peak, n_calls, cap;
static _Atomic int64_t inject_left = -1; /* allocations that still succeed; -1: off */
static _Atomic bool inject_for_ever;
static _Atomic uint64_t n_injected;

static bool injected(void)
{
    int64_t left = atomic_load_explicit(&inject_left, memory_order_relaxed);
    while (left >= 0) {
        int64_t next = left > 0 ? left - 1 : (atomic_load(&inject_for_ever) ? 0 : -1);
        if (!atomic_compare_exchange_weak(&inject_left, &left, next)) continue;
        if (left > 0) return false;
        atomic_fetch_add(&n_injected, 1);
        return true;
    }
    return false;
}

/* Counts bytes in; false if the cap or an injected failure says no. */
static bool charge(size_t bytes, enum mem_tag tag)
{
    atomic_fetch_add_explicit(&n_calls, 1, memory_order_relaxed);
    if (injected()) return false;
    uint64_t now = atomic_fetch_add(&live, bytes) + bytes;
    uint64_t limit = atomic_load_explicit(&cap, memory_order_relaxed);
    if (limit && now > limit) {
        atomic_fetch_sub(&live, bytes);
        return false;
    }
    atomic_fetch_add_explicit(&tag_bytes[tag], bytes, memory_order_relaxed);
    uint64_t high = atomic_load_explicit(&peak, memory_order_relaxed);
    while (now > high && !atomic_compare_exchange_weak(&peak, &high, now)) {
    }
    return true;
}

static void uncharge(size_t bytes, enum mem_tag tag)
{
    atomic_fetch_sub(&live, bytes);
    atomic_fetch_sub_explicit(&tag_bytes[tag], bytes, memory_order_relaxed);
}

/* A hint: pages of 2 MB cost a 500th of the faults, and long reads wait less for address translation. */
static void ask_for_huge_pages(char *p, size_t bytes)
{
    size_t page = 4096, skip = (page - (uintptr_t)p % page) % page;
    madvise(p + skip, (bytes - skip) / page * page, MADV_HUGEPAGE);
}

void *mem_alloc(size_t bytes, enum mem_tag tag)
{
    size_t total;
    if (!size_add(bytes, HEADER + 63, &total) || total > PTRDIFF_MAX) return NULL;
    total &= ~(size_t)63;
    if (!charge(bytes, tag)) return NULL;
    struct header *h = aligned_alloc(64, total);
    if (!h) {
        uncharge(bytes, tag);
        return NULL;
    }
    if (total >= HUGE_BYTES) ask_for_huge_pages((char *)h, total);
    *h = (struct header){bytes, tag, MAGIC};
    return (char *)h + HEADER;
}

void *mem_zalloc(size_t bytes, enum mem_tag tag)
{
    void *p = mem_alloc(bytes, tag);
    if (p) memset(p, 0, bytes);
    return p;
}

void *mem_array(size_t n, size_t bytes, enum mem_tag tag)
{
    size_t total;
    return size_mul(n, bytes, &total) ? mem_alloc(total, tag) : NULL;
}

void *mem_calloc(size_t n, size_t bytes, enum mem_tag tag)
{
    size_t total;
    return size_mul(n, bytes, &total) ? mem_zalloc(total, tag) : NULL;
}

static struct header *header_of(void *p)
{
    return (struct header *)(void *)((char *)p - HEADER);
}

void *mem_realloc(void *p, size_t bytes, enum mem_tag tag)
{
    if (!p) return mem_alloc(bytes, tag);
    void *q = mem_alloc(bytes, tag);
    if (!q) return NULL;
    size_t old = header_of(p)->bytes;
    memcpy(q, p, old < bytes ? old : bytes);
    mem_free(p);
    return q;
}

char *mem_strndup(const char *s, size_t n, enum mem_tag tag)
{
    size_t total;
    if (!size_add(n, 1, &total)) return NULL;
    char *p = mem_alloc(total, tag);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *mem_strdup(const char *s, enum mem_tag tag)
{
    return mem_strndup(s, strlen(s), tag);
}

void mem_free(void *p)
{
    if (!p) return;
    struct header *h = header_of(p);
    uncharge(h->bytes, (enum mem_tag)h->tag);
    h->magic = 0;
    free(h);
}

void *mem_map(size_t bytes, enum mem_tag tag)
{
    if (!bytes || !charge(bytes, tag)) return NULL;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED) {
        uncharge(bytes, tag);
        return NULL;
    }
    ask_for_huge_pages(p, bytes);
    return p;
}

void mem_unmap(void *p, size_t bytes, enum mem_tag tag)
{
    if (!p) return;
    munmap(p, bytes);
    uncharge(bytes, tag);
}

void mem_get_stats(struct mem_stats *out)
{
    for (int i = 0; i < MEM_N_TAGS; i++) out->bytes[i] = atomic_load(&tag_bytes[i]);
    out->live_bytes = atomic_load(&live);
    out->peak_bytes = atomic_load(&peak);
    out->n_calls = atomic_load(&n_calls);
}

void mem_set_cap(uint64_t bytes)
{
    atomic_store(&cap, bytes);
}

uint64_t mem_inject(int64_t n, bool for_ever)
{
    atomic_store(&inject_for_ever, for_ever);
    atomic_store(&inject_left, n < 0 ? -1 : n);
    return atomic_exchange(&n_injected, 0);
}
