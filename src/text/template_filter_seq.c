/* SPDX-License-Identifier: Apache-2.0
 * template_filter_seq.c - filters over sequences: order, choice, mapping, joining. What Jinja makes
 * lazily (map, select, reverse, unique) is a list here that can be walked once. */
#include <string.h>
#include "src/base/alloc.h"
#include "src/text/template_filter.h"

static bool given(struct jvalue v)
{
    return v.kind != J_MISSING && v.kind != J_NONE;
}

/* "a.b.0" of item; without an attribute the item itself. */
static bool attribute(struct jrun *r, struct jvalue item, struct jvalue path, struct jvalue *out)
{
    *out = item;
    if (!given(path)) return true;
    if (path.kind == J_INT) return jinja_get_item(r, item, path, out);
    if (path.kind != J_STR) return jinja_fail(r, "an attribute is a string or a number");
    for (size_t from = 0; from <= path.n;) {
        size_t end = from;
        bool digits = true;
        int64_t i = 0;
        for (; end < path.n && path.u.s[end] != '.'; end++) {
            char c = path.u.s[end];
            if (c < '0' || c > '9' || i > 1000000) digits = false;
            else i = i * 10 + (c - '0');
        }
        struct jvalue key = jinja_sub(path, from, end - from);
        if (digits && key.n) key = jinja_int(i);
        if (!jinja_get_item(r, *out, key, out)) return false;
        from = end + 1;
    }
    return true;
}

/* What a value is ordered by: strings without regard to case unless case_sensitive. */
static bool sort_key(struct jrun *r, struct jvalue v, bool case_sensitive, struct jvalue *out)
{
    *out = v;
    return case_sensitive || v.kind != J_STR || jinja_recase(r, v, JCASE_LOWER, out);
}

/* Stable merge sort by keys; n pairs of key and value. */
static bool sort_pairs(struct jrun *r, struct jpair *v, size_t n, bool reverse)
{
    struct jpair *from = v, *to = jinja_alloc(r, (n ? n : 1) * sizeof *to);
    if (!to) return false;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t i = at, mid = at + width < n ? at + width : n;
            size_t k = mid, end = at + 2 * width < n ? at + 2 * width : n;
            for (size_t o = at; o < end; o++) {
                int order = -1;
                if (i == mid) order = 1;
                else if (k < end) {
                    if (!jinja_compare(r, from[i].key, from[k].key, &order)) return false;
                    if (reverse) order = -order;
                }
                to[o] = order <= 0 ? from[i++] : from[k++];
            }
        }
        struct jpair *t = from;
        from = to;
        to = t;
    }
    if (from != v) memcpy(v, from, n * sizeof *v);
    return true;
}

static bool keyed(struct jrun *r, struct jvalue v, struct jvalue attr, bool case_sensitive,
                  struct jpair **out, size_t *n)
{
    struct jvalue seq;
    size_t bytes;
    if (!jinja_iterate(r, v, &seq)) return false;
    *n = jinja_seq_n(seq);
    if (!size_mul(*n + 1, sizeof **out, &bytes) || !(*out = jinja_alloc(r, bytes))) return false;
    for (size_t i = 0; i < *n; i++) {
        struct jpair *p = &(*out)[i];
        p->value = jinja_seq_at(seq, i);
        if (!jinja_spend(r, 1) || !attribute(r, p->value, attr, &p->key) ||
            !sort_key(r, p->key, case_sensitive, &p->key))
            return false;
    }
    return true;
}

static bool f_sort(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jpair *p;
    size_t n;
    if (!keyed(r, v, a[2], jinja_truth(a[1]), &p, &n) ||
        !sort_pairs(r, p, n, jinja_truth(a[0])))
        return false;
    struct jlist *l = jinja_list(r, n);
    for (size_t i = 0; l && i < n; i++)
        if (!jinja_push(r, l, p[i].value)) return false;
    if (l) *out = jinja_list_value(J_LIST, l);
    return l != NULL;
}

