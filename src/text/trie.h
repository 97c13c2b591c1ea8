/* SPDX-License-Identifier: Apache-2.0
 * trie.h - a byte trie kept in one hash table: the special tokens, and all pieces of a unigram
 * vocabulary. Node 0 is the root. */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H
#include <stdbool.h>
#include <stdint.h>
#include "fikr/status.h"
#include "src/text/hash.h"

struct trie {
    uint64_t *slots;   /* parent (28 bits) | byte (8) | child (28); child 0 means an empty slot */
    size_t mask;
    int32_t *ids;      /* by node: the token that ends here, or -1 */
    size_t n_nodes, cap_nodes;
    uint32_t max_len;
    uint32_t first[256]; /* children of the root, 0 where there is none */
};

void trie_fini(struct trie *t); /* a zeroed trie is an empty one */
/* Adds bytes -> id; a later id replaces an earlier one. */
enum fk_status trie_add(struct trie *t, const char *bytes, size_t n, int32_t id,
                        struct fk_error *err);
int32_t trie_find(const struct trie *t, const char *bytes, size_t n); /* -1: absent */

/* The child of node by byte c, 0 if there is none. */
static inline uint32_t trie_child(const struct trie *t, uint32_t node, uint8_t c)
{
    if (!node) return t->first[c];
    uint64_t key = (uint64_t)node << 8 | c;
    for (size_t i = hash_mix(key * 0x9fb21c651e98df25u) & t->mask;; i = (i + 1) & t->mask) {
        uint64_t slot = t->slots[i];
        if (!slot) return 0;
        if (slot >> 28 == key) return (uint32_t)(slot & 0xfffffff);
    }
}

#endif
