/* SPDX-License-Identifier: Apache-2.0
 * fuzz_utf8.c - any bytes through the UTF-8 functions: decoding advances and agrees with encoding,
 * what is made safe is safe.
 * rooms: base */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool decode_all(const char *s, size_t n)
{
    bool valid = true;
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = utf8_decode(s + i, n - i, &len);
        if (len == 0 || len > 4 || len > n - i) abort();
        if (cp == UTF8_BAD) {
            valid = false;
            continue;
        }
        char back[4];
        if (utf8_encode(cp, back) != len || memcmp(back, s + i, len) != 0) abort();
    }
    return valid;
}

static void check_escaped(const struct buf *b, bool newlines)
{
    for (size_t i = 0, len; i < b->n; i += len) {
        uint32_t cp = utf8_decode(b->data + i, b->n - i, &len);
        if (newlines && (cp == '\n' || cp == '\t')) continue;
        if (cp == UTF8_BAD || !utf8_is_printable(cp)) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *s = (const char *)data;
    bool valid = decode_all(s, n);
    if (utf8_is_valid(s, n) != valid) abort();
    size_t tail = utf8_cut_tail(s, n);
    if (tail > 3 || tail > n || (valid && tail)) abort();
    struct buf b;
    buf_init(&b, 0, MEM_MISC);
    if (utf8_sanitize(&b, s, n)) {
        if (!utf8_is_valid(b.data ? b.data : "", b.n)) abort();
        if (valid && (b.n != n || (n && memcmp(b.data, s, n) != 0))) abort();
    }
    for (int newlines = 0; newlines < 2; newlines++) {
        buf_clear(&b);
        if (utf8_escape_terminal(&b, s, n, newlines)) check_escaped(&b, newlines);
    }
    buf_fini(&b);
    struct fk_error err;
    fail(&err, FK_EFORMAT, "%.*s", n < 10000 ? (int)n : 10000, s);
    b = (struct buf){.data = err.message, .n = strlen(err.message)};
    check_escaped(&b, false);
    return 0;
}
