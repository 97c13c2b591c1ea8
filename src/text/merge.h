/* SPDX-License-Identifier: Apache-2.0
 * merge.h - the loop that all BPE kinds share: join the best pair of neighbours until none is left.
 * What a pair is worth is asked of the caller. Internal to this room. */
#ifndef TEXT_MERGE_H
#define TEXT_MERGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MERGE_NEVER UINT32_MAX

struct merge_sym {
    uint32_t start, end; /* bytes of the word */
    int32_t id;          /* -1: no token has these bytes */
    uint32_t rank;       /* of joining with the next one; MERGE_NEVER */
    int32_t joined;      /* the id that would come of it */
    uint32_t prev, next; /* used for long words only */
};

/* Sets a->rank and a->joined for a followed by b. word is where start and end count from. */
typedef void (*merge_pair_fn)(const void *arg, const char *word, struct merge_sym *a,
                              const struct merge_sym *b);

struct merger {
    struct merge_sym *syms;
    size_t n, cap;
    /* Long words: pairs as rank << 32 | symbol, so that the smallest is the best and the leftmost
     * of equals. Those of the beginning are sorted once, those that joins make are in a heap. */
    uint64_t *sorted, *swap, *heap;
    size_t n_sorted, cap_sorted, n_heap, cap_heap;
};

void merger_fini(struct merger *m); /* a zeroed merger is an empty one */
bool merger_reserve(struct merger *m, size_t n_syms); /* false: out of memory */

/* Joins syms[0..n) and leaves what remains, in order, in syms[0..m->n). Lowest rank first, leftmost
 * of equals; time O(n log n). False: out of memory. */
bool merger_run(struct merger *m, const char *word, merge_pair_fn pair, const void *arg);

#endif
