/* SPDX-License-Identifier: Apache-2.0
 * template_method.c - methods of strings, mappings, lists and the loop: the whole list is the table
 * at the end. Python's methods that change a list or mapping are refused, as Jinja's immutable
 * sandbox does. */
#include "src/text/template_method.h"
#include <string.h>
#include <utf8proc.h>
#include "src/base/utf8.h"

static bool want_str(struct jrun *r, struct jvalue v, const char *what)
{
    return v.kind == J_STR || jinja_fail(r, "%s needs a string, not %s", what, jinja_kind_name(v));
}

static bool given(struct jvalue v)
{
    return v.kind != J_MISSING && v.kind != J_NONE;
}

static bool trim(struct jrun *r, struct jvalue self, const struct jvalue *a, enum jtrim sides,
                 struct jvalue *out)
{
    if (given(a[0]) && !want_str(r, a[0], "strip")) return false;
    *out = jinja_trim(self, given(a[0]) ? &a[0] : NULL, sides);
    return jinja_work_slowly(r, (self.n - out->n) * (given(a[0]) ? 8 + a[0].n / 4 : 2));
}

static bool m_strip(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return trim(r, s, a, JTRIM_BOTH, out);
}

static bool m_lstrip(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return trim(r, s, a, JTRIM_LEFT, out);
}

static bool m_rstrip(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return trim(r, s, a, JTRIM_RIGHT, out);
}

static bool split(struct jrun *r, struct jvalue s, const struct jvalue *a, bool right,
                  struct jvalue *out)
{
    int64_t max = -1;
    if (given(a[0]) && !want_str(r, a[0], "split")) return false;
    if (a[1].kind == J_INT) max = a[1].u.i;
    else if (a[1].kind != J_MISSING) return jinja_fail(r, "split needs a number of splits");
    struct jlist *l = jinja_list(r, 0);
    if (!l || !jinja_split(r, s, given(a[0]) ? &a[0] : NULL, max, right, l)) return false;
    *out = jinja_list_value(J_LIST, l);
    return true;
}

static bool m_split(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return split(r, s, a, false, out);
}

static bool m_rsplit(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return split(r, s, a, true, out);
}

static bool m_splitlines(struct jrun *r, struct jvalue s, const struct jvalue *a,
                         struct jvalue *out)
{
    struct jlist *l = jinja_list(r, 0);
    if (!l || !jinja_splitlines(r, s, jinja_truth(a[0]), l)) return false;
    *out = jinja_list_value(J_LIST, l);
    return true;
}

static bool partition(struct jrun *r, struct jvalue s, struct jvalue sep, bool right,
                      struct jvalue *out)
{
    struct jlist *parts = jinja_list(r, 2), *l = jinja_list(r, 3);
    struct jvalue none = jinja_sub(s, 0, 0);
    if (!parts || !l || !want_str(r, sep, "partition") ||
        !jinja_split(r, s, &sep, 1, right, parts))
        return false;
    struct jvalue v[3] = {s, none, none};
    if (parts->n == 2) {
        v[0] = parts->v[0];
        /* The separator as it stands in the text, with the text's own marks. */
        v[1] = jinja_sub(s, right ? s.n - parts->v[1].n - sep.n : parts->v[0].n, sep.n);
        v[2] = parts->v[1];
    } else if (right) {
        v[0] = none;
        v[2] = s;
    }
    for (int i = 0; i < 3; i++)
        if (!jinja_push(r, l, v[i])) return false;
    *out = jinja_list_value(J_TUPLE, l);
    return true;
}

static bool m_partition(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return partition(r, s, a[0], false, out);
}

static bool m_rpartition(struct jrun *r, struct jvalue s, const struct jvalue *a,
                         struct jvalue *out)
{
    return partition(r, s, a[0], true, out);
}

static bool has_end(struct jvalue s, struct jvalue end, bool at_start)
{
    return end.n <= s.n &&
           (!end.n || !memcmp(s.u.s + (at_start ? 0 : s.n - end.n), end.u.s, end.n));
}

static bool ends(struct jrun *r, struct jvalue s, struct jvalue what, bool at_start,
                 struct jvalue *out)
{
    bool yes = false;
    if (what.kind == J_TUPLE) {
        for (size_t i = 0; i < what.u.list->n && !yes; i++) {
            if (!want_str(r, what.u.list->v[i], "startswith or endswith")) return false;
            yes = has_end(s, what.u.list->v[i], at_start);
        }
    } else {
        if (!want_str(r, what, "startswith or endswith")) return false;
        yes = has_end(s, what, at_start);
    }
    *out = jinja_bool(yes);
    return true;
}

static bool m_startswith(struct jrun *r, struct jvalue s, const struct jvalue *a,
                         struct jvalue *out)
{
    return ends(r, s, a[0], true, out);
}

