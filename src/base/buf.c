/* SPDX-License-Identifier: Apache-2.0
 * buf.c - growing bytes: doubles until the cap, always leaves room for the final NUL. */
#include "src/base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, size_t max_bytes, enum mem_tag tag)
{
    *b = (struct buf){.max = max_bytes, .tag = tag};
}

void buf_fini(struct buf *b)
{
    mem_free(b->data);
    b->data = NULL;
    b->n = b->cap = 0;
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->data) b->data[0] = 0;
}

bool buf_reserve(struct buf *b, size_t more)
{
    size_t need, total;
    if (!size_add(b->n, more, &need) || !size_add(need, 1, &total) || (b->max && need > b->max)) {
        b->failed = true;
        return false;
    }
    if (total <= b->cap) return true;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < total && cap <= SIZE_MAX / 2) cap *= 2;
    if (cap < total) cap = total;
    char *p = mem_realloc(b->data, cap, b->tag);
    if (!p) {
        b->failed = true;
        return false;
    }
    if (!b->data) p[0] = 0;
    b->data = p;
    b->cap = cap;
    return true;
}

bool buf_append(struct buf *b, const void *p, size_t n)
{
    if (!buf_reserve(b, n)) return false;
    if (n) memcpy(b->data + b->n, p, n);
    b->n += n;
    b->data[b->n] = 0;
    return true;
}

bool buf_puts(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

bool buf_putc(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    bool ok = n >= 0 && buf_reserve(b, (size_t)n);
    if (ok) {
        vsnprintf(b->data + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    } else {
        b->failed = true;
    }
    va_end(again);
    return ok;
}

char *buf_take(struct buf *b)
{
    char *p = b->data;
    if (!p) p = mem_strdup("", b->tag);
    b->data = NULL;
    b->n = b->cap = 0;
    return p;
}
