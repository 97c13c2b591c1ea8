/* SPDX-License-Identifier: Apache-2.0
 * sequence.c - keeps tokens, pages and the prefix tree in step. Runs no model.
 *
 * Invariants: (1) page_ids[i] for i < n_shared is the tree's page of tokens [0, (i+1) * page_tokens);
 * (2) a page is written only while this sequence holds its single reference: before a write into a
 * shared page the page is copied; (3) n_shared pages lie within the n_pure positions, and their path begins
 * at the root of `bits`. */
#include "src/engine/sequence.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"

static int page_tokens(const struct sequence *s)
{
    return s->pool->layout->page_tokens;
}

static int pages_for(const struct sequence *s, int n)
{
    return (n + page_tokens(s) - 1) / page_tokens(s);
}

enum fk_status sequence_init(struct sequence *s, struct kv_pool *pool, struct prefix_tree *tree,
                             int cap, struct fk_error *err)
{
    *s = (struct sequence){.pool = pool, .tree = tree, .cap = cap};
    size_t n_pages = (size_t)pages_for(s, cap);
    s->tokens = mem_array((size_t)cap, sizeof *s->tokens, MEM_ENGINE);
    s->page_ids = mem_array(n_pages, sizeof *s->page_ids, MEM_ENGINE);
    s->pages = mem_array(n_pages, sizeof *s->pages, MEM_ENGINE);
    if (s->tokens && s->page_ids && s->pages) return FK_OK;
    sequence_fini(s);
    return fail_nomem(err, (size_t)cap * sizeof *s->tokens, "a token sequence");
}

static void drop_pages(struct sequence *s, int n_kept)
{
    while (s->n_pages > n_kept) kv_pool_release(s->pool, s->page_ids[--s->n_pages]);
    if (s->n_shared > n_kept) s->n_shared = n_kept;
}

void sequence_fini(struct sequence *s)
{
    if (s->page_ids) drop_pages(s, 0);
    mem_free(s->tokens);
    mem_free(s->page_ids);
    mem_free(s->pages);
    *s = (struct sequence){0};
}

void sequence_clear(struct sequence *s)
{
    drop_pages(s, 0);
    s->n_tokens = s->n_computed = s->n_pure = 0;
    s->is_made_up = false;
}

static void put_page(struct sequence *s, int i, int32_t page)
{
    s->page_ids[i] = page;
    s->pages[i] = kv_pool_data(s->pool, page);
}

/* Positions [0, n) stay computed. */
static void keep(struct sequence *s, int n)
{
    s->n_computed = n;
    if (s->n_pure > n) s->n_pure = n;
    drop_pages(s, pages_for(s, n));
    if (s->n_shared > n / page_tokens(s)) s->n_shared = n / page_tokens(s);
}

/* What a longer prefix in the tree would replace is of the same width. */
static bool may_share(const struct sequence *s, int bits)
{
    return !s->n_computed || (s->n_pure == s->n_computed && s->bits == bits);
}

void sequence_set(struct sequence *s, const int32_t *ids, int n, int bits)
{
    int common = 0, limit = n - 1;
    if (s->is_made_up) sequence_clear(s);
    while (common < s->n_computed && common < limit && s->tokens[common] == ids[common]) common++;
    keep(s, common);

    /* The tree may know more. Its pages replace those after the last that both agree on. */
    int32_t parent = PREFIX_ROOT(bits);
    int n_found = 0, page = page_tokens(s);
    bool is_open = may_share(s, bits);
    while (is_open && (n_found + 1) * page <= n) {
        int32_t found = prefix_find(s->tree, parent, ids + n_found * page);
        if (found < 0) break;
        if (n_found >= s->n_shared) {
            kv_pool_ref(s->pool, found);
            if (n_found < s->n_pages) kv_pool_release(s->pool, s->page_ids[n_found]);
            else s->n_pages++;
            put_page(s, n_found, found);
            s->n_shared = n_found + 1;
        }
        parent = found;
        n_found++;
    }
    int in_tree = n_found * page < limit ? n_found * page : limit;
    if (in_tree > common) {
        s->bits = bits;
        s->n_pure = in_tree;
    }
    keep(s, in_tree > common ? in_tree : common);
    memcpy(s->tokens, ids, (size_t)n * sizeof *ids);
    s->n_tokens = n;
}

static int32_t take(struct sequence *s)
{
    if (s->pool->n_pages - s->pool->n_free >= s->pool->n_wanted) prefix_evict_one(s->tree);
    int32_t page = kv_pool_take(s->pool);
    while (page < 0 && prefix_evict_one(s->tree)) page = kv_pool_take(s->pool);
    return page;
}

/* The page that position n_computed falls into, if others refer to it too. */
static bool own_last(struct sequence *s)
{
    int i = s->n_computed / page_tokens(s);
    if (i >= s->n_pages || s->pool->refs[s->page_ids[i]] == 1) return true;
    int32_t page = take(s);
    if (page < 0) return false;
    memcpy(kv_pool_data(s->pool, page), s->pages[i], s->pool->layout->page_bytes);
    kv_pool_release(s->pool, s->page_ids[i]);
    put_page(s, i, page);
    return true;
}

enum fk_status sequence_reserve(struct sequence *s, int n, struct fk_error *err)
{
    int had = s->n_pages, want = pages_for(s, n);
    bool ok = own_last(s);
    while (ok && s->n_pages < want) {
        int32_t page = take(s);
        ok = page >= 0;
        if (ok) put_page(s, s->n_pages++, page);
    }
    if (ok) return FK_OK;
    drop_pages(s, had);
    return fail(err, FK_ENOMEM, "the cache is full: %d tokens need %d pages of %zu bytes, and of %d "
                "pages (kv_bytes_max) none is free", n, want, s->pool->layout->page_bytes,
                s->pool->n_pages);
}

void sequence_advance(struct sequence *s, int n, int bits, bool share)
{
    if (may_share(s, bits)) {
        s->bits = bits;
        s->n_pure = n;
    }
    s->n_computed = n;
    share &= s->n_pure == n && !s->is_made_up;
    while (share && s->n_shared < n / page_tokens(s)) {
        int i = s->n_shared;
        int32_t parent = i ? s->page_ids[i - 1] : PREFIX_ROOT(bits), own = s->page_ids[i];
        int32_t kept = prefix_insert(s->tree, parent, own, s->tokens + i * page_tokens(s));
        if (kept != own) {
            kv_pool_ref(s->pool, kept);
            kv_pool_release(s->pool, own);
            put_page(s, i, kept);
        }
        s->n_shared++;
    }
}

enum fk_status sequence_repeat(struct sequence *s, int n, struct fk_error *err)
{
    int n_tokens = s->n_computed, n_full = n_tokens / page_tokens(s), i = n_full;
    if (!n_full || n < n_tokens || n > s->cap)
        return fail(err, FK_EINVAL, "%d tokens cannot be repeated up to %d: a page has %d tokens and "
                    "the context %d", n_tokens, n, page_tokens(s), s->cap);
    TRY(sequence_reserve(s, n, err));
    s->is_made_up = true;
    for (; i < s->n_pages; i++)
        memcpy(s->pages[i], s->pages[i % n_full], s->pool->layout->page_bytes);
    for (i = n_tokens; i < n; i++) s->tokens[i] = s->tokens[i % n_tokens];
    s->n_tokens = s->n_computed = s->n_pure = n;
    return FK_OK;
}
