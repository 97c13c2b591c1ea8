/* SPDX-License-Identifier: Apache-2.0
 * template_format.c - str.format with {}, {0}, {name}, {{ and }}. Attributes, items, conversions
 * and format specifications inside the braces are refused. */
#include <string.h>
#include "src/text/template_method.h"

static bool pick(struct jrun *r, const struct jargs *args, struct jvalue field, size_t *next,
                 struct jvalue *out)
{
    size_t i = 0;
    for (size_t k = 0; k < field.n; k++)
        if (strchr("!:.[", field.u.s[k]) && field.u.s[k])
            return jinja_fail(r, "format: '{%.*s}' is not supported",
                              (int)(field.n < 60 ? field.n : 60), field.u.s);
    bool digits = true;
    for (size_t k = 0; k < field.n; k++) {
        if (field.u.s[k] < '0' || field.u.s[k] > '9' || i > 1000) digits = false;
        else i = i * 10 + (size_t)(field.u.s[k] - '0');
    }
    if (digits) {
        if (!field.n) i = (*next)++;
        if (i >= args->n) return jinja_fail(r, "format: there is no argument %zu", i);
        *out = args->v[i];
        return true;
    }
    for (i = 0; i < args->n_kw; i++) {
        if (args->kw[i].n != field.n || memcmp(args->kw[i].s, field.u.s, field.n)) continue;
        *out = args->kw[i].value;
        return true;
    }
    return jinja_fail(r, "format: there is no argument '%.*s'",
                      (int)(field.n < 60 ? field.n : 60), field.u.s);
}

bool jinja_format(struct jrun *r, struct jvalue self, const struct jargs *args, struct jvalue *out)
{
    struct jgrow *g = jinja_grow(r, self.n + 32);
    size_t next = 0;
    if (!g) return false;
    for (size_t at = 0; at < self.n;) {
        char c = self.u.s[at];
        if (c != '{' && c != '}') {
            size_t end = at;
            while (end < self.n && self.u.s[end] != '{' && self.u.s[end] != '}') end++;
            if (!jinja_put_str(r, g, jinja_sub(self, at, end - at))) return false;
            at = end;
        } else if (at + 1 < self.n && self.u.s[at + 1] == c) {
            if (!jinja_put_str(r, g, jinja_sub(self, at, 1))) return false;
            at += 2;
        } else {
            const char *close = c == '{' ? memchr(self.u.s + at, '}', self.n - at) : NULL;
            if (!close) return jinja_fail(r, "format: a brace without its other");
            size_t end = (size_t)(close - self.u.s);
            struct jvalue v;
            if (!jinja_spend(r, 1) ||
                !pick(r, args, jinja_sub(self, at + 1, end - at - 1), &next, &v) ||
                !jinja_text(r, v, &v) || !jinja_put_str(r, g, v))
                return false;
            at = end + 1;
        }
    }
    *out = jinja_grown(g);
    out->markup = self.markup;
    return true;
}