static bool m_endswith(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return ends(r, s, a[0], false, out);
}

static bool m_removeprefix(struct jrun *r, struct jvalue s, const struct jvalue *a,
                           struct jvalue *out)
{
    if (!want_str(r, a[0], "removeprefix")) return false;
    *out = has_end(s, a[0], true) ? jinja_sub(s, a[0].n, s.n - a[0].n) : s;
    return true;
}

static bool m_removesuffix(struct jrun *r, struct jvalue s, const struct jvalue *a,
                           struct jvalue *out)
{
    if (!want_str(r, a[0], "removesuffix")) return false;
    *out = has_end(s, a[0], false) ? jinja_sub(s, 0, s.n - a[0].n) : s;
    return true;
}

static bool m_replace(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    int64_t max = a[2].kind == J_INT ? a[2].u.i : -1;
    if (!want_str(r, a[0], "replace") || !want_str(r, a[1], "replace")) return false;
    return jinja_replace(r, s, a[0], a[1], max, out);
}

static bool m_upper(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return jinja_recase(r, s, JCASE_UPPER, out);
}

static bool m_lower(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return jinja_recase(r, s, JCASE_LOWER, out);
}

static bool m_title(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return jinja_recase(r, s, JCASE_TITLE, out);
}

static bool m_capitalize(struct jrun *r, struct jvalue s, const struct jvalue *a,
                         struct jvalue *out)
{
    (void)a;
    return jinja_recase(r, s, JCASE_CAPITALIZE, out);
}

static bool m_join(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue seq;
    struct jgrow *g = jinja_grow(r, 64);
    if (!g || !jinja_iterate(r, a[0], &seq)) return false;
    for (size_t i = 0; i < jinja_seq_n(seq); i++) {
        struct jvalue v = jinja_seq_at(seq, i);
        if (!jinja_spend(r, 1) || !want_str(r, v, "join") || (i && !jinja_put_str(r, g, s)) ||
            !jinja_put_str(r, g, v))
            return false;
    }
    *out = jinja_grown(g);
    return true;
}

/* -1: not there. From the end when `last`. */
static bool find(struct jrun *r, struct jvalue s, struct jvalue what, bool last, int64_t *out)
{
    size_t at, from = 0, found = SIZE_MAX;
    if (!want_str(r, what, "find, index or count") || !jinja_work(r, s.n)) return false;
    while (jinja_find(s, what, from, &at)) {
        found = at;
        if (!last || at == s.n) break;
        from = at + 1;
        if (!jinja_spend(r, 1)) return false;
    }
    *out = found == SIZE_MAX ? -1 : (int64_t)jinja_chars(jinja_sub(s, 0, found));
    return true;
}

static bool find_or(struct jrun *r, struct jvalue s, struct jvalue what, bool last, bool must,
                    struct jvalue *out)
{
    int64_t at = 0;
    if (!find(r, s, what, last, &at)) return false;
    if (must && at < 0) return jinja_fail(r, "index: the substring is not there");
    *out = jinja_int(at);
    return true;
}

static bool m_find(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return find_or(r, s, a[0], false, false, out);
}

static bool m_rfind(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    return find_or(r, s, a[0], true, false, out);
}

static bool m_index(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    if (s.kind == J_STR) return find_or(r, s, a[0], false, true, out);
    for (size_t i = 0; i < jinja_seq_n(s); i++) {
        bool same;
        if (!jinja_equal(r, jinja_seq_at(s, i), a[0], &same)) return false;
        if (!same) continue;
        *out = jinja_int((int64_t)i);
        return true;
    }
    return jinja_fail(r, "index: the value is not in the list");
}

static bool m_count(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    int64_t n = 0;
    if (s.kind == J_STR) {
        if (!want_str(r, a[0], "count") || !jinja_work(r, s.n)) return false;
        if (!a[0].n) n = (int64_t)jinja_chars(s) + 1;
        for (size_t at, from = 0; a[0].n && jinja_find(s, a[0], from, &at); from = at + a[0].n) n++;
        *out = jinja_int(n);
        return jinja_spend(r, (uint64_t)n / 2);
    }
    for (size_t i = 0; i < jinja_seq_n(s); i++) {
        bool same;
        if (!jinja_equal(r, jinja_seq_at(s, i), a[0], &same)) return false;
        n += same;
    }
    *out = jinja_int(n);
    return true;
}

enum { IS_ALPHA = 1, IS_DIGIT = 2, IS_SPACE = 4 };

