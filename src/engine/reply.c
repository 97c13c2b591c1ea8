/* SPDX-License-Identifier: Apache-2.0
 * reply.c - from tokens to text that can be shown: detokenizer, then the stream that splits thinking
 * from the answer. Owns the bytes between two events. */
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/engine/session.h"

#define TEXT_BYTES 4096 /* kept from the start, so that a common token allocates nothing */

enum fk_status reply_init(struct reply *r, struct fk_error *err)
{
    struct buf *bufs[] = {&r->raw, &r->text, &r->ahead};
    *r = (struct reply){0};
    for (int i = 0; i < 3; i++) {
        buf_init(bufs[i], 0, MEM_ENGINE);
        if (!buf_reserve(bufs[i], TEXT_BYTES)) return fail_nomem(err, TEXT_BYTES, "a reply's text");
    }
    return FK_OK;
}

void reply_fini(struct reply *r)
{
    buf_fini(&r->raw);
    buf_fini(&r->text);
    buf_fini(&r->ahead);
    stream_destroy(&r->stream);
}

bool reply_begin(struct reply *r, const struct tokenizer *t, const struct session_settings *s,
                 bool in_thinking)
{
    buf_clear(&r->raw);
    buf_clear(&r->text);
    buf_clear(&r->ahead);
    r->has_ahead = r->is_ending = false;
    r->text_part = r->ahead_part = FK_PART_CONTENT;
    if (!t) return true;
    detokenizer_init(&r->detokenizer, t, false);
    r->detokenizer.started = s->p.raw; /* raw text goes on in the middle of the prompt's */
    struct stream_params p = {.split_thinking = !s->p.raw,
                              .starts_in_thinking = !s->p.raw && in_thinking,
                              .stop = (const char *const *)s->stop, .n_stop = s->p.n_stop};
    if (r->stream) return stream_reset(r->stream, &p);
    r->stream = stream_create(&p);
    return r->stream != NULL;
}

bool reply_push(struct reply *r, const struct think_tags *tags, int32_t id)
{
    if (!r->stream) return true;
    /* A vocabulary may hide its tags as control tokens; the stream needs to see them. */
    if (id == tags->open) return buf_puts(&r->raw, "<think>");
    if (id == tags->close) return buf_puts(&r->raw, "</think>");
    return detokenizer_push(&r->detokenizer, id, &r->raw);
}

/* One piece of text to r->ahead. False: there is none now. */
static bool pull(struct reply *r)
{
    enum stream_part part = STREAM_CONTENT;
    bool more;
    buf_clear(&r->ahead);
    do {
        more = stream_push(r->stream, r->raw.data, r->raw.n, &r->ahead, &part);
        buf_clear(&r->raw);
    } while (more && !r->ahead.n);
    if (!more && r->is_ending && !stream_stopped(r->stream)) {
        do {
            more = stream_flush(r->stream, &r->ahead, &part);
        } while (more && !r->ahead.n);
    }
    r->ahead_part = part == STREAM_REASONING ? FK_PART_REASONING : FK_PART_CONTENT;
    return more;
}

void reply_next(struct reply *r)
{
    buf_clear(&r->text);
    if (!r->has_ahead) return;
    struct buf text = r->ahead;
    r->ahead = r->text;
    r->text = text;
    r->text_part = r->ahead_part;
    r->has_ahead = false;
}

bool reply_gather(struct reply *r)
{
    if (!r->stream) return true;
    while (!r->has_ahead && pull(r)) {
        if (r->text.n && r->ahead_part != r->text_part) {
            r->has_ahead = true;
        } else {
            buf_append(&r->text, r->ahead.data, r->ahead.n);
            r->text_part = r->ahead_part;
        }
    }
    return !r->raw.failed && !r->text.failed && !r->ahead.failed && !stream_failed(r->stream);
}

bool reply_in_thinking(const struct reply *r)
{
    return r->stream && stream_in_thinking(r->stream);
}

bool reply_stopped(const struct reply *r)
{
    return r->stream && stream_stopped(r->stream);
}
