/* SPDX-License-Identifier: Apache-2.0
 * template_filter.c - filters on single values; those over sequences are in template_filter_seq.c.
 * The whole list is in the two tables. */
#include "src/text/template_filter.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/alloc.h"

static bool given(struct jvalue v)
{
    return v.kind != J_MISSING && v.kind != J_NONE;
}

static bool f_default(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    bool use = v.kind == J_UNDEFINED || (jinja_truth(a[1]) && !jinja_truth(v));
    *out = !use ? v : a[0].kind == J_MISSING ? jinja_str("", 0, true) : a[0];
    return jinja_spend(r, 1);
}

static bool f_length(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    size_t n;
    (void)a;
    if (!jinja_length(r, v, &n)) return false;
    *out = jinja_int((int64_t)n);
    return true;
}

static bool recase(struct jrun *r, struct jvalue v, enum jcase how, struct jvalue *out)
{
    return jinja_text(r, v, &v) && jinja_recase(r, v, how, out);
}

static bool f_upper(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return recase(r, v, JCASE_UPPER, out);
}

static bool f_lower(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return recase(r, v, JCASE_LOWER, out);
}

static bool f_title(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return recase(r, v, JCASE_WORDS, out);
}

static bool f_capitalize(struct jrun *r, struct jvalue v, const struct jvalue *a,
                         struct jvalue *out)
{
    (void)a;
    return recase(r, v, JCASE_CAPITALIZE, out);
}

static bool f_trim(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue chars = a[0];
    if (!jinja_text(r, v, &v) || (given(chars) && !jinja_text(r, chars, &chars))) return false;
    *out = jinja_trim(v, given(chars) ? &chars : NULL, JTRIM_BOTH);
    return jinja_work_slowly(r, (v.n - out->n) * (given(chars) ? 8 + chars.n / 4 : 2));
}

static bool f_replace(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue old, by;
    int64_t max = a[2].kind == J_INT ? a[2].u.i : -1;
    return jinja_text(r, v, &v) && jinja_text(r, a[0], &old) && jinja_text(r, a[1], &by) &&
           jinja_replace(r, v, old, by, max, out);
}

static bool f_string(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return jinja_text(r, v, out);
}

static bool f_safe(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    if (!jinja_text(r, v, out)) return false;
    out->markup = true;
    return true;
}

static bool f_escape(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    return jinja_text(r, v, &v) && jinja_escape_html(r, v, out);
}

static bool separators(struct jrun *r, struct jvalue v, struct jjson *how)
{
    if (!given(v)) return true;
    if (!jinja_is_seq(v) || jinja_seq_n(v) != 2 || jinja_seq_at(v, 0).kind != J_STR ||
        jinja_seq_at(v, 1).kind != J_STR)
        return jinja_fail(r, "tojson: separators are two strings");
    how->item_sep = jinja_seq_at(v, 0);
    how->key_sep = jinja_seq_at(v, 1);
    return true;
}

static bool f_tojson(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jjson how = {.ascii = jinja_truth(a[0]), .sort_keys = jinja_truth(a[3]), .indent = -1,
                        .indent_text = jinja_kind(J_MISSING), .key_sep = jinja_str(": ", 2, false),
                        .item_sep = jinja_str(", ", 2, false)};
    if (a[1].kind == J_STR) {
        how.indent = 0;
        how.indent_text = a[1];
    } else if (a[1].kind == J_INT || a[1].kind == J_BOOL) {
        int64_t n = jinja_integer(a[1]);
        if (n > 64) return jinja_fail(r, "tojson: an indent of more than 64");
        how.indent = n < 0 ? 0 : (int)n;
    } else if (given(a[1])) {
        return jinja_fail(r, "tojson: an indent is a number or a string");
    }
    if (how.indent >= 0) how.item_sep = jinja_str(",", 1, false);
    return separators(r, a[2], &how) && jinja_tojson(r, v, &how, out);
}

static bool indent_unit(struct jrun *r, struct jvalue v, struct jvalue *out)
{
    if (v.kind == J_STR) {
        *out = v;
        return true;
    }
    int64_t n = v.kind == J_MISSING ? 4 : v.kind == J_INT ? v.u.i : -1;
    if (n < 0 || n > 1000) return jinja_fail(r, "indent needs a width from 0 to 1000");
    struct jgrow *g = jinja_grow(r, (size_t)n);
    for (int64_t i = 0; g && i < n; i++)
        if (!jinja_put(r, g, " ", 1, true)) return false;
    if (g) *out = jinja_grown(g);
    return g != NULL;
}

