/* SPDX-License-Identifier: Apache-2.0
 * template_value.c - memory, strings, lists and mappings of a render, and Python's rules for truth,
 * equality and order. Knows nothing of syntax. */
#include "src/text/template_value.h"
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/text/template_run.h"

enum { CHUNK_BYTES = 16384, SMALL_BYTES = 2048, BYTES_PER_STEP = 128 };

bool jinja_vfail(struct jrun *r, const char *fmt, __builtin_va_list ap)
{
    if (r->status) return false;
    char sentence[400];
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    r->status = fail(r->err, FK_EFORMAT, "chat template, line %u: %s", r->line, sentence);
    return false;
}

bool jinja_fail(struct jrun *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    jinja_vfail(r, fmt, ap);
    va_end(ap);
    return false;
}

bool jinja_spend(struct jrun *r, uint64_t steps)
{
    r->steps += steps;
    if (r->steps <= r->max_steps) return r->status == FK_OK;
    return jinja_fail(r, "it runs too long: more than %llu steps",
                      (unsigned long long)r->max_steps);
}

bool jinja_work(struct jrun *r, size_t bytes)
{
    return jinja_spend(r, bytes / BYTES_PER_STEP);
}

bool jinja_work_slowly(struct jrun *r, size_t bytes)
{
    return jinja_spend(r, bytes / 16);
}

void *jinja_alloc(struct jrun *r, size_t bytes)
{
    if (bytes > r->max_bytes || r->bytes > r->max_bytes - bytes) {
        jinja_fail(r, "it needs too much memory: more than %llu bytes",
                   (unsigned long long)r->max_bytes);
        return NULL;
    }
    size_t need = (bytes + 15) & ~(size_t)15;
    if (!need) need = 16;
    r->bytes += need;
    void *p = NULL;
    if (need > SMALL_BYTES) {
        p = arena_alloc(&r->arena, need);
    } else {
        if (r->chunk_left < need) {
            r->chunk = arena_alloc(&r->arena, CHUNK_BYTES);
            r->chunk_left = r->chunk ? CHUNK_BYTES : 0;
        }
        if (r->chunk_left >= need) {
            p = r->chunk;
            r->chunk += need;
            r->chunk_left -= need;
        }
    }
    if (!p && !r->status) r->status = fail_nomem(r->err, need, "rendering a chat template");
    return p;
}

static void *alloc_array(struct jrun *r, size_t n, size_t bytes)
{
    size_t total;
    if (!size_mul(n, bytes, &total)) total = SIZE_MAX;
    return jinja_alloc(r, total);
}

struct jvalue jinja_sub(struct jvalue v, size_t at, size_t n)
{
    v.u.s += at;
    v.n = n;
    if (v.marks) v.marks += at;
    return v;
}

bool jinja_is_text(struct jvalue v, const char *s)
{
    return v.kind == J_STR && v.n == strlen(s) && !memcmp(v.u.s, s, v.n);
}

bool jinja_str_eq(struct jvalue a, struct jvalue b)
{
    return a.n == b.n && (!a.n || !memcmp(a.u.s, b.u.s, a.n));
}

const char *jinja_kind_name(struct jvalue v)
{
    static const char *const names[] = {
        "an undefined value", "none", "a boolean", "an integer", "a float", "a string", "a list",
        "a tuple", "a view of a mapping", "a generator", "a range", "a mapping", "a namespace",
        "a macro", "a method", "a function", "the loop", "a cycler", "a joiner", "nothing"};
    return names[v.kind];
}

struct jgrow *jinja_grow(struct jrun *r, size_t cap)
{
    struct jgrow *g = jinja_alloc(r, sizeof *g);
    if (!g) return NULL;
    if (cap < 32) cap = 32;
    *g = (struct jgrow){.cap = cap, .p = jinja_alloc(r, cap), .marks = jinja_alloc(r, cap)};
    return g->p && g->marks ? g : NULL;
}

static bool reserve(struct jrun *r, struct jgrow *g, size_t more)
{
    if (more <= g->cap - g->n) return true;
    size_t need, cap;
    if (!size_add(g->n, more, &need) || !size_mul(need, 2, &cap)) cap = SIZE_MAX;
    char *p = jinja_alloc(r, cap);
    uint8_t *marks = p ? jinja_alloc(r, cap) : NULL;
    if (!marks) return false;
    memcpy(p, g->p, g->n);
    memcpy(marks, g->marks, g->n);
    *g = (struct jgrow){.p = p, .marks = marks, .n = g->n, .cap = cap};
    return true;
}

