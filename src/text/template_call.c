/* SPDX-License-Identifier: Apache-2.0
 * template_call.c - calls: sorting arguments to parameters, macros, and the global functions range,
 * namespace, dict, raise_exception, strftime_now, cycler and joiner. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "src/text/template_method.h"
#include "src/text/template_run.h"

enum { MAX_RANGE = 100000 }; /* Jinja's sandbox has the same limit */

bool jinja_bind(struct jrun *r, const char *what, const struct jargs *args,
                const char *const *names, size_t n_needed, struct jvalue *out)
{
    size_t n = 0;
    for (; names[n]; n++) out[n] = jinja_kind(J_MISSING);
    if (args->n > n) return jinja_fail(r, "%s takes %zu arguments, not %zu", what, n, args->n);
    for (size_t i = 0; i < args->n; i++) out[i] = args->v[i];
    for (size_t i = 0; i < args->n_kw; i++) {
        const struct jkwarg *kw = &args->kw[i];
        size_t k = 0;
        while (k < n && (strlen(names[k]) != kw->n || memcmp(names[k], kw->s, kw->n))) k++;
        if (k == n || out[k].kind != J_MISSING)
            return jinja_fail(r, "%s does not take the argument '%.*s' here", what,
                              (int)(kw->n < 60 ? kw->n : 60), kw->s);
        out[k] = kw->value;
    }
    for (size_t i = 0; i < n_needed; i++)
        if (out[i].kind == J_MISSING) return jinja_fail(r, "%s needs '%s'", what, names[i]);
    return true;
}

/* The value of parameter i: given by position, by name, by default, or undefined. */
static bool macro_argument(struct jrun *r, const struct jnode *param, size_t i,
                           const struct jargs *args, bool *used, struct jvalue *out)
{
    bool given = i < args->n;
    if (given) *out = args->v[i];
    for (size_t k = 0; k < args->n_kw; k++) {
        const struct jkwarg *kw = &args->kw[k];
        if (kw->n != param->len || memcmp(kw->s, param->s, kw->n)) continue;
        if (given) return jinja_fail(r, "the macro's argument '%.*s' is given twice",
                                     (int)(kw->n < 60 ? kw->n : 60), kw->s);
        given = used[k] = true;
        *out = kw->value;
    }
    if (given) return true;
    if (param->kid && param->kid[0]) return jinja_eval(r, param->kid[0], out);
    *out = jinja_undefined(param->s, param->len);
    return true;
}

static bool bind_varargs(struct jrun *r, struct jscope *scope, const struct jnode *macro,
                         size_t n_params, const struct jargs *args)
{
    struct jlist *l = jinja_list(r, 0);
    if (!l) return false;
    if (args->n > n_params && !(macro->op & JUSES_VARARGS))
        return jinja_fail(r, "macro '%.*s' takes not more than %zu arguments",
                          (int)(macro->len < 60 ? macro->len : 60), macro->s, n_params);
    for (size_t i = n_params; i < args->n; i++)
        if (!jinja_push(r, l, args->v[i])) return false;
    return !(macro->op & JUSES_VARARGS) ||
           jinja_set_var(r, scope, "varargs", 7, jinja_list_value(J_TUPLE, l));
}

static bool bind_kwargs(struct jrun *r, struct jscope *scope, const struct jnode *macro,
                        const struct jargs *args, const bool *used)
{
    struct jdict *rest = jinja_dict(r, 0);
    if (!rest) return false;
    for (size_t k = 0; k < args->n_kw; k++) {
        const struct jkwarg *kw = &args->kw[k];
        if (used[k]) continue;
        if ((macro->op & JUSES_CALLER) && kw->n == 6 && !memcmp(kw->s, "caller", 6)) {
            if (!jinja_set_var(r, scope, "caller", 6, kw->value)) return false;
        } else if (!(macro->op & JUSES_KWARGS)) {
            return jinja_fail(r, "macro '%.*s' takes no argument '%.*s'",
                              (int)(macro->len < 60 ? macro->len : 60), macro->s,
                              (int)(kw->n < 60 ? kw->n : 60), kw->s);
        } else if (!jinja_dict_put(r, rest, jinja_str(kw->s, kw->n, true), kw->value, false)) {
            return false;
        }
    }
    struct jvalue v = jinja_kind(J_DICT);
    v.u.dict = rest;
    return !(macro->op & JUSES_KWARGS) || jinja_set_var(r, scope, "kwargs", 6, v);
}

