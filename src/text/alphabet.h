/* SPDX-License-Identifier: Apache-2.0
 * alphabet.h - the letters that GPT-2's vocabularies write bytes with. Internal to this room. */
#ifndef TEXT_ALPHABET_H
#define TEXT_ALPHABET_H
#include <stddef.h>
#include <stdint.h>

#define ALPHABET_SLACK 7   /* bytes behind the last that are written */

struct alphabet { int16_t byte[0x200]; }; /* by code point from U+0080 on; -1: stands for no byte */
void alphabet_init(struct alphabet *a);

/* Turns text[0..n) into bytes as far as it consists of letters; *n_read says how far. Returns the
 * number of bytes, at most n; out has room for n + ALPHABET_SLACK. What lies behind text may be
 * read up to end. */
size_t alphabet_decode(const struct alphabet *a, const char *text, size_t n, const char *end,
                       char *out, size_t *n_read);

#endif
