/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.h - text to ids and back, for the three published kinds: byte-level BPE (GPT-2 and its
 * line), SentencePiece-style BPE with byte fallback (Llama 2, Gemma) and unigram.
 *
 * Built once from a file's vocabulary, immutable afterwards. Encoding is O(n log n) at worst, uses no
 * recursion on input and bounded stack. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H
#include <stdbool.h>
#include "src/base/buf.h"
#include "src/file/gguf.h"

struct tokenizer;

/* From a GGUF file's tokenizer.ggml.* keys. */
enum fk_status tokenizer_from_gguf(struct tokenizer **out, const struct gguf *g,
                                   struct fk_error *err);
void tokenizer_destroy(struct tokenizer **t);

struct token_vec { int32_t *ids; size_t n, cap; }; /* mem_free(ids); start from zeros */
bool token_vec_push(struct token_vec *v, int32_t id);

/* Appends the ids of text. trusted is NULL (nothing is) or one byte per byte of text: special tokens
 * are recognised only where every byte of theirs is trusted (nonzero). */
enum fk_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t n,
                                const uint8_t *trusted, struct token_vec *out,
                                struct fk_error *err);

int32_t tokenizer_n_vocab(const struct tokenizer *t);
int32_t tokenizer_bos(const struct tokenizer *t); /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t);
bool tokenizer_adds_bos(const struct tokenizer *t);
bool tokenizer_adds_eos(const struct tokenizer *t);
bool tokenizer_is_end(const struct tokenizer *t, int32_t id);     /* end of generation set */
bool tokenizer_is_control(const struct tokenizer *t, int32_t id);
int32_t tokenizer_find(const struct tokenizer *t, const char *text); /* exact token text, -1: none */

/* The bytes a token stands for in text (control tokens: their name). Valid for t's life. */
bool tokenizer_token_bytes(const struct tokenizer *t, int32_t id, const char **bytes, size_t *n);

/* Decoding a stream: SentencePiece's first space and byte pieces need state. */
struct detokenizer {
    const struct tokenizer *t;
    bool started, special; /* special: control tokens show their names */
};
void detokenizer_init(struct detokenizer *d, const struct tokenizer *t, bool special);
/* Appends the bytes of id: raw, perhaps half a character (text/stream.h holds those back). */
bool detokenizer_push(struct detokenizer *d, int32_t id, struct buf *out);

#endif