bool jinja_put(struct jrun *r, struct jgrow *g, const char *p, size_t n, bool trusted)
{
    if (!n) return true;
    if (!reserve(r, g, n) || !jinja_work(r, n)) return false;
    memcpy(g->p + g->n, p, n);
    memset(g->marks + g->n, trusted, n);
    g->n += n;
    return true;
}

bool jinja_put_str(struct jrun *r, struct jgrow *g, struct jvalue v)
{
    if (!v.marks) return jinja_put(r, g, v.u.s, v.n, v.trusted);
    if (!reserve(r, g, v.n) || !jinja_work(r, v.n)) return false;
    memcpy(g->p + g->n, v.u.s, v.n);
    memcpy(g->marks + g->n, v.marks, v.n);
    g->n += v.n;
    return true;
}

struct jvalue jinja_grown(struct jgrow *g)
{
    return (struct jvalue){.kind = J_STR, .u.s = g->p, .n = g->n, .marks = g->marks, .grow = g};
}

bool jinja_concat(struct jrun *r, struct jvalue a, struct jvalue b, struct jvalue *out)
{
    bool markup = a.markup || b.markup;
    if (!a.n || !b.n) {
        *out = a.n ? a : b;
        out->markup = markup;
        return true;
    }
    struct jgrow *g = a.grow;
    if (!g || a.u.s + a.n != g->p + g->n || g->cap - g->n < b.n) {
        size_t cap;
        if (!size_add(a.n, b.n, &cap) || !size_mul(cap, 2, &cap)) cap = SIZE_MAX;
        g = jinja_grow(r, cap);
        if (!g || !jinja_put_str(r, g, a)) return false;
        a = jinja_grown(g);
    }
    if (!jinja_put_str(r, g, b)) return false;
    *out = a;
    out->n += b.n;
    out->markup = markup;
    return true;
}

static int depth_of(struct jvalue v)
{
    switch (v.kind) {
    case J_LIST: case J_TUPLE: case J_VIEW: case J_GEN: return v.u.list->depth + 1;
    case J_DICT: return v.u.dict->depth + 1;
    default: return 0;
    }
}

static bool deepen(struct jrun *r, int *depth, struct jvalue child)
{
    int d = depth_of(child);
    if (d > *depth) *depth = d;
    return d < JINJA_MAX_DEPTH ||
           jinja_fail(r, "values nested deeper than %d", JINJA_MAX_DEPTH);
}

struct jlist *jinja_list(struct jrun *r, size_t cap)
{
    struct jlist *l = jinja_alloc(r, sizeof *l);
    if (!l) return NULL;
    *l = (struct jlist){.cap = cap};
    if (cap) l->v = alloc_array(r, cap, sizeof *l->v);
    return !cap || l->v ? l : NULL;
}

bool jinja_push(struct jrun *r, struct jlist *l, struct jvalue v)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        struct jvalue *p = alloc_array(r, cap, sizeof *p);
        if (!p) return false;
        if (l->n) memcpy(p, l->v, l->n * sizeof *p);
        l->v = p;
        l->cap = cap;
    }
    l->v[l->n++] = v;
    return deepen(r, &l->depth, v);
}

struct jdict *jinja_dict(struct jrun *r, size_t cap)
{
    struct jdict *d = jinja_alloc(r, sizeof *d);
    if (!d) return NULL;
    *d = (struct jdict){.cap = cap};
    if (cap) d->v = alloc_array(r, cap, sizeof *d->v);
    return !cap || d->v ? d : NULL;
}

struct jvalue *jinja_dict_find(const struct jdict *d, const char *s, size_t n)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct jvalue *k = &d->v[i].key;
        if (k->kind == J_STR && k->n == n && (!n || !memcmp(k->u.s, s, n))) return &d->v[i].value;
    }
    return NULL;
}

struct jvalue *jinja_dict_get(struct jrun *r, const struct jdict *d, struct jvalue key)
{
    if (!jinja_spend(r, d->n / 8)) return NULL;
    if (key.kind == J_STR) return jinja_dict_find(d, key.u.s, key.n);
    if (key.kind == J_LIST || key.kind == J_DICT) {
        jinja_fail(r, "%s cannot be a key", jinja_kind_name(key));
        return NULL;
    }
    for (size_t i = 0; i < d->n; i++) {
        bool same;
        if (!jinja_equal(r, d->v[i].key, key, &same)) return NULL;
        if (same) return &d->v[i].value;
    }
    return NULL;
}

