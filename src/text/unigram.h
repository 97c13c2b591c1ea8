/* SPDX-License-Identifier: Apache-2.0
 * unigram.h - SentencePiece unigram: normalisation, then the segmentation of the greatest summed
 * log-probability. Internal. */
#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H
#include "src/base/buf.h"
#include "src/text/charsmap.h"
#include "src/text/tokenizer.h"
#include "src/text/vocab.h"

struct unigram {
    struct trie pieces;
    struct charsmap charsmap;
    float unknown_score;
};

struct unigram_scratch {
    struct buf text;
    struct unigram_best { float score; uint32_t from; int32_t id; } *best;
    size_t cap;
};

enum fk_status unigram_read(struct unigram *u, const struct vocab *v, const struct gguf *g,
                            struct fk_error *err);
void unigram_fini(struct unigram *u);
void unigram_scratch_init(struct unigram_scratch *w);
void unigram_scratch_fini(struct unigram_scratch *w);

/* prefix: a space goes before the text. False: out of memory. */
bool unigram_encode(const struct unigram *u, const struct vocab *v, struct unigram_scratch *w,
                    const char *text, size_t n, bool prefix, struct token_vec *out);

#endif
