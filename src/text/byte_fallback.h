/* SPDX-License-Identifier: Apache-2.0
 * byte_fallback.h - what SentencePiece does with characters that no token covers. Internal. */
#ifndef TEXT_BYTE_FALLBACK_H
#define TEXT_BYTE_FALLBACK_H
#include "src/text/merge.h"
#include "src/text/tokenizer.h"
#include "src/text/vocab.h"

/* Appends the byte tokens of bytes[0..n), or one unknown token if not all of them have one, or
 * nothing where the vocabulary has neither. After an unknown token another adds nothing if
 * *after_unknown is set; it is kept up to date. */
static inline bool push_bytes(const struct vocab *v, const char *bytes, size_t n,
                              bool *after_unknown, struct token_vec *out)
{
    bool all = true;
    for (size_t i = 0; i < n; i++) all = all && v->byte_id[(uint8_t)bytes[i]] >= 0;
    if (!all) {
        bool again = *after_unknown;
        *after_unknown = true;
        return v->unk < 0 || again || token_vec_push(out, v->unk);
    }
    *after_unknown = false;
    for (size_t i = 0; i < n; i++)
        if (!token_vec_push(out, v->byte_id[(uint8_t)bytes[i]])) return false;
    return true;
}

/* Appends the ids of what a merge left, with bytes for what is no token. */
static inline bool push_with_fallback(const struct vocab *v, const struct merger *m,
                                      const char *word, struct token_vec *out)
{
    bool after_unknown = false;
    for (size_t i = 0; i < m->n; i++) {
        const struct merge_sym *s = &m->syms[i];
        if (s->id >= 0) {
            after_unknown = false;
            if (!token_vec_push(out, s->id)) return false;
        } else if (!push_bytes(v, word + s->start, s->end - s->start, &after_unknown, out)) {
            return false;
        }
    }
    return true;
}

#endif
