/* SPDX-License-Identifier: Apache-2.0
 * utf8.h - strict UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "src/base/buf.h"

#define UTF8_BAD 0xFFFFFFFFu

/* Decodes one code point of s[0..n). Sets *len to the bytes read (>= 1 when n > 0). An invalid or
 * cut sequence gives UTF8_BAD; *len is then the length of its maximal invalid prefix, so that
 * replacing each by U+FFFD follows the Unicode recommendation. */
uint32_t utf8_decode(const char *s, size_t n, size_t *len);

/* Writes cp to out (4 bytes are enough); returns the length, 0 if cp is no scalar value. */
size_t utf8_encode(uint32_t cp, char out[4]);

/* False for C0 and C1 controls, DEL, bidi controls, line and paragraph separators, tag characters and
 * noncharacters: what may hide or move other text on a screen. */
bool utf8_is_printable(uint32_t cp);

bool utf8_is_valid(const char *s, size_t n);

/* How many bytes at the end of s[0..n) begin a sequence that more bytes could complete (0-3). */
size_t utf8_cut_tail(const char *s, size_t n);

/* Appends s with every invalid sequence replaced by U+FFFD. */
bool utf8_sanitize(struct buf *out, const char *s, size_t n);

/* Appends s made safe for a terminal: C0 and C1 controls (but \n and \t if keep_newlines), ESC,
 * DEL, bidi overrides and isolates, tag characters and invalid bytes come out as visible \xNN or
 * \u{NNNN} escapes. Plain Arabic or Hebrew text is untouched. */
bool utf8_escape_terminal(struct buf *out, const char *s, size_t n, bool keep_newlines);

#endif
