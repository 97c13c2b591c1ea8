/* SPDX-License-Identifier: Apache-2.0
 * arena.c - blocks in a list; `cur` is the one being filled, those after it are empty and kept. */
#include "src/base/arena.h"
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t bytes, used;
    char *data;
};

void arena_init(struct arena *a, size_t min_block_bytes, size_t cap_bytes, enum mem_tag tag)
{
    *a = (struct arena){.min_block_bytes = min_block_bytes ? min_block_bytes : 4096,
                        .cap_bytes = cap_bytes,
                        .tag = tag};
}

void arena_fini(struct arena *a)
{
    for (struct arena_block *b = a->head; b;) {
        struct arena_block *next = b->next;
        mem_free(b);
        b = next;
    }
    a->head = a->cur = NULL;
    a->total_bytes = 0;
}

static struct arena_block *grow(struct arena *a, size_t bytes)
{
    size_t want = bytes > a->min_block_bytes ? bytes : a->min_block_bytes, total;
    if (a->cap_bytes && (a->total_bytes > a->cap_bytes || want > a->cap_bytes - a->total_bytes))
        return NULL;
    if (!size_add(want, 64, &total)) return NULL;
    struct arena_block *b = mem_alloc(total, a->tag);
    if (!b) return NULL;
    *b = (struct arena_block){.bytes = want, .data = (char *)b + 64};
    a->total_bytes += want;
    if (a->cur) {
        b->next = a->cur->next;
        a->cur->next = b;
    } else {
        b->next = a->head;
        a->head = b;
    }
    return b;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    size_t need;
    if (!size_add(bytes, 63, &need)) return NULL;
    need &= ~(size_t)63;
    if (!need) need = 64;
    struct arena_block *b = a->cur ? a->cur : a->head;
    while (b && b->bytes - b->used < need) {
        a->cur = b;
        b = b->next;
    }
    if (!b) b = grow(a, need);
    if (!b) return NULL;
    a->cur = b;
    void *p = b->data + b->used;
    b->used += need;
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t bytes)
{
    size_t total;
    return size_mul(n, bytes, &total) ? arena_alloc(a, total) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    size_t total;
    if (!size_add(n, 1, &total)) return NULL;
    char *p = arena_alloc(a, total);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = 0;
    return p;
}

struct arena_mark arena_get_mark(const struct arena *a)
{
    return (struct arena_mark){a->cur, a->cur ? a->cur->used : 0};
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    for (struct arena_block *b = mark.block ? mark.block->next : a->head; b; b = b->next) b->used = 0;
    if (mark.block) mark.block->used = mark.used;
    a->cur = mark.block;
}

void arena_reset(struct arena *a)
{
    arena_rewind(a, (struct arena_mark){NULL, 0});
}

void arena_reset_whole(struct arena *a)
{
    size_t used = 0;
    for (const struct arena_block *b = a->head; b; b = b->next) used += b->used;
    bool in_parts = a->head && a->head->next;
    if (in_parts) arena_fini(a);
    else arena_reset(a);
    if (in_parts) grow(a, used); /* NULL: then blocks come one by one again */
}
