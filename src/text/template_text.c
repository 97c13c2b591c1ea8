/* SPDX-License-Identifier: Apache-2.0
 * template_text.c - Python's str methods, on UTF-8 with a trust mark per byte. Results that are
 * part of their source are views of it. All strings here are valid UTF-8: the template is checked
 * when it is parsed, and JSON strings by jansson. */
#include <string.h>
#include <utf8proc.h>
#include "src/base/utf8.h"
#include "src/text/template_run.h"

bool jinja_is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 0x1C && cp <= 0x20) || cp == 0x85 || cp == 0xA0 ||
           cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 ||
           cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

size_t jinja_chars(struct jvalue s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.u.s[i] & 0xC0) != 0x80;
    return n;
}

size_t jinja_char_offset(struct jvalue s, size_t i_char)
{
    size_t at = 0;
    while (i_char && at < s.n) {
        at++;
        while (at < s.n && ((unsigned char)s.u.s[at] & 0xC0) == 0x80) at++;
        i_char--;
    }
    return at;
}

static size_t last_char(struct jvalue s) /* where the last character begins; s is not empty */
{
    size_t at = s.n - 1;
    while (at && ((unsigned char)s.u.s[at] & 0xC0) == 0x80) at--;
    return at;
}

static bool is_trimmed(struct jvalue c, const struct jvalue *chars)
{
    size_t len, at;
    if (!chars && c.n == 1) return jinja_is_space((unsigned char)c.u.s[0]);
    if (chars) return jinja_find(*chars, c, 0, &at);
    return jinja_is_space(utf8_decode(c.u.s, c.n, &len));
}

struct jvalue jinja_trim(struct jvalue s, const struct jvalue *chars, enum jtrim sides)
{
    while ((sides & JTRIM_LEFT) && s.n) {
        size_t n = jinja_char_offset(s, 1);
        if (!is_trimmed(jinja_sub(s, 0, n), chars)) break;
        s = jinja_sub(s, n, s.n - n);
    }
    while ((sides & JTRIM_RIGHT) && s.n) {
        size_t at = last_char(s);
        if (!is_trimmed(jinja_sub(s, at, s.n - at), chars)) break;
        s = jinja_sub(s, 0, at);
    }
    return s;
}

bool jinja_find(struct jvalue s, struct jvalue needle, size_t from, size_t *at)
{
    if (from > s.n) return false;
    if (!needle.n) {
        *at = from;
        return true;
    }
    const char *p = memmem(s.u.s + from, s.n - from, needle.u.s, needle.n);
    if (p) *at = (size_t)(p - s.u.s);
    return p != NULL;
}

static bool find_last(struct jvalue s, struct jvalue needle, size_t *at)
{
    for (size_t i = s.n >= needle.n ? s.n - needle.n + 1 : 0; i-- > 0;) {
        if (!memcmp(s.u.s + i, needle.u.s, needle.n)) {
            *at = i;
            return true;
        }
    }
    return false;
}

/* An empty `old` stands before every character and at the end, as in Python. */
static bool replace_empty(struct jrun *r, struct jvalue s, struct jvalue by, int64_t max,
                          struct jgrow *g)
{
    for (size_t at = 0; at <= s.n;) {
        if (!jinja_spend(r, 1)) return false;
        if (max-- != 0 && !jinja_put_str(r, g, by)) return false;
        size_t n = jinja_char_offset(jinja_sub(s, at, s.n - at), 1);
        if (n && !jinja_put_str(r, g, jinja_sub(s, at, n))) return false;
        at += n ? n : 1;
    }
    return true;
}

/* max < 0: all of them */
bool jinja_replace(struct jrun *r, struct jvalue s, struct jvalue old, struct jvalue by,
                   int64_t max, struct jvalue *out)
{
    size_t at, from = 0;
    *out = s;
    if (!jinja_work(r, s.n)) return false;
    if (!max || !jinja_find(s, old, 0, &at)) return true;
    struct jgrow *g = jinja_grow(r, s.n);
    if (!g) return false;
    if (!old.n) {
        if (!replace_empty(r, s, by, max, g)) return false;
    } else {
        for (; max != 0 && jinja_find(s, old, from, &at); max--) {
            if (!jinja_spend(r, 1) || !jinja_put_str(r, g, jinja_sub(s, from, at - from)) ||
                !jinja_put_str(r, g, by))
                return false;
            from = at + old.n;
        }
        if (!jinja_put_str(r, g, jinja_sub(s, from, s.n - from))) return false;
    }
    *out = jinja_grown(g);
    out->markup = s.markup;
    return true;
}

