/* SPDX-License-Identifier: Apache-2.0
 * verify.c - grades an answer strictly (the reward) or a free reply loosely (the chat's checker). */
#include <string.h>
#include "src/base/utf8.h"
#include "src/grade/family.h"

int verify_number_at(const struct scan *s, int i, int64_t *v)
{
    struct match m = {.s = s, .n = 1};
    bool minus = scan_is_sign(s, i, '-');
    if (minus) i++;
    int end = slot_match(s, i, 'n');
    if (end < 0) return -1;
    m.slots[0] = (struct capture){'n', i, end};
    slot_number(&m, 'n', v);
    if (minus) *v = -*v;
    return end;
}

bool verify_number(const struct scan *s, int64_t v)
{
    int64_t is = 0;
    int end = verify_number_at(s, 0, &is);
    if (end > 0 && scan_is_sign(s, end, '.')) end++;
    return end == s->n && is == v;
}

static bool verify_scanned(const struct grade_puzzle *p, const char *text, size_t n)
{
    struct scan s;
    const struct family *f = family_of(p->family);
    return f && scan_text(&s, text, n) && s.n > 0 && f->verify(p, &s);
}

bool grade_verify(const struct grade_puzzle *p, enum fk_lang lang, const char *text, size_t n)
{
    (void)lang;
    return verify_scanned(p, text, n);
}

/* The part of text after the last "is", "=", ":" or of its last line: where free text has its answer. */
static bool verify_tail(const struct grade_puzzle *p, const char *text, size_t n)
{
    static const char *const marks[] = {"=", ":", " is ", " are ", "هو ", "هي ", "يساوي ", "\n", "**"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t k = strlen(marks[i]);
        for (size_t at = n; at >= k; at--) {
            if (memcmp(text + at - k, marks[i], k) != 0) continue;
            if (verify_scanned(p, text + at, n - at)) return true;
            break;
        }
    }
    return false;
}

bool grade_verify_loosely(const struct grade_puzzle *p, enum fk_lang lang, const char *text, size_t n)
{
    (void)lang;
    while (n && strchr(" \t\r\n*", text[n - 1])) n--;
    if (n > SCAN_MAX_BYTES) { /* the end of a long reply, from a whole character on */
        text += n - SCAN_MAX_BYTES;
        n = SCAN_MAX_BYTES;
        while (n && ((unsigned char)*text & 0xC0) == 0x80) {
            text++;
            n--;
        }
    }
    return n && (verify_scanned(p, text, n) || verify_tail(p, text, n));
}

bool grade_is_refusal(const char *text, size_t n)
{
    static const char mark[] = "/model";
    if (n > SCAN_MAX_BYTES) return false;
    for (size_t i = 0; i + sizeof mark - 1 <= n; i++)
        if (!memcmp(text + i, mark, sizeof mark - 1)) return true;
    return false;
}
