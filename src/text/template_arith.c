/* SPDX-License-Identifier: Apache-2.0
 * template_arith.c - + - * / // % ** with Python's meaning on 64-bit integers, floats, strings and
 * lists. What does not fit 64 bits is refused. */
#include <math.h>
#include "src/base/alloc.h"
#include "src/text/template_run.h"

static bool overflow(struct jrun *r)
{
    return jinja_fail(r, "a number does not fit 64 bits");
}

static bool add(struct jrun *r, struct jvalue a, struct jvalue b, struct jvalue *out)
{
    if (a.kind == J_STR && b.kind == J_STR) {
        if (a.markup != b.markup && !jinja_escape_html(r, a.markup ? b : a, a.markup ? &b : &a))
            return false;
        return jinja_concat(r, a, b, out);
    }
    struct jlist *l = jinja_list(r, a.u.list->n + b.u.list->n);
    if (!l || !jinja_spend(r, (a.u.list->n + b.u.list->n) / 8)) return false;
    for (size_t i = 0; i < a.u.list->n; i++)
        if (!jinja_push(r, l, a.u.list->v[i])) return false;
    for (size_t i = 0; i < b.u.list->n; i++)
        if (!jinja_push(r, l, b.u.list->v[i])) return false;
    *out = jinja_list_value(a.kind, l);
    return true;
}

static bool repeat(struct jrun *r, struct jvalue a, int64_t times, struct jvalue *out)
{
    if (times < 0) times = 0;
    if (a.kind == J_STR) {
        size_t cap;
        if (!size_mul(a.n, (size_t)times, &cap)) cap = SIZE_MAX;
        struct jgrow *g = jinja_grow(r, cap);
        if (!g) return false;
        for (int64_t i = 0; i < times && a.n; i++)
            if (!jinja_put_str(r, g, a) || !jinja_spend(r, 1)) return false;
        *out = jinja_grown(g);
        out->markup = a.markup;
        return true;
    }
    size_t n;
    if (!size_mul(a.u.list->n, (size_t)times, &n)) n = SIZE_MAX / 256;
    struct jlist *l = jinja_list(r, n);
    for (int64_t i = 0; l && i < times && a.u.list->n; i++)
        for (size_t k = 0; k < a.u.list->n; k++)
            if (!jinja_push(r, l, a.u.list->v[k]) || !jinja_spend(r, 1)) return false;
    if (l) *out = jinja_list_value(a.kind, l);
    return l != NULL;
}

static bool floats(struct jrun *r, int op, double a, double b, struct jvalue *out)
{
    if ((op == '/' || op == OP_FLOORDIV || op == '%') && b == 0)
        return jinja_fail(r, "division by zero");
    double f = 0;
    switch (op) {
    case '+': f = a + b; break;
    case '-': f = a - b; break;
    case '*': f = a * b; break;
    case '/': f = a / b; break;
    case OP_FLOORDIV: f = floor(a / b); break;
    case '%':
        f = fmod(a, b);
        if (f != 0 && (f < 0) != (b < 0)) f += b;
        break;
    default:
        f = pow(a, b);
        if (isnan(f) && !isnan(a) && !isnan(b))
            return jinja_fail(r, "a power without a real value");
    }
    *out = jinja_float(f);
    return true;
}

static bool power(struct jrun *r, int64_t a, int64_t b, struct jvalue *out)
{
    if (b < 0) {
        if (!a) return jinja_fail(r, "division by zero");
        return floats(r, OP_POW, (double)a, (double)b, out);
    }
    int64_t v = 1;
    if (a == 1 || a == 0 || a == -1) {
        v = a == -1 && b % 2 == 0 ? 1 : b ? a : 1;
        b = 0;
    }
    for (; b; b--)
        if (__builtin_mul_overflow(v, a, &v)) return overflow(r);
    *out = jinja_int(v);
    return true;
}

static bool ints(struct jrun *r, int op, int64_t a, int64_t b, struct jvalue *out)
{
    int64_t v = 0;
    bool fits = true;
    if ((op == '/' || op == OP_FLOORDIV || op == '%') && !b)
        return jinja_fail(r, "division by zero");
    switch (op) {
    case '+': fits = !__builtin_add_overflow(a, b, &v); break;
    case '-': fits = !__builtin_sub_overflow(a, b, &v); break;
    case '*': fits = !__builtin_mul_overflow(a, b, &v); break;
    case '/': return floats(r, op, (double)a, (double)b, out);
    case OP_FLOORDIV:
        if (b == -1) {
            fits = !__builtin_sub_overflow((int64_t)0, a, &v);
            break;
        }
        v = a / b;
        if (a % b && (a < 0) != (b < 0)) v--;
        break;
    case '%':
        v = b == -1 ? 0 : a % b;
        if (v && (v < 0) != (b < 0)) v += b;
        break;
    default: return power(r, a, b, out);
    }
    if (!fits) return overflow(r);
    *out = jinja_int(v);
    return true;
}

bool jinja_arith(struct jrun *r, int op, struct jvalue a, struct jvalue b, struct jvalue *out)
{
    if (jinja_is_number(a) && jinja_is_number(b)) {
        bool trusted = a.trusted && b.trusted;
        bool done = a.kind == J_FLOAT || b.kind == J_FLOAT
                        ? floats(r, op, jinja_number(a), jinja_number(b), out)
                        : ints(r, op, jinja_integer(a), jinja_integer(b), out);
        out->trusted = trusted;
        return done;
    }
    bool seq_a = a.kind == J_STR || a.kind == J_LIST || a.kind == J_TUPLE;
    bool seq_b = b.kind == J_STR || b.kind == J_LIST || b.kind == J_TUPLE;
    if (op == '+' && seq_a && a.kind == b.kind) return add(r, a, b, out);
    if (op == '*' && seq_a && (b.kind == J_INT || b.kind == J_BOOL))
        return repeat(r, a, jinja_integer(b), out);
    if (op == '*' && seq_b && (a.kind == J_INT || a.kind == J_BOOL))
        return repeat(r, b, jinja_integer(a), out);
    if (op == '%' && a.kind == J_STR) return jinja_percent(r, a, b, out);
    const struct jvalue *u = a.kind == J_UNDEFINED ? &a : &b;
    if (u->kind == J_UNDEFINED)
        return jinja_fail(r, "'%.*s' is undefined", u->n < 100 ? (int)u->n : 100,
                          u->u.s ? u->u.s : "");
    char single[2] = {(char)op, 0};
    const char *text = op == OP_POW ? "**" : op == OP_FLOORDIV ? "//" : single;
    return jinja_fail(r, "'%s' does not work on %s and %s", text, jinja_kind_name(a),
                      jinja_kind_name(b));
}