static bool f_dictsort(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    bool by_value = jinja_is_text(a[1], "value");
    if (v.kind != J_DICT) return jinja_fail(r, "dictsort of %s", jinja_kind_name(v));
    if (given(a[1]) && !by_value && !jinja_is_text(a[1], "key"))
        return jinja_fail(r, "dictsort: by 'key' or 'value'");
    const struct jdict *d = v.u.dict;
    struct jpair *p = jinja_alloc(r, (d->n + 1) * sizeof *p);
    struct jlist *l = jinja_list(r, d->n);
    if (!p || !l) return false;
    for (size_t i = 0; i < d->n; i++) {
        struct jvalue key = by_value ? d->v[i].value : d->v[i].key;
        if (!sort_key(r, key, jinja_truth(a[0]), &p[i].key) ||
            !jinja_pair(r, d->v[i].key, d->v[i].value, &p[i].value))
            return false;
    }
    if (!sort_pairs(r, p, d->n, jinja_truth(a[2]))) return false;
    for (size_t i = 0; i < d->n; i++)
        if (!jinja_push(r, l, p[i].value)) return false;
    *out = jinja_list_value(J_LIST, l);
    return true;
}

static bool f_unique(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jpair *p;
    size_t n;
    struct jlist *seen = jinja_list(r, 0), *l = jinja_list(r, 0);
    if (!seen || !l || !keyed(r, v, a[1], jinja_truth(a[0]), &p, &n)) return false;
    for (size_t i = 0; i < n; i++) {
        bool known;
        if (!jinja_contains(r, p[i].key, jinja_list_value(J_LIST, seen), &known)) return false;
        if (!known && (!jinja_push(r, seen, p[i].key) || !jinja_push(r, l, p[i].value)))
            return false;
    }
    *out = jinja_list_value(J_GEN, l);
    return true;
}

static bool extreme(struct jrun *r, struct jvalue v, const struct jvalue *a, int sign,
                    struct jvalue *out)
{
    struct jpair *p;
    size_t n, best = 0;
    if (!keyed(r, v, a[1], jinja_truth(a[0]), &p, &n)) return false;
    *out = jinja_undefined("the extreme of nothing", 22);
    for (size_t i = 1; i < n; i++) {
        int order;
        if (!jinja_compare(r, p[i].key, p[best].key, &order)) return false;
        if (order * sign > 0) best = i;
    }
    if (n) *out = p[best].value;
    return true;
}

static bool f_min(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    return extreme(r, v, a, -1, out);
}

static bool f_max(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    return extreme(r, v, a, 1, out);
}

static bool f_sum(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue seq, item;
    *out = a[1].kind == J_MISSING ? jinja_int(0) : a[1];
    if (!jinja_iterate(r, v, &seq)) return false;
    for (size_t i = 0; i < jinja_seq_n(seq); i++)
        if (!jinja_spend(r, 1) || !attribute(r, jinja_seq_at(seq, i), a[0], &item) ||
            !jinja_arith(r, '+', *out, item, out))
            return false;
    return true;
}

static bool f_join(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue seq, item, sep = jinja_str("", 0, true);
    struct jgrow *g = jinja_grow(r, 64);
    if (!g || !jinja_iterate(r, v, &seq)) return false;
    if (a[0].kind != J_MISSING && !jinja_text(r, a[0], &sep)) return false;
    for (size_t i = 0; i < jinja_seq_n(seq); i++)
        if (!jinja_spend(r, 1) || !attribute(r, jinja_seq_at(seq, i), a[1], &item) ||
            !jinja_text(r, item, &item) || (i && !jinja_put_str(r, g, sep)) ||
            !jinja_put_str(r, g, item))
            return false;
    *out = jinja_grown(g);
    return true;
}

static bool f_list(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue seq;
    (void)a;
    if (!jinja_iterate(r, v, &seq)) return false;
    *out = seq;
    out->kind = J_LIST;
    if (seq.kind != J_RANGE) return true;
    struct jlist *l = jinja_list(r, seq.u.range->n);
    for (size_t i = 0; l && i < seq.u.range->n; i++)
        if (!jinja_push(r, l, jinja_seq_at(seq, i)) || !jinja_spend(r, 1)) return false;
    out->u.list = l;
    return l != NULL;
}

