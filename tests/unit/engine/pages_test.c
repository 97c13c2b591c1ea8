/* SPDX-License-Identifier: Apache-2.0
 * pages_test.c - pages, prefix tree and sequences without a model. "Computing" a position writes a
 * hash of all tokens up to it into its slot, so whatever is shared, copied or evicted, a computed
 * position must hold the hash of its own prefix. */
#include "tests/unit/engine/desk.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

#define PAGE 16
#define CAP 128

struct shelf {
    struct kv_layout layout;
    struct kv_pool pool;
    struct prefix_tree tree;
};

static void shelf_open(struct shelf *h, int n_pages)
{
    struct fk_error err;
    assert_true(kv_layout_init(&h->layout, DT_F32, 1, 1, 4, 4, false, PAGE));
    h->pool = (struct kv_pool){0};
    h->tree = (struct prefix_tree){0};
    assert_int_equal(kv_pool_init(&h->pool, &h->layout, (uint64_t)n_pages * h->layout.page_bytes,
                                  &err), FK_OK);
    assert_int_equal(prefix_init(&h->tree, &h->pool, &err), FK_OK);
}

static void shelf_close(struct shelf *h)
{
    assert_int_equal(h->pool.n_free + h->tree.n_nodes, h->pool.n_pages);
    while (prefix_evict_one(&h->tree)) {
    }
    assert_int_equal(h->tree.n_nodes, 0);
    assert_int_equal(h->pool.n_free, h->pool.n_pages);
    prefix_fini(&h->tree);
    kv_pool_fini(&h->pool);
}

static struct sequence *sequence_new(struct shelf *h)
{
    struct sequence *s = test_calloc(1, sizeof *s);
    assert_int_equal(sequence_init(s, &h->pool, &h->tree, CAP, NULL), FK_OK);
    return s;
}

static void sequence_drop(struct sequence *s)
{
    sequence_fini(s);
    test_free(s);
}

static uint64_t *slot(const struct sequence *s, int pos)
{
    return (uint64_t *)s->pages[pos / PAGE] + pos % PAGE;
}

static uint64_t prefix_hash(const int32_t *ids, int n)
{
    uint64_t h = 7;
    for (int i = 0; i < n; i++) h = rng_u64(h, 3, (uint64_t)ids[i]);
    return h;
}

static enum fk_status compute(struct sequence *s, int n)
{
    struct fk_error err;
    enum fk_status st = sequence_reserve(s, n, &err);
    if (st) return st;
    for (int i = s->n_computed; i < n; i++) *slot(s, i) = prefix_hash(s->tokens, i + 1);
    sequence_advance(s, n, 0, true);
    return FK_OK;
}

static void check(const struct sequence *s)
{
    for (int i = 0; i < s->n_computed; i++)
        assert_true(*slot(s, i) == prefix_hash(s->tokens, i + 1));
}

static void count_up(int32_t *ids, int n)
{
    for (int i = 0; i < n; i++) ids[i] = i;
}

static void full_pages_are_shared(void **state)
{
    (void)state;
    struct shelf h;
    int32_t ids[CAP];
    shelf_open(&h, 16);
    count_up(ids, CAP);
    struct sequence *a = sequence_new(&h), *b = sequence_new(&h);
    sequence_set(a, ids, 40, 0);
    assert_int_equal(a->n_computed, 0);
    assert_int_equal(compute(a, 40), FK_OK);
    assert_int_equal(h.tree.n_nodes, 2);

    sequence_set(b, ids, 40, 0);
    assert_int_equal(b->n_computed, 32);
    assert_ptr_equal(b->pages[1], a->pages[1]);
    assert_int_equal(compute(b, 40), FK_OK);
    check(b);
    sequence_set(a, ids, 40, 0); /* its own partial page is kept; the last token is computed again */
    assert_int_equal(a->n_computed, 39);
    sequence_drop(a);
    sequence_set(b, ids, 20, 0);
    assert_int_equal(b->n_computed, 19);
    check(b);
    sequence_drop(b);
    shelf_close(&h);
}

