/* SPDX-License-Identifier: Apache-2.0
 * template_json.c - JSON in (the variables) and out (|tojson, which is Python's json.dumps). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/utf8.h"
#include "src/text/template_run.h"

static bool from_container(struct jrun *r, const json_t *j, bool trusted, int depth,
                           struct jvalue *out)
{
    if (depth >= JINJA_MAX_DEPTH)
        return jinja_fail(r, "the variables are nested deeper than %d", JINJA_MAX_DEPTH);
    struct jvalue v;
    if (json_is_array(j)) {
        struct jlist *l = jinja_list(r, json_array_size(j));
        if (!l) return false;
        for (size_t i = 0; i < json_array_size(j); i++)
            if (!jinja_from_json(r, json_array_get(j, i), trusted, depth + 1, &v) ||
                !jinja_push(r, l, v))
                return false;
        *out = jinja_list_value(J_LIST, l);
        return true;
    }
    struct jdict *d = jinja_dict(r, json_object_size(j));
    if (!d) return false;
    json_t *object = (json_t *)(uintptr_t)j; /* iterating does not change it */
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        if (!jinja_from_json(r, json_object_iter_value(it), trusted, depth + 1, &v) ||
            !jinja_dict_put(r, d, jinja_str(key, json_object_iter_key_len(it), trusted), v, true))
            return false;
    }
    *out = jinja_kind(J_DICT);
    out->u.dict = d;
    return true;
}

/* Strings are not copied: j must outlive the render. */
bool jinja_from_json(struct jrun *r, const json_t *j, bool trusted, int depth, struct jvalue *out)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT: case JSON_ARRAY: return from_container(r, j, trusted, depth, out);
    case JSON_STRING:
        *out = jinja_str(json_string_value(j), json_string_length(j), trusted);
        return true;
    case JSON_INTEGER: *out = jinja_int(json_integer_value(j)); break;
    case JSON_REAL: *out = jinja_float(json_real_value(j)); break;
    case JSON_TRUE: case JSON_FALSE: *out = jinja_bool(json_is_true(j)); break;
    case JSON_NULL: *out = jinja_kind(J_NONE); break;
    }
    out->trusted = trusted;
    return true;
}

struct writer {
    struct jrun *r;
    struct jgrow *g;
    const struct jjson *how;
    bool trusted; /* of the structure: false, or the one scalar's own */
};

static bool put(struct writer *w, const char *s)
{
    return jinja_put(w->r, w->g, s, strlen(s), w->trusted);
}

static bool newline(struct writer *w, int level)
{
    if (w->how->indent < 0) return true;
    if (!put(w, "\n")) return false;
    for (int i = 0; i < level; i++) {
        if (w->how->indent_text.kind == J_STR) {
            if (!jinja_put_str(w->r, w->g, w->how->indent_text)) return false;
            continue;
        }
        for (int k = 0; k < w->how->indent; k++)
            if (!put(w, " ")) return false;
    }
    return true;
}

static bool escape_char(struct writer *w, struct jvalue c, uint32_t cp)
{
    char esc[16] = "";
    const char *at = cp && cp < 0x80 ? strchr("\"\"\\\\\nn\rr\tt\bb\ff", (int)cp) : NULL;
    if (at && (cp == '"' || cp == '\\')) snprintf(esc, sizeof esc, "\\%c", (int)cp);
    else if (at && cp < 0x20) snprintf(esc, sizeof esc, "\\%c", at[1]);
    else if (cp < 0x20) snprintf(esc, sizeof esc, "\\u%04x", cp);
    else if (w->how->ascii && cp >= 0x10000)
        snprintf(esc, sizeof esc, "\\u%04x\\u%04x", 0xD7C0 + (cp >> 10), 0xDC00 + (cp & 0x3FF));
    else if (w->how->ascii && cp >= 0x7F + 1u) snprintf(esc, sizeof esc, "\\u%04x", cp);
    if (!esc[0]) return jinja_put_str(w->r, w->g, c);
    return jinja_spend(w->r, 1) &&
           jinja_put(w->r, w->g, esc, strlen(esc), c.marks ? c.marks[0] : c.trusted);
}

