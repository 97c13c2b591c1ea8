/* SPDX-License-Identifier: Apache-2.0
 * name_table.c - open addressing with linear probing; a probe run is bounded, so a hostile file
 * costs linear time. */
#include "src/file/name_table.h"
#include <string.h>
#include "src/base/alloc.h"

#define MAX_PROBE 1024u

static uint64_t hash_of(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static const struct gguf_str *name_at(const void *base, size_t stride, size_t i)
{
    return (const struct gguf_str *)(const void *)((const char *)base + i * stride);
}

static bool same(const struct gguf_str *a, const char *s, size_t n)
{
    return a->n == n && (n == 0 || memcmp(a->p, s, n) == 0);
}

enum name_table_result name_table_build(struct name_table *t, const void *base, size_t stride,
                                        size_t n, size_t *first, size_t *second)
{
    size_t cap = 16;
    while (cap < 2 * n) cap *= 2;
    t->slots = mem_calloc(cap, sizeof *t->slots, MEM_FILE);
    if (!t->slots) return NAME_TABLE_NOMEM;
    t->mask = cap - 1;
    for (size_t i = 0; i < n; i++) {
        const struct gguf_str *name = name_at(base, stride, i);
        size_t at = (size_t)hash_of(name->p, name->n) & t->mask;
        for (unsigned probe = 0; t->slots[at]; probe++, at = (at + 1) & t->mask) {
            if (same(name_at(base, stride, t->slots[at] - 1), name->p, name->n)) {
                *first = t->slots[at] - 1;
                *second = i;
                return NAME_TABLE_TWICE;
            }
            if (probe >= MAX_PROBE) return NAME_TABLE_CROWDED;
        }
        t->slots[at] = (uint32_t)i + 1;
    }
    return NAME_TABLE_OK;
}

void name_table_fini(struct name_table *t)
{
    mem_free(t->slots);
    *t = (struct name_table){0};
}

size_t name_table_find(const struct name_table *t, const void *base, size_t stride, const char *s,
                       size_t n)
{
    if (!t->slots) return SIZE_MAX;
    size_t at = (size_t)hash_of(s, n) & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask)
        if (same(name_at(base, stride, t->slots[at] - 1), s, n)) return t->slots[at] - 1;
    return SIZE_MAX;
}