static bool f_first(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue seq;
    (void)a;
    if (v.kind == J_GEN && v.u.list->n) { /* takes one, leaves the rest */
        *out = v.u.list->v[0];
        v.u.list->v++;
        v.u.list->n--;
        v.u.list->cap--;
        return true;
    }
    if (v.kind == J_STR) {
        *out = jinja_sub(v, 0, jinja_char_offset(v, 1));
        if (!v.n) *out = jinja_undefined("the first of nothing", 20);
        return true;
    }
    if (!jinja_iterate(r, v, &seq)) return false;
    *out = jinja_seq_n(seq) ? jinja_seq_at(seq, 0) : jinja_undefined("the first of nothing", 20);
    return true;
}

static bool f_last(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue seq;
    (void)a;
    if (v.kind == J_GEN) return jinja_fail(r, "a generator has no last item");
    if (!jinja_iterate(r, v, &seq)) return false;
    size_t n = jinja_seq_n(seq);
    *out = n ? jinja_seq_at(seq, n - 1) : jinja_undefined("the last of nothing", 19);
    return true;
}

static bool f_reverse(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    const struct jvalue back[3] = {jinja_kind(J_MISSING), jinja_kind(J_MISSING), jinja_int(-1)};
    struct jvalue seq;
    (void)a;
    if (v.kind == J_STR) return jinja_slice(r, v, back, out);
    if (!jinja_iterate(r, v, &seq)) return false;
    if (seq.kind == J_VIEW) seq.kind = J_LIST;
    if (!jinja_slice(r, seq, back, out)) return false;
    out->kind = J_GEN;
    return true;
}

static bool f_batch(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jlist *batches = jinja_list(r, 0), *one = NULL;
    struct jvalue seq;
    if (a[0].kind != J_INT || a[0].u.i < 1) return jinja_fail(r, "batch needs a positive number");
    if (!batches || !jinja_iterate(r, v, &seq)) return false;
    size_t size = (size_t)a[0].u.i, n = jinja_seq_n(seq);
    if (size > 100000) return jinja_fail(r, "batch: more than 100000 in one");
    size_t padded = given(a[1]) ? (n + size - 1) / size * size : n;
    for (size_t i = 0; i < padded; i++) {
        if (i % size == 0 && !(one = jinja_list(r, 0))) return false;
        if (!jinja_spend(r, 1) || !jinja_push(r, one, i < n ? jinja_seq_at(seq, i) : a[1]))
            return false;
        bool full = i % size == size - 1 || i == padded - 1;
        if (full && !jinja_push(r, batches, jinja_list_value(J_LIST, one))) return false;
    }
    *out = jinja_list_value(J_GEN, batches);
    return true;
}

static bool f_items(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jlist *l = jinja_list(r, 0);
    struct jvalue pair;
    (void)a;
    if (!l) return false;
    if (v.kind != J_DICT && v.kind != J_UNDEFINED)
        return jinja_fail(r, "items of %s", jinja_kind_name(v));
    for (size_t i = 0; v.kind == J_DICT && i < v.u.dict->n; i++)
        if (!jinja_spend(r, 1) ||
            !jinja_pair(r, v.u.dict->v[i].key, v.u.dict->v[i].value, &pair) ||
            !jinja_push(r, l, pair))
            return false;
    *out = jinja_list_value(J_GEN, l);
    return true;
}

/* map and the select filters take whatever is false, none too, for an empty sequence. */
static bool walk(struct jrun *r, struct jvalue v, struct jvalue *seq)
{
    return jinja_iterate(r, jinja_truth(v) ? v : jinja_undefined("", 0), seq);
}

static bool map_item(struct jrun *r, struct jvalue item, const struct jargs *args,
                     const struct jvalue *attr, struct jvalue *out)
{
    if (attr) {
        if (!attribute(r, item, attr[0], out)) return false;
        if (out->kind == J_UNDEFINED && given(attr[1])) *out = attr[1];
        return true;
    }
    struct jargs rest = *args;
    rest.v++;
    rest.n--;
    return jinja_filter(r, args->v[0].u.s, args->v[0].n, item, &rest, out);
}

