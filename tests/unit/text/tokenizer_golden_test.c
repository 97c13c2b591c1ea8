/* SPDX-License-Identifier: Apache-2.0
 * tokenizer_golden_test.c - ids equal to the reference implementations, on tiny vocabularies that
 * tools/make_tokenizer_goldens.py trained, and on SmolLM2's where FIKR_SMOLLM2 names its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "src/base/map.h"
#include "tests/unit/text/vocab_build.h"

static char *read_golden(const char *name, size_t *n)
{
    char path[600], *data = NULL;
    struct fk_error err;
    snprintf(path, sizeof path, "%s/%s", getenv("FIKR_TOKENIZER_GOLDEN"), name);
    if (file_read(path, 1 << 20, &data, n, &err)) fail_msg("%s", err.message);
    return data;
}

/* Decodes one line of hexadecimal into out and returns what follows the line. */
static const char *take_text(const char *line, struct buf *out)
{
    buf_clear(out);
    for (; *line && *line != '\n'; line += 2) {
        unsigned byte = 0;
        assert_int_equal(sscanf(line, "%2x", &byte), 1);
        buf_putc(out, (char)byte);
    }
    return *line ? line + 1 : line;
}

/* Compares ids with one line of numbers and returns what follows it. */
static const char *check_line(const char *name, int i_line, const char *line,
                              const struct token_vec *ids)
{
    size_t k = 0;
    for (; *line && *line != '\n'; k++) {
        char *end;
        long want = strtol(line, &end, 10);
        if (k >= ids->n || ids->ids[k] != want)
            fail_msg("%s: text %d, id %zu is %d, not %ld", name, i_line, k,
                     k < ids->n ? (int)ids->ids[k] : -1, want);
        line = end + strspn(end, " ");
    }
    if (k != ids->n) fail_msg("%s: text %d has %zu ids, not %zu", name, i_line, ids->n, k);
    return *line ? line + 1 : line;
}

static void check_ids(const struct tokenizer *t, const char *name, bool round_trips)
{
    char file[64];
    size_t n_texts, n_ids;
    snprintf(file, sizeof file, "%s.ids", name);
    char *texts = read_golden("texts.txt", &n_texts), *want = read_golden(file, &n_ids);
    const char *text = texts, *line = want;
    struct buf s, back;
    buf_init(&s, 0, MEM_MISC);
    buf_init(&back, 0, MEM_MISC);
    int n = 0;
    for (; *text; n++) {
        struct token_vec ids = {0};
        struct fk_error err;
        struct detokenizer d;
        text = take_text(text, &s);
        assert_int_equal(tokenizer_encode(t, s.data, s.n, NULL, &ids, &err), FK_OK);
        line = check_line(name, n, line, &ids);
        buf_clear(&back);
        detokenizer_init(&d, t, true);
        for (size_t i = 0; i < ids.n; i++) assert_true(detokenizer_push(&d, ids.ids[i], &back));
        if (round_trips) {
            assert_int_equal(back.n, s.n);
            assert_memory_equal(back.data, s.data, s.n);
        }
        mem_free(ids.ids);
    }
    assert_true(n > 70 && !*line);
    buf_fini(&s);
    buf_fini(&back);
    mem_free(texts);
    mem_free(want);
}

static struct tokenizer *open_golden(const char *file, const char *pre)
{
    struct vocab_build v;
    struct tokenizer *t = NULL;
    struct fk_error err;
    size_t n;
    char *data = read_golden(file, &n);
    buf_init(&v.b, 0, MEM_MISC);
    vb_raw(&v, data, n);
    mem_free(data);
    if (pre) vb_str(&v, "pre", pre);
    if (vb_done(&v, &t, &err)) fail_msg("%s", err.message);
    return t;
}

static void every_pre_tokenizer_splits_as_published(void **state)
{
    static const char *const pres[] = {"gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35",
                                       "deepseek-llm", "deepseek-coder", "deepseek-v3", "gpt-4o",
                                       "tekken", "falcon"};
    (void)state;
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++) {
        struct tokenizer *t = open_golden("bpe.gguf", pres[i]);
        check_ids(t, pres[i], strncmp(pres[i], "qwen", 4) != 0); /* Qwen normalises to NFC */
        tokenizer_destroy(&t);
    }
}

static void sentencepiece_bpe_is_equal(void **state)
{
    (void)state;
    struct tokenizer *t = open_golden("spm-prefix.gguf", NULL);
    check_ids(t, "spm-prefix", false); /* one text has U+2581, which reads as a space */
    tokenizer_destroy(&t);
    t = open_golden("spm-plain.gguf", NULL);
    check_ids(t, "spm-plain", false);
    tokenizer_destroy(&t);
}

static void unigram_is_equal(void **state)
{
    (void)state;
    struct tokenizer *t = open_golden("unigram.gguf", NULL);
    check_ids(t, "unigram", false);
    tokenizer_destroy(&t);
}

static void smollm2_is_equal(void **state)
{
    (void)state;
    const char *path = getenv("FIKR_SMOLLM2");
    struct gguf *g = NULL;
    struct tokenizer *t = NULL;
    struct fk_error err;
    if (!path || !*path) {
        print_message("FIKR_SMOLLM2 names no file\n");
        skip();
    }
    if (gguf_open(&g, path, &err) || tokenizer_from_gguf(&t, g, &err)) fail_msg("%s", err.message);
    gguf_close(&g);
    assert_int_equal(tokenizer_n_vocab(t), 49152);
    assert_int_equal(tokenizer_find(t, "<|im_end|>"), 2);
    assert_true(tokenizer_is_end(t, 2));
    check_ids(t, "smollm2", false); /* it has no tokens for some control characters */
    tokenizer_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pre_tokenizer_splits_as_published),
        cmocka_unit_test(sentencepiece_bpe_is_equal),
        cmocka_unit_test(unigram_is_equal),
        cmocka_unit_test(smollm2_is_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
