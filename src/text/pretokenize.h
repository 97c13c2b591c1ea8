/* SPDX-License-Identifier: Apache-2.0
 * pretokenize.h - cuts text into the words that BPE merges stay inside of, by the patterns that
 * were published with each vocabulary. Internal to this room. */
#ifndef TEXT_PRETOKENIZE_H
#define TEXT_PRETOKENIZE_H
#include <stdbool.h>
#include <stddef.h>
#include "src/file/gguf.h"

struct pretokenizer;

struct pre_traits {
    bool ignore_merges; /* a word that is a token is that token, whatever the merges say */
    bool add_bos;       /* unless the file says otherwise */
    bool nfc;           /* text is normalised to NFC first */
};

/* name: tokenizer.ggml.pre; empty means "default". */
enum fk_status pretokenizer_create(struct pretokenizer **out, struct gguf_str name,
                                   struct fk_error *err);
void pretokenizer_destroy(struct pretokenizer **p);
const struct pre_traits *pretokenizer_traits(const struct pretokenizer *p);

typedef bool (*pre_word_fn)(void *arg, const char *word, size_t n); /* false: out of memory */

/* Scratch of one encoding: a pretokenizer serves any number of threads. */
struct pre_scratch;
struct pre_scratch *pre_scratch_create(const struct pretokenizer *p);
void pre_scratch_destroy(struct pre_scratch **s);

/* Calls fn for each word of s[0..n), which is valid UTF-8, in order; they cover it all. */
enum fk_status pretokenize(const struct pretokenizer *p, struct pre_scratch *scratch, const char *s,
                           size_t n, pre_word_fn fn, void *arg, struct fk_error *err);

#endif
