/* SPDX-License-Identifier: Apache-2.0
 * template_percent.c - the % operator on strings: %s %r %d %i %u %x %X %o %c %f %F %e %E %g %G %%
 * with flags, width and precision. Widths are capped; %(name)s takes from a mapping. */
#include <stdio.h>
#include <string.h>
#include "src/text/template_run.h"

enum { MAX_WIDTH = 1000, MAX_PRECISION = 100 };

struct spec {
    bool minus, zero, plus, space, alt;
    int width, precision; /* -1: none */
    char kind;
};

struct percent {
    struct jrun *r;
    struct jgrow *g;
    struct jvalue fmt, args;
    size_t at, i_arg;
};

static bool number(struct percent *p, int *out, int max)
{
    int v = 0;
    bool any = false;
    while (p->at < p->fmt.n && p->fmt.u.s[p->at] >= '0' && p->fmt.u.s[p->at] <= '9') {
        v = v * 10 + (p->fmt.u.s[p->at++] - '0');
        any = true;
        if (v > max) return jinja_fail(p->r, "a format wider than %d", max);
    }
    if (any) *out = v;
    return true;
}

static bool next_arg(struct percent *p, struct jvalue *out)
{
    if (p->args.kind != J_TUPLE) {
        *out = p->args;
        if (p->i_arg++ == 0) return true;
    } else if (p->i_arg < p->args.u.list->n) {
        *out = p->args.u.list->v[p->i_arg++];
        return true;
    }
    return jinja_fail(p->r, "not enough values for the format");
}

static bool named_arg(struct percent *p, struct jvalue *out)
{
    size_t begin = ++p->at;
    while (p->at < p->fmt.n && p->fmt.u.s[p->at] != ')') p->at++;
    if (p->at == p->fmt.n) return jinja_fail(p->r, "a format name without ')'");
    struct jvalue key = jinja_sub(p->fmt, begin, p->at++ - begin);
    if (p->args.kind != J_DICT) return jinja_fail(p->r, "the format needs a mapping");
    struct jvalue *v = jinja_dict_get(p->r, p->args.u.dict, key);
    if (!v) return jinja_fail(p->r, "the format's mapping lacks a key");
    *out = *v;
    return true;
}

static bool parse_spec(struct percent *p, struct spec *s)
{
    *s = (struct spec){.width = 0, .precision = -1};
    for (; p->at < p->fmt.n; p->at++) {
        char c = p->fmt.u.s[p->at];
        if (c == '-') s->minus = true;
        else if (c == '0') s->zero = true;
        else if (c == '+') s->plus = true;
        else if (c == ' ') s->space = true;
        else if (c == '#') s->alt = true;
        else break;
    }
    if (!number(p, &s->width, MAX_WIDTH)) return false;
    if (p->at < p->fmt.n && p->fmt.u.s[p->at] == '.') {
        p->at++;
        s->precision = 0;
        if (!number(p, &s->precision, MAX_PRECISION)) return false;
    }
    if (p->at == p->fmt.n) return jinja_fail(p->r, "an incomplete format");
    s->kind = p->fmt.u.s[p->at++];
    return true;
}

static bool padded(struct percent *p, const struct spec *s, struct jvalue text)
{
    size_t n = jinja_chars(text), pad = (size_t)s->width > n ? (size_t)s->width - n : 0;
    bool trusted = p->fmt.marks ? false : p->fmt.trusted;
    for (size_t i = 0; i < pad && !s->minus; i++)
        if (!jinja_put(p->r, p->g, " ", 1, trusted)) return false;
    if (!jinja_put_str(p->r, p->g, text)) return false;
    for (size_t i = 0; i < pad && s->minus; i++)
        if (!jinja_put(p->r, p->g, " ", 1, trusted)) return false;
    return true;
}

