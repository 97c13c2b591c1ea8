/* SPDX-License-Identifier: Apache-2.0
 * stream.h - what leaves a model, made fit for people: whole UTF-8 characters, thinking apart from
 * the answer, stop strings cut out. Fed byte by byte or all at once it gives the same result. */
#ifndef TEXT_STREAM_H
#define TEXT_STREAM_H
#include <stdbool.h>
#include "src/base/buf.h"

enum stream_part { STREAM_CONTENT, STREAM_REASONING };

struct stream_params {
    bool split_thinking;       /* false: everything is content */
    bool starts_in_thinking;   /* the prompt opened the tag */
    const char *open_tag, *close_tag; /* NULL: "<think>" and "</think>" */
    const char *const *stop;   /* borrowed for the stream's life */
    size_t n_stop;
};

struct stream; /* text/stream.c */
struct stream *stream_create(const struct stream_params *p); /* NULL: out of memory */
void stream_destroy(struct stream **s);
bool stream_reset(struct stream *s, const struct stream_params *p);

/* Feeds bytes of the model. Text that can be shown now is appended to out, all of it of one part,
 * given in *part; call again with n = 0 until it returns false, since one feed can end the thinking
 * and begin the answer. Whitespace right after a tag is dropped as templates do ("\n" after
 * "<think>", "\n\n" after "</think>"). Only the first open tag, before any content, opens. */
bool stream_push(struct stream *s, const char *bytes, size_t n, struct buf *out,
                 enum stream_part *part);
/* End of the reply: what was held back (a half character becomes U+FFFD). Same protocol. */
bool stream_flush(struct stream *s, struct buf *out, enum stream_part *part);
bool stream_in_thinking(const struct stream *s);
bool stream_stopped(const struct stream *s); /* a stop string was met: the reply is over */
bool stream_failed(const struct stream *s);  /* memory ran out */

#endif
