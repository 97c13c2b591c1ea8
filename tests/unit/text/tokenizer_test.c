/* SPDX-License-Identifier: Apache-2.0
 * tokenizer_test.c - merges against a naive loop, special tokens and trust, bytes that are no
 * UTF-8, decoding, the set of end tokens, and running out of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "src/base/rng.h"
#include "src/text/merge.h"
#include "src/text/nfc.h"
#include "tests/unit/text/vocab_build.h"

static struct tokenizer *bpe(const char *pre)
{
    struct tokenizer *t = NULL;
    struct fk_error err;
    if (small_bpe(&t, pre, small_joins, N_SMALL_JOINS, &err)) fail_msg("%s", err.message);
    return t;
}

static struct tokenizer *spm(const char *model, bool prefix)
{
    struct tokenizer *t = NULL;
    struct fk_error err;
    if (small_spm(&t, model, prefix, small_pieces, N_SMALL_PIECES, &err))
        fail_msg("%s", err.message);
    return t;
}

static struct token_vec encode(const struct tokenizer *t, const char *s, size_t n,
                               const uint8_t *trusted)
{
    struct token_vec ids = {0};
    struct fk_error err;
    if (tokenizer_encode(t, s, n, trusted, &ids, &err)) fail_msg("%s", err.message);
    return ids;
}

static void assert_round_trip(const struct tokenizer *t, const char *s, size_t n)
{
    struct token_vec ids = encode(t, s, n, NULL);
    struct detokenizer d;
    struct buf back;
    buf_init(&back, 0, MEM_MISC);
    detokenizer_init(&d, t, false);
    for (size_t i = 0; i < ids.n; i++) assert_true(detokenizer_push(&d, ids.ids[i], &back));
    assert_int_equal(back.n, n);
    if (n) assert_memory_equal(back.data, s, n);
    buf_fini(&back);
    mem_free(ids.ids);
}

/* Ranks pairs of small ids by a table, so that joins chain and ranks repeat. */
#define N_RANKED 40
static uint32_t ranks[N_RANKED][N_RANKED];
static int32_t wholes[N_RANKED][N_RANKED];

static void rank_by_table(const void *arg, const char *word, struct merge_sym *a,
                          const struct merge_sym *b)
{
    (void)arg;
    (void)word;
    a->rank = ranks[a->id][b->id];
    a->joined = wholes[a->id][b->id];
}

static size_t merge_naively(int32_t *ids, size_t n)
{
    for (;;) {
        size_t best = n;
        uint32_t rank = MERGE_NEVER;
        for (size_t i = 0; i + 1 < n; i++) {
            if (ranks[ids[i]][ids[i + 1]] >= rank) continue;
            rank = ranks[ids[i]][ids[i + 1]];
            best = i;
        }
        if (best == n) return n;
        ids[best] = wholes[ids[best]][ids[best + 1]];
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof *ids);
        n--;
    }
}

static void merging_equals_the_naive_loop(void **state)
{
    (void)state;
    struct merger m = {0};
    int32_t ids[300];
    for (uint64_t round = 0; round < 400; round++) {
        for (uint64_t i = 0; i < N_RANKED; i++) {
            for (uint64_t j = 0; j < N_RANKED; j++) {
                uint64_t r = rng_u64(round, 1, i * N_RANKED + j);
                uint32_t few_or_many = round % 2 ? 20 : 1u << 30;
                ranks[i][j] = r % 3 ? MERGE_NEVER : (uint32_t)(r >> 8) % few_or_many;
                wholes[i][j] = (int32_t)(r >> 40) % N_RANKED;
                if (wholes[i][j] < 0) wholes[i][j] = 0;
            }
        }
        size_t n = 1 + rng_u64(round, 2, 0) % (round % 5 ? 90 : 300);
        assert_true(merger_reserve(&m, n));
        for (size_t i = 0; i < n; i++) {
            ids[i] = (int32_t)(rng_u64(round, 3, i) % N_RANKED);
            m.syms[i] = (struct merge_sym){.start = (uint32_t)i, .end = (uint32_t)i + 1,
                                           .id = ids[i], .rank = MERGE_NEVER};
        }
        m.n = n;
        assert_true(merger_run(&m, "", rank_by_table, NULL));
        size_t left = merge_naively(ids, n);
        assert_int_equal(m.n, left);
        uint32_t at = 0;
        for (size_t i = 0; i < left; i++) {
            assert_int_equal(m.syms[i].id, ids[i]);
            assert_int_equal(m.syms[i].start, at);
            at = m.syms[i].end;
        }
        assert_int_equal(at, n);
    }
    merger_fini(&m);
}

