/* SPDX-License-Identifier: Apache-2.0
 * trie.c - building the byte trie. The walk is inline in trie.h. */
#include "src/text/trie.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"

#define MAX_NODES ((size_t)1 << 28)

void trie_fini(struct trie *t)
{
    mem_free(t->slots);
    mem_free(t->ids);
    memset(t, 0, sizeof *t);
}

/* False when the run of used slots is longer than chance makes it. */
static bool put(uint64_t *slots, size_t mask, uint64_t slot)
{
    size_t i = hash_mix((slot >> 28) * 0x9fb21c651e98df25u) & mask;
    for (uint32_t probe = 0; slots[i]; i = (i + 1) & mask)
        if (++probe > TABLE_MAX_PROBE) return false;
    slots[i] = slot;
    return true;
}

static enum fk_status grow_slots(struct trie *t, struct fk_error *err)
{
    size_t n = t->mask ? (t->mask + 1) * 2 : 1024;
    uint64_t *slots = mem_calloc(n, sizeof *slots, MEM_TEXT);
    if (!slots) return fail_nomem(err, n * sizeof *slots, "the table of token prefixes");
    for (size_t i = 0; t->mask && i <= t->mask; i++) {
        if (t->slots[i] && !put(slots, n - 1, t->slots[i])) {
            mem_free(slots);
            return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens: token texts collide in a table");
        }
    }
    mem_free(t->slots);
    t->slots = slots;
    t->mask = n - 1;
    return FK_OK;
}

static enum fk_status new_node(struct trie *t, uint32_t *node, struct fk_error *err)
{
    if (t->n_nodes == t->cap_nodes) {
        size_t cap = t->cap_nodes ? t->cap_nodes * 2 : 256;
        if (cap > MAX_NODES)
            return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens: more than %zu distinct prefixes",
                        MAX_NODES);
        int32_t *ids = mem_realloc(t->ids, cap * sizeof *ids, MEM_TEXT);
        if (!ids) return fail_nomem(err, cap * sizeof *ids, "the trie of tokens");
        t->ids = ids;
        t->cap_nodes = cap;
    }
    t->ids[t->n_nodes] = -1;
    *node = (uint32_t)t->n_nodes++;
    return FK_OK;
}

static enum fk_status add_child(struct trie *t, uint32_t node, uint8_t c, uint32_t *child,
                                struct fk_error *err)
{
    if (node && t->n_nodes * 3 >= t->mask * 2) TRY(grow_slots(t, err));
    TRY(new_node(t, child, err));
    if (!node) {
        t->first[c] = *child;
        return FK_OK;
    }
    if (!put(t->slots, t->mask, ((uint64_t)node << 8 | c) << 28 | *child))
        return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens: token texts collide in a table");
    return FK_OK;
}

enum fk_status trie_add(struct trie *t, const char *bytes, size_t n, int32_t id,
                        struct fk_error *err)
{
    uint32_t node = 0;
    if (!t->n_nodes) {
        TRY(grow_slots(t, err));
        TRY(new_node(t, &node, err));
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t child = trie_child(t, node, (uint8_t)bytes[i]);
        if (!child) TRY(add_child(t, node, (uint8_t)bytes[i], &child, err));
        node = child;
    }
    t->ids[node] = id;
    if (n > t->max_len) t->max_len = (uint32_t)n;
    return FK_OK;
}

int32_t trie_find(const struct trie *t, const char *bytes, size_t n)
{
    uint32_t node = 0;
    if (!t->n_nodes || n > t->max_len) return -1;
    for (size_t i = 0; i < n; i++) {
        node = trie_child(t, node, (uint8_t)bytes[i]);
        if (!node) return -1;
    }
    return t->ids[node];
}
