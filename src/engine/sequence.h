/* SPDX-License-Identifier: Apache-2.0
 * sequence.h - a token sequence and the pages that hold its keys and values. */
#ifndef ENGINE_SEQUENCE_H
#define ENGINE_SEQUENCE_H
#include <stdbool.h>
#include <stddef.h>
#include "src/engine/prefix.h"

struct sequence {
    struct kv_pool *pool;      /* borrowed, like the tree */
    struct prefix_tree *tree;
    int32_t *tokens;           /* [cap] */
    int n_tokens, cap;
    int n_computed;            /* positions [0, n_computed) are in the pages */
    int32_t *page_ids;         /* [cap in pages], n_pages of them held with a reference */
    void **pages;              /* the same as addresses: what a batch needs */
    int n_pages;
    int n_shared;              /* the first of them are nodes of the tree */
    bool is_made_up;           /* sequence_repeat filled pages: none of them may be taken for real */
};

/* s must be zeroed. Holds at most cap tokens. */
enum fk_status sequence_init(struct sequence *s, struct kv_pool *pool, struct prefix_tree *tree,
                             int cap, struct fk_error *err);
void sequence_fini(struct sequence *s);

/* Forgets everything. */
void sequence_clear(struct sequence *s);

/* Makes ids the sequence (n <= cap). What its own pages or the tree hold stays computed, at most
 * n - 1 positions, so that the last token's logits get computed. Cannot fail. */
void sequence_set(struct sequence *s, const int32_t *ids, int n);

/* Takes pages so that positions up to n can be written. FK_ENOMEM leaves the sequence as it was. */
enum fk_status sequence_reserve(struct sequence *s, int n, struct fk_error *err);

/* Positions up to n are computed now; pages that became full go to the tree if `share`. */
void sequence_advance(struct sequence *s, int n, bool share);

/* Repeats what is computed, at least a page of it, until n tokens count as computed. From then on the
 * sequence shares nothing, and sequence_set keeps nothing of it. */
enum fk_status sequence_repeat(struct sequence *s, int n, struct fk_error *err);

#endif