static bool all_are(struct jrun *r, struct jvalue s, int kinds, struct jvalue *out)
{
    bool yes = s.n > 0;
    size_t len;
    for (size_t at = 0; at < s.n && yes; at += len) {
        uint32_t cp = utf8_decode(s.u.s + at, s.n - at, &len);
        utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)cp);
        yes = ((kinds & IS_ALPHA) && k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
              ((kinds & IS_DIGIT) && k == UTF8PROC_CATEGORY_ND) ||
              ((kinds & IS_SPACE) && jinja_is_space(cp));
    }
    *out = jinja_bool(yes);
    return jinja_work_slowly(r, s.n);
}

static bool m_isalpha(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return all_are(r, s, IS_ALPHA, out);
}

static bool m_isdigit(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return all_are(r, s, IS_DIGIT, out);
}

static bool m_isalnum(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return all_are(r, s, IS_ALPHA | IS_DIGIT, out);
}

static bool m_isspace(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return all_are(r, s, IS_SPACE, out);
}

static bool cased(struct jrun *r, struct jvalue s, enum jcase how, struct jvalue *out)
{
    struct jvalue same, other;
    if (!jinja_recase(r, s, how, &same) ||
        !jinja_recase(r, s, how == JCASE_UPPER ? JCASE_LOWER : JCASE_UPPER, &other))
        return false;
    *out = jinja_bool(jinja_str_eq(s, same) && !jinja_str_eq(s, other));
    return true;
}

static bool m_isupper(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return cased(r, s, JCASE_UPPER, out);
}

static bool m_islower(struct jrun *r, struct jvalue s, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return cased(r, s, JCASE_LOWER, out);
}

static bool m_get(struct jrun *r, struct jvalue d, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue *v = jinja_dict_get(r, d.u.dict, a[0]);
    *out = v ? *v : a[1].kind == J_MISSING ? jinja_kind(J_NONE) : a[1];
    return r->status == FK_OK;
}

static bool view(struct jrun *r, const struct jdict *d, int which, struct jvalue *out)
{
    struct jlist *l = jinja_list(r, d->n);
    if (!l || !jinja_spend(r, d->n / 4)) return false;
    for (size_t i = 0; i < d->n; i++) {
        struct jvalue v = which == 0 ? d->v[i].key : d->v[i].value;
        if (which == 2 && !jinja_pair(r, d->v[i].key, d->v[i].value, &v)) return false;
        if (!jinja_push(r, l, v)) return false;
    }
    *out = jinja_list_value(J_VIEW, l);
    return true;
}

static bool m_keys(struct jrun *r, struct jvalue d, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return view(r, d.u.dict, 0, out);
}

static bool m_values(struct jrun *r, struct jvalue d, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return view(r, d.u.dict, 1, out);
}

static bool m_items(struct jrun *r, struct jvalue d, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return view(r, d.u.dict, 2, out);
}

static bool m_copy(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    *out = v; /* nothing can change it */
    return jinja_spend(r, 1);
}

static bool m_next(struct jrun *r, struct jvalue c, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    *out = c.u.counter->items->v[c.u.counter->i++ % c.u.counter->items->n];
    return jinja_spend(r, 1);
}

static bool m_reset(struct jrun *r, struct jvalue c, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    c.u.counter->i = 0;
    *out = jinja_kind(J_NONE);
    return jinja_spend(r, 1);
}

static bool m_cycle(struct jrun *r, struct jvalue self, const struct jargs *args,
                    struct jvalue *out)
{
    if (!args->n) return jinja_fail(r, "loop.cycle needs an argument");
    *out = args->v[self.u.loop->i % args->n];
    return true;
}

static bool m_changed(struct jrun *r, struct jvalue self, const struct jargs *args,
                      struct jvalue *out)
{
    struct jlist *l = jinja_list(r, args->n);
    bool same = false;
    if (!l) return false;
    for (size_t i = 0; i < args->n; i++)
        if (!jinja_push(r, l, args->v[i])) return false;
    struct jvalue now = jinja_list_value(J_TUPLE, l), *before = &self.u.loop->changed;
    if (before->kind != J_MISSING && !jinja_equal(r, *before, now, &same)) return false;
    *before = now;
    *out = jinja_bool(!same);
    return true;
}

static bool m_refuse(struct jrun *r, struct jvalue self, const struct jargs *args,
                     struct jvalue *out)
{
    (void)args;
    *out = jinja_kind(J_NONE);
    return jinja_fail(r, "a template may not change %s", jinja_kind_name(self));
}

enum { STR = 1 << J_STR, DICT = 1 << J_DICT, LISTS = 1 << J_LIST | 1 << J_TUPLE };

static const char *const none[] = {NULL}, *const p_chars[] = {"chars", NULL},
    *const p_split[] = {"sep", "maxsplit", NULL}, *const p_keep[] = {"keepends", NULL},
    *const p_one[] = {"value", NULL}, *const p_replace[] = {"old", "new", "count", NULL},
    *const p_get[] = {"key", "default", NULL};

