/* SPDX-License-Identifier: Apache-2.0
 * fuzz_utf8.c - any bytes through the UTF-8 functions: decoding advances and agrees with encoding,
 * what is made safe is safe. */
#include <string.h>
#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static bool decode_all(const char *s, size_t n)
{
    bool valid = true;
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = utf8_decode(s + i, n - i, &len);
        MUST(len > 0 && len <= 4 && len <= n - i);
        if (cp == UTF8_BAD) {
            valid = false;
            continue;
        }
        char back[4];
        MUST(utf8_encode(cp, back) == len && memcmp(back, s + i, len) == 0);
    }
    return valid;
}

static void check_escaped(const struct buf *b, bool newlines)
{
    for (size_t i = 0, len; i < b->n; i += len) {
        uint32_t cp = utf8_decode(b->data + i, b->n - i, &len);
        if (newlines && (cp == '\n' || cp == '\t')) continue;
        MUST(cp != UTF8_BAD && utf8_is_printable(cp));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *s = (const char *)data;
    bool valid = decode_all(s, n);
    MUST(utf8_is_valid(s, n) == valid);
    size_t tail = utf8_cut_tail(s, n);
    MUST(tail <= 3 && tail <= n && (!valid || tail == 0));
    struct buf b;
    buf_init(&b, 0, MEM_MISC);
    if (utf8_sanitize(&b, s, n)) {
        MUST(utf8_is_valid(b.data ? b.data : "", b.n));
        MUST(!valid || (b.n == n && (n == 0 || memcmp(b.data, s, n) == 0)));
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
