/* SPDX-License-Identifier: Apache-2.0
 * stream.c - splits what a model writes into thinking and answer, in whole characters.
 *
 * Bytes wait in `held` until it is certain what they are. Certain means:
 *  (1) they do not end in half a character that more bytes could complete;
 *  (2) in thinking, they do not end in the beginning of the close tag;
 *  (3) in the answer, they do not end in the beginning of a stop string;
 *  (4) before the answer has begun, white space and the beginning of the open tag decide nothing.
 * Since every decision looks at held bytes only and waits for these, cutting the same bytes
 * differently gives the same text. Stop strings end the answer; inside thinking they mean nothing,
 * since a model that thinks in paragraphs would be stopped at its first empty line. */
#include "src/text/stream.h"
#include <string.h>
#include "src/base/utf8.h"

#define MAX_SKIPPED 2 /* newlines that templates put behind a tag */

struct stream {
    struct stream_params p;
    size_t open_n, close_n;
    struct buf held;
    enum stream_part part;
    bool may_open;    /* no answer yet, and no tag so far */
    int n_skip;       /* newlines that may still be dropped */
    bool stopped, failed;
};

static const char *or_default(const char *tag, const char *other)
{
    return tag && *tag ? tag : other;
}

static void start(struct stream *s, const struct stream_params *p)
{
    s->p = *p;
    s->p.open_tag = or_default(p->open_tag, "<think>");
    s->p.close_tag = or_default(p->close_tag, "</think>");
    s->open_n = strlen(s->p.open_tag);
    s->close_n = strlen(s->p.close_tag);
    bool in = p->split_thinking && p->starts_in_thinking;
    s->part = in ? STREAM_REASONING : STREAM_CONTENT;
    s->may_open = p->split_thinking && !in;
    s->n_skip = in ? MAX_SKIPPED : 0;
    s->stopped = s->failed = false;
    buf_clear(&s->held);
}

struct stream *stream_create(const struct stream_params *p)
{
    struct stream *s = mem_zalloc(sizeof *s, MEM_TEXT);
    if (!s) return NULL;
    buf_init(&s->held, 0, MEM_TEXT);
    /* So that a decode step with short texts allocates nothing. */
    if (!buf_reserve(&s->held, 1024)) {
        mem_free(s);
        return NULL;
    }
    start(s, p);
    return s;
}

void stream_destroy(struct stream **sp)
{
    struct stream *s = *sp;
    if (!s) return;
    buf_fini(&s->held);
    mem_free(s);
    *sp = NULL;
}

bool stream_reset(struct stream *s, const struct stream_params *p)
{
    start(s, p);
    return true;
}

static void drop(struct stream *s, size_t n)
{
    memmove(s->held.data, s->held.data + n, s->held.n - n);
    s->held.n -= n;
    s->held.data[s->held.n] = 0;
}

/* Bytes at the end of p[0..n) that begin t but are not all of it. */
static size_t begun(const char *p, size_t n, const char *t, size_t t_n)
{
    size_t k = t_n - 1 < n ? t_n - 1 : n;
    while (k && memcmp(p + n - k, t, k) != 0) k--;
    return k;
}

/* Where t stands in p[0..n), or n. */
static size_t find(const char *p, size_t n, const char *t, size_t t_n)
{
    const char *at = t_n && n >= t_n ? memmem(p, n, t, t_n) : NULL;
    return at ? (size_t)(at - p) : n;
}

static size_t n_white(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && (p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r')) i++;
    return i;
}

/* (4). True if the held bytes were the open tag, or are now known to be the answer. */
static bool decide_opening(struct stream *s, bool final)
{
    const char *p = s->held.data;
    size_t n = s->held.n, white = n_white(p, n), rest = n - white;
    size_t k = rest < s->open_n ? rest : s->open_n;
    if (memcmp(p + white, s->p.open_tag, k) == 0) {
        if (k < s->open_n && !final) return false;
        if (k == s->open_n) {
            drop(s, white + s->open_n);
            s->part = STREAM_REASONING;
            s->n_skip = MAX_SKIPPED;
        }
    }
    s->may_open = false;
    return true;
}

/* Appends n held bytes to out as valid UTF-8 and drops them. */
static void emit(struct stream *s, size_t n, struct buf *out)
{
    if (!utf8_sanitize(out, s->held.data, n)) s->failed = true;
    drop(s, n);
}

/* How many held bytes are certain to be text of the current part; *ends is set to the length of the
 * tag or stop string that stands right behind them. */
static size_t certain(const struct stream *s, bool final, size_t *ends)
{
    const char *p = s->held.data;
    size_t n = s->held.n, first = n, open = 0;
    *ends = 0;
    if (s->part == STREAM_REASONING) {
        first = find(p, n, s->p.close_tag, s->close_n);
        if (first < n) *ends = s->close_n;
        open = begun(p, n, s->p.close_tag, s->close_n);
    } else {
        for (size_t i = 0; i < s->p.n_stop; i++) {
            size_t t_n = strlen(s->p.stop[i]);
            if (!t_n) continue;
            size_t at = find(p, n, s->p.stop[i], t_n), k = begun(p, n, s->p.stop[i], t_n);
            if (at < first) {
                first = at;
                *ends = t_n;
            }
            if (k > open) open = k;
        }
    }
    if (*ends || final) return first;
    n -= open;
    return n - utf8_cut_tail(p, n);
}

static bool step(struct stream *s, struct buf *out, enum stream_part *part, bool final)
{
    while (!s->stopped && !s->failed && s->held.n) {
        if (s->may_open && !decide_opening(s, final)) return false;
        while (s->n_skip && s->held.n && s->held.data[0] == '\n') {
            drop(s, 1);
            s->n_skip--;
        }
        if (!s->held.n) return false;
        size_t ends, n = certain(s, final, &ends);
        *part = s->part;
        if (n) {
            s->n_skip = 0;
            emit(s, n, out);
        }
        if (ends) {
            drop(s, ends);
            if (s->part == STREAM_REASONING) {
                s->part = STREAM_CONTENT;
                s->n_skip = MAX_SKIPPED;
            } else {
                s->stopped = true;
            }
        }
        if (n) return !s->failed;
        if (!ends) return false;
    }
    return false;
}

bool stream_push(struct stream *s, const char *bytes, size_t n, struct buf *out,
                 enum stream_part *part)
{
    if (s->stopped || s->failed) return false;
    if (n && !buf_append(&s->held, bytes, n)) {
        s->failed = true;
        return false;
    }
    return step(s, out, part, false);
}

bool stream_flush(struct stream *s, struct buf *out, enum stream_part *part)
{
    return step(s, out, part, true);
}

bool stream_in_thinking(const struct stream *s)
{
    return s->part == STREAM_REASONING;
}

bool stream_stopped(const struct stream *s)
{
    return s->stopped;
}

bool stream_failed(const struct stream *s)
{
    return s->failed;
}