static bool run_macro(struct jrun *r, const struct jmacro *m, const struct jargs *args,
                      struct jscope *scope, struct jvalue *out)
{
    size_t n_params = m->node->n - 1;
    bool *used = jinja_alloc(r, args->n_kw + 1);
    if (!used) return false;
    memset(used, 0, args->n_kw + 1);
    for (size_t i = 0; i < n_params; i++) {
        const struct jnode *param = m->node->kid[i];
        struct jvalue v;
        if (!macro_argument(r, param, i, args, used, &v) ||
            !jinja_set_var(r, scope, param->s, param->len, v))
            return false;
    }
    return bind_varargs(r, scope, m->node, n_params, args) &&
           bind_kwargs(r, scope, m->node, args, used) &&
           jinja_capture(r, m->node->kid[n_params], scope, out);
}

static bool call_macro(struct jrun *r, const struct jmacro *m, const struct jargs *args,
                       struct jvalue *out)
{
    if (r->n_macros == JINJA_MAX_MACROS)
        return jinja_fail(r, "macros call each other deeper than %d", JINJA_MAX_MACROS);
    struct jscope *scope = jinja_alloc(r, sizeof *scope), *before = r->scope;
    if (!scope) return false;
    *scope = (struct jscope){.parent = m->closure};
    r->scope = scope;
    r->n_macros++;
    bool ok = run_macro(r, m, args, scope, out);
    r->n_macros--;
    r->scope = before;
    return ok;
}

static bool integer(struct jrun *r, struct jvalue v, int64_t *out)
{
    if (v.kind == J_MISSING) return true;
    if (v.kind != J_INT && v.kind != J_BOOL)
        return jinja_fail(r, "range needs integers, not %s", jinja_kind_name(v));
    *out = jinja_integer(v);
    return true;
}

static bool call_range(struct jrun *r, const struct jargs *args, struct jvalue *out)
{
    static const char *const names[] = {"start", "stop", "step", NULL};
    struct jvalue a[3];
    int64_t start = 0, stop = 0, step = 1;
    if (!jinja_bind(r, "range", args, names, 1, a)) return false;
    bool one = a[1].kind == J_MISSING;
    if (!integer(r, a[0], one ? &stop : &start) || !integer(r, a[1], &stop) ||
        !integer(r, a[2], &step))
        return false;
    if (!step) return jinja_fail(r, "range with a step of zero");
    uint64_t span = 0, width = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    if (step > 0 && stop > start) span = (uint64_t)stop - (uint64_t)start;
    if (step < 0 && start > stop) span = (uint64_t)start - (uint64_t)stop;
    uint64_t n = span ? (span - 1) / width + 1 : 0;
    if (n > MAX_RANGE)
        return jinja_fail(r, "range is too long: more than %d numbers", MAX_RANGE);
    struct jrange *range = jinja_alloc(r, sizeof *range);
    if (!range) return false;
    *range = (struct jrange){start, n <= 1 ? 0 : step, (size_t)n};
    *out = jinja_kind(J_RANGE);
    out->u.range = range;
    return true;
}

static bool put_pairs(struct jrun *r, struct jdict *d, struct jvalue from)
{
    struct jvalue seq, pair;
    if (from.kind == J_DICT) {
        for (size_t i = 0; i < from.u.dict->n; i++)
            if (!jinja_dict_put(r, d, from.u.dict->v[i].key, from.u.dict->v[i].value, false))
                return false;
        return true;
    }
    if (!jinja_iterate(r, from, &seq)) return false;
    for (size_t i = 0; i < jinja_seq_n(seq); i++) {
        if (!jinja_iterate(r, jinja_seq_at(seq, i), &pair)) return false;
        if (jinja_seq_n(pair) != 2) return jinja_fail(r, "dict needs pairs");
        if (!jinja_dict_put(r, d, jinja_seq_at(pair, 0), jinja_seq_at(pair, 1), false))
            return false;
    }
    return true;
}