static void words_become_their_tokens(void **state)
{
    (void)state;
    struct tokenizer *t = bpe("gpt-2");
    struct token_vec ids = encode(t, "hello the world", 15, NULL);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.ids[0], tokenizer_find(t, "hello"));
    assert_int_equal(ids.ids[1], tokenizer_find(t, " the"));
    assert_int_equal(ids.ids[2], tokenizer_find(t, " world"));
    mem_free(ids.ids);
    tokenizer_destroy(&t);
    t = spm("llama", true);
    ids = encode(t, "the world", 9, NULL);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.ids[0], tokenizer_find(t, " the"));
    assert_int_equal(ids.ids[1], tokenizer_find(t, " world"));
    mem_free(ids.ids);
    tokenizer_destroy(&t);
}

static size_t count_id(const struct token_vec *ids, int32_t id)
{
    size_t k = 0;
    for (size_t i = 0; i < ids->n; i++) k += ids->ids[i] == id;
    return k;
}

static void untrusted_text_makes_no_special_token(void **state)
{
    static const char text[] = "a<|end|>b<think>c";
    uint8_t marks[sizeof text];
    (void)state;
    struct tokenizer *t = bpe("llama-bpe");
    int32_t end = tokenizer_find(t, "<|end|>"), think = tokenizer_find(t, "<think>");
    assert_true(end >= 0 && think >= 0 && tokenizer_is_control(t, end));
    assert_false(tokenizer_is_control(t, think)); /* its text is shown */
    struct token_vec ids = encode(t, text, sizeof text - 1, NULL);
    assert_int_equal(count_id(&ids, end) + count_id(&ids, think), 0);
    mem_free(ids.ids);
    memset(marks, 1, sizeof marks);
    ids = encode(t, text, sizeof text - 1, marks);
    assert_int_equal(ids.n, 5);
    assert_int_equal(ids.ids[1], end);
    assert_int_equal(ids.ids[3], think);
    mem_free(ids.ids);
    for (size_t i = 1; i < 8; i++) { /* one untrusted byte of "<|end|>" is enough */
        marks[i] = 0;
        ids = encode(t, text, sizeof text - 1, marks);
        assert_int_equal(count_id(&ids, end), 0);
        assert_int_equal(count_id(&ids, think), 1);
        mem_free(ids.ids);
        marks[i] = 1;
    }
    tokenizer_destroy(&t);
}

static void spaces_that_the_vocabulary_defines_match_anywhere(void **state)
{
    (void)state;
    struct tokenizer *t = bpe("gpt-2");
    struct token_vec ids = encode(t, "a    b", 6, NULL);
    assert_int_equal(count_id(&ids, tokenizer_find(t, "  ")), 2);
    mem_free(ids.ids);
    tokenizer_destroy(&t);
}

static void sentencepiece_control_names_stay_text(void **state)
{
    static const char text[] = "</s><s>";
    uint8_t marks[sizeof text];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct tokenizer *t = spm(i ? "t5" : "llama", false);
        struct token_vec ids = encode(t, text, sizeof text - 1, NULL);
        for (size_t k = 0; k < ids.n; k++) assert_true(ids.ids[k] > 2);
        mem_free(ids.ids);
        memset(marks, 1, sizeof marks);
        ids = encode(t, text, sizeof text - 1, marks);
        assert_int_equal(ids.n, 2);
        assert_int_equal(ids.ids[0], 2);
        assert_int_equal(ids.ids[1], 1);
        mem_free(ids.ids);
        tokenizer_destroy(&t);
    }
}

/* "p" + "xx" + "x" and "p" + "x" + "xx" have one score; SentencePiece's float sums prefer the
 * first, and doubles the second. */
