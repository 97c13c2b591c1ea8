/* SPDX-License-Identifier: Apache-2.0
 * detokenize.c - ids back to bytes. Raw: characters that are split over tokens are put together by
 * whoever shows them (stream.c). */
#include "src/text/tokenizer.h"
#include "src/text/vocab.h"

void detokenizer_init(struct detokenizer *d, const struct tokenizer *t, bool special)
{
    *d = (struct detokenizer){.t = t, .special = special};
}

bool detokenizer_push(struct detokenizer *d, int32_t id, struct buf *out)
{
    const struct vocab *v = tokenizer_vocab(d->t);
    size_t n;
    if (id < 0 || id >= v->n) return true;
    const char *p = vocab_bytes(v, id, &n);
    if (v->flags[id] & TOKEN_HIDDEN) {
        d->started = false; /* the text behind it has a space of its own in front */
        return !d->special || buf_append(out, p, n);
    }
    if (v->type[id] == TOKEN_USER) return buf_append(out, p, n); /* the prefix comes after it */
    if (!d->started && v->add_space_prefix && n && *p == ' ') {
        p++;
        n--;
    }
    d->started = true;
    return buf_append(out, p, n);
}