static void a_shared_page_is_copied_before_it_is_written(void **state)
{
    (void)state;
    struct shelf h;
    int32_t ids[CAP];
    shelf_open(&h, 16);
    count_up(ids, CAP);
    struct sequence *a = sequence_new(&h), *b = sequence_new(&h);
    sequence_set(a, ids, 32, 0);
    assert_int_equal(compute(a, 32), FK_OK);
    void *known = a->pages[1];

    sequence_set(b, ids, 32, 0); /* all is known, but the last token must be computed */
    assert_int_equal(b->n_computed, 31);
    struct fk_error err;
    assert_int_equal(sequence_reserve(b, 32, &err), FK_OK);
    assert_ptr_not_equal(b->pages[1], known);
    assert_int_equal(compute(b, 32), FK_OK);
    assert_ptr_equal(b->pages[1], known); /* the copy went back: one page for one prefix */

    ids[20] = 99; /* another way from the middle of a shared page */
    sequence_set(b, ids, 32, 0);
    assert_int_equal(b->n_computed, 20);
    assert_int_equal(compute(b, 32), FK_OK);
    assert_ptr_not_equal(b->pages[1], known);
    check(a);
    check(b);
    sequence_drop(a);
    sequence_drop(b);
    shelf_close(&h);
}

static void the_least_used_leaf_goes_first(void **state)
{
    (void)state;
    struct shelf h;
    int32_t x[32], y[16], z[32];
    shelf_open(&h, 4);
    count_up(x, 32);
    for (int i = 0; i < 16; i++) y[i] = 1000 + i;
    for (int i = 0; i < 32; i++) z[i] = 2000 + i;
    struct sequence *s = sequence_new(&h);
    sequence_set(s, x, 32, 0);
    assert_int_equal(compute(s, 32), FK_OK);
    sequence_set(s, y, 16, 0);
    assert_int_equal(compute(s, 16), FK_OK);
    assert_int_equal(h.tree.n_nodes, 3);
    sequence_set(s, x, 32, 0); /* x is used again, so y is the oldest */
    sequence_clear(s);
    sequence_set(s, z, 32, 0);
    assert_int_equal(compute(s, 32), FK_OK); /* two pages of four, one of them free */
    assert_int_equal(h.tree.n_nodes, 4);
    sequence_clear(s);
    sequence_set(s, x, 32, 0);
    assert_int_equal(s->n_computed, 31);
    sequence_set(s, y, 16, 0);
    assert_int_equal(s->n_computed, 0);
    sequence_drop(s);
    shelf_close(&h);
}

static void a_full_cache_refuses_and_loses_nothing(void **state)
{
    (void)state;
    struct shelf h;
    int32_t x[64], y[64];
    struct fk_error err;
    shelf_open(&h, 4);
    count_up(x, 64);
    for (int i = 0; i < 64; i++) y[i] = 1000 + i;
    struct sequence *a = sequence_new(&h), *b = sequence_new(&h);
    sequence_set(a, x, 48, 0);
    assert_int_equal(compute(a, 48), FK_OK);
    sequence_set(b, y, 32, 0);
    assert_int_equal(sequence_reserve(b, 32, &err), FK_ENOMEM);
    assert_int_equal(b->n_pages, 0);
    assert_int_equal(compute(b, 16), FK_OK);
    assert_int_equal(compute(b, 32), FK_ENOMEM);
    check(a);
    check(b);
    sequence_drop(a); /* now a's pages are only remembered, and go when they are needed */
    assert_int_equal(compute(b, 32), FK_OK);
    check(b);
    sequence_drop(b);
    shelf_close(&h);
}