static void equal_scores_are_told_apart_by_float_sums(void **state)
{
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "p", "x", "xx"};
    static const int32_t types[] = {2, 3, 3, 1, 1, 1};
    static const float scores[] = {0, 0, 0, -7.4428573f, -2.1f, -1.1f};
    struct vocab_build v;
    struct tokenizer *t;
    struct fk_error err;
    (void)state;
    vb_init(&v);
    vb_str(&v, "model", "t5");
    vb_strs(&v, "tokens", tokens, 6);
    vb_i32s(&v, "token_type", types, 6);
    vb_f32s(&v, "scores", scores, 6);
    vb_u32(&v, "unknown_token_id", 0);
    vb_bool(&v, "add_space_prefix", false);
    vb_bool(&v, "add_eos_token", false);
    assert_int_equal(vb_done(&v, &t, &err), FK_OK);
    struct token_vec ids = encode(t, "pxxx", 4, NULL);
    static const int32_t want[] = {3, 5, 4};
    assert_int_equal(ids.n, 3);
    assert_memory_equal(ids.ids, want, sizeof want);
    mem_free(ids.ids);
    tokenizer_destroy(&t);
}

/* The sum of the scores passes the bound many times, and every sentence is cut as the first. */
static void long_texts_keep_their_cuts(void **state)
{
    static const char sentence[] = " hello the world";
    enum { REPEATS = 40000 };
    (void)state;
    struct tokenizer *t = spm("t5", false);
    struct buf text;
    buf_init(&text, 0, MEM_MISC);
    for (int i = 0; i < REPEATS; i++) buf_append(&text, sentence, sizeof sentence - 1);
    assert_false(text.failed);
    struct token_vec one = encode(t, sentence, sizeof sentence - 1, NULL);
    struct token_vec all = encode(t, text.data, text.n, NULL);
    assert_int_equal(one.n, 3);
    assert_int_equal(all.n, one.n * REPEATS);
    for (size_t i = 0; i < all.n; i++) assert_int_equal(all.ids[i], one.ids[i % one.n]);
    mem_free(one.ids);
    mem_free(all.ids);
    buf_fini(&text);
    tokenizer_destroy(&t);
}

static void any_bytes_come_back(void **state)
{
    static const char *const pres[] = {"gpt-2", "smollm", "llama-bpe", "deepseek-v3",
                                       "deepseek-llm", "deepseek-coder", "gpt-4o", "tekken",
                                       "falcon", "default", "bloom", "viking", "bailingmoe",
                                       "seed-coder", "minicpm5", "jais-2"};
    static const char letters[] = " \n\r\t'sZa1.<>\xd8\xa7\xe4\xb8\xad\xcc\x81\xf0\x9f\x98\x80"
                                  "\xff\xe2\x80\x83";
    char s[400];
    (void)state;
    for (size_t k = 0; k < sizeof pres / sizeof *pres + 4; k++) {
        bool is_bpe = k < sizeof pres / sizeof *pres;
        struct tokenizer *t = is_bpe ? bpe(pres[k]) : spm(k & 1 ? "t5" : "llama", k & 2);
        for (uint64_t round = 0; round < 200; round++) {
            size_t n = rng_u64(round, k, 0) % sizeof s;
            for (size_t i = 0; i < n; i++) {
                uint64_t r = rng_u64(round, k, i + 1);
                s[i] = round % 3 ? letters[r % (sizeof letters - 1)] : (char)r;
            }
            for (size_t i = 0; i + 2 < n; i++) /* U+2581 would come back as a space */
                if (!is_bpe && !memcmp(s + i, "\xe2\x96\x81", 3)) s[i] = 'x';
            assert_round_trip(t, s, n);
        }
        tokenizer_destroy(&t);
    }
}

static void decoding_hides_control_tokens_and_the_first_space(void **state)
{
    (void)state;
    struct tokenizer *t = spm("llama", true);
    int32_t ids[] = {1, tokenizer_find(t, " hello"), tokenizer_find(t, " world"), 2};
    for (int special = 0; special < 2; special++) {
        struct detokenizer d;
        struct buf out;
        buf_init(&out, 0, MEM_MISC);
        detokenizer_init(&d, t, special);
        for (int i = 0; i < 4; i++) assert_true(detokenizer_push(&d, ids[i], &out));
        assert_true(detokenizer_push(&d, -5, &out));
        assert_true(detokenizer_push(&d, 1 << 30, &out));
        assert_string_equal(out.data, special ? "<s>hello world</s>" : "hello world");
        buf_fini(&out);
    }
    tokenizer_destroy(&t);
}

