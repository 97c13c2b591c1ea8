/* SPDX-License-Identifier: Apache-2.0
 * prefix.h - which full pages are known, by the tokens that lead to them.
 *
 * A node is a page: its key is the parent page and the page's own token ids, so a path from a root
 * spells a prefix. What was computed at different widths of the weights has different roots. The tree
 * holds one reference to each of its pages. */
#ifndef ENGINE_PREFIX_H
#define ENGINE_PREFIX_H
#include <stdbool.h>
#include "src/engine/kv_pool.h"

/* bits: the width that weights are read at, 0: as the file plans. */
#define PREFIX_ROOT(bits) (-1 - (int32_t)(bits))

struct prefix_node {
    int32_t parent, next; /* next: in its hash bucket */
    int32_t n_children;
    bool is_used;
    uint64_t last_used;
};

struct prefix_tree {
    struct kv_pool *pool;      /* borrowed */
    struct prefix_node *nodes; /* [n_pages], by page */
    int32_t *tokens;           /* [n_pages][page_tokens] */
    size_t tokens_bytes;
    int32_t *buckets;          /* [mask + 1]: first page or -1 */
    uint32_t mask;
    int32_t n_nodes;
    uint64_t clock;
};

/* t must be zeroed. */
enum fk_status prefix_init(struct prefix_tree *t, struct kv_pool *pool, struct fk_error *err);
void prefix_fini(struct prefix_tree *t);

/* The page that follows parent with these page_tokens ids, or -1. Marks it as used now. */
int32_t prefix_find(struct prefix_tree *t, int32_t parent, const int32_t *tokens);

/* Adds page, full with these ids, below parent (in the tree, or a PREFIX_ROOT). Returns the tree's page
 * of that key: page itself, or one with the same content that was there before. */
int32_t prefix_insert(struct prefix_tree *t, int32_t parent, int32_t page, const int32_t *tokens);

/* Drops the page that nobody has used for longest, if only the tree refers to it. */
bool prefix_evict_one(struct prefix_tree *t);

#endif
