/* SPDX-License-Identifier: Apache-2.0
 * tokenizer_hostile_test.c - vocabularies that lie are refused with a sentence that names the
 * field; a mebibyte of any text takes under a second on a stack of 64 KiB (reliability R6, R7,
 * F9). */
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "src/base/clock.h"
#include "tests/unit/text/vocab_build.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 20
#define STACK_BYTES (1 << 20)
#else
#define SLOWER 1
#define STACK_BYTES (64 << 10)
#endif

struct lie { /* what to leave out or to write instead */
    const char *model, *pre, *token, *merge, *charsmap;
    int32_t n_types, n_scores, type, bos, eos, eog;
    bool no_tokens, no_merges, no_scores, tokens_not_strings;
    float score;
    const char *want; /* a part of the sentence; NULL: the file is accepted */
};

static enum fk_status build_lie(const struct lie *l, struct tokenizer **t, struct fk_error *err)
{
    const char *tokens[] = {"a", "b", "ab", l->token ? l->token : "c"};
    const char *merges[] = {"a b", l->merge};
    int32_t types[] = {1, 1, 1, l->type ? l->type : 1, 1};
    float scores[] = {-1, -2, -3, l->score, 0};
    struct vocab_build v;
    vb_init(&v);
    if (l->model) vb_str(&v, "model", l->model);
    if (l->pre) vb_str(&v, "pre", l->pre);
    if (l->tokens_not_strings) vb_i32s(&v, "tokens", types, 4);
    else if (!l->no_tokens) vb_strs(&v, "tokens", tokens, 4);
    vb_i32s(&v, "token_type", types, (size_t)(4 + l->n_types));
    if (!l->no_scores) vb_f32s(&v, "scores", scores, (size_t)(4 + l->n_scores));
    if (!l->no_merges) vb_strs(&v, "merges", merges, l->merge ? 2 : 1);
    if (l->bos) vb_u32(&v, "bos_token_id", (uint32_t)l->bos);
    if (l->eos) vb_u32(&v, "eos_token_id", (uint32_t)l->eos);
    if (l->eog) vb_i32s(&v, "fikr.eog_token_ids", &l->eog, 1);
    if (l->charsmap) {
        vb_array(&v, "precompiled_charsmap", GGUF_U8, 8);
        vb_raw(&v, l->charsmap, 8);
    }
    return vb_done(&v, t, err);
}

/* "ab\xc4\x8a" is "ab" and a line feed; the space stands within the letter of the line feed. */
static void merges_cut_no_letter(void **state)
{
    static const char *const whole[] = {"ab\xc4\x8a", "ab\xc4\x8a" "c"};
    static const char *const cut[] = {"ab\xc4 \x8a", "ab\xc4 \x8a" "c"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *merges[] = {"a b", cut[i], "a b", "a b"};
        /* The merge's token comes behind that of the merge before, where it is tried without decoding. */
        const char *tokens[] = {"a", "b", "c", "ab", whole[i], whole[1 - i], "behind them"};
        struct tokenizer *t = NULL;
        struct fk_error err = {.message = ""};
        struct vocab_build v;
        vb_init(&v);
        vb_str(&v, "model", "gpt2");
        vb_strs(&v, "tokens", tokens, 7);
        vb_strs(&v, "merges", merges, 4);
        enum fk_status st = vb_done(&v, &t, &err);
        if (!st || !strstr(err.message, "stands for no byte")) fail_msg("case %d: status %d, '%s'", i, st, err.message);
        assert_null(t);
    }
}

