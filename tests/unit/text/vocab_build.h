/* SPDX-License-Identifier: Apache-2.0
 * vocab_build.h - GGUF files of keys only, made in memory: honest small vocabularies and files that
 * lie. For tests and fuzzers. */
#ifndef TESTS_VOCAB_BUILD_H
#define TESTS_VOCAB_BUILD_H
#include <stdint.h>
#include <string.h>
#include "src/base/buf.h"
#include "src/text/tokenizer.h"

struct vocab_build { struct buf b; };

static inline void vb_raw(struct vocab_build *v, const void *p, size_t n)
{
    buf_append(&v->b, p, n);
}

static inline void vb_word(struct vocab_build *v, uint64_t x, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) buf_putc(&v->b, (char)(x >> 8 * i));
}

static inline void vb_string(struct vocab_build *v, const char *s, size_t n)
{
    vb_word(v, n, 8);
    vb_raw(v, s, n);
}

static inline void vb_key(struct vocab_build *v, const char *key, uint32_t type)
{
    char full[128] = "tokenizer.ggml.";
    uint64_t n_keys;
    strncat(full, key, sizeof full - 20);
    if (!strncmp(key, "fikr.", 5)) strcpy(full, key);
    vb_string(v, full, strlen(full));
    vb_word(v, type, 4);
    if (v->b.failed) return;
    memcpy(&n_keys, v->b.data + 16, 8);
    n_keys++;
    memcpy(v->b.data + 16, &n_keys, 8);
}

static inline void vb_init(struct vocab_build *v)
{
    buf_init(&v->b, 0, MEM_MISC);
    vb_raw(v, "GGUF", 4);
    vb_word(v, 3, 4);
    vb_word(v, 0, 8);
    vb_word(v, 0, 8);
}

static inline void vb_str(struct vocab_build *v, const char *key, const char *s)
{
    vb_key(v, key, GGUF_STRING);
    vb_string(v, s, strlen(s));
}

static inline void vb_u32(struct vocab_build *v, const char *key, uint32_t x)
{
    vb_key(v, key, GGUF_U32);
    vb_word(v, x, 4);
}

static inline void vb_bool(struct vocab_build *v, const char *key, bool x)
{
    vb_key(v, key, GGUF_BOOL);
    vb_word(v, x, 1);
}

static inline void vb_array(struct vocab_build *v, const char *key, enum gguf_type item, size_t n)
{
    vb_key(v, key, GGUF_ARRAY);
    vb_word(v, item, 4);
    vb_word(v, n, 8);
}

static inline void vb_strs(struct vocab_build *v, const char *key, const char *const *s, size_t n)
{
    vb_array(v, key, GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) vb_string(v, s[i], strlen(s[i]));
}

static inline void vb_i32s(struct vocab_build *v, const char *key, const int32_t *x, size_t n)
{
    vb_array(v, key, GGUF_I32, n);
    for (size_t i = 0; i < n; i++) vb_word(v, (uint32_t)x[i], 4);
}

static inline void vb_f32s(struct vocab_build *v, const char *key, const float *x, size_t n)
{
    vb_array(v, key, GGUF_F32, n);
    vb_raw(v, x, n * sizeof *x);
}

/* Builds the tokenizer and lets go of the bytes. */
static inline enum fk_status vb_done(struct vocab_build *v, struct tokenizer **t,
                                     struct fk_error *err)
{
    struct gguf *g = NULL;
    enum fk_status st = FK_ENOMEM;
    *t = NULL;
    if (!v->b.failed) st = gguf_parse(&g, v->b.data, v->b.n, "test", err);
    if (!st) st = tokenizer_from_gguf(t, g, err);
    gguf_close(&g);
    buf_fini(&v->b);
    return st;
}

/* The 256 letters of the GPT-2 alphabet, by byte. */
static inline void gpt2_letter(int byte, char out[3])
{
    int cp = byte;
    if (byte <= 32) cp = 256 + byte;
    else if (byte >= 127 && byte <= 160) cp = 256 + 33 + byte - 127;
    else if (byte == 173) cp = 256 + 67;
    if (cp < 128) {
        out[0] = (char)cp;
        out[1] = 0;
    } else {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 63));
        out[2] = 0;
    }
}

/* A byte-level BPE of the 256 bytes, `joins` ("l|o" pairs of decoded printable tokens) and
 * specials: <|end|> control, <think> user-defined, "  " user-defined. */
