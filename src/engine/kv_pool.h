/* SPDX-License-Identifier: Apache-2.0
 * kv_pool.h - pages of keys and values with reference counts. */
#ifndef ENGINE_KV_POOL_H
#define ENGINE_KV_POOL_H
#include "fikr/status.h"
#include "src/device/kv_view.h"

struct kv_pool {
    const struct kv_layout *layout; /* borrowed */
    uint8_t *base;                  /* [n_pages][page_bytes], touched only as pages are taken */
    size_t map_bytes;
    int32_t n_pages, n_free;
    int32_t n_wanted;               /* with so many in use, forgotten prefixes give way to new pages */
    int32_t *refs;                  /* [n_pages]; 0: free */
    int32_t *free_pages;            /* a stack: the page released last is taken first */
};

/* p must be zeroed; layout must outlive it. bytes_max is rounded down to whole pages, at least one. */
enum fk_status kv_pool_init(struct kv_pool *p, const struct kv_layout *layout, uint64_t bytes_max,
                            struct fk_error *err);
void kv_pool_fini(struct kv_pool *p);

int32_t kv_pool_take(struct kv_pool *p); /* with one reference; -1: all are in use */
void kv_pool_ref(struct kv_pool *p, int32_t page);
void kv_pool_release(struct kv_pool *p, int32_t page);

static inline void *kv_pool_data(const struct kv_pool *p, int32_t page)
{
    return p->base + (size_t)page * p->layout->page_bytes;
}

static inline uint64_t kv_pool_used_bytes(const struct kv_pool *p)
{
    return (uint64_t)(p->n_pages - p->n_free) * p->layout->page_bytes;
}

#endif
