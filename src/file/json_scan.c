/* SPDX-License-Identifier: Apache-2.0
 * json_scan.c - the walker over JSON text. Strings must be valid UTF-8 and free of control
 * characters, as RFC 8259 asks. */
#include "src/file/json_scan.h"
#include <stdlib.h>
#include <string.h>
#include "src/base/utf8.h"

char json_scan_peek(struct json_scan *s)
{
    while (s->at < s->n && (s->text[s->at] == ' ' || s->text[s->at] == '\n' ||
                            s->text[s->at] == '\r' || s->text[s->at] == '\t'))
        s->at++;
    return s->at < s->n ? s->text[s->at] : 0;
}

bool json_scan_char(struct json_scan *s, char c)
{
    if (json_scan_peek(s) != c || s->at >= s->n) return false;
    s->at++;
    return true;
}

static bool is_hex4(const char *p)
{
    for (int i = 0; i < 4; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || ((p[i] | 32) >= 'a' && (p[i] | 32) <= 'f'))) return false;
    return true;
}

bool json_scan_string(struct json_scan *s, struct gguf_str *raw, bool *has_escapes)
{
    if (!json_scan_char(s, '"')) return false;
    size_t begin = s->at;
    *has_escapes = false;
    while (s->at < s->n) {
        unsigned char c = (unsigned char)s->text[s->at];
        if (c == '"') {
            *raw = (struct gguf_str){s->text + begin, s->at - begin};
            s->at++;
            return utf8_is_valid(raw->p, raw->n);
        }
        if (c < 0x20) return false;
        if (c != '\\') {
            s->at++;
            continue;
        }
        *has_escapes = true;
        if (s->n - s->at < 2) return false;
        char e = s->text[s->at + 1];
        if (e == 'u') {
            if (s->n - s->at < 6 || !is_hex4(s->text + s->at + 2)) return false;
            s->at += 6;
        } else {
            if (!e || !strchr("\"\\/bfnrt", e)) return false;
            s->at += 2;
        }
    }
    return false;
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
    return v;
}

bool json_scan_unescape(struct buf *out, struct gguf_str raw)
{
    for (size_t i = 0; i < raw.n;) {
        size_t run = i;
        while (run < raw.n && raw.p[run] != '\\') run++;
        if (run > i && !buf_append(out, raw.p + i, run - i)) return false;
        i = run;
        if (i == raw.n) break;
        char e = raw.p[i + 1];
        if (e != 'u') {
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
            if (!buf_putc(out, to[strchr(from, e) - from])) return false;
            i += 2;
            continue;
        }
        uint32_t cp = hex4(raw.p + i + 2);
        i += 6;
        if (cp >= 0xd800 && cp < 0xdc00 && raw.n - i >= 6 && raw.p[i] == '\\' && raw.p[i + 1] == 'u') {
            uint32_t low = hex4(raw.p + i + 2);
            if (low >= 0xdc00 && low < 0xe000) {
                cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
                i += 6;
            }
        }
        char utf8[4];
        size_t n = utf8_encode(cp, utf8);
        if (n == 0 || !buf_append(out, utf8, n)) return false;
    }
    return true;
}

bool json_scan_uint(struct json_scan *s, uint64_t *v)
{
    char c = json_scan_peek(s);
    if (c < '0' || c > '9') return false;
    uint64_t r = 0;
    size_t begin = s->at;
    while (s->at < s->n && s->text[s->at] >= '0' && s->text[s->at] <= '9') {
        uint64_t digit = (uint64_t)(s->text[s->at] - '0');
        if (r > (INT64_MAX - digit) / 10) return false;
        r = r * 10 + digit;
        s->at++;
    }
    if (s->text[begin] == '0' && s->at - begin > 1) return false;
    if (s->at < s->n && strchr(".eE+-", s->text[s->at]) && s->text[s->at]) return false;
    *v = r;
    return true;
}

bool json_scan_number(struct json_scan *s, double *v)
{
    char copy[64], *end;
    size_t n = 0;
    json_scan_peek(s);
    while (s->at + n < s->n && n < sizeof copy - 1 && s->text[s->at + n] &&
           strchr("+-.0123456789eE", s->text[s->at + n])) {
        copy[n] = s->text[s->at + n];
        n++;
    }
    copy[n] = 0;
    if (n == 0 || (copy[0] != '-' && (copy[0] < '0' || copy[0] > '9'))) return false;
    *v = strtod(copy, &end);
    if (*end) return false;
    s->at += n;
    return true;
}

static bool skip_word(struct json_scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->n - s->at < n || memcmp(s->text + s->at, word, n) != 0) return false;
    s->at += n;
    return true;
}

static bool skip_scalar(struct json_scan *s, char c)
{
    struct gguf_str raw;
    bool escapes;
    double v;
    if (c == '"') return json_scan_string(s, &raw, &escapes);
    if (c == 't') return skip_word(s, "true");
    if (c == 'f') return skip_word(s, "false");
    if (c == 'n') return skip_word(s, "null");
    return json_scan_number(s, &v);
}

bool json_scan_value(struct json_scan *s, struct gguf_str *text)
{
    char open[JSON_SCAN_MAX_DEPTH];
    int depth = 0;
    bool escapes;
    struct gguf_str key;
    json_scan_peek(s);
    size_t begin = s->at;
    for (;;) {
        char c = json_scan_peek(s);
        bool empty = false;
        if (c == '{' || c == '[') {
            if (depth == JSON_SCAN_MAX_DEPTH) return false;
            open[depth++] = c;
            s->at++;
            char close = c == '{' ? '}' : ']';
            empty = json_scan_char(s, close);
            if (empty) depth--;
            else if (c == '[') continue;
            else if (!json_scan_string(s, &key, &escapes) || !json_scan_char(s, ':')) return false;
            else continue;
        } else if (!skip_scalar(s, c)) {
            return false;
        }
        /* A value ended: close what ends with it, go on at the next member. */
        while (depth > 0 && json_scan_char(s, open[depth - 1] == '{' ? '}' : ']')) depth--;
        if (depth == 0) break;
        if (!json_scan_char(s, ',')) return false;
        if (open[depth - 1] == '{' && (!json_scan_string(s, &key, &escapes) || !json_scan_char(s, ':')))
            return false;
    }
    *text = (struct gguf_str){s->text + begin, s->at - begin};
    return true;
}

bool json_scan_member(struct json_scan *s, bool *first, struct gguf_str *key, bool *has_escapes,
                      bool *end)
{
    *end = false;
    if (*first) {
        if (!json_scan_char(s, '{')) return false;
        *first = false;
        if (json_scan_char(s, '}')) {
            *end = true;
            return false;
        }
    } else if (json_scan_char(s, '}')) {
        *end = true;
        return false;
    } else if (!json_scan_char(s, ',')) {
        return false;
    }
    return json_scan_string(s, key, has_escapes) && json_scan_char(s, ':');
}

bool json_scan_item(struct json_scan *s, bool *first, bool *end)
{
    *end = false;
    if (*first) {
        if (!json_scan_char(s, '[')) return false;
        *first = false;
        if (json_scan_char(s, ']')) {
            *end = true;
            return false;
        }
        return true;
    }
    if (json_scan_char(s, ']')) {
        *end = true;
        return false;
    }
    return json_scan_char(s, ',');
}
