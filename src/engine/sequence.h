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
    int bits, n_pure;          /* of these the first n_pure were computed at this width, and no more */
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

/* Makes ids the sequence (n <= cap), to go on with weights read at `bits` (see PREFIX_ROOT). What its own
 * pages hold stays computed, whatever their width: a switch goes on with the cache that is there. If that
 * is all of this width, what the tree holds of this width is taken too. At most n - 1 positions stay, so
 * that the last token's logits get computed. Cannot fail. */
void sequence_set(struct sequence *s, const int32_t *ids, int n, int bits);

/* Takes pages so that positions up to n can be written. FK_ENOMEM leaves the sequence as it was. */
enum fk_status sequence_reserve(struct sequence *s, int n, struct fk_error *err);

/* Positions up to n are computed now, at `bits`; pages that became full go to the tree if `share` and if
 * all before them were computed at the same width. */
void sequence_advance(struct sequence *s, int n, int bits, bool share);

/* Repeats what is computed, at least a page of it, until n tokens count as computed. From then on the
 * sequence shares nothing, and sequence_set keeps nothing of it. */
enum fk_status sequence_repeat(struct sequence *s, int n, struct fk_error *err);

#endif
