/* SPDX-License-Identifier: Apache-2.0
 * vocab_test.c - vocabularies: tokenizer.json of both kinds, tokenizer.model, special tokens, templates,
 * pre-tokenizer names; there and back; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "src/base/alloc.h"
#include "src/convert/vocab_in.h"
#include "tests/unit/convert/tiny.h"

static char dir[] = "/tmp/fikr-vocab-XXXXXX";
static char out[64];

/* Reads the folder's vocabulary and writes it to a GGUF file of its own. */
static struct gguf *through(size_t n_vocab)
{
    struct vocab_in v;
    struct gguf_writer *w;
    struct gguf *g;
    struct fk_error err = {.message = ""};
    if (vocab_in_read(&v, dir, n_vocab, &err) != FK_OK) fail_msg("%s", err.message);
    assert_int_equal(gguf_writer_create(&w, 32, &err), FK_OK);
    vocab_in_put(&v, w);
    assert_int_equal(gguf_writer_write(w, out, NULL, NULL, &err), FK_OK);
    gguf_writer_destroy(&w);
    vocab_in_fini(&v);
    assert_int_equal(gguf_open(&g, out, &err), FK_OK);
    unlink(out);
    return g;
}

static void refuse(size_t n_vocab, const char *sentence)
{
    struct vocab_in v;
    struct fk_error err = {.message = ""};
    enum fk_status st = vocab_in_read(&v, dir, n_vocab, &err);
    vocab_in_fini(&v);
    assert_int_not_equal(st, FK_OK);
    if (!strstr(err.message, sentence)) fail_msg("\"%s\" lacks \"%s\"", err.message, sentence);
}

static void expect(const struct gguf *g, const char *key, const char *text)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) fail_msg("no key %s", key);
    char *got = gguf_value_text(g, kv);
    if (strcmp(got, text) != 0) fail_msg("%s is \"%s\", not \"%s\"", key, got, text);
    mem_free(got);
}

static void expect_token(const struct gguf *g, int id, const char *text, int type)
{
    struct gguf_str s;
    int64_t t = 0;
    assert_true(gguf_item_str(g, gguf_find(g, "tokenizer.ggml.tokens"), (uint64_t)id, &s));
    assert_true(gguf_item_int(gguf_find(g, "tokenizer.ggml.token_type"), (uint64_t)id, &t));
    if (s.n != strlen(text) || memcmp(s.p, text, s.n) != 0)
        fail_msg("token %d is '%.*s', not '%s'", id, (int)s.n, s.p, text);
    assert_int_equal(t, type);
}

static void byte_level(void **state)
{
    (void)state;
    tiny_clear(dir);
    tiny_vocab(dir);
    struct gguf *g = through(12);
    expect(g, "tokenizer.ggml.model", "gpt2");
    expect(g, "tokenizer.ggml.pre", "qwen2");
    expect_token(g, 0, "<|begin|>", TOKEN_CONTROL);
    expect_token(g, 5, "\"", TOKEN_NORMAL);
    expect_token(g, 6, "\xc4\xa0" "a", TOKEN_NORMAL);
    expect_token(g, 7, "\xf0\x9f\x98\x80", TOKEN_NORMAL);
    expect_token(g, 8, "<tool>", TOKEN_USER_DEFINED);
    expect_token(g, 9, "<|im_end|>", TOKEN_CONTROL); /* says it is none, but looks like one */
    expect_token(g, 10, "[PAD10]", TOKEN_UNUSED);
    expect_token(g, 11, "[PAD11]", TOKEN_UNUSED);
    expect(g, "tokenizer.ggml.merges", "[2] a b, \xc4\xa0 a");
    expect(g, "tokenizer.ggml.bos_token_id", "0");
    expect(g, "tokenizer.ggml.eos_token_id", "8");
    expect(g, "tokenizer.ggml.eot_token_id", "9");
    expect(g, "fikr.eog_token_ids", "[2] 8, 9");
    expect(g, "tokenizer.ggml.add_bos_token", "true");
    expect(g, "tokenizer.chat_template", "D");
    expect(g, "tokenizer.chat_template.tool_use", "T");
    expect(g, "tokenizer.chat_templates", "[1] tool_use");
    assert_null(gguf_find(g, "tokenizer.ggml.scores"));
    gguf_close(&g);
    tiny_put(dir, "chat_template.jinja", "file\n");
    g = through(12);
    expect(g, "tokenizer.chat_template", "file\n");
    gguf_close(&g);
}