static bool put_number(struct percent *p, const struct spec *s, struct jvalue v)
{
    char fmt[40], text[512];
    bool real = strchr("fFeEgG", s->kind) != NULL;
    if (!jinja_is_number(v) || (!real && v.kind == J_FLOAT && strchr("xXo", s->kind)))
        return jinja_fail(p->r, "%%%c needs a number, not %s", s->kind, jinja_kind_name(v));
    if (v.kind == J_FLOAT && !real && !(v.u.f > -9e18 && v.u.f < 9e18))
        return jinja_fail(p->r, "a number too large for %%%c", s->kind);
    char kind = s->kind == 'i' || s->kind == 'u' ? 'd' : s->kind;
    bool minus = v.kind != J_FLOAT && jinja_integer(v) < 0 && kind != 'd';
    snprintf(fmt, sizeof fmt, "%%%s%s%s%s%s%d.%d%s%c", s->minus ? "-" : "", s->zero ? "0" : "",
             s->plus && !minus ? "+" : "", s->space ? " " : "", s->alt ? "#" : "",
             s->width > 200 ? 200 : s->width, s->precision < 0 ? (real ? 6 : 1) : s->precision,
             real ? "" : "ll", kind);
    if (!real && s->precision < 0) { /* a precision would switch the zero flag off */
        char *dot = strchr(fmt, '.');
        memmove(dot, dot + 2, strlen(dot + 2) + 1);
    }
    int n;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (real) {
        n = snprintf(text, sizeof text, fmt, jinja_number(v));
    } else {
        long long i = v.kind == J_FLOAT ? (long long)v.u.f : (long long)jinja_integer(v);
        n = minus ? -1 : snprintf(text, sizeof text, fmt, i);
    }
#pragma GCC diagnostic pop
    if (n < 0 || (size_t)n >= sizeof text)
        return jinja_fail(p->r, "%%%c of this number is not supported", s->kind);
    return jinja_put(p->r, p->g, text, (size_t)n, v.trusted);
}

static bool convert(struct percent *p)
{
    struct jvalue v = jinja_kind(J_MISSING), text;
    struct spec s;
    if (p->at < p->fmt.n && p->fmt.u.s[p->at] == '(' && !named_arg(p, &v)) return false;
    if (!parse_spec(p, &s)) return false;
    if (s.kind == '%') return jinja_put(p->r, p->g, "%", 1, p->fmt.marks ? false : p->fmt.trusted);
    if (v.kind == J_MISSING && !next_arg(p, &v)) return false;
    if (strchr("diuxXofFeEgG", s.kind)) return put_number(p, &s, v);
    if (s.kind == 's' || (s.kind == 'c' && v.kind == J_STR)) {
        if (!jinja_text(p->r, v, &text)) return false;
    } else if (s.kind == 'r') {
        struct jgrow *g = jinja_grow(p->r, 64);
        if (!g || !jinja_repr(p->r, g, v)) return false;
        text = jinja_grown(g);
    } else {
        return jinja_fail(p->r, "the format %%%c is not supported",
                          s.kind > 32 && s.kind < 127 ? s.kind : '?');
    }
    if (s.precision >= 0) text = jinja_sub(text, 0, jinja_char_offset(text, (size_t)s.precision));
    return padded(p, &s, text);
}

bool jinja_percent(struct jrun *r, struct jvalue fmt, struct jvalue args, struct jvalue *out)
{
    struct percent p = {.r = r, .g = jinja_grow(r, fmt.n + 32), .fmt = fmt, .args = args};
    if (!p.g) return false;
    while (p.at < fmt.n) {
        size_t end = p.at;
        while (end < fmt.n && fmt.u.s[end] != '%') end++;
        if (!jinja_put_str(r, p.g, jinja_sub(fmt, p.at, end - p.at))) return false;
        p.at = end;
        if (end == fmt.n) break;
        p.at++;
        if (!jinja_spend(r, 1) || !convert(&p)) return false;
    }
    bool all = args.kind == J_DICT || args.kind == J_LIST || args.kind == J_RANGE ||
               p.i_arg >= (args.kind == J_TUPLE ? args.u.list->n : 1);
    if (!all) return jinja_fail(r, "more values than the format takes");
    *out = jinja_grown(p.g);
    return true;
}
