/* SPDX-License-Identifier: Apache-2.0
 * template_print.c - what {{ value }} shows: Python's str() and repr(), since published templates
 * print numbers, booleans and now and then whole lists. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "src/base/utf8.h"
#include "src/text/template_run.h"

static void plain_point(char *s)
{
    const char *point = localeconv()->decimal_point;
    if (!point || !strcmp(point, ".")) return;
    char *at = strstr(s, point);
    if (!at) return;
    *at = '.';
    memmove(at + 1, at + strlen(point), strlen(at + strlen(point)) + 1);
}

/* The shortest text that reads back as f; exponent form below 1e-4 and from 1e16, as Python. */
size_t jinja_float_text(double f, char out[64])
{
    if (isnan(f)) return (size_t)snprintf(out, 64, "nan");
    if (isinf(f)) return (size_t)snprintf(out, 64, f < 0 ? "-inf" : "inf");
    char e[48];
    int digits = 1;
    for (; digits <= 17; digits++) {
        snprintf(e, sizeof e, "%.*e", digits - 1, f);
        if (strtod(e, NULL) == f) break;
    }
    char *mark = strchr(e, 'e');
    int exponent = mark ? (int)strtol(mark + 1, NULL, 10) : 0;
    if (exponent >= -4 && exponent < 16) {
        int decimals = digits - 1 - exponent;
        snprintf(out, 64, "%.*f", decimals < 1 ? 1 : decimals, f);
    } else {
        if (mark) *mark = 0;
        snprintf(out, 64, "%se%c%02d", e, exponent < 0 ? '-' : '+', abs(exponent));
    }
    plain_point(out);
    return strlen(out);
}

bool jinja_read_float(const char *text, double *out)
{
    const char *point = localeconv()->decimal_point;
    char local[128];
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        const char *piece = *p == '.' && point ? point : NULL;
        size_t len = piece ? strlen(piece) : 1;
        if (n + len >= sizeof local) return false;
        memcpy(local + n, piece ? piece : p, len);
        n += len;
    }
    local[n] = 0;
    char *end;
    *out = strtod(local, &end);
    return n && end == local + n;
}

static bool repr_char(struct jrun *r, struct jgrow *g, struct jvalue c, char quote)
{
    size_t len;
    uint32_t cp = utf8_decode(c.u.s, c.n, &len);
    char esc[16] = "";
    if (cp == '\\' || cp == (unsigned char)quote) snprintf(esc, sizeof esc, "\\%c", (int)cp);
    else if (cp == '\n') snprintf(esc, sizeof esc, "\\n");
    else if (cp == '\r') snprintf(esc, sizeof esc, "\\r");
    else if (cp == '\t') snprintf(esc, sizeof esc, "\\t");
    else if (cp < 0x20 || cp == 0x7F) snprintf(esc, sizeof esc, "\\x%02x", cp);
    else if (cp >= 0x7F) {
        utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)cp);
        bool hidden = k == UTF8PROC_CATEGORY_CN || k >= UTF8PROC_CATEGORY_ZS;
        if (hidden)
            snprintf(esc, sizeof esc, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x",
                     cp);
    }
    if (!esc[0]) return jinja_put_str(r, g, c);
    return jinja_spend(r, 1) && jinja_put(r, g, esc, strlen(esc), c.marks ? c.marks[0] : c.trusted);
}

static bool repr_str(struct jrun *r, struct jgrow *g, struct jvalue s)
{
    bool single = s.n && memchr(s.u.s, '\'', s.n), twofold = s.n && memchr(s.u.s, '"', s.n);
    char quote = single && !twofold ? '"' : '\'';
    if (!jinja_put(r, g, &quote, 1, false)) return false;
    for (size_t at = 0; at < s.n;) {
        size_t n = jinja_char_offset(jinja_sub(s, at, s.n - at), 1);
        if (!repr_char(r, g, jinja_sub(s, at, n), quote)) return false;
        at += n;
    }
    return jinja_spend(r, s.n / 2) && jinja_put(r, g, &quote, 1, false);
}

static bool put(struct jrun *r, struct jgrow *g, const char *s)
{
    return jinja_put(r, g, s, strlen(s), false);
}

static bool repr_list(struct jrun *r, struct jgrow *g, struct jvalue v)
{
    const struct jlist *l = v.u.list;
    if (v.kind == J_VIEW && !put(r, g, "dict_view(")) return false;
    if (!put(r, g, v.kind == J_TUPLE ? "(" : "[")) return false;
    for (size_t i = 0; i < l->n; i++)
        if ((i && !put(r, g, ", ")) || !jinja_repr(r, g, l->v[i])) return false;
    if (v.kind == J_TUPLE) return put(r, g, l->n == 1 ? ",)" : ")");
    return put(r, g, v.kind == J_VIEW ? "])" : "]");
}

static bool repr_dict(struct jrun *r, struct jgrow *g, const struct jdict *d)
{
    if (!put(r, g, "{")) return false;
    for (size_t i = 0; i < d->n; i++) {
        if ((i && !put(r, g, ", ")) || !jinja_repr(r, g, d->v[i].key) || !put(r, g, ": ") ||
            !jinja_repr(r, g, d->v[i].value))
            return false;
    }
    return put(r, g, "}");
}

/* Recursion is bounded by the depth that jinja_push keeps. */
bool jinja_repr(struct jrun *r, struct jgrow *g, struct jvalue v)
{
    char text[64];
    if (!jinja_spend(r, 1)) return false;
    switch (v.kind) {
    case J_UNDEFINED: return put(r, g, "Undefined");
    case J_NONE: return jinja_put(r, g, "None", 4, v.trusted);
    case J_BOOL: return jinja_put(r, g, v.u.b ? "True" : "False", v.u.b ? 4 : 5, v.trusted);
    case J_INT:
        snprintf(text, sizeof text, "%lld", (long long)v.u.i);
        return jinja_put(r, g, text, strlen(text), v.trusted);
    case J_FLOAT: return jinja_put(r, g, text, jinja_float_text(v.u.f, text), v.trusted);
    case J_STR: return repr_str(r, g, v);
    case J_LIST: case J_TUPLE: case J_VIEW: return repr_list(r, g, v);
    case J_DICT: return repr_dict(r, g, v.u.dict);
    case J_RANGE:
        snprintf(text, sizeof text, "range(%lld, %lld)", (long long)v.u.range->start,
                 (long long)(v.u.range->start + v.u.range->step * (int64_t)v.u.range->n));
        return put(r, g, text);
    default: return jinja_fail(r, "%s cannot be printed", jinja_kind_name(v));
    }
}

bool jinja_text(struct jrun *r, struct jvalue v, struct jvalue *out)
{
    if (v.kind == J_STR) {
        *out = v;
        return true;
    }
    if (v.kind == J_UNDEFINED) {
        *out = jinja_str("", 0, true);
        return true;
    }
    struct jgrow *g = jinja_grow(r, 32);
    if (!g || !jinja_repr(r, g, v)) return false;
    *out = jinja_grown(g);
    return true;
}
