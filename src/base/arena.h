/* SPDX-License-Identifier: Apache-2.0
 * arena.h - a bump allocator that is emptied whole. It keeps its memory between uses, so a step
 * that fits what an earlier step needed allocates nothing. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include <stddef.h>
#include "src/base/alloc.h"

struct arena_block;

struct arena {
    struct arena_block *head, *cur; /* blocks are reused in order after a reset */
    size_t min_block_bytes;         /* at least this much is taken from the heap at a time */
    size_t cap_bytes;               /* 0 = no cap beyond mem_set_cap */
    size_t total_bytes;
    enum mem_tag tag;
};

struct arena_mark {
    struct arena_block *block;
    size_t used;
};

void arena_init(struct arena *a, size_t min_block_bytes, size_t cap_bytes, enum mem_tag tag);
void arena_fini(struct arena *a);
void *arena_alloc(struct arena *a, size_t bytes);            /* 64-byte aligned; NULL when full */
void *arena_array(struct arena *a, size_t n, size_t bytes);  /* checked product */
char *arena_strndup(struct arena *a, const char *s, size_t n);
struct arena_mark arena_get_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);
void arena_reset(struct arena *a);                           /* everything is gone, memory is kept */
/* The same, and what was used of several blocks becomes one: for passes whose arrays are larger than a
 * block and of another size each time, which would leave blocks too small behind for ever. */
void arena_reset_whole(struct arena *a);

#endif
