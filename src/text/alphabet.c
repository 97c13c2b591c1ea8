/* SPDX-License-Identifier: Apache-2.0
 * alphabet.c - GPT-2 writes bytes that print as themselves, and the 68 others (0 to 32, 127 to 160,
 * 173), in order, from U+0100 on. */
#include "src/text/alphabet.h"
#include "src/file/le.h"

static int is_plain(int b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
}

void alphabet_init(struct alphabet *a)
{
    int next = 256;
    memset(a->byte, 0xff, sizeof a->byte);
    for (int b = 128; b < 256; b++)
        if (is_plain(b)) a->byte[b] = (int16_t)b;
    for (int b = 0; b < 256; b++)
        if (!is_plain(b)) a->byte[next++] = (int16_t)b;
}

/* How many of the eight bytes, from the first on, are ASCII that prints. A carry or borrow of the
 * sums goes to later bytes only, so the first that is marked is right. */
static unsigned n_printing(uint64_t eight)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t others = (eight | (eight + ones) | (eight - 33 * ones)) & 128 * ones;
    return others ? (unsigned)__builtin_ctzll(others) / 8 : 8;
}

size_t alphabet_decode(const struct alphabet *a, const char *text, size_t n, const char *end,
                       char *out, size_t *n_read)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t i = 0, k = 0;
    while (i < n) {
        if (s[i] >= 0x80) { /* two bytes: 110xxxxx 10xxxxxx, of code points below 0x200 */
            if (n - i < 2) break;
            unsigned u = le16(s + i);
            int byte = a->byte[(u & 7) << 6 | (u >> 8 & 63)];
            if ((u & 0xc0f8) != 0x80c0 || byte < 0) break;
            out[k++] = (char)byte;
            i += 2;
        } else if (end - (text + i) >= 8) {
            unsigned len = n_printing(le64(s + i));
            if (len > n - i) len = (unsigned)(n - i);
            if (!len) break;
            memcpy(out + k, s + i, 8);
            i += len;
            k += len;
        } else {
            if (!is_plain(s[i])) break;
            out[k++] = (char)s[i++];
        }
    }
    *n_read = i;
    return k;
}