static bool fill_dict(struct jrun *r, const struct jargs *args, struct jdict *d)
{
    if (args->n > 1) return jinja_fail(r, "dict and namespace take one mapping");
    if (args->n && !put_pairs(r, d, args->v[0])) return false;
    for (size_t i = 0; i < args->n_kw; i++)
        if (!jinja_dict_put(r, d, jinja_str(args->kw[i].s, args->kw[i].n, true), args->kw[i].value,
                            false))
            return false;
    return true;
}

static bool call_dict(struct jrun *r, const struct jargs *args, struct jvalue *out)
{
    struct jdict *d = jinja_dict(r, args->n_kw);
    if (!d || !fill_dict(r, args, d)) return false;
    *out = jinja_kind(J_DICT);
    out->u.dict = d;
    return true;
}

static bool call_namespace(struct jrun *r, const struct jargs *args, struct jvalue *out)
{
    struct jnamespace *ns = jinja_alloc(r, sizeof *ns);
    if (!ns) return false;
    *ns = (struct jnamespace){{0}};
    if (!fill_dict(r, args, &ns->attrs)) return false;
    for (size_t i = 0; i < ns->attrs.n; i++) {
        struct jvalue key = ns->attrs.v[i].key;
        if (key.kind == J_STR && key.n && key.u.s[0] == '_')
            return jinja_fail(r, "a namespace takes no name with '_' before it");
    }
    *out = jinja_kind(J_NAMESPACE);
    out->u.ns = ns;
    return true;
}

static bool call_raise(struct jrun *r, const struct jargs *args, struct jvalue *out)
{
    static const char *const names[] = {"message", NULL};
    struct jvalue a[1], text;
    if (!jinja_bind(r, "raise_exception", args, names, 1, a) || !jinja_text(r, a[0], &text))
        return false;
    *out = jinja_kind(J_NONE);
    return jinja_fail(r, "the template refuses this conversation: %.*s",
                      (int)(text.n < 300 ? text.n : 300), text.u.s);
}

/* English names whatever the locale. */
static bool put_date(struct jrun *r, struct jgrow *g, char c, bool plain, const struct tm *t)
{
    static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday",
                                       "Friday", "Saturday"};
    static const char *const months[] = {"January", "February", "March", "April", "May", "June",
                                         "July", "August", "September", "October", "November",
                                         "December"};
    char text[32];
    int v = 0, width = 2;
    switch (c) {
    case '%': return jinja_put(r, g, "%", 1, true);
    case 'A': return jinja_put(r, g, days[t->tm_wday], strlen(days[t->tm_wday]), true);
    case 'a': return jinja_put(r, g, days[t->tm_wday], 3, true);
    case 'B': return jinja_put(r, g, months[t->tm_mon], strlen(months[t->tm_mon]), true);
    case 'b': case 'h': return jinja_put(r, g, months[t->tm_mon], 3, true);
    case 'p': return jinja_put(r, g, t->tm_hour < 12 ? "AM" : "PM", 2, true);
    case 'd': case 'e': v = t->tm_mday; break;
    case 'm': v = t->tm_mon + 1; break;
    case 'y': v = t->tm_year % 100; break;
    case 'Y': v = t->tm_year + 1900; width = 4; break;
    case 'H': v = t->tm_hour; break;
    case 'I': v = t->tm_hour % 12 ? t->tm_hour % 12 : 12; break;
    case 'M': v = t->tm_min; break;
    case 'S': v = t->tm_sec; break;
    case 'j': v = t->tm_yday + 1; width = 3; break;
    case 'f': width = 6; break;
    default:
        return jinja_fail(r, "strftime_now does not know %%%c", c > 32 && c < 127 ? c : '?');
    }
    snprintf(text, sizeof text, c == 'e' && !plain ? "%*d" : "%0*d", plain ? 1 : width, v);
    return jinja_put(r, g, text, strlen(text), true);
}

