/* SPDX-License-Identifier: Apache-2.0
 * charsmap.h - SentencePiece's compiled normalisation table (tokenizer.ggml.precompiled_charsmap).
 * Internal. */
#ifndef TEXT_CHARSMAP_H
#define TEXT_CHARSMAP_H
#include "src/file/gguf.h"

struct charsmap {
    uint32_t *units; /* a double-array trie from source text to an offset in texts */
    size_t n_units;
    char *texts;     /* NUL-terminated replacements */
    size_t n_texts;
};

/* Leaves m zeroed where the file has no such table. */
enum fk_status charsmap_read(struct charsmap *m, const struct gguf *g, struct fk_error *err);
void charsmap_fini(struct charsmap *m);

/* The longest prefix of s[0..n) that is to be replaced: returns its length, 0 for none. */
size_t charsmap_match(const struct charsmap *m, const char *s, size_t n, const char **text,
                      size_t *n_text);

#endif