static bool f_indent(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    struct jvalue unit = jinja_kind(J_NONE), newline = jinja_str("\n", 1, true);
    struct jlist *lines = jinja_list(r, 0);
    struct jgrow *g = jinja_grow(r, 64);
    if (v.kind != J_STR) return jinja_fail(r, "indent of %s", jinja_kind_name(v));
    if (!lines || !g || !indent_unit(r, a[0], &unit) ||
        !jinja_concat(r, v, newline, &v) || !jinja_splitlines(r, v, false, lines))
        return false;
    if (jinja_truth(a[1]) && !jinja_put_str(r, g, unit)) return false;
    for (size_t i = 0; i < lines->n; i++) {
        bool wide = i && (jinja_truth(a[2]) || lines->v[i].n);
        if ((i && !jinja_put_str(r, g, newline)) || (wide && !jinja_put_str(r, g, unit)) ||
            !jinja_put_str(r, g, lines->v[i]) || !jinja_spend(r, 1))
            return false;
    }
    *out = jinja_grown(g);
    return true;
}

/* int(text, base): white space around, a sign, underscores between digits. */
static bool read_int(struct jvalue s, int base, int64_t *out)
{
    bool minus = false, digit_before = false;
    s = jinja_trim(s, NULL, JTRIM_BOTH);
    if (s.n && (s.u.s[0] == '-' || s.u.s[0] == '+')) {
        minus = s.u.s[0] == '-';
        s = jinja_sub(s, 1, s.n - 1);
    }
    if (s.n > 2 && s.u.s[0] == '0') {
        char c = (char)(s.u.s[1] | 32);
        if ((c == 'x' && base == 16) || (c == 'o' && base == 8) || (c == 'b' && base == 2))
            s = jinja_sub(s, 2, s.n - 2);
    }
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.u.s[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z'
                                                     ? (c | 32) - 'a' + 10 : 99;
        if (c == '_' && digit_before && i + 1 < s.n) {
            digit_before = false;
            continue;
        }
        if (d >= base || __builtin_mul_overflow(v, base, &v) ||
            __builtin_sub_overflow(v, d, &v)) /* negative: INT64_MIN has no positive */
            return false;
        digit_before = true;
    }
    if (!digit_before || (!minus && v == INT64_MIN)) return false;
    *out = minus ? v : -v;
    return true;
}

static bool read_float(struct jvalue s, double *out)
{
    char text[64];
    size_t n = 0;
    s = jinja_trim(s, NULL, JTRIM_BOTH);
    if (s.n >= sizeof text) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!s.u.s[i] || !strchr("0123456789+-.eE_infatyINFATY", s.u.s[i])) return false;
        if (s.u.s[i] != '_') text[n++] = s.u.s[i];
    }
    text[n] = 0;
    return jinja_read_float(text, out);
}

static bool f_int(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    int64_t base = a[1].kind == J_INT ? a[1].u.i : 10, i = 0;
    double f = NAN;
    if (base < 2 || base > 36) return jinja_fail(r, "int: a base from 2 to 36");
    if (v.kind == J_UNDEFINED) return jinja_fail(r, "int of an undefined value");
    *out = a[0].kind == J_MISSING ? jinja_int(0) : a[0];
    if (v.kind == J_INT || v.kind == J_BOOL) *out = jinja_int(jinja_integer(v));
    else if (v.kind == J_STR && read_int(v, (int)base, &i)) *out = jinja_int(i);
    else if (v.kind == J_FLOAT) f = v.u.f;
    else if (v.kind == J_STR && !read_float(v, &f)) f = NAN;
    if (f > -9.2e18 && f < 9.2e18) *out = jinja_int((int64_t)f);
    return true;
}

static bool f_float(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    double f;
    if (v.kind == J_UNDEFINED) return jinja_fail(r, "float of an undefined value");
    *out = a[0].kind == J_MISSING ? jinja_float(0) : a[0];
    if (jinja_is_number(v)) *out = jinja_float(jinja_number(v));
    else if (v.kind == J_STR && read_float(v, &f)) *out = jinja_float(f);
    return true;
}

static bool f_abs(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    (void)a;
    if (!jinja_is_number(v)) return jinja_fail(r, "abs of %s", jinja_kind_name(v));
    *out = v;
    if (v.kind == J_FLOAT) out->u.f = fabs(v.u.f);
    else if (jinja_integer(v) < 0) return jinja_arith(r, '-', jinja_int(0), v, out);
    else *out = jinja_int(jinja_integer(v));
    return true;
}

