/* SPDX-License-Identifier: Apache-2.0
 * json_out.c - the one JSON document of --json, always in ASCII: no byte of a file or a model can
 * then act on a terminal. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/cli/term.h"

json_t *json_text(const char *s, size_t n)
{
    json_t *j = json_stringn(s, n);
    if (j) return j;
    struct buf b;
    buf_init(&b, 0, MEM_CLI);
    if (utf8_sanitize(&b, s, n)) j = json_stringn(b.n ? b.data : "", b.n);
    buf_fini(&b);
    return j;
}

json_t *json_cstr(const char *s)
{
    return s ? json_text(s, strlen(s)) : json_null();
}

json_t *json_num(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *json_count(unsigned long long v)
{
    return v > (unsigned long long)INT64_MAX ? json_real((double)v) : json_integer((json_int_t)v);
}

bool json_put(json_t *object, const char *key, json_t *value)
{
    if (object && value) return json_object_set_new(object, key, value) == 0;
    json_decref(value);
    return false;
}

/* jansson leaves DEL as it is; it can only stand inside a string. */
static int write_piece(const char *s, size_t n, void *arg)
{
    FILE *f = arg;
    for (size_t i = 0; i < n;) {
        const char *del = memchr(s + i, 0x7F, n - i);
        size_t plain = del ? (size_t)(del - s) - i : n - i;
        if (fwrite(s + i, 1, plain, f) != plain) return -1;
        if (del && fputs("\\u007F", f) < 0) return -1;
        i += plain + (del != NULL);
    }
    return 0;
}

int json_emit(json_t *doc, int code)
{
    struct fk_error err = {0};
    if (!doc) {
        fail(&err, FK_ENOMEM, "out of memory while the JSON document was made");
        return term_complain(&err);
    }
    errno = 0;
    int bad = json_dump_callback(doc, write_piece, stdout,
                                 JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER |
                                     JSON_REAL_PRECISION(12));
    int error = errno;
    json_decref(doc);
    if (bad) return term_write_failed(error, code);
    putchar('\n');
    return term_finish(code);
}
