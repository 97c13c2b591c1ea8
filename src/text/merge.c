/* SPDX-License-Identifier: Apache-2.0
 * merge.c - the merge loop. Short words, which is nearly all of them, are scanned for the best pair
 * in a plain array; long ones keep sorted pairs and a heap over a linked list. Both join the
 * same pairs in the same order. Pairs that no longer hold are recognised by their rank and passed
 * over. */
#include "src/text/merge.h"
#include <string.h>
#include "src/base/alloc.h"

#define SHORT_WORD 40
#define NONE UINT32_MAX

void merger_fini(struct merger *m)
{
    mem_free(m->syms);
    mem_free(m->sorted);
    mem_free(m->swap);
    mem_free(m->heap);
    memset(m, 0, sizeof *m);
}

bool merger_reserve(struct merger *m, size_t n_syms)
{
    if (n_syms <= m->cap) return true;
    size_t cap = m->cap ? m->cap : 64;
    while (cap < n_syms) cap *= 2;
    struct merge_sym *syms = mem_array(cap, sizeof *syms, MEM_TEXT);
    if (!syms) return false;
    mem_free(m->syms);
    m->syms = syms;
    m->cap = cap;
    return true;
}

static void run_short(struct merger *m, const char *word, merge_pair_fn pair, const void *arg)
{
    struct merge_sym *s = m->syms;
    size_t n = m->n;
    for (size_t i = 0; i + 1 < n; i++) pair(arg, word, &s[i], &s[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (s[i].rank < s[best].rank) best = i;
        if (s[best].rank == MERGE_NEVER) break;
        s[best].end = s[best + 1].end;
        s[best].id = s[best].joined;
        memmove(&s[best + 1], &s[best + 2], (n - best - 2) * sizeof *s);
        n--;
        if (best + 1 < n) pair(arg, word, &s[best], &s[best + 1]);
        if (best) pair(arg, word, &s[best - 1], &s[best]);
    }
    m->n = n;
}

/* A heap with four children per node: half the depth of a binary one, and one cache line a
 * level. */
static void sift_up(uint64_t *h, size_t i)
{
    uint64_t key = h[i];
    while (i && h[(i - 1) / 4] > key) {
        h[i] = h[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    h[i] = key;
}

static void sift_down(uint64_t *h, size_t n, size_t i)
{
    uint64_t key = h[i];
    for (;;) {
        size_t child = i * 4 + 1, best = child;
        if (child >= n) break;
        size_t end = child + 4 < n ? child + 4 : n;
        for (size_t c = child + 1; c < end; c++)
            if (h[c] < h[best]) best = c;
        if (h[best] >= key) break;
        h[i] = h[best];
        i = best;
    }
    h[i] = key;
}

static bool push(struct merger *m, uint32_t rank, uint32_t i)
{
    if (m->n_heap == m->cap_heap) {
        size_t cap = m->cap_heap ? m->cap_heap * 2 : 256;
        uint64_t *heap = mem_realloc(m->heap, cap * sizeof *heap, MEM_TEXT);
        if (!heap) return false;
        m->heap = heap;
        m->cap_heap = cap;
    }
    m->heap[m->n_heap] = (uint64_t)rank << 32 | i;
    sift_up(m->heap, m->n_heap++);
    return true;
}

static uint64_t pop(struct merger *m)
{
    uint64_t top = m->heap[0];
    m->heap[0] = m->heap[--m->n_heap];
    if (m->n_heap) sift_down(m->heap, m->n_heap, 0);
    return top;
}

static bool renew(struct merger *m, const char *word, merge_pair_fn pair, const void *arg,
                  uint32_t i)
{
    struct merge_sym *a = &m->syms[i];
    if (a->next == NONE) {
        a->rank = MERGE_NEVER;
        return true;
    }
    pair(arg, word, a, &m->syms[a->next]);
    return a->rank == MERGE_NEVER || push(m, a->rank, i);
}

static bool reserve_sorted(struct merger *m, size_t n)
{
    if (n <= m->cap_sorted) return true;
    uint64_t *sorted = mem_array(n, sizeof *sorted, MEM_TEXT);
    uint64_t *swap = mem_array(n, sizeof *swap, MEM_TEXT);
    if (!sorted || !swap) {
        mem_free(sorted);
        mem_free(swap);
        return false;
    }
    mem_free(m->sorted);
    mem_free(m->swap);
    m->sorted = sorted;
    m->swap = swap;
    m->cap_sorted = n;
    return true;
}

/* By rank, byte after byte; the order of symbols, which is there already, stays within a rank. */
static void sort_pairs(struct merger *m)
{
    for (int shift = 32; shift < 64; shift += 8) {
        size_t count[257] = {0}, n = m->n_sorted;
        for (size_t i = 0; i < n; i++) count[(m->sorted[i] >> shift & 255) + 1]++;
        if (n && count[(m->sorted[0] >> shift & 255) + 1] == n) continue;
        for (int c = 1; c < 257; c++) count[c] += count[c - 1];
        for (size_t i = 0; i < n; i++) m->swap[count[m->sorted[i] >> shift & 255]++] = m->sorted[i];
        uint64_t *t = m->sorted;
        m->sorted = m->swap;
        m->swap = t;
    }
}

static bool link_pairs(struct merger *m, const char *word, merge_pair_fn pair, const void *arg)
{
    struct merge_sym *s = m->syms;
    uint32_t n = (uint32_t)m->n;
    if (!reserve_sorted(m, n)) return false;
    m->n_heap = m->n_sorted = 0;
    for (uint32_t i = 0; i < n; i++) {
        s[i].prev = i ? i - 1 : NONE;
        s[i].next = i + 1 < n ? i + 1 : NONE;
        s[i].rank = MERGE_NEVER;
        if (i + 1 < n) pair(arg, word, &s[i], &s[i + 1]);
        if (s[i].rank != MERGE_NEVER) m->sorted[m->n_sorted++] = (uint64_t)s[i].rank << 32 | i;
    }
    sort_pairs(m);
    return true;
}

static bool run_long(struct merger *m, const char *word, merge_pair_fn pair, const void *arg)
{
    struct merge_sym *s = m->syms;
    if (!link_pairs(m, word, pair, arg)) return false;
    for (size_t at = 0; at < m->n_sorted || m->n_heap;) {
        bool from_heap = m->n_heap && (at == m->n_sorted || m->heap[0] < m->sorted[at]);
        uint64_t top = from_heap ? pop(m) : m->sorted[at++];
        uint32_t i = (uint32_t)top, rank = (uint32_t)(top >> 32);
        if (at + 8 < m->n_sorted) __builtin_prefetch(&s[(uint32_t)m->sorted[at + 8]]);
        if (s[i].rank != rank) continue; /* out of date, or joined to the left since */
        uint32_t dead = s[i].next;
        s[i].end = s[dead].end;
        s[i].id = s[i].joined;
        s[i].next = s[dead].next;
        s[dead].rank = MERGE_NEVER;
        if (s[i].next != NONE) s[s[i].next].prev = i;
        if (!renew(m, word, pair, arg, i)) return false;
        if (s[i].prev != NONE && !renew(m, word, pair, arg, s[i].prev)) return false;
    }
    size_t k = 0;
    for (uint32_t i = 0; i != NONE; i = s[i].next) s[k++] = s[i];
    m->n = k;
    return true;
}

bool merger_run(struct merger *m, const char *word, merge_pair_fn pair, const void *arg)
{
    if (m->n < 2) return true;
    if (m->n > SHORT_WORD) return run_long(m, word, pair, arg);
    run_short(m, word, pair, arg);
    return true;
}