static bool write_str(struct writer *w, struct jvalue s)
{
    if (!put(w, "\"")) return false;
    for (size_t at = 0; at < s.n;) {
        size_t plain = at;
        while (plain < s.n && (unsigned char)s.u.s[plain] >= 0x20 && s.u.s[plain] != '"' &&
               s.u.s[plain] != '\\' && (!w->how->ascii || !(s.u.s[plain] & 0x80)))
            plain++;
        if (plain > at && !jinja_put_str(w->r, w->g, jinja_sub(s, at, plain - at))) return false;
        at = plain;
        if (at == s.n) break;
        size_t len;
        uint32_t cp = utf8_decode(s.u.s + at, s.n - at, &len);
        if (!escape_char(w, jinja_sub(s, at, len), cp)) return false;
        at += len;
    }
    return jinja_work(w->r, s.n) && put(w, "\"");
}

static bool write_value(struct writer *w, struct jvalue v, int level);

static bool separator(struct writer *w, size_t i, int level)
{
    return (!i || jinja_put_str(w->r, w->g, w->how->item_sep)) && newline(w, level);
}

static bool write_key(struct writer *w, struct jvalue key)
{
    if (key.kind == J_STR) return write_str(w, key);
    if (!jinja_is_number(key) && key.kind != J_NONE)
        return jinja_fail(w->r, "tojson: %s cannot be a key", jinja_kind_name(key));
    return put(w, "\"") && write_value(w, key, 0) && put(w, "\"");
}

static bool sorted(struct writer *w, const struct jdict *d, struct jpair **out)
{
    struct jpair *v = jinja_alloc(w->r, (d->n ? d->n : 1) * sizeof *v);
    if (!v) return false;
    for (size_t i = 0; i < d->n; i++) { /* insertion: what is sorted here is small or pays fuel */
        size_t k = i;
        for (; k; k--) {
            int order;
            if (!jinja_compare(w->r, v[k - 1].key, d->v[i].key, &order)) return false;
            if (order <= 0) break;
            v[k] = v[k - 1];
        }
        v[k] = d->v[i];
    }
    *out = v;
    return true;
}

static bool write_dict(struct writer *w, const struct jdict *d, int level)
{
    struct jpair *v = d->v;
    if (!d->n) return put(w, "{}");
    if (w->how->sort_keys && !sorted(w, d, &v)) return false;
    if (!put(w, "{")) return false;
    for (size_t i = 0; i < d->n; i++)
        if (!separator(w, i, level + 1) || !write_key(w, v[i].key) ||
            !jinja_put_str(w->r, w->g, w->how->key_sep) || !write_value(w, v[i].value, level + 1))
            return false;
    return newline(w, level) && put(w, "}");
}

static bool write_list(struct writer *w, const struct jlist *l, int level)
{
    if (!l->n) return put(w, "[]");
    if (!put(w, "[")) return false;
    for (size_t i = 0; i < l->n; i++)
        if (!separator(w, i, level + 1) || !write_value(w, l->v[i], level + 1)) return false;
    return newline(w, level) && put(w, "]");
}

/* Recursion is bounded by the depth that jinja_push keeps. */
static bool write_value(struct writer *w, struct jvalue v, int level)
{
    char text[64];
    if (!jinja_spend(w->r, 1)) return false;
    switch (v.kind) {
    case J_NONE: return put(w, "null");
    case J_BOOL: return put(w, v.u.b ? "true" : "false");
    case J_INT: snprintf(text, sizeof text, "%lld", (long long)v.u.i); return put(w, text);
    case J_FLOAT:
        if (isnan(v.u.f)) return put(w, "NaN");
        if (isinf(v.u.f)) return put(w, v.u.f < 0 ? "-Infinity" : "Infinity");
        jinja_float_text(v.u.f, text);
        return put(w, text);
    case J_STR: return write_str(w, v);
    case J_LIST: case J_TUPLE: return write_list(w, v.u.list, level);
    case J_DICT: return write_dict(w, v.u.dict, level);
    default: return jinja_fail(w->r, "tojson: %s is not JSON", jinja_kind_name(v));
    }
}

bool jinja_tojson(struct jrun *r, struct jvalue v, const struct jjson *how, struct jvalue *out)
{
    struct writer w = {.r = r, .g = jinja_grow(r, 256), .how = how};
    w.trusted = v.kind < J_STR && v.trusted;
    if (!w.g || !write_value(&w, v, 0)) return false;
    *out = jinja_grown(w.g);
    return true;
}
