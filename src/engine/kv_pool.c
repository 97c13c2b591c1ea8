/* SPDX-License-Identifier: Apache-2.0
 * kv_pool.c - owns the memory and the reference counts of cache pages. Does not know what a page
 * holds, nor what a session is.
 *
 * All address space is reserved at creation; memory becomes resident as pages are first written, so
 * a step never asks the system for more and a short conversation costs little. */
#include "src/engine/kv_pool.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"

#define MAX_PAGES ((uint64_t)1 << 24)

enum fk_status kv_pool_init(struct kv_pool *p, const struct kv_layout *layout, uint64_t bytes_max,
                            struct fk_error *err)
{
    uint64_t n = bytes_max / layout->page_bytes;
    if (n < 1)
        return fail(err, FK_EINVAL, "kv_bytes_max is %llu; one page of %d tokens takes %zu bytes",
                    (unsigned long long)bytes_max, layout->page_tokens, layout->page_bytes);
    if (n > MAX_PAGES) n = MAX_PAGES;
    *p = (struct kv_pool){.layout = layout, .n_pages = (int32_t)n, .n_free = (int32_t)n,
                          .n_wanted = (int32_t)n};
    p->map_bytes = (size_t)n * layout->page_bytes;
    p->refs = mem_calloc((size_t)n, sizeof *p->refs, MEM_ENGINE);
    p->free_pages = mem_array((size_t)n, sizeof *p->free_pages, MEM_ENGINE);
    p->base = p->refs && p->free_pages ? mem_map(p->map_bytes, MEM_KV) : NULL;
    if (!p->base) {
        kv_pool_fini(p);
        return fail_nomem(err, (unsigned long long)n * layout->page_bytes, "the cache");
    }
    for (int32_t i = 0; i < p->n_pages; i++) p->free_pages[i] = p->n_pages - 1 - i;
    return FK_OK;
}

void kv_pool_fini(struct kv_pool *p)
{
    mem_unmap(p->base, p->map_bytes, MEM_KV);
    mem_free(p->refs);
    mem_free(p->free_pages);
    *p = (struct kv_pool){0};
}

int32_t kv_pool_take(struct kv_pool *p)
{
    if (!p->n_free) return -1;
    int32_t page = p->free_pages[--p->n_free];
    p->refs[page] = 1;
    return page;
}

void kv_pool_ref(struct kv_pool *p, int32_t page)
{
    p->refs[page]++;
}

void kv_pool_release(struct kv_pool *p, int32_t page)
{
    if (--p->refs[page] == 0) p->free_pages[p->n_free++] = page;
}
