/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.h - text to ids and back, for the three published kinds: byte-level BPE (GPT-2 and its
 * line), SentencePiece-style BPE with byte fallback (Llama 2, Gemma) and unigram.
 *
 * Built once from a file's vocabulary, immutable afterwards, so any number of threads may use one;
 * the file may be closed. Encoding is O(n log n) at worst, recurses on nothing and needs under 64
 * KiB of stack.
 *
 * Bytes that are no UTF-8 become byte tokens; what a vocabulary has no token for is left out, or
 * becomes its unknown token, as in the reference implementations.
 *
 * Special tokens and trust. Control tokens are matched only where every byte is trusted. So are
 * user-defined ones whose text looks like a tag ("<think>", "<|User|>", "[PAD1]", anything with
 * "<|", "|>" or U+FF5C): the reference would take them from anybody's text, but then a user could
 * close the model's thinking by writing so. Other user-defined tokens (runs of spaces, letters)
 * match everywhere. */
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

/* Appends the ids of text, without BOS or EOS. trusted is NULL (nothing is) or one byte per byte of
 * text: special tokens are recognised only where every byte of theirs is trusted (nonzero). On
 * failure out is as it was. Text may have 1 GiB. */
enum fk_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t n,
                                const uint8_t *trusted, struct token_vec *out,
                                struct fk_error *err);

int32_t tokenizer_n_vocab(const struct tokenizer *t);
int32_t tokenizer_bos(const struct tokenizer *t); /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t);
bool tokenizer_adds_bos(const struct tokenizer *t);
bool tokenizer_adds_eos(const struct tokenizer *t);
bool tokenizer_is_end(const struct tokenizer *t, int32_t id);     /* end of generation set */
bool tokenizer_is_control(const struct tokenizer *t, int32_t id); /* or unknown: has no text */
/* The token with exactly these bytes (as tokenizer_token_bytes gives them), special or not; -1:
 * none. */
int32_t tokenizer_find(const struct tokenizer *t, const char *text);

/* The bytes a token stands for in text (control tokens: their name; SentencePiece's U+2581 is a
 * space). Not NUL-terminated, perhaps a part of a character. Valid for t's life. */
bool tokenizer_token_bytes(const struct tokenizer *t, int32_t id, const char **bytes, size_t *n);

/* Decoding a stream: SentencePiece puts a space before a text, which decoding takes away again. To
 * go on with a text that began elsewhere set started. */
struct detokenizer {
    const struct tokenizer *t;
    bool started, special; /* special: control tokens show their names */
};
void detokenizer_init(struct detokenizer *d, const struct tokenizer *t, bool special);
/* Appends the bytes of id: raw, perhaps half a character (text/stream.h holds those back). An id
 * that does not exist adds nothing. False: out of memory. */
bool detokenizer_push(struct detokenizer *d, int32_t id, struct buf *out);

#endif
