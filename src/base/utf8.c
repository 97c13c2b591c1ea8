/* SPDX-License-Identifier: Apache-2.0
 * utf8.c - strict decoding, and making text safe to show. */
#include "src/base/utf8.h"

uint32_t utf8_decode(const char *s, size_t n, size_t *len)
{
    const unsigned char *u = (const unsigned char *)s;
    *len = n ? 1 : 0;
    if (!n) return UTF8_BAD;
    if (u[0] < 0x80) return u[0];
    /* The second byte's range depends on the first (Unicode 15, table 3-7); the others are 80..BF. */
    unsigned lo = 0x80, hi = 0xbf;
    size_t need;
    uint32_t cp;
    if (u[0] >= 0xc2 && u[0] <= 0xdf) {
        need = 2;
        cp = u[0] & 0x1fu;
    } else if ((u[0] & 0xf0) == 0xe0) {
        need = 3;
        cp = u[0] & 0x0fu;
        if (u[0] == 0xe0) lo = 0xa0;
        if (u[0] == 0xed) hi = 0x9f;
    } else if (u[0] >= 0xf0 && u[0] <= 0xf4) {
        need = 4;
        cp = u[0] & 0x07u;
        if (u[0] == 0xf0) lo = 0x90;
        if (u[0] == 0xf4) hi = 0x8f;
    } else {
        return UTF8_BAD;
    }
    for (size_t i = 1; i < need; i++) {
        if (i == n || u[i] < lo || u[i] > hi) {
            *len = i;
            return UTF8_BAD;
        }
        cp = cp << 6 | (u[i] & 0x3fu);
        lo = 0x80;
        hi = 0xbf;
    }
    *len = need;
    return cp;
}

size_t utf8_encode(uint32_t cp, char out[4])
{
    unsigned char *u = (unsigned char *)out;
    if (cp < 0x80) {
        u[0] = (unsigned char)cp;
        return 1;
    }
    if (cp < 0x800) {
        u[0] = (unsigned char)(0xc0 | cp >> 6);
        u[1] = (unsigned char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp >= 0xd800 && cp <= 0xdfff) return 0;
    if (cp < 0x10000) {
        u[0] = (unsigned char)(0xe0 | cp >> 12);
        u[1] = (unsigned char)(0x80 | (cp >> 6 & 0x3f));
        u[2] = (unsigned char)(0x80 | (cp & 0x3f));
        return 3;
    }
    if (cp > 0x10ffff) return 0;
    u[0] = (unsigned char)(0xf0 | cp >> 18);
    u[1] = (unsigned char)(0x80 | (cp >> 12 & 0x3f));
    u[2] = (unsigned char)(0x80 | (cp >> 6 & 0x3f));
    u[3] = (unsigned char)(0x80 | (cp & 0x3f));
    return 4;
}

bool utf8_is_printable(uint32_t cp)
{
    if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) return false;
    if (cp == 0x061c || cp == 0x200e || cp == 0x200f) return false;     /* bidi marks */
    if (cp >= 0x2028 && cp <= 0x202e) return false;                     /* separators, embeddings */
    if (cp >= 0x2066 && cp <= 0x2069) return false;                     /* isolates */
    if (cp >= 0xfff9 && cp <= 0xfffb) return false;                     /* interlinear marks */
    if (cp >= 0xe0000 && cp <= 0xe007f) return false;                   /* tags */
    if ((cp & 0xfffe) == 0xfffe || (cp >= 0xfdd0 && cp <= 0xfdef)) return false;
    return cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
}

bool utf8_is_valid(const char *s, size_t n)
{
    for (size_t i = 0, len; i < n; i += len)
        if (utf8_decode(s + i, n - i, &len) == UTF8_BAD) return false;
    return true;
}

size_t utf8_cut_tail(const char *s, size_t n)
{
    size_t back = n < 3 ? n : 3;
    for (size_t k = 1; k <= back; k++) {
        unsigned char c = (unsigned char)s[n - k];
        if ((c & 0xc0) == 0x80) continue;
        size_t len;
        bool whole = utf8_decode(s + n - k, k, &len) != UTF8_BAD;
        size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        return !whole && len == k && need > k && c <= 0xf4 ? k : 0;
    }
    return 0;
}

bool utf8_sanitize(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0, len; i < n; i += len) {
        bool bad = utf8_decode(s + i, n - i, &len) == UTF8_BAD;
        if (!(bad ? buf_append(out, "\xef\xbf\xbd", 3) : buf_append(out, s + i, len))) return false;
    }
    return true;
}

bool utf8_escape_terminal(struct buf *out, const char *s, size_t n, bool keep_newlines)
{
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = utf8_decode(s + i, n - i, &len);
        bool ok;
        if (cp == UTF8_BAD) {
            ok = true;
            for (size_t j = 0; j < len; j++)
                ok = ok && buf_printf(out, "\\x%02x", (unsigned char)s[i + j]);
        } else if (utf8_is_printable(cp) || (keep_newlines && (cp == '\n' || cp == '\t'))) {
            ok = buf_append(out, s + i, len);
        } else if (cp < 0x100) {
            ok = buf_printf(out, "\\x%02x", (unsigned)cp);
        } else {
            ok = buf_printf(out, "\\u{%04x}", (unsigned)cp);
        }
        if (!ok) return false;
    }
    return true;
}