#define SMALL_SPECIALS 3
static inline enum fk_status small_bpe(struct tokenizer **t, const char *pre,
                                       const char *const *joins, size_t n_joins,
                                       struct fk_error *err)
{
    struct vocab_build v;
    int32_t types[256 + 64 + SMALL_SPECIALS];
    size_t n = 256 + n_joins + SMALL_SPECIALS;
    vb_init(&v);
    vb_str(&v, "model", "gpt2");
    vb_str(&v, "pre", pre);
    vb_array(&v, "tokens", GGUF_STRING, n);
    for (int i = 0; i < 256; i++) {
        char letter[3];
        gpt2_letter(i, letter);
        vb_string(&v, letter, strlen(letter));
    }
    for (size_t i = 0; i < n_joins; i++) {
        char whole[32];
        size_t cut = strcspn(joins[i] + 1, " ") + 1, len = strlen(joins[i]);
        memcpy(whole, joins[i], cut);
        memcpy(whole + cut, joins[i] + cut + 1, len - cut - 1);
        vb_string(&v, whole, len - 1);
    }
    vb_string(&v, "<|end|>", 7);
    vb_string(&v, "<think>", 7);
    vb_string(&v, "  ", 2);
    for (size_t i = 0; i < n; i++) types[i] = 1;
    types[n - 3] = 3;
    types[n - 2] = types[n - 1] = 4;
    vb_i32s(&v, "token_type", types, n);
    vb_strs(&v, "merges", joins, n_joins);
    return vb_done(&v, t, err);
}

/* SentencePiece BPE ("llama") or unigram ("t5"): <unk>, <s>, </s>, 256 byte tokens, pieces with
 * scores -1, -2, ... */
static inline enum fk_status small_spm(struct tokenizer **t, const char *model, bool prefix,
                                       const char *const *pieces, size_t n_pieces,
                                       struct fk_error *err)
{
    struct vocab_build v;
    int32_t types[3 + 256 + 64];
    float scores[3 + 256 + 64];
    size_t n = 3 + 256 + n_pieces;
    vb_init(&v);
    vb_str(&v, "model", model);
    vb_array(&v, "tokens", GGUF_STRING, n);
    vb_string(&v, "<unk>", 5);
    vb_string(&v, "<s>", 3);
    vb_string(&v, "</s>", 4);
    for (int i = 0; i < 256; i++) {
        static const char hex[] = "0123456789ABCDEF";
        char text[7] = {'<', '0', 'x', hex[i >> 4], hex[i & 15], '>', 0};
        vb_string(&v, text, 6);
    }
    for (size_t i = 0; i < n_pieces; i++) vb_string(&v, pieces[i], strlen(pieces[i]));
    for (size_t i = 0; i < n; i++) {
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
        scores[i] = i < 259 ? 0 : -1 - (float)(i - 259);
    }
    vb_i32s(&v, "token_type", types, n);
    vb_f32s(&v, "scores", scores, n);
    vb_u32(&v, "bos_token_id", 1);
    vb_u32(&v, "eos_token_id", 2);
    vb_u32(&v, "unknown_token_id", 0);
    vb_bool(&v, "add_space_prefix", prefix);
    vb_bool(&v, "add_eos_token", false);
    return vb_done(&v, t, err);
}

static const char *const small_joins[] = {
    "t h", "th e", "i n", "Ġ the", "l l", "h e", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "Ġwor l",
    "Ġworl d", "Z Z", "ZZ ZZ", "ZZZZ ZZZZ", "Ġ Ġ", "ĠĠ ĠĠ", "Ø §", "Ù Ħ", "Ø§ ÙĦ",
    "ä ¸", "ä¸ Ń", ". .", ".. .", "1 2", "12 3", "' s", "Ċ Ċ", "ð Ł", "ðŁ ĺ", "ðŁĺ Ģ", "Ì ģ"};
#define N_SMALL_JOINS (sizeof small_joins / sizeof *small_joins)

static const char *const small_pieces[] = {
    "▁the", "▁th", "he", "▁t", "in", "ll", "el", "▁w", "or", "▁wor", "ld", "▁world", "▁hello",
    "ello", "▁h", "ZZ", "ZZZZ", "ZZZZZZZZ", "▁▁", "▁▁▁▁", "ال", "مر", "中", "文", "中文", "..", "...",
    "12", "▁", "e", "t", "a", "o", "i", "n", "s", "h", "r", "d", "l", "w", "Z", ".", "1", "2", "ا",
    "ل", "م", "ر", "😀", "é"};
#define N_SMALL_PIECES (sizeof small_pieces / sizeof *small_pieces)

#endif