static void spaces_in_merges(void **state)
{
    (void)state;
    tiny_clear(dir);
    tiny_put(dir, "tokenizer.json",
             "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\","
             "\"vocab\":{\"a\":0,\" b\":1,\"a b\":2},\"merges\":[[\"a\",\" b\"]]}}");
    struct gguf *g = through(3);
    expect(g, "tokenizer.ggml.merges", "[1] a \xc4\xa0" "b");
    expect(g, "tokenizer.ggml.pre", "gpt-2");
    gguf_close(&g);
}

#define SPM_JSON                                                                                   \
    "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true},{\"id\":1,\"content\":\"<s>\","\
    "\"special\":true},{\"id\":8,\"content\":\"\xe2\x96\x81\xe2\x96\x81x\",\"special\":false}],"   \
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"_\"}]},"\
    "\"pre_tokenizer\":null,\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["      \
    "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]},"\
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"byte_fallback\":true,\"vocab\":{"       \
    "\"<unk>\":0,\"<s>\":1,\"<0x0A>\":2,\"a\":3,\"b\":4,\"ab\":5,\"aba\":6,\"c\":7},"              \
    "\"merges\":[\"a b\",\"ab a\",\"b c\"]}}"

static void sentencepiece_json(void **state)
{
    (void)state;
    tiny_clear(dir);
    tiny_put(dir, "tokenizer.json", SPM_JSON);
    refuse(9, "merge 2 makes 'bc', which is no token");
}

static void sentencepiece_scores(void **state)
{
    (void)state;
    char text[2048];
    tiny_clear(dir);
    snprintf(text, sizeof text, "%s", SPM_JSON);
    char *last = strstr(text, ",\"b c\"");
    assert_non_null(last);
    memmove(last, last + 6, strlen(last + 6) + 1);
    tiny_put(dir, "tokenizer.json", text);
    struct gguf *g = through(9);
    expect(g, "tokenizer.ggml.model", "llama");
    expect(g, "tokenizer.ggml.pre", "default");
    expect_token(g, 0, "<unk>", TOKEN_CONTROL);
    expect_token(g, 2, "<0x0A>", TOKEN_BYTE);
    expect_token(g, 5, "ab", TOKEN_NORMAL);
    expect_token(g, 8, "  x", TOKEN_USER_DEFINED);
    expect(g, "tokenizer.ggml.scores", "[9] -1000, -1000, -1e+06, -1e+06, -1e+06, 0, -1, -1e+06, ...");
    expect(g, "tokenizer.ggml.add_bos_token", "true");
    expect(g, "tokenizer.ggml.add_space_prefix", "true");
    gguf_close(&g);
}

/* pieces <unk> (2), <s> (3), a -0.5 (1), <0x00> (6); trainer BPE; normalizer without a space */
static const char model_bytes[] =
    "\x0a\x09\x0a\x05<unk>\x18\x02" "\x0a\x07\x0a\x03<s>\x18\x03" "\x0a\x08\x0a\x01" "a\x15\x00\x00\x00\xbf"
    "\x0a\x0a\x0a\x06<0x00>\x18\x06" "\x12\x02\x18\x02" "\x1a\x02\x18\x00";

static void put_model(size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/tokenizer.model", dir);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(model_bytes, 1, n, f), n);
    fclose(f);
}

