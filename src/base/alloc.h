/* SPDX-License-Identifier: Apache-2.0
 * alloc.h - the only door to the heap: tagged, counted, capped, and able to fail on demand.
 *
 * No other file calls malloc. Every function here may return NULL, and every caller survives it;
 * tests make the n-th call fail to prove it. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mem_tag { MEM_MISC, MEM_FILE, MEM_TEXT, MEM_MODEL, MEM_KV, MEM_SCRATCH, MEM_ENGINE, MEM_CLI,
               MEM_TRAIN, MEM_N_TAGS };

void *mem_alloc(size_t bytes, enum mem_tag tag);               /* 64-byte aligned, uninitialised */
void *mem_zalloc(size_t bytes, enum mem_tag tag);              /* the same, zeroed */
void *mem_calloc(size_t n, size_t bytes, enum mem_tag tag);    /* checked product, zeroed */
void *mem_array(size_t n, size_t bytes, enum mem_tag tag);     /* checked product, uninitialised */
void *mem_realloc(void *p, size_t bytes, enum mem_tag tag);    /* NULL leaves p as it was */
char *mem_strdup(const char *s, enum mem_tag tag);
char *mem_strndup(const char *s, size_t n, enum mem_tag tag);
void mem_free(void *p);                                        /* NULL is fine */

/* Large, zeroed, page-backed memory (mmap): KV pages and arenas. Free with mem_unmap. */
void *mem_map(size_t bytes, enum mem_tag tag);
void mem_unmap(void *p, size_t bytes, enum mem_tag tag);

struct mem_stats {
    uint64_t bytes[MEM_N_TAGS]; /* live */
    uint64_t live_bytes, peak_bytes;
    uint64_t n_calls;           /* allocations ever made: a test reads it around a decode step */
};
void mem_get_stats(struct mem_stats *out);

/* All live bytes together may not exceed this (0 = no cap). */
void mem_set_cap(uint64_t bytes);

/* Fault injection: after `n` more successful allocations the next fails, once or for ever.
 * n < 0 switches it off. Returns how many injected failures happened since the last call. */
uint64_t mem_inject(int64_t n, bool for_ever);

/* Checked arithmetic for sizes from outside: false means overflow and *out is untouched. */
static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline bool size_add(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

#endif