static void lies_get_a_sentence(void **state)
{
    static const struct lie lies[] = {
        {.model = "gpt2"},
        {.model = "llama"},
        {.model = "t5"},
        {.want = "tokenizer.ggml.model"},
        {.model = "bert", .want = "tokenizer.ggml.model is 'bert'"},
        {.model = "gpt2", .pre = "from-afar", .want = "tokenizer.ggml.pre is 'from-afar'"},
        {.model = "gpt2", .no_tokens = true, .want = "tokenizer.ggml.tokens is missing"},
        {.model = "gpt2", .tokens_not_strings = true, .want = "no array of strings"},
        {.model = "gpt2", .no_merges = true, .want = "tokenizer.ggml.merges is missing"},
        {.model = "gpt2", .n_types = -1, .want = "token_type has 3 items for 4 tokens"},
        {.model = "gpt2", .n_types = 1, .want = "token_type has 5 items for 4 tokens"},
        {.model = "llama", .n_scores = -2, .want = "scores has 2 items for 4 tokens"},
        {.model = "llama", .no_scores = true, .want = "tokenizer.ggml.scores is missing"},
        {.model = "t5", .no_scores = true, .want = "tokenizer.ggml.scores is missing"},
        {.model = "t5", .score = (float)(1e300 * 1e300), .want = "tokenizer.ggml.scores: item 3"},
        {.model = "gpt2", .type = 7, .want = "tokenizer.ggml.token_type: item 3"},
        {.model = "gpt2", .type = -1, .want = "tokenizer.ggml.token_type: item 3"},
        {.model = "gpt2", .bos = 4, .want = "tokenizer.ggml.bos_token_id is 4, but there are 4"},
        {.model = "gpt2", .eos = 1 << 30, .want = "tokenizer.ggml.eos_token_id is 1073741824"},
        {.model = "gpt2", .eos = -1}, /* "none" as an unsigned number */
        {.model = "gpt2", .eog = 4, .want = "fikr.eog_token_ids"},
        {.model = "gpt2", .eog = -2, .want = "fikr.eog_token_ids"},
        {.model = "gpt2", .merge = "ab", .want = "tokenizer.ggml.merges: item 1 'ab' is no pair"},
        {.model = "gpt2", .merge = " ab", .want = "is no pair"},
        {.model = "gpt2", .merge = "ab ", .want = "is no pair"},
        {.model = "gpt2", .merge = "", .want = "is no pair"},
        {.model = "gpt2", .merge = "a nothing", .want = "tokenizer.ggml.merges: item 1 joins 'a'"},
        {.model = "gpt2", .merge = "b a", .want = "tokenizer.ggml.merges: item 1"},
        {.model = "gpt2", .merge = "a \xff", .want = "stands for no byte"},
        {.model = "gpt2", .merge = "a b"},
        {.model = "llama", .type = 6, .token = "<0x-1>", .want = "token 3 is marked as a byte"},
        {.model = "llama", .type = 6, .token = "<0x1>", .want = "token 3 is marked as a byte"},
        {.model = "llama", .type = 6, .token = "<0x100>", .want = "token 3 is marked as a byte"},
        {.model = "llama", .type = 6, .token = "", .want = "token 3 is marked as a byte"},
        {.model = "gpt2", .type = 6, .token = "<0x4\xff>", .want = "token 3 is marked as a byte"},
        {.model = "llama", .type = 6, .token = "<0xfF>"},
        {.model = "gpt2", .token = ""},
        {.model = "gpt2", .token = "a"},
        {.model = "gpt2", .token = "\xff\xfe\xc0"},
        {.model = "llama", .token = "\xff\xfe\xe2\x96"},
        {.model = "t5", .token = "\xff\xfe\xe2\x96"},
        {.model = "gpt2", .type = 3, .token = ""},
        {.model = "t5", .charsmap = "\xff\xff\xff\xff\0\0\0", .want = "charsmap: a trie of"},
        {.model = "t5", .charsmap = "\0\0\0\0\0\0\0", .want = "precompiled_charsmap: a trie of"},
        {.model = "t5", .charsmap = "\3\0\0\0\0\0\0", .want = "precompiled_charsmap: a trie of"},
        {.model = "t5", .charsmap = "\4\0\0\0\xff\xff\xff"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        static const char text[] = "ab c \xff <s>\xd8\xa7";
        struct tokenizer *t = NULL;
        struct token_vec ids = {0};
        struct fk_error err = {.message = ""};
        enum fk_status st = build_lie(&lies[i], &t, &err);
        if (lies[i].want) {
            if (!st || !strstr(err.message, lies[i].want))
                fail_msg("case %zu: status %d, '%s' lacks '%s'", i, st, err.message, lies[i].want);
            assert_null(t);
            continue;
        }
        if (st) fail_msg("case %zu: %s", i, err.message);
        assert_int_equal(tokenizer_encode(t, text, sizeof text - 1, NULL, &ids, &err), FK_OK);
        for (size_t k = 0; k < ids.n; k++) assert_in_range(ids.ids[k], 0, 3);
        mem_free(ids.ids);
        tokenizer_destroy(&t);
    }
}

static void too_many_tokens_are_refused(void **state)
{
    (void)state;
    struct vocab_build v;
    struct tokenizer *t;
    struct fk_error err;
    size_t n = ((size_t)1 << 24) + 1;
    vb_init(&v);
    vb_str(&v, "model", "gpt2");
    vb_array(&v, "tokens", GGUF_STRING, n);
    assert_true(buf_reserve(&v.b, n * 8));
    memset(v.b.data + v.b.n, 0, n * 8);
    v.b.n += n * 8;
    assert_int_equal(vb_done(&v, &t, &err), FK_EFORMAT);
    assert_non_null(strstr(err.message, "limit")); /* the container's own is lower */
}

#define MIB ((size_t)1 << 20)
struct job {
    const struct tokenizer *t;
    const char *text;
    size_t n;
    double seconds;
    enum fk_status st;
    struct fk_error err;
};

static void *encode_job(void *arg)
{
    struct job *j = arg;
    struct token_vec ids = {0};
    double start = clock_cpu_seconds();
    j->st = tokenizer_encode(j->t, j->text, j->n, NULL, &ids, &j->err);
    j->seconds = clock_cpu_seconds() - start;
    mem_free(ids.ids);
    return NULL;
}

/* Fills out with a pattern that was slow or fatal somewhere. */
static const char *fill(int pattern, char *out, size_t n)
{
    static const char *const units[] = {
        "Z", ".", " ", "\n", "\r\n", "中", "\xcc\x81", "\xcc\x81\xcc\x96", "\xff", "'", "'s", "7",
        "\n ", "<|en", "<", "a b", "\xd8\xa7", "😀", "Aa", "\xc2\xa0",
        "th", "ا", "\xe2\x96\x81", "🏽",
        "\xe1\x84\x80", "\xe0\xa5\x8d", "\t x"};
    if (pattern >= (int)(sizeof units / sizeof *units)) return NULL;
    size_t len = strlen(units[pattern]);
    for (size_t i = 0; i < n; i++) out[i] = units[pattern][i % len];
    if (pattern == 2) out[n - 1] = 'x'; /* spaces that end in a word */
    return units[pattern];
}

static void a_mebibyte_takes_under_a_second(void **state)
{
    static const char *const pres[] = {"qwen2", "deepseek-llm", "deepseek-v3", "gpt-4o",
                                       NULL, NULL};
    char *text = malloc(MIB);
    (void)state;
    assert_non_null(text);
    for (size_t k = 0; k < sizeof pres / sizeof *pres; k++) {
        struct tokenizer *t = NULL;
        struct fk_error err;
        enum fk_status st =
            pres[k] ? small_bpe(&t, pres[k], small_joins, N_SMALL_JOINS, &err)
                    : small_spm(&t, k & 1 ? "llama" : "t5", true, small_pieces, N_SMALL_PIECES,
                                &err);
        if (st) fail_msg("%s", err.message);
        const char *unit;
        for (int pattern = 0; (unit = fill(pattern, text, MIB)); pattern += 1 + SLOWER / 5) {
            struct job j = {.t = t, .text = text, .n = MIB};
            pthread_t thread;
            pthread_attr_t attr;
            assert_int_equal(pthread_attr_init(&attr), 0);
            assert_int_equal(pthread_attr_setstacksize(&attr, STACK_BYTES), 0);
            assert_int_equal(pthread_create(&thread, &attr, encode_job, &j), 0);
            pthread_join(thread, NULL);
            pthread_attr_destroy(&attr);
            if (j.st) fail_msg("%s, '%s': %s", pres[k] ? pres[k] : "sp", unit, j.err.message);
            if (j.seconds > SLOWER)
                fail_msg("%s, '%s': %.2f s", pres[k] ? pres[k] : "sp", unit, j.seconds);
        }
        tokenizer_destroy(&t);
    }
    free(text);
}

static void the_length_of_text_is_limited(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    struct fk_error err;
    struct token_vec ids = {0};
    assert_int_equal(small_bpe(&t, "gpt-2", small_joins, N_SMALL_JOINS, &err), FK_OK);
    assert_int_equal(tokenizer_encode(t, "", (size_t)INT_MAX, NULL, &ids, &err), FK_ETOOBIG);
    tokenizer_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_cut_no_letter), cmocka_unit_test(lies_get_a_sentence),
        cmocka_unit_test(too_many_tokens_are_refused),
        cmocka_unit_test(a_mebibyte_takes_under_a_second),
        cmocka_unit_test(the_length_of_text_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