static bool is_cased(uint32_t cp)
{
    return utf8proc_toupper((utf8proc_int32_t)cp) != (utf8proc_int32_t)cp ||
           utf8proc_tolower((utf8proc_int32_t)cp) != (utf8proc_int32_t)cp;
}

static bool put_cased(struct jrun *r, struct jgrow *g, struct jvalue c, uint32_t cp, bool upper,
                      bool whole)
{
    bool trusted = c.marks ? c.marks[0] : c.trusted;
    if (upper && cp == 0xDF) return jinja_put(r, g, whole ? "SS" : "Ss", 2, trusted);
    utf8proc_int32_t to = upper ? utf8proc_toupper((utf8proc_int32_t)cp)
                                : utf8proc_tolower((utf8proc_int32_t)cp);
    char bytes[4];
    size_t n = utf8_encode((uint32_t)to, bytes);
    return jinja_put(r, g, bytes, n, trusted);
}

struct recaser { enum jcase how; bool first; };

static bool next_upper(const struct recaser *c)
{
    return c->how == JCASE_UPPER || (c->how != JCASE_LOWER && c->first);
}

static void advance(struct recaser *c, uint32_t cp, bool cased)
{
    if (c->how == JCASE_CAPITALIZE) c->first = false;
    else if (c->how == JCASE_TITLE) c->first = !cased;
    else if (c->how == JCASE_WORDS)
        c->first = jinja_is_space(cp) || (cp && cp < 0x80 && strchr("-({[<", (int)cp));
}

/* The ASCII at the front of s: copied whole, then changed where it lies. */
static bool recase_ascii(struct jrun *r, struct jgrow *g, struct jvalue s, struct recaser *c)
{
    size_t from = g->n;
    if (!jinja_put_str(r, g, s)) return false;
    for (char *p = g->p + from; p < g->p + g->n; p++) {
        bool letter = (unsigned)((*p | 32) - 'a') < 26;
        bool up = next_upper(c);
        advance(c, (unsigned char)*p, letter);
        if (letter) *p = (char)(up ? *p & ~32 : *p | 32);
    }
    return true;
}

/* One-to-one mappings of Unicode, and sharp s; the few others that change the length stay as they
 * are. JCASE_WORDS is Jinja's |title: words begin after white space, hyphens and open brackets. */
bool jinja_recase(struct jrun *r, struct jvalue s, enum jcase how, struct jvalue *out)
{
    struct jgrow *g = jinja_grow(r, s.n + 4);
    struct recaser c = {how, true};
    if (!g || !jinja_work_slowly(r, s.n)) return false;
    for (size_t at = 0, len; at < s.n; at += len) {
        for (len = 0; at + len < s.n && !(s.u.s[at + len] & 0x80);) len++;
        if (len) {
            if (!recase_ascii(r, g, jinja_sub(s, at, len), &c)) return false;
            continue;
        }
        uint32_t cp = utf8_decode(s.u.s + at, s.n - at, &len);
        if (!put_cased(r, g, jinja_sub(s, at, len), cp, next_upper(&c), how == JCASE_UPPER) ||
            !jinja_spend(r, 1))
            return false;
        advance(&c, cp, is_cased(cp));
    }
    *out = jinja_grown(g);
    out->markup = s.markup;
    return true;
}

static bool split_space(struct jrun *r, struct jvalue s, int64_t max, struct jlist *out)
{
    for (;;) {
        s = jinja_trim(s, NULL, JTRIM_LEFT);
        if (!s.n) return true;
        size_t end = 0, len;
        if (max == 0) return jinja_push(r, out, s);
        while (end < s.n && !jinja_is_space(utf8_decode(s.u.s + end, s.n - end, &len))) end += len;
        if (!jinja_spend(r, 1) || !jinja_push(r, out, jinja_sub(s, 0, end))) return false;
        s = jinja_sub(s, end, s.n - end);
        max--;
    }
}