static void sentencepiece_model(void **state)
{
    (void)state;
    tiny_clear(dir);
    put_model(sizeof model_bytes - 1);
    tiny_put(dir, "tokenizer_config.json",
             "{\"added_tokens_decoder\":{\"1\":{\"content\":\"<s>\",\"special\":true},"
             "\"4\":{\"content\":\"[X]\",\"special\":false}},\"bos_token\":\"<s>\",\"unk_token\":\"<unk>\"}");
    struct gguf *g = through(5);
    expect(g, "tokenizer.ggml.model", "llama");
    expect_token(g, 0, "<unk>", TOKEN_UNKNOWN);
    expect_token(g, 1, "<s>", TOKEN_CONTROL);
    expect_token(g, 2, "a", TOKEN_NORMAL);
    expect_token(g, 3, "<0x00>", TOKEN_BYTE);
    expect_token(g, 4, "[X]", TOKEN_USER_DEFINED);
    expect(g, "tokenizer.ggml.scores", "[5] 0, -1000, -0.5, 0, -1000");
    expect(g, "tokenizer.ggml.unknown_token_id", "0");
    expect(g, "tokenizer.ggml.add_space_prefix", "false");
    gguf_close(&g);
    for (size_t n = 1; n < sizeof model_bytes - 1; n++) { /* cut anywhere: refused or shorter, no crash */
        struct vocab_in v;
        struct fk_error err;
        put_model(n);
        vocab_in_read(&v, dir, 5, &err);
        vocab_in_fini(&v);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct { const char *json, *sentence; } bad[] = {
        {"{", "byte 1: expected ',' or '}'"},
        {"{\"model\":{}}", "model.vocab is missing"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", "model.type is \"WordPiece\""},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}},\"pre_tokenizer\":{\"type\":\"Split\","
         "\"pattern\":{\"Regex\":\"x\"}}}", "pre_tokenizer is none of the published ones"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":3}},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
         "token 'a' has id 3, the embedding has 3 rows"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1,\"b\":1}},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
         "id 1 stands for 'a' and for 'b'"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1}},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
         "expected a token id"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"ab\"]},\"pre_tokenizer\":"
         "{\"type\":\"ByteLevel\"}}", "expected two tokens with a space between"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[1]},\"pre_tokenizer\":"
         "{\"type\":\"ByteLevel\"}}", "expected a merge"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\ud800\":0}},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
         "an escape that is no character"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}},\"added_tokens\":[{\"id\":9,\"content\":\"x\"}],"
         "\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", "added token 'x' has id 9, the embedding has 3 rows"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1}},\"added_tokens\":[{\"id\":2,"
         "\"content\":\"b\"}],\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", "tokens 1 and 2 are both 'b'"},
    };
    tiny_clear(dir);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tiny_put(dir, "tokenizer.json", bad[i].json);
        refuse(3, bad[i].sentence);
    }
    tiny_clear(dir);
    tiny_vocab(dir);
    tiny_put(dir, "tokenizer_config.json", "[]");
    refuse(12, "tokenizer_config.json: line 1: no JSON object");
}

static void no_vocabulary(void **state)
{
    (void)state;
    tiny_clear(dir);
    struct gguf *g = through(10);
    assert_int_equal(gguf_n_kv(g), 0);
    gguf_close(&g);
}

/* Every name that can be written is found again in what was written. */
static void pre_names(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-bpe", "dbrx", "qwen2", "deepseek-r1-qwen", "deepseek-v3",
                                        "gpt-4o", "tekken", "smollm", "olmo", "gpt-2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool nfc, ignore;
        json_t *pre = pre_of_name((struct gguf_str){names[i], strlen(names[i])}, &nfc, &ignore);
        if (!pre) fail_msg("%s has no pattern", names[i]);
        json_t *normalizer = nfc ? json_pack("{s:s}", "type", "NFC") : NULL;
        const char *found = pre_name_of(pre, normalizer, ignore);
        assert_non_null(found);
        assert_string_equal(found, names[i]);
        json_decref(normalizer);
        json_decref(pre);
    }
    bool nfc, ignore;
    assert_null(pre_of_name((struct gguf_str){"deepseek-llm", 12}, &nfc, &ignore));
    json_t *coder = json_pack("{s:s, s:[{s:s, s:{s:s}}, {s:s, s:{s:s}}, {s:s}]}", "type", "Sequence",
                              "pretokenizers", "type", "Split", "pattern", "Regex", "[\r\n]", "type", "Split",
                              "pattern", "Regex", "\\s?\\p{L}+", "type", "Whatever");
    assert_string_equal(pre_name_of(coder, NULL, false), "deepseek-coder");
    json_decref(coder);
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    snprintf(out, sizeof out, "%s.gguf", dir);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level),           cmocka_unit_test(spaces_in_merges),
        cmocka_unit_test(sentencepiece_json),   cmocka_unit_test(sentencepiece_scores),
        cmocka_unit_test(sentencepiece_model),  cmocka_unit_test(refuses),
        cmocka_unit_test(no_vocabulary),        cmocka_unit_test(pre_names),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    tiny_clear(dir);
    rmdir(dir);
    return rc;
}
