/* SPDX-License-Identifier: Apache-2.0
 * fuzz_vocab.c - any vocabulary: refused with a sentence, or it encodes and decodes without harm.
 * Input that begins with "GGUF" is taken as a file; other bytes describe a vocabulary (see
 * describe), which gets further than files that are broken at random. */
#include <string.h>
#include "tests/fuzz/fuzz.h"
#include "tests/unit/text/vocab_build.h"

static const char sample[] =
    "Hello the world!  12345 ZZZZZZZZZ <|end|></s> "
    "\xd8\xa7\xd9\x84\xd8\xb9 \xe4\xb8\xad\xe6\x96\x87"
    "\xf0\x9f\x98\x80 a\xcc\x81 \xff\xfe\n\n\r\n\t  \xe2\x96\x81x 's 'LL ...";

struct reader { const uint8_t *p; size_t n; };

static unsigned take(struct reader *r)
{
    if (!r->n) return 0;
    r->n--;
    return *r->p++;
}

static void take_string(struct reader *r, struct vocab_build *v, unsigned cap)
{
    unsigned len = take(r) % cap;
    if (len > r->n) len = (unsigned)r->n;
    vb_string(v, (const char *)r->p, len);
    r->p += len;
    r->n -= len;
}

/* kind, pre, options, ids, then tokens and merges; the alphabet is put in on request. */
static void describe(struct reader *r, struct vocab_build *v)
{
    static const char *const models[] = {"gpt2", "llama", "t5", "gemma4", "bert"};
    static const char *const pres[] = {"default", "llama-bpe", "deepseek-v3", "qwen2", "?"};
    unsigned model = take(r) % 5, options = take(r), n = take(r) % 64, n_merges = take(r) % 32;
    bool alphabet = options & 1;
    size_t n_tokens = n + (alphabet ? 256 : 0);
    vb_str(v, "model", models[model]);
    vb_str(v, "pre", pres[take(r) % 5]);
    vb_array(v, "tokens", GGUF_STRING, n_tokens);
    for (int i = 0; alphabet && i < 256; i++) {
        char letter[8];
        gpt2_letter(i, letter);
        if (model == 1 || model == 2) snprintf(letter, sizeof letter, "<0x%02X>", (unsigned)i);
        vb_string(v, letter, strlen(letter));
    }
    for (unsigned i = 0; i < n; i++) take_string(r, v, 24);
    size_t n_types = n_tokens && options & 32 ? n_tokens - 1 : n_tokens;
    vb_array(v, "token_type", GGUF_I32, n_types);
    for (size_t i = 0; i < n_types; i++)
        vb_word(v, i + n < n_tokens ? (model == 1 || model == 2 ? 6 : 1) : take(r) % 8, 4);
    vb_array(v, "scores", GGUF_F32, n_tokens);
    for (size_t i = 0; i < n_tokens; i++) {
        float score = i + n < n_tokens ? 0 : -(float)take(r);
        vb_raw(v, &score, 4);
    }
    vb_array(v, "merges", GGUF_STRING, n_merges);
    for (unsigned i = 0; i < n_merges; i++) take_string(r, v, 32);
    if (options & 2) vb_u32(v, "bos_token_id", take(r));
    if (options & 4) vb_u32(v, "eos_token_id", take(r));
    if (options & 8) vb_u32(v, "unknown_token_id", take(r));
    if (options & 16) vb_bool(v, "remove_extra_whitespaces", take(r) & 1);
    if (options & 64) vb_bool(v, "add_space_prefix", take(r) & 1);
    if (options & 128) {
        size_t bytes = r->n < 4096 ? r->n : 4096;
        vb_array(v, "precompiled_charsmap", GGUF_U8, bytes);
        vb_raw(v, r->p, bytes);
    }
}

static void use(const struct tokenizer *t, const char *s, size_t n, const uint8_t *trusted)
{
    struct token_vec ids = {0};
    struct fk_error err = {.message = ""};
    struct detokenizer d;
    struct buf back;
    buf_init(&back, 0, MEM_MISC);
    enum fk_status st = tokenizer_encode(t, s, n, trusted, &ids, &err);
    MUST(st == FK_OK || err.message[0]);
    detokenizer_init(&d, t, true);
    for (size_t i = 0; i < ids.n; i++) {
        const char *bytes;
        size_t len;
        MUST(tokenizer_token_bytes(t, ids.ids[i], &bytes, &len));
        detokenizer_push(&d, ids.ids[i], &back);
    }
    tokenizer_is_end(t, ids.n ? ids.ids[0] : -1);
    tokenizer_find(t, "<|end|>");
    mem_free(ids.ids);
    buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fk_error err = {.message = ""};
    struct tokenizer *t = NULL;
    struct vocab_build v;
    struct reader r = {data, n};
    if (n >= 4 && !memcmp(data, "GGUF", 4)) {
        buf_init(&v.b, 0, MEM_MISC);
        vb_raw(&v, data, n);
    } else {
        vb_init(&v);
        describe(&r, &v);
    }
    bool complete = !v.b.failed;
    enum fk_status st = vb_done(&v, &t, &err);
    MUST(!st == !!t);
    if (st) {
        MUST(err.message[0] || !complete);
        return 0;
    }
    uint8_t marks[sizeof sample];
    memset(marks, 1, sizeof marks);
    use(t, sample, sizeof sample - 1, NULL);
    use(t, sample, sizeof sample - 1, marks);
    use(t, (const char *)data, n, NULL);
    MUST(tokenizer_bos(t) < tokenizer_n_vocab(t) && tokenizer_eos(t) < tokenizer_n_vocab(t));
    tokenizer_destroy(&t);
    return 0;
}