/* Beyond n_wanted pages, what nobody uses gives way although other pages are free. */
static void old_prefixes_give_way_early(void **state)
{
    (void)state;
    struct shelf h;
    int32_t ids[CAP];
    shelf_open(&h, 16);
    h.pool.n_wanted = 4;
    struct sequence *s = sequence_new(&h), *other = sequence_new(&h);
    for (int turn = 0; turn < 5; turn++) {
        for (int i = 0; i < CAP; i++) ids[i] = 1000 * turn + i;
        sequence_set(s, ids, 48, 0);
        assert_int_equal(compute(s, 48), FK_OK);
        assert_in_range(h.pool.n_pages - h.pool.n_free, 3, 4);
    }
    count_up(ids, CAP); /* living sequences may have more */
    sequence_set(other, ids, 96, 0);
    assert_int_equal(compute(other, 96), FK_OK);
    assert_int_equal(h.pool.n_pages - h.pool.n_free, 9);
    check(s);
    check(other);
    sequence_drop(s);
    sequence_drop(other);
    shelf_close(&h);
}

/* Many sequences, few tokens, few pages: every kind of sharing, truncation and eviction. */
static void random_use_keeps_every_prefix(void **state)
{
    (void)state;
    enum { N = 6, STEPS = 20000 };
    struct shelf h;
    struct sequence *s[N];
    uint64_t n = 0, n_refused = 0, n_reused = 0;
    shelf_open(&h, 10);
    for (int i = 0; i < N; i++) s[i] = sequence_new(&h);
    for (int step = 0; step < STEPS; step++) {
        struct sequence *q = s[rng_u64(1, 1, n++) % N];
        uint64_t what = rng_u64(1, 1, n++) % 8;
        if (what == 0) {
            sequence_clear(q);
        } else if (what < 4) {
            int32_t ids[CAP];
            int len = 1 + (int)(rng_u64(1, 1, n++) % CAP);
            uint64_t path = rng_u64(1, 1, n++) % 5, fork = rng_u64(1, 1, n++) % CAP;
            for (int i = 0; i < len; i++) ids[i] = (int32_t)((uint64_t)i < fork ? 0 : path);
            sequence_set(q, ids, len, 0);
            assert_in_range(q->n_computed, 0, (uint64_t)len - 1);
            n_reused += q->n_computed > 0;
        } else if (q->n_tokens > q->n_computed) {
            int more = 1 + (int)(rng_u64(1, 1, n++) % (uint64_t)(q->n_tokens - q->n_computed));
            n_refused += compute(q, q->n_computed + more) == FK_ENOMEM;
        }
        if (step % 64 == 0)
            for (int i = 0; i < N; i++) check(s[i]);
    }
    assert_true(n_refused > 100);
    assert_true(n_reused > 1000);
    for (int i = 0; i < N; i++) sequence_drop(s[i]);
    shelf_close(&h);
}

/* As compute, with a hash of the width of every position too. widths: [CAP], of this sequence. */
static uint64_t wide_hash(const int32_t *ids, const int *widths, int n)
{
    uint64_t h = 7;
    for (int i = 0; i < n; i++) h = rng_u64(h, (uint64_t)widths[i], (uint64_t)ids[i]);
    return h;
}

static void compute_at(struct sequence *s, int bits, int *widths, int n)
{
    struct fk_error err;
    if (sequence_reserve(s, n, &err)) return;
    for (int i = s->n_computed; i < n; i++) {
        widths[i] = bits;
        *slot(s, i) = wide_hash(s->tokens, widths, i + 1);
    }
    sequence_advance(s, n, bits, true);
}

/* What a sequence holds is its own, at the widths it was computed at, or all of the width it asks for. */
static void settle(const struct sequence *s, int bits, int *widths)
{
    int n = s->n_computed;
    if (n && *slot(s, n - 1) != wide_hash(s->tokens, widths, n))
        for (int i = 0; i < n; i++) widths[i] = bits;
    for (int i = 0; i < n; i++) assert_true(*slot(s, i) == wide_hash(s->tokens, widths, i + 1));
}

