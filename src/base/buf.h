/* SPDX-License-Identifier: Apache-2.0
 * buf.h - a growing byte buffer with a cap. After a failed append the buffer is as it was and
 * `failed` is set, so a long run of appends needs one check at its end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include <stdbool.h>
#include <stddef.h>
#include "src/base/alloc.h"

struct buf {
    char *data; /* always NUL-terminated once anything was appended */
    size_t n, cap, max;
    enum mem_tag tag;
    bool failed;
};

void buf_init(struct buf *b, size_t max_bytes, enum mem_tag tag); /* max 0 = no limit of its own */
void buf_fini(struct buf *b);
void buf_clear(struct buf *b);                                    /* keeps the memory */
bool buf_reserve(struct buf *b, size_t more);
bool buf_append(struct buf *b, const void *p, size_t n);
bool buf_puts(struct buf *b, const char *s);
bool buf_putc(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *buf_take(struct buf *b); /* the caller's from now on (mem_free); "" rather than NULL */

#endif
