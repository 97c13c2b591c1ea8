/* SPDX-License-Identifier: Apache-2.0
 * bpe.h - BPE by a list of merges, over bytes (GPT-2 and its line) or characters. Internal. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H
#include "src/text/merge.h"
#include "src/text/tokenizer.h"
#include "src/text/vocab.h"

struct bpe_pair { uint64_t key; uint32_t rank; int32_t joined; }; /* key 0: an empty slot */
struct bpe { struct bpe_pair *pairs; size_t mask; }; /* [mask + 1], page-backed */

enum fk_status bpe_read(struct bpe *b, const struct vocab *v, const struct gguf *g,
                        struct fk_error *err);
void bpe_fini(struct bpe *b);

/* Appends the ids of one word. False: out of memory. */
bool bpe_encode_bytes(const struct bpe *b, const struct vocab *v, struct merger *m,
                      const char *word, size_t n, struct token_vec *out);
bool bpe_encode_chars(const struct bpe *b, const struct vocab *v, struct merger *m,
                      const char *word, size_t n, struct token_vec *out);

#endif
