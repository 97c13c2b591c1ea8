/* SPDX-License-Identifier: Apache-2.0
 * json_scan.h - walks JSON text in place: no tree, no recursion, no memory. For the large and flat
 * documents of model folders (headers, indexes, vocabularies); small ones go through jansson.
 *
 * Every function returns false where the text is not what was asked for, and scan->at then stands at
 * the byte in question. */
#ifndef FILE_JSON_SCAN_H
#define FILE_JSON_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "src/base/buf.h"
#include "src/file/gguf.h"

#define JSON_SCAN_MAX_DEPTH 64

struct json_scan {
    const char *text;
    size_t n, at;
};

/* The next byte that is no white space, 0 at the end. */
char json_scan_peek(struct json_scan *s);
/* Skips c. */
bool json_scan_char(struct json_scan *s, char c);
/* A string: *raw is what stands between the quotes, escapes included. */
bool json_scan_string(struct json_scan *s, struct gguf_str *raw, bool *has_escapes);
/* Appends the meaning of raw as UTF-8. A lone surrogate escape is refused. */
bool json_scan_unescape(struct buf *out, struct gguf_str raw);
/* Digits only, below 2^63. */
bool json_scan_uint(struct json_scan *s, uint64_t *v);
/* Any number. */
bool json_scan_number(struct json_scan *s, double *v);
/* Any value; *text is where it stands. Nested at most JSON_SCAN_MAX_DEPTH deep. */
bool json_scan_value(struct json_scan *s, struct gguf_str *text);

/* Steps through "{key: value, ...}": call with *first true after nothing was read; true with *key set
 * and the value next, or false at the end (then *end is true) or on an error. */
bool json_scan_member(struct json_scan *s, bool *first, struct gguf_str *key, bool *has_escapes,
                      bool *end);
/* The same for "[value, ...]". */
bool json_scan_item(struct json_scan *s, bool *first, bool *end);

#endif