static void ends_are_a_set(void **state)
{
    static const char *const tokens[] = {"a", "<|eot_id|>", "</s>", "<eos>", "stop", "</s>x", "b"};
    static const int32_t types[] = {1, 1, 1, 3, 1, 3, 1}, more[] = {4};
    (void)state;
    struct vocab_build v;
    struct tokenizer *t;
    struct fk_error err;
    vb_init(&v);
    vb_str(&v, "model", "gpt2");
    vb_strs(&v, "tokens", tokens, 7);
    vb_i32s(&v, "token_type", types, 7);
    vb_strs(&v, "merges", NULL, 0);
    vb_u32(&v, "eos_token_id", 6);
    vb_i32s(&v, "fikr.eog_token_ids", more, 1);
    assert_int_equal(vb_done(&v, &t, &err), FK_OK);
    /* "</s>" of normal type may be HTML; "<|eot_id|>" can be nothing else */
    static const bool want[] = {false, true, false, true, true, false, true};
    for (int32_t i = 0; i < 7; i++) assert_int_equal(tokenizer_is_end(t, i), want[i]);
    assert_false(tokenizer_is_end(t, -1));
    assert_false(tokenizer_is_end(t, 7));
    assert_true(tokenizer_is_control(t, 1));
    tokenizer_destroy(&t);
}

static void running_out_of_memory_loses_nothing(void **state)
{
    static const char text[] = "hello the world ZZZZ"
                               "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ e\xcc\x81"
                               " <|end|> \xff 12345";
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct mem_stats before, after;
        mem_get_stats(&before);
        bool done = false;
        size_t n_ids = 0;
        for (int64_t k = 0; !done; k++) {
            struct tokenizer *t = NULL;
            struct token_vec ids = {0};
            struct fk_error err;
            mem_inject(k, false);
            enum fk_status st = kind ? small_spm(&t, kind > 1 ? "t5" : "llama", true, small_pieces,
                                                 N_SMALL_PIECES, &err)
                                     : small_bpe(&t, "qwen2", small_joins, N_SMALL_JOINS, &err);
            if (!st) st = tokenizer_encode(t, text, sizeof text - 1, NULL, &ids, &err);
            done = !mem_inject(-1, false);
            /* one failure is survived without loss: PCRE2 then does without machine code */
            assert_true(st == FK_OK || (!done && st == FK_ENOMEM));
            if (st) assert_int_equal(ids.n, 0);
            else if (!n_ids) n_ids = ids.n;
            else assert_int_equal(ids.n, n_ids);
            tokenizer_destroy(&t);
            mem_free(ids.ids);
            mem_get_stats(&after);
            assert_int_equal(after.live_bytes, before.live_bytes);
            assert_true(k < 2000);
        }
    }
}

static void nfc_orders_and_composes(void **state)
{
    static const struct { const char *from, *to; } cases[] = {
        {"e\xcc\x81", "\xc3\xa9"}, {"\xe1\xba\x9b\xcc\xa3", "\xe1\xba\x9b\xcc\xa3"},
        {"a\xcc\x81\xcc\x96", "\xc3\xa1\xcc\x96"}, {"a\xcc\x96\xcc\x81", "\xc3\xa1\xcc\x96"},
        {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"}, {"\xe2\x84\xab", "\xc3\x85"},
        {"\xd8\xa8\xd9\x91\xd9\x8e", "\xd8\xa8\xd9\x8e\xd9\x91"}, {"abc", "abc"}};
    (void)state;
    struct nfc_scratch w = {0};
    struct buf out;
    buf_init(&out, 0, MEM_MISC);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(nfc_normalize(&w, cases[i].from, strlen(cases[i].from), &out));
        assert_string_equal(out.data, cases[i].to);
    }
    nfc_scratch_fini(&w);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_equals_the_naive_loop),
        cmocka_unit_test(words_become_their_tokens),
        cmocka_unit_test(untrusted_text_makes_no_special_token),
        cmocka_unit_test(spaces_that_the_vocabulary_defines_match_anywhere),
        cmocka_unit_test(sentencepiece_control_names_stay_text),
        cmocka_unit_test(equal_scores_are_told_apart_by_float_sums),
        cmocka_unit_test(long_texts_keep_their_cuts),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(decoding_hides_control_tokens_and_the_first_space),
        cmocka_unit_test(ends_are_a_set),
        cmocka_unit_test(running_out_of_memory_loses_nothing),
        cmocka_unit_test(nfc_orders_and_composes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