static const struct jmethod_def methods[] = {
    {STR, "strip", m_strip, p_chars, 0, NULL}, {STR, "lstrip", m_lstrip, p_chars, 0, NULL},
    {STR, "rstrip", m_rstrip, p_chars, 0, NULL}, {STR, "split", m_split, p_split, 0, NULL},
    {STR, "rsplit", m_rsplit, p_split, 0, NULL},
    {STR, "splitlines", m_splitlines, p_keep, 0, NULL},
    {STR, "partition", m_partition, p_one, 1, NULL},
    {STR, "rpartition", m_rpartition, p_one, 1, NULL},
    {STR, "startswith", m_startswith, p_one, 1, NULL},
    {STR, "endswith", m_endswith, p_one, 1, NULL},
    {STR, "removeprefix", m_removeprefix, p_one, 1, NULL},
    {STR, "removesuffix", m_removesuffix, p_one, 1, NULL},
    {STR, "replace", m_replace, p_replace, 2, NULL}, {STR, "upper", m_upper, none, 0, NULL},
    {STR, "lower", m_lower, none, 0, NULL}, {STR, "casefold", m_lower, none, 0, NULL},
    {STR, "title", m_title, none, 0, NULL}, {STR, "capitalize", m_capitalize, none, 0, NULL},
    {STR, "join", m_join, p_one, 1, NULL}, {STR, "find", m_find, p_one, 1, NULL},
    {STR, "rfind", m_rfind, p_one, 1, NULL}, {STR | LISTS, "index", m_index, p_one, 1, NULL},
    {STR | LISTS, "count", m_count, p_one, 1, NULL}, {STR, "isalpha", m_isalpha, none, 0, NULL},
    {STR, "isdigit", m_isdigit, none, 0, NULL}, {STR, "isnumeric", m_isdigit, none, 0, NULL},
    {STR, "isdecimal", m_isdigit, none, 0, NULL}, {STR, "isalnum", m_isalnum, none, 0, NULL},
    {STR, "isspace", m_isspace, none, 0, NULL}, {STR, "isupper", m_isupper, none, 0, NULL},
    {STR, "islower", m_islower, none, 0, NULL}, {STR, "format", NULL, NULL, 0, jinja_format},
    {DICT, "get", m_get, p_get, 1, NULL}, {DICT, "items", m_items, none, 0, NULL},
    {DICT, "keys", m_keys, none, 0, NULL}, {DICT, "values", m_values, none, 0, NULL},
    {DICT | 1 << J_LIST, "copy", m_copy, none, 0, NULL},
    {1 << J_CYCLER, "next", m_next, none, 0, NULL},
    {1 << J_CYCLER, "reset", m_reset, none, 0, NULL},
    {1 << J_LOOP, "cycle", NULL, NULL, 0, m_cycle},
    {1 << J_LOOP, "changed", NULL, NULL, 0, m_changed},
    {DICT | 1 << J_LIST, "clear", NULL, NULL, 0, m_refuse},
    {DICT | 1 << J_LIST, "pop", NULL, NULL, 0, m_refuse},
    {DICT, "popitem", NULL, NULL, 0, m_refuse}, {DICT, "setdefault", NULL, NULL, 0, m_refuse},
    {DICT, "update", NULL, NULL, 0, m_refuse}, {1 << J_LIST, "append", NULL, NULL, 0, m_refuse},
    {1 << J_LIST, "extend", NULL, NULL, 0, m_refuse},
    {1 << J_LIST, "insert", NULL, NULL, 0, m_refuse},
    {1 << J_LIST, "remove", NULL, NULL, 0, m_refuse},
    {1 << J_LIST, "reverse", NULL, NULL, 0, m_refuse},
    {1 << J_LIST, "sort", NULL, NULL, 0, m_refuse}};

bool jinja_find_method(struct jrun *r, struct jvalue self, const char *s, size_t n,
                       struct jvalue *out)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct jmethod_def *def = &methods[i];
        if (!(def->kinds >> self.kind & 1) || strlen(def->name) != n || memcmp(def->name, s, n))
            continue;
        struct jmethod *m = jinja_alloc(r, sizeof *m);
        if (!m) return false;
        *m = (struct jmethod){.self = self, .def = def};
        *out = jinja_kind(J_METHOD);
        out->u.method = m;
        return true;
    }
    return false;
}

bool jinja_call_method(struct jrun *r, const struct jmethod *m, const struct jargs *args,
                       struct jvalue *out)
{
    struct jvalue a[JMETHOD_MAX_ARGS];
    if (m->def->any) return m->def->any(r, m->self, args, out);
    return jinja_bind(r, m->def->name, args, m->def->params, m->def->n_needed, a) &&
           m->def->call(r, m->self, a, out);
}