static bool strftime_text(struct jrun *r, struct jgrow *g, struct jvalue format, const char *in)
{
    struct tm t;
    time_t now = (time_t)r->now;
    if (!localtime_r(&now, &t) || t.tm_year < -1900 || t.tm_year > 8099)
        return jinja_fail(r, "the time is out of range");
    for (size_t i = 0; i < format.n; i++) {
        if (in[i] != '%' || i + 1 == format.n) {
            if (!jinja_put_str(r, g, jinja_sub(format, i, 1))) return false;
            continue;
        }
        char c = in[++i];
        bool plain = c == '-' && i + 1 < format.n;
        if (plain) c = in[++i];
        bool shorthand = strchr("DFTR", c) && c;
        static const char *const longer[] = {"%m/%d/%y", "%Y-%m-%d", "%H:%M:%S", "%H:%M"};
        if (shorthand) {
            const char *as = longer[strchr("DFTR", c) - "DFTR"];
            for (const char *q = as; *q; q++)
                if (*q != '%' ? !jinja_put(r, g, q, 1, true) : !put_date(r, g, *++q, false, &t))
                    return false;
        } else if (!put_date(r, g, c, plain, &t)) {
            return false;
        }
    }
    return true;
}

static bool call_strftime(struct jrun *r, const struct jargs *args, struct jvalue *out)
{
    static const char *const names[] = {"format", NULL};
    struct jvalue a[1];
    if (!jinja_bind(r, "strftime_now", args, names, 1, a)) return false;
    if (a[0].kind != J_STR) return jinja_fail(r, "strftime_now needs a string");
    struct jgrow *g = jinja_grow(r, 64);
    if (!g || !strftime_text(r, g, a[0], a[0].u.s)) return false;
    *out = jinja_grown(g);
    return true;
}

static bool make_counter(struct jrun *r, enum jkind kind, struct jlist *items, struct jvalue sep,
                         struct jvalue *out)
{
    struct jcounter *c = jinja_alloc(r, sizeof *c);
    if (!c) return false;
    *c = (struct jcounter){.items = items, .sep = sep};
    *out = jinja_kind(kind);
    out->u.counter = c;
    return true;
}

static bool call_cycler(struct jrun *r, const struct jargs *args, struct jvalue *out)
{
    struct jlist *l = jinja_list(r, args->n);
    if (!l) return false;
    if (!args->n || args->n_kw) return jinja_fail(r, "cycler needs at least one item");
    for (size_t i = 0; i < args->n; i++)
        if (!jinja_push(r, l, args->v[i])) return false;
    return make_counter(r, J_CYCLER, l, jinja_kind(J_NONE), out);
}

static bool call_joiner(struct jrun *r, const struct jargs *args, struct jvalue *out)
{
    static const char *const names[] = {"sep", NULL};
    struct jvalue a[1];
    if (!jinja_bind(r, "joiner", args, names, 0, a)) return false;
    if (a[0].kind == J_MISSING) a[0] = jinja_str(", ", 2, true);
    return make_counter(r, J_JOINER, NULL, a[0], out);
}

static const struct {
    const char *name;
    bool (*call)(struct jrun *r, const struct jargs *args, struct jvalue *out);
} functions[] = {{"range", call_range}, {"dict", call_dict}, {"namespace", call_namespace},
                 {"raise_exception", call_raise}, {"strftime_now", call_strftime},
                 {"cycler", call_cycler}, {"joiner", call_joiner}};

bool jinja_find_function(const char *s, size_t n, struct jvalue *out)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strlen(functions[i].name) != n || memcmp(functions[i].name, s, n)) continue;
        *out = jinja_kind(J_FUNCTION);
        out->u.function = (int)i;
        return true;
    }
    return false;
}

bool jinja_call(struct jrun *r, struct jvalue callee, const struct jargs *args, struct jvalue *out)
{
    struct jvalue v = jinja_kind(J_NONE);
    bool ok;
    if (!jinja_spend(r, 1)) return false;
    switch (callee.kind) {
    case J_MACRO: ok = call_macro(r, callee.u.macro, args, &v); break;
    case J_FUNCTION: ok = functions[callee.u.function].call(r, args, &v); break;
    case J_METHOD: ok = jinja_call_method(r, callee.u.method, args, &v); break;
    case J_JOINER:
        v = callee.u.counter->i++ ? callee.u.counter->sep : jinja_str("", 0, true);
        ok = true;
        break;
    case J_UNDEFINED:
        return jinja_fail(r, "'%.*s' is not a function here", callee.n < 100 ? (int)callee.n : 100,
                          callee.u.s ? callee.u.s : "");
    default: return jinja_fail(r, "%s cannot be called", jinja_kind_name(callee));
    }
    *out = v;
    return ok;
}
