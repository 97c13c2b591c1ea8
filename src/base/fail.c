/* SPDX-License-Identifier: Apache-2.0
 * fail.c - formats the sentence of a failure and makes it safe to print anywhere. */
#include "src/base/fail.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "src/base/utf8.h"

/* Copies s to out[cap], escaping what is not printable, never cutting an escape or a character. */
static void copy_printable(char *out, size_t cap, const char *s, size_t n)
{
    size_t used = 0;
    for (size_t i = 0; i < n;) {
        size_t len;
        uint32_t cp = utf8_decode(s + i, n - i, &len);
        char piece[4 * 4 + 1];
        size_t piece_n;
        if (cp != UTF8_BAD && utf8_is_printable(cp)) {
            memcpy(piece, s + i, len);
            piece_n = len;
        } else {
            piece_n = 0;
            for (size_t j = 0; j < len; j++)
                piece_n += (size_t)snprintf(piece + piece_n, sizeof piece - piece_n, "\\x%02x",
                                            (unsigned char)s[i + j]);
        }
        if (used + piece_n + 1 > cap) break;
        memcpy(out + used, piece, piece_n);
        used += piece_n;
        i += len;
    }
    out[used] = 0;
}

enum fk_status fail(struct fk_error *err, enum fk_status status, const char *fmt, ...)
{
    if (!err) return status;
    char raw[sizeof err->message * 2];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    if (n < 0) n = 0;
    if ((size_t)n >= sizeof raw) n = (int)sizeof raw - 1;
    err->status = status;
    copy_printable(err->message, sizeof err->message, raw, (size_t)n);
    return status;
}

enum fk_status fail_nomem(struct fk_error *err, unsigned long long bytes, const char *what)
{
    return fail(err, FK_ENOMEM, "out of memory: %s needs %llu bytes", what, bytes);
}