static bool map(struct jrun *r, struct jvalue v, const struct jargs *args, struct jvalue *out)
{
    static const char *const names[] = {"attribute", "default", NULL};
    struct jvalue a[2], seq, item;
    struct jlist *l = jinja_list(r, 0);
    bool by_attr = !args->n;
    if (!l || (by_attr && !jinja_bind(r, "map", args, names, 1, a))) return false;
    if (!by_attr && args->v[0].kind != J_STR) return jinja_fail(r, "map needs a filter's name");
    if (!walk(r, v, &seq)) return false;
    for (size_t i = 0; i < jinja_seq_n(seq); i++)
        if (!jinja_spend(r, 1) ||
            !map_item(r, jinja_seq_at(seq, i), args, by_attr ? a : NULL, &item) ||
            !jinja_push(r, l, item))
            return false;
    *out = jinja_list_value(J_GEN, l);
    return true;
}

/* select, reject, selectattr, rejectattr */
static bool choose(struct jrun *r, struct jvalue v, const struct jargs *args, bool by_attr,
                   bool wanted, struct jvalue *out)
{
    struct jargs rest = *args;
    struct jvalue attr = jinja_kind(J_MISSING), test = attr, seq, item;
    struct jlist *l = jinja_list(r, 0);
    if (!l || !walk(r, v, &seq)) return false;
    if (by_attr) {
        if (!rest.n) return jinja_fail(r, "selectattr and rejectattr need an attribute");
        attr = *rest.v++;
        rest.n--;
    }
    if (rest.n) {
        test = *rest.v++;
        rest.n--;
        if (test.kind != J_STR) return jinja_fail(r, "a test's name is a string");
    }
    for (size_t i = 0; i < jinja_seq_n(seq); i++) {
        bool yes;
        if (!jinja_spend(r, 1) || !attribute(r, jinja_seq_at(seq, i), attr, &item)) return false;
        yes = jinja_truth(item);
        if (test.kind == J_STR && !jinja_test(r, test.u.s, test.n, item, &rest, &yes)) return false;
        if (yes == wanted && !jinja_push(r, l, jinja_seq_at(seq, i))) return false;
    }
    *out = jinja_list_value(J_GEN, l);
    return true;
}

static const char *const none[] = {NULL},
    *const p_sort[] = {"reverse", "case_sensitive", "attribute", NULL},
    *const p_dictsort[] = {"case_sensitive", "by", "reverse", NULL},
    *const p_key[] = {"case_sensitive", "attribute", NULL},
    *const p_sum[] = {"attribute", "start", NULL}, *const p_join[] = {"d", "attribute", NULL},
    *const p_batch[] = {"linecount", "fill_with", NULL};

static const struct jfilter_def filters[] = {
    {"sort", f_sort, p_sort, 0}, {"dictsort", f_dictsort, p_dictsort, 0},
    {"unique", f_unique, p_key, 0}, {"min", f_min, p_key, 0}, {"max", f_max, p_key, 0},
    {"sum", f_sum, p_sum, 0}, {"join", f_join, p_join, 0}, {"list", f_list, none, 0},
    {"first", f_first, none, 0}, {"last", f_last, none, 0}, {"reverse", f_reverse, none, 0},
    {"items", f_items, none, 0}, {"batch", f_batch, p_batch, 1}};

static bool is(const char *s, size_t n, const char *name)
{
    return strlen(name) == n && !memcmp(name, s, n);
}

bool jinja_filter_seq(struct jrun *r, const char *s, size_t n, struct jvalue v,
                      const struct jargs *args, bool *known, struct jvalue *out)
{
    struct jvalue a[JFILTER_MAX_ARGS];
    const struct jfilter_def *def =
        jinja_pick_filter(filters, sizeof filters / sizeof *filters, s, n);
    *known = true;
    if (def)
        return jinja_bind(r, def->name, args, def->params, def->n_needed, a) &&
               def->call(r, v, a, out);
    if (is(s, n, "select")) return choose(r, v, args, false, true, out);
    if (is(s, n, "reject")) return choose(r, v, args, false, false, out);
    if (is(s, n, "selectattr")) return choose(r, v, args, true, true, out);
    if (is(s, n, "rejectattr")) return choose(r, v, args, true, false, out);
    /* A filter inside map inside map ...: bounded by the arguments that the syntax holds. */
    if (is(s, n, "map")) return map(r, v, args, out);
    *known = false;
    return false;
}