static bool f_round(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out)
{
    int64_t digits = a[0].kind == J_INT ? a[0].u.i : 0;
    char text[400];
    if (!jinja_is_number(v)) return jinja_fail(r, "round of %s", jinja_kind_name(v));
    if (digits < 0 || digits > 15) return jinja_fail(r, "round: a precision from 0 to 15");
    bool down = jinja_is_text(a[1], "floor"), up = jinja_is_text(a[1], "ceil");
    if (given(a[1]) && !down && !up && !jinja_is_text(a[1], "common"))
        return jinja_fail(r, "round: a method that is not common, ceil or floor");
    double f = jinja_number(v), scale = pow(10, (double)digits);
    *out = v;
    if (down || up) {
        *out = jinja_float((down ? floor(f * scale) : ceil(f * scale)) / scale);
    } else if (v.kind == J_FLOAT && isfinite(f)) {
        snprintf(text, sizeof text, "%.*f", (int)digits, f);
        for (char *p = text; *p; p++)
            if (*p == ',') *p = '.'; /* the point of some locales */
        if (!jinja_read_float(text, &f)) return jinja_fail(r, "round: a number too long");
        *out = jinja_float(f);
    } else if (v.kind == J_BOOL) {
        *out = jinja_int(jinja_integer(v));
    }
    return true;
}

static const char *const none[] = {NULL}, *const p_default[] = {"default_value", "boolean", NULL},
    *const p_trim[] = {"chars", NULL}, *const p_replace[] = {"old", "new", "count", NULL},
    *const p_tojson[] = {"ensure_ascii", "indent", "separators", "sort_keys", NULL},
    *const p_indent[] = {"width", "first", "blank", NULL},
    *const p_int[] = {"default", "base", NULL}, *const p_float[] = {"default", NULL},
    *const p_round[] = {"precision", "method", NULL};

static const struct jfilter_def filters[] = {
    {"default", f_default, p_default, 0}, {"d", f_default, p_default, 0},
    {"length", f_length, none, 0}, {"count", f_length, none, 0}, {"upper", f_upper, none, 0},
    {"lower", f_lower, none, 0}, {"title", f_title, none, 0},
    {"capitalize", f_capitalize, none, 0}, {"trim", f_trim, p_trim, 0},
    {"replace", f_replace, p_replace, 2}, {"string", f_string, none, 0}, {"safe", f_safe, none, 0},
    {"escape", f_escape, none, 0}, {"e", f_escape, none, 0}, {"tojson", f_tojson, p_tojson, 0},
    {"indent", f_indent, p_indent, 0}, {"int", f_int, p_int, 0}, {"float", f_float, p_float, 0},
    {"abs", f_abs, none, 0}, {"round", f_round, p_round, 0}};

const struct jfilter_def *jinja_pick_filter(const struct jfilter_def *table, size_t n_table,
                                            const char *s, size_t n)
{
    for (size_t i = 0; i < n_table; i++)
        if (strlen(table[i].name) == n && !memcmp(table[i].name, s, n)) return &table[i];
    return NULL;
}

/* '%s: %s'|format(a, b) or '%(x)s'|format(x=1) */
static bool format(struct jrun *r, struct jvalue v, const struct jargs *args, struct jvalue *out)
{
    struct jvalue with;
    if (!jinja_text(r, v, &v)) return false;
    if (args->n && args->n_kw) return jinja_fail(r, "format takes values or names, not both");
    if (args->n_kw) {
        struct jdict *d = jinja_dict(r, args->n_kw);
        if (!d) return false;
        for (size_t i = 0; i < args->n_kw; i++)
            if (!jinja_dict_put(r, d, jinja_str(args->kw[i].s, args->kw[i].n, true),
                                args->kw[i].value, false))
                return false;
        with = jinja_kind(J_DICT);
        with.u.dict = d;
        return jinja_percent(r, v, with, out);
    }
    struct jlist *l = jinja_list(r, args->n);
    for (size_t i = 0; l && i < args->n; i++)
        if (!jinja_push(r, l, args->v[i])) return false;
    return l && jinja_percent(r, v, jinja_list_value(J_TUPLE, l), out);
}

bool jinja_filter(struct jrun *r, const char *s, size_t n, struct jvalue v,
                  const struct jargs *args, struct jvalue *out)
{
    const struct jfilter_def *def =
        jinja_pick_filter(filters, sizeof filters / sizeof *filters, s, n);
    struct jvalue a[JFILTER_MAX_ARGS], result = jinja_kind(J_NONE);
    bool known = true, ok;
    if (!jinja_spend(r, 1)) return false;
    if (def)
        ok = jinja_bind(r, def->name, args, def->params, def->n_needed, a) &&
             def->call(r, v, a, &result);
    else if (n == 6 && !memcmp(s, "format", 6)) ok = format(r, v, args, &result);
    else ok = jinja_filter_seq(r, s, n, v, args, &known, &result);
    if (!known)
        return jinja_fail(r, "there is no filter named '%.*s'", (int)(n < 60 ? n : 60), s);
    *out = result;
    return ok;
}
