/* SPDX-License-Identifier: Apache-2.0
 * template_is.c - what may stand after "is". */
#include <string.h>
#include "src/text/template_run.h"

enum test_id {
    IS_DEFINED, IS_UNDEFINED, IS_NONE, IS_BOOLEAN, IS_TRUE, IS_FALSE, IS_INTEGER, IS_FLOAT,
    IS_NUMBER, IS_STRING, IS_MAPPING, IS_ITERABLE, IS_SEQUENCE, IS_CALLABLE, IS_ODD, IS_EVEN,
    IS_DIVISIBLEBY, IS_LOWER, IS_UPPER, IS_ESCAPED, IS_SAMEAS, IS_IN, IS_EQ, IS_NE, IS_GT, IS_GE,
    IS_LT, IS_LE
};

static const struct { const char *name; uint8_t id, n_args; } tests[] = {
    {"defined", IS_DEFINED, 0}, {"undefined", IS_UNDEFINED, 0}, {"none", IS_NONE, 0},
    {"boolean", IS_BOOLEAN, 0}, {"true", IS_TRUE, 0}, {"false", IS_FALSE, 0},
    {"integer", IS_INTEGER, 0}, {"float", IS_FLOAT, 0}, {"number", IS_NUMBER, 0},
    {"string", IS_STRING, 0}, {"mapping", IS_MAPPING, 0}, {"iterable", IS_ITERABLE, 0},
    {"sequence", IS_SEQUENCE, 0}, {"callable", IS_CALLABLE, 0}, {"odd", IS_ODD, 0},
    {"even", IS_EVEN, 0}, {"divisibleby", IS_DIVISIBLEBY, 1}, {"lower", IS_LOWER, 0},
    {"upper", IS_UPPER, 0}, {"escaped", IS_ESCAPED, 0}, {"sameas", IS_SAMEAS, 1},
    {"in", IS_IN, 1}, {"eq", IS_EQ, 1}, {"equalto", IS_EQ, 1}, {"==", IS_EQ, 1}, {"ne", IS_NE, 1},
    {"!=", IS_NE, 1}, {"gt", IS_GT, 1}, {"greaterthan", IS_GT, 1}, {">", IS_GT, 1},
    {"ge", IS_GE, 1}, {">=", IS_GE, 1}, {"lt", IS_LT, 1}, {"lessthan", IS_LT, 1}, {"<", IS_LT, 1},
    {"le", IS_LE, 1}, {"<=", IS_LE, 1}};

static bool leaves(struct jrun *r, struct jvalue v, struct jvalue by, int64_t rest, bool *out)
{
    struct jvalue left;
    if (!jinja_is_number(v) || !jinja_is_number(by))
        return jinja_fail(r, "odd, even and divisibleby need numbers, not %s",
                          jinja_kind_name(jinja_is_number(v) ? by : v));
    return jinja_arith(r, '%', v, by, &left) && jinja_equal(r, left, jinja_int(rest), out);
}

static bool cased(struct jrun *r, struct jvalue v, enum jcase how, bool *out)
{
    struct jvalue same, other;
    if (!jinja_text(r, v, &v) || !jinja_recase(r, v, how, &same) ||
        !jinja_recase(r, v, how == JCASE_UPPER ? JCASE_LOWER : JCASE_UPPER, &other))
        return false;
    *out = jinja_str_eq(v, same) && !jinja_str_eq(v, other);
    return true;
}

static bool same(struct jvalue a, struct jvalue b)
{
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case J_NONE: case J_UNDEFINED: return true;
    case J_BOOL: return a.u.b == b.u.b;
    case J_INT: return a.u.i == b.u.i;
    case J_FLOAT: return a.u.f == b.u.f;
    case J_STR: return jinja_str_eq(a, b);
    default: return a.u.list == b.u.list;
    }
}

static bool compared(struct jrun *r, int id, struct jvalue a, struct jvalue b, bool *out)
{
    int order;
    if (id == IS_EQ || id == IS_NE) {
        if (!jinja_equal(r, a, b, out)) return false;
        *out = *out == (id == IS_EQ);
        return true;
    }
    if (!jinja_compare(r, a, b, &order)) return false;
    *out = id == IS_GT   ? order > 0
           : id == IS_GE ? order >= 0
           : id == IS_LT ? order < 0
                         : order <= 0;
    return true;
}

static bool is_indexed(struct jvalue v)
{
    return v.kind == J_STR || v.kind == J_LIST || v.kind == J_TUPLE || v.kind == J_RANGE ||
           v.kind == J_DICT || v.kind == J_UNDEFINED;
}

static bool apply(struct jrun *r, int id, struct jvalue v, struct jvalue arg, bool *out)
{
    switch (id) {
    case IS_DEFINED: *out = v.kind != J_UNDEFINED; return true;
    case IS_UNDEFINED: *out = v.kind == J_UNDEFINED; return true;
    case IS_NONE: *out = v.kind == J_NONE; return true;
    case IS_BOOLEAN: *out = v.kind == J_BOOL; return true;
    case IS_TRUE: *out = v.kind == J_BOOL && v.u.b; return true;
    case IS_FALSE: *out = v.kind == J_BOOL && !v.u.b; return true;
    case IS_INTEGER: *out = v.kind == J_INT; return true;
    case IS_FLOAT: *out = v.kind == J_FLOAT; return true;
    case IS_NUMBER: *out = jinja_is_number(v); return true;
    case IS_STRING: *out = v.kind == J_STR; return true;
    case IS_MAPPING: *out = v.kind == J_DICT; return true;
    case IS_SEQUENCE: *out = is_indexed(v); return true;
    case IS_ITERABLE: *out = is_indexed(v) || v.kind == J_VIEW || v.kind == J_GEN; return true;
    case IS_CALLABLE: /* jinja2's undefined can be called, in order to fail */
        *out = (v.kind >= J_MACRO && v.kind <= J_FUNCTION) || v.kind == J_UNDEFINED;
        return true;
    case IS_ODD: return leaves(r, v, jinja_int(2), 1, out);
    case IS_EVEN: return leaves(r, v, jinja_int(2), 0, out);
    case IS_DIVISIBLEBY: return leaves(r, v, arg, 0, out);
    case IS_LOWER: return cased(r, v, JCASE_LOWER, out);
    case IS_UPPER: return cased(r, v, JCASE_UPPER, out);
    case IS_ESCAPED: *out = v.kind == J_STR && v.markup; return true;
    case IS_SAMEAS: *out = same(v, arg); return true;
    case IS_IN: return jinja_contains(r, v, arg, out);
    default: return compared(r, id, v, arg, out);
    }
}

bool jinja_test(struct jrun *r, const char *s, size_t n, struct jvalue v, const struct jargs *args,
                bool *out)
{
    if (!jinja_spend(r, 1)) return false;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (strlen(tests[i].name) != n || memcmp(tests[i].name, s, n)) continue;
        if (args->n != tests[i].n_args || args->n_kw)
            return jinja_fail(r, "the test '%s' takes %u arguments, not %zu", tests[i].name,
                              tests[i].n_args, args->n + args->n_kw);
        return apply(r, tests[i].id, v, args->n ? args->v[0] : jinja_kind(J_MISSING), out);
    }
    return jinja_fail(r, "there is no test named '%.*s'", (int)(n < 60 ? n : 60), s);
}