static void widths_share_no_page(void **state)
{
    (void)state;
    struct shelf h;
    int32_t ids[CAP];
    int wa[CAP] = {0}, wb[CAP] = {0};
    shelf_open(&h, 24);
    count_up(ids, CAP);
    struct sequence *a = sequence_new(&h), *b = sequence_new(&h);
    sequence_set(a, ids, 40, 4);
    compute_at(a, 4, wa, 40);
    sequence_set(b, ids, 40, 8);
    assert_int_equal(b->n_computed, 0);
    sequence_set(b, ids, 40, 4);
    assert_int_equal(b->n_computed, 32);
    /* A switch goes on with what there is, and from then on shares nothing. */
    sequence_set(b, ids, 64, 8);
    assert_int_equal(b->n_computed, 32);
    settle(b, 4, wb);
    compute_at(b, 8, wb, 64);
    assert_int_equal(h.tree.n_nodes, 2);
    sequence_clear(a);
    sequence_set(a, ids, 64, 8);
    assert_int_equal(a->n_computed, 0);
    compute_at(a, 8, wa, 64);
    assert_int_equal(h.tree.n_nodes, 6);
    sequence_set(b, ids, 64, 8); /* its own stay, also where the tree has pages of one width */
    assert_int_equal(b->n_computed, 63);
    settle(b, 8, wb);
    assert_int_equal(wb[0], 4);
    sequence_drop(a);
    sequence_drop(b);
    shelf_close(&h);
}

static void random_widths_stay_apart(void **state)
{
    (void)state;
    enum { N = 5, STEPS = 20000 };
    static const int all[] = {0, 3, 4, 8};
    struct shelf h;
    struct sequence *s[N];
    int widths[N][CAP] = {{0}}, bits = 8;
    uint64_t n = 0, n_reused = 0, n_mixed = 0;
    shelf_open(&h, 12);
    for (int i = 0; i < N; i++) s[i] = sequence_new(&h);
    for (int step = 0; step < STEPS; step++) {
        uint64_t k = rng_u64(2, 1, n++) % N, what = rng_u64(2, 1, n++) % 8;
        struct sequence *q = s[k];
        if (what == 0) sequence_clear(q);
        if (what == 1) bits = all[rng_u64(2, 1, n++) % 4];
        if (what > 1 && what < 5) {
            int32_t ids[CAP];
            int len = 1 + (int)(rng_u64(2, 1, n++) % CAP);
            uint64_t path = rng_u64(2, 1, n++) % 3, fork = rng_u64(2, 1, n++) % CAP;
            for (int i = 0; i < len; i++) ids[i] = (int32_t)((uint64_t)i < fork ? 0 : path);
            sequence_set(q, ids, len, bits);
            n_reused += q->n_computed > 0;
        } else if (what > 4 && q->n_tokens > q->n_computed) {
            int more = 1 + (int)(rng_u64(2, 1, n++) % (uint64_t)(q->n_tokens - q->n_computed));
            compute_at(q, bits, widths[k], q->n_computed + more);
        }
        settle(q, bits, widths[k]);
        n_mixed += q->n_pure < q->n_computed;
    }
    assert_true(n_reused > 1000);
    assert_true(n_mixed > 1000);
    for (int i = 0; i < N; i++) sequence_drop(s[i]);
    shelf_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_pages_are_shared),
        cmocka_unit_test(a_shared_page_is_copied_before_it_is_written),
        cmocka_unit_test(the_least_used_leaf_goes_first),
        cmocka_unit_test(a_full_cache_refuses_and_loses_nothing),
        cmocka_unit_test(old_prefixes_give_way_early),
        cmocka_unit_test(random_use_keeps_every_prefix),
        cmocka_unit_test(widths_share_no_page),
        cmocka_unit_test(random_widths_stay_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
