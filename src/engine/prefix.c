/* SPDX-License-Identifier: Apache-2.0
 * prefix.c - the prefix tree. Owns the map from token ids to pages; the pages are the pool's.
 *
 * Invariants: (1) a node's parent is in the tree; (2) who holds a reference to a node's page holds
 * one to every page above it, so an unused node has only unused nodes below, and (3) evicting unused
 * leaves in turn frees everything that is unused. */
#include "src/engine/prefix.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"

enum fk_status prefix_init(struct prefix_tree *t, struct kv_pool *pool, struct fk_error *err)
{
    size_t n = (size_t)pool->n_pages, n_buckets = 64;
    while (n_buckets < n) n_buckets *= 2;
    *t = (struct prefix_tree){.pool = pool, .mask = (uint32_t)(n_buckets - 1)};
    t->tokens_bytes = n * (size_t)pool->layout->page_tokens * sizeof *t->tokens;
    t->nodes = mem_calloc(n, sizeof *t->nodes, MEM_ENGINE);
    t->buckets = mem_array(n_buckets, sizeof *t->buckets, MEM_ENGINE);
    t->tokens = mem_map(t->tokens_bytes, MEM_ENGINE);
    if (!t->nodes || !t->buckets || !t->tokens) {
        prefix_fini(t);
        return fail_nomem(err, t->tokens_bytes, "the prefix tree");
    }
    for (size_t i = 0; i < n_buckets; i++) t->buckets[i] = -1;
    return FK_OK;
}

void prefix_fini(struct prefix_tree *t)
{
    mem_unmap(t->tokens, t->tokens_bytes, MEM_ENGINE);
    mem_free(t->nodes);
    mem_free(t->buckets);
    *t = (struct prefix_tree){0};
}

static int32_t *tokens_of(const struct prefix_tree *t, int32_t page)
{
    return t->tokens + (size_t)page * (size_t)t->pool->layout->page_tokens;
}

static size_t key_bytes(const struct prefix_tree *t)
{
    return (size_t)t->pool->layout->page_tokens * sizeof(int32_t);
}

static int32_t *bucket_of(const struct prefix_tree *t, int32_t parent, const int32_t *tokens)
{
    uint64_t h = (uint64_t)(uint32_t)parent;
    for (int i = 0; i < t->pool->layout->page_tokens; i++) {
        h = (h ^ (uint32_t)tokens[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return &t->buckets[(uint32_t)(h >> 16) & t->mask];
}

int32_t prefix_find(struct prefix_tree *t, int32_t parent, const int32_t *tokens)
{
    int32_t page = *bucket_of(t, parent, tokens);
    for (; page >= 0; page = t->nodes[page].next)
        if (t->nodes[page].parent == parent && !memcmp(tokens_of(t, page), tokens, key_bytes(t)))
            break;
    if (page >= 0) t->nodes[page].last_used = ++t->clock;
    return page;
}

int32_t prefix_insert(struct prefix_tree *t, int32_t parent, int32_t page, const int32_t *tokens)
{
    int32_t known = prefix_find(t, parent, tokens);
    if (known >= 0) return known;
    int32_t *bucket = bucket_of(t, parent, tokens);
    t->nodes[page] = (struct prefix_node){.parent = parent, .next = *bucket, .is_used = true,
                                          .last_used = ++t->clock};
    *bucket = page;
    memcpy(tokens_of(t, page), tokens, key_bytes(t));
    if (parent >= 0) t->nodes[parent].n_children++;
    kv_pool_ref(t->pool, page);
    t->n_nodes++;
    return page;
}

static void remove_leaf(struct prefix_tree *t, int32_t page)
{
    struct prefix_node *n = &t->nodes[page];
    int32_t *at = bucket_of(t, n->parent, tokens_of(t, page));
    while (*at != page) at = &t->nodes[*at].next;
    *at = n->next;
    if (n->parent >= 0) t->nodes[n->parent].n_children--;
    *n = (struct prefix_node){0};
    t->n_nodes--;
    kv_pool_release(t->pool, page);
}

bool prefix_evict_one(struct prefix_tree *t)
{
    int32_t oldest = -1;
    for (int32_t i = 0; i < t->pool->n_pages; i++) {
        const struct prefix_node *n = &t->nodes[i];
        if (!n->is_used || n->n_children || t->pool->refs[i] != 1) continue;
        if (oldest < 0 || n->last_used < t->nodes[oldest].last_used) oldest = i;
    }
    if (oldest < 0) return false;
    remove_leaf(t, oldest);
    return true;
}