static bool rsplit_space(struct jrun *r, struct jvalue s, int64_t max, struct jlist *out)
{
    for (;;) {
        s = jinja_trim(s, NULL, JTRIM_RIGHT);
        if (!s.n) return true;
        size_t begin = s.n, len;
        if (max == 0) return jinja_push(r, out, s);
        while (begin) {
            size_t at = last_char(jinja_sub(s, 0, begin));
            if (jinja_is_space(utf8_decode(s.u.s + at, begin - at, &len))) break;
            begin = at;
        }
        if (!jinja_spend(r, 1) || !jinja_push(r, out, jinja_sub(s, begin, s.n - begin)))
            return false;
        s = jinja_sub(s, 0, begin);
        max--;
    }
}

static void reverse(struct jlist *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        struct jvalue t = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = t;
    }
}

/* sep NULL: white space; max < 0: no limit */
bool jinja_split(struct jrun *r, struct jvalue s, const struct jvalue *sep, int64_t max,
                 bool from_right, struct jlist *out)
{
    if (!(sep && !from_right ? jinja_work(r, s.n) : jinja_spend(r, s.n / 2))) return false;
    if (sep && !sep->n) return jinja_fail(r, "split needs a separator that is not empty");
    size_t at, from = 0;
    if (!from_right) {
        if (!sep) return split_space(r, s, max, out);
        for (; max != 0 && jinja_find(s, *sep, from, &at); max--) {
            if (!jinja_spend(r, 1) || !jinja_push(r, out, jinja_sub(s, from, at - from)))
                return false;
            from = at + sep->n;
        }
        return jinja_push(r, out, jinja_sub(s, from, s.n - from));
    }
    if (!sep) {
        if (!rsplit_space(r, s, max, out)) return false;
    } else {
        for (; max != 0 && find_last(s, *sep, &at); max--) {
            from = at + sep->n;
            if (!jinja_spend(r, 1) || !jinja_push(r, out, jinja_sub(s, from, s.n - from)))
                return false;
            s = jinja_sub(s, 0, at);
        }
        if (!jinja_push(r, out, s)) return false;
    }
    reverse(out);
    return true;
}

static bool ends_line(uint32_t cp)
{
    return (cp >= 10 && cp <= 13) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 || cp == 0x2028 ||
           cp == 0x2029;
}

bool jinja_splitlines(struct jrun *r, struct jvalue s, bool keep_ends, struct jlist *out)
{
    if (!jinja_work_slowly(r, s.n)) return false;
    size_t from = 0, at = 0, len;
    while (at < s.n) {
        uint32_t cp = utf8_decode(s.u.s + at, s.n - at, &len);
        size_t next = at + len;
        if (!ends_line(cp)) {
            at = next;
            continue;
        }
        if (cp == '\r' && next < s.n && s.u.s[next] == '\n') next++;
        if (!jinja_spend(r, 1) ||
            !jinja_push(r, out, jinja_sub(s, from, (keep_ends ? next : at) - from)))
            return false;
        from = at = next;
    }
    return from == s.n || jinja_push(r, out, jinja_sub(s, from, s.n - from));
}

bool jinja_escape_html(struct jrun *r, struct jvalue s, struct jvalue *out)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    *out = s;
    out->markup = true;
    if (s.markup) return true;
    struct jgrow *g = jinja_grow(r, s.n + 16);
    if (!g) return false;
    for (size_t at = 0; at < s.n;) {
        size_t end = at;
        while (end < s.n && (!s.u.s[end] || !strchr(from, s.u.s[end]))) end++;
        if (!jinja_put_str(r, g, jinja_sub(s, at, end - at))) return false;
        if (end == s.n) break;
        const char *esc = to[strchr(from, s.u.s[end]) - from];
        bool trusted = s.marks ? s.marks[end] : s.trusted;
        if (!jinja_put(r, g, esc, strlen(esc), trusted) || !jinja_spend(r, 1)) return false;
        at = end + 1;
    }
    *out = jinja_grown(g);
    out->markup = true;
    return jinja_work(r, s.n);
}