bool jinja_dict_put(struct jrun *r, struct jdict *d, struct jvalue key, struct jvalue v, bool fresh)
{
    struct jvalue *old = fresh ? NULL : jinja_dict_get(r, d, key);
    if (r->status) return false;
    if (!deepen(r, &d->depth, v) || !deepen(r, &d->depth, key)) return false;
    if (old) {
        *old = v;
        return true;
    }
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        struct jpair *p = alloc_array(r, cap, sizeof *p);
        if (!p) return false;
        if (d->n) memcpy(p, d->v, d->n * sizeof *p);
        d->v = p;
        d->cap = cap;
    }
    d->v[d->n++] = (struct jpair){key, v};
    return true;
}

bool jinja_pair(struct jrun *r, struct jvalue a, struct jvalue b, struct jvalue *out)
{
    struct jlist *l = jinja_list(r, 2);
    if (!l || !jinja_push(r, l, a) || !jinja_push(r, l, b)) return false;
    *out = jinja_list_value(J_TUPLE, l);
    return true;
}

bool jinja_is_seq(struct jvalue v)
{
    return v.kind >= J_LIST && v.kind <= J_RANGE;
}

size_t jinja_seq_n(struct jvalue v)
{
    return v.kind == J_RANGE ? v.u.range->n : v.u.list->n;
}

struct jvalue jinja_seq_at(struct jvalue v, size_t i)
{
    if (v.kind == J_RANGE) return jinja_int(v.u.range->start + v.u.range->step * (int64_t)i);
    return v.u.list->v[i];
}

static bool characters(struct jrun *r, struct jvalue s, struct jlist *l)
{
    for (size_t at = 0; at < s.n;) {
        size_t n = jinja_char_offset(jinja_sub(s, at, s.n - at), 1);
        if (!jinja_spend(r, 1) || !jinja_push(r, l, jinja_sub(s, at, n))) return false;
        at += n;
    }
    return true;
}

bool jinja_iterate(struct jrun *r, struct jvalue v, struct jvalue *seq)
{
    if (v.kind == J_GEN) { /* what is left of it, once */
        struct jlist *l = jinja_alloc(r, sizeof *l);
        if (!l) return false;
        *l = *v.u.list;
        v.u.list->n = 0;
        *seq = jinja_list_value(J_LIST, l);
        return true;
    }
    if (jinja_is_seq(v)) {
        *seq = v;
        return true;
    }
    if (v.kind != J_DICT && v.kind != J_STR && v.kind != J_UNDEFINED)
        return jinja_fail(r, "%s cannot be iterated", jinja_kind_name(v));
    struct jlist *l = jinja_list(r, v.kind == J_DICT ? v.u.dict->n : 0);
    if (!l) return false;
    for (size_t i = 0; v.kind == J_DICT && i < v.u.dict->n; i++)
        if (!jinja_push(r, l, v.u.dict->v[i].key)) return false;
    if (v.kind == J_STR && !characters(r, v, l)) return false;
    *seq = jinja_list_value(J_LIST, l);
    return jinja_spend(r, l->n / 8);
}

bool jinja_truth(struct jvalue v)
{
    switch (v.kind) {
    case J_UNDEFINED: case J_NONE: case J_MISSING: return false;
    case J_BOOL: return v.u.b;
    case J_INT: return v.u.i != 0;
    case J_FLOAT: return v.u.f != 0;
    case J_STR: return v.n != 0;
    case J_LIST: case J_TUPLE: case J_VIEW: case J_RANGE: return jinja_seq_n(v) != 0;
    case J_DICT: return v.u.dict->n != 0;
    default: return true;
    }
}

static bool equal_dicts(struct jrun *r, const struct jdict *a, const struct jdict *b, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        struct jvalue *other = jinja_dict_get(r, b, a->v[i].key);
        if (r->status) return false;
        if (!other) *out = false;
        else if (!jinja_equal(r, a->v[i].value, *other, out)) return false;
    }
    return true;
}

/* Recursion is bounded by the depth that jinja_push keeps. */
bool jinja_equal(struct jrun *r, struct jvalue a, struct jvalue b, bool *out)
{
    if (!jinja_spend(r, 1)) return false;
    *out = false;
    if (jinja_is_number(a) && jinja_is_number(b)) {
        *out = a.kind == J_FLOAT || b.kind == J_FLOAT ? jinja_number(a) == jinja_number(b)
                                                      : jinja_integer(a) == jinja_integer(b);
        return true;
    }
    if (a.kind != b.kind) return true;
    switch (a.kind) {
    case J_UNDEFINED: case J_NONE: *out = true; return true;
    case J_STR: *out = jinja_str_eq(a, b); return !*out || jinja_work(r, a.n);
    case J_LIST: case J_TUPLE: case J_RANGE:
        *out = jinja_seq_n(a) == jinja_seq_n(b);
        for (size_t i = 0; *out && i < jinja_seq_n(a); i++)
            if (!jinja_equal(r, jinja_seq_at(a, i), jinja_seq_at(b, i), out)) return false;
        return true;
    case J_DICT: return equal_dicts(r, a.u.dict, b.u.dict, out);
    case J_FUNCTION: *out = a.u.function == b.u.function; return true;
    case J_METHOD: return true;
    default: *out = a.u.list == b.u.list; return true; /* the same object */
    }
}

bool jinja_compare(struct jrun *r, struct jvalue a, struct jvalue b, int *out)
{
    if (!jinja_spend(r, 1)) return false;
    if (jinja_is_number(a) && jinja_is_number(b)) {
        if (a.kind == J_FLOAT || b.kind == J_FLOAT) {
            double x = jinja_number(a), y = jinja_number(b);
            *out = x < y ? -1 : x > y;
        } else {
            *out = jinja_integer(a) < jinja_integer(b) ? -1 : jinja_integer(a) > jinja_integer(b);
        }
        return true;
    }
    if (a.kind == J_STR && b.kind == J_STR) { /* UTF-8 bytes order as code points do */
        size_t n = a.n < b.n ? a.n : b.n;
        int c = n ? memcmp(a.u.s, b.u.s, n) : 0;
        *out = c ? (c < 0 ? -1 : 1) : a.n < b.n ? -1 : a.n > b.n;
        return jinja_work(r, n);
    }
    if (a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE)) {
        size_t n = a.u.list->n < b.u.list->n ? a.u.list->n : b.u.list->n;
        for (size_t i = 0; i < n; i++) {
            bool same;
            if (!jinja_equal(r, a.u.list->v[i], b.u.list->v[i], &same)) return false;
            if (!same) return jinja_compare(r, a.u.list->v[i], b.u.list->v[i], out);
        }
        *out = a.u.list->n < b.u.list->n ? -1 : a.u.list->n > b.u.list->n;
        return true;
    }
    return jinja_fail(r, "%s and %s have no order", jinja_kind_name(a), jinja_kind_name(b));
}

bool jinja_contains(struct jrun *r, struct jvalue item, struct jvalue in, bool *out)
{
    *out = false;
    if (in.kind == J_STR) {
        size_t at;
        if (item.kind != J_STR)
            return jinja_fail(r, "'in' a string needs a string, not %s", jinja_kind_name(item));
        *out = jinja_find(in, item, 0, &at);
        return jinja_work(r, in.n);
    }
    if (in.kind == J_DICT) {
        *out = jinja_dict_get(r, in.u.dict, item) != NULL;
        return r->status == FK_OK;
    }
    if (in.kind == J_UNDEFINED) return true;
    if (!jinja_is_seq(in)) return jinja_fail(r, "'in' cannot look into %s", jinja_kind_name(in));
    for (size_t i = 0; i < jinja_seq_n(in) && !*out; i++)
        if (!jinja_equal(r, jinja_seq_at(in, i), item, out)) return false;
    return true;
}

bool jinja_length(struct jrun *r, struct jvalue v, size_t *out)
{
    switch (v.kind) {
    case J_UNDEFINED: *out = 0; return true;
    case J_STR: *out = jinja_chars(v); return jinja_work(r, v.n);
    case J_LIST: case J_TUPLE: case J_VIEW: case J_RANGE: *out = jinja_seq_n(v); return true;
    case J_DICT: *out = v.u.dict->n; return true;
    default: return jinja_fail(r, "%s has no length", jinja_kind_name(v));
    }
}
