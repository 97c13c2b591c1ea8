/* SPDX-License-Identifier: Apache-2.0
 * template_eval.c - evaluates expressions. An attribute reaches a mapping's keys, a namespace, the
 * loop and the methods listed in template_method.c, nothing else. */
#include <string.h>
#include "src/text/template_run.h"

struct jvalue *jinja_lookup(struct jrun *r, const char *s, size_t n)
{
    uint64_t seen = 0;
    for (struct jscope *scope = r->scope; scope; scope = scope->parent) {
        for (struct jvar *v = scope->vars; v; v = v->next, seen++)
            if (v->n == n && !memcmp(v->s, s, n))
                return jinja_spend(r, seen / 16) ? &v->value : NULL;
        seen++;
    }
    jinja_spend(r, seen / 16);
    return NULL;
}

static bool eval_name(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jvalue *v = jinja_lookup(r, node->s, node->len);
    if (r->status) return false;
    if (v) *out = *v;
    else if (!jinja_find_function(node->s, node->len, out))
        *out = jinja_undefined(node->s, node->len);
    return true;
}

static bool undefined_use(struct jrun *r, struct jvalue v)
{
    return jinja_fail(r, "'%.*s' is undefined", v.n < 100 ? (int)v.n : 100, v.u.s ? v.u.s : "");
}

bool jinja_get_attr(struct jrun *r, struct jvalue obj, const char *s, size_t n, struct jvalue *out)
{
    if (obj.kind == J_UNDEFINED) return undefined_use(r, obj);
    if (n > 1 && s[0] == '_' && s[1] == '_')
        return jinja_fail(r, "the attribute '%.*s' is not reachable from a template",
                          n < 100 ? (int)n : 100, s);
    if (obj.kind == J_LOOP) return jinja_loop_attr(r, obj.u.loop, s, n, out);
    *out = jinja_undefined(s, n);
    struct jvalue *v = NULL;
    if (obj.kind == J_NAMESPACE) v = jinja_dict_find(&obj.u.ns->attrs, s, n);
    else if (jinja_find_method(r, obj, s, n, out)) return true;
    else if (obj.kind == J_DICT) v = jinja_dict_get(r, obj.u.dict, jinja_str(s, n, true));
    if (v) *out = *v;
    return r->status == FK_OK;
}

/* Python's index: from the end when negative. */
static bool index_of(struct jrun *r, size_t n, struct jvalue key, size_t *out)
{
    int64_t i = jinja_integer(key);
    if (i < 0) i += (int64_t)n;
    *out = (size_t)i;
    return i >= 0 && (uint64_t)i < n && jinja_spend(r, 1);
}

bool jinja_get_item(struct jrun *r, struct jvalue obj, struct jvalue key, struct jvalue *out)
{
    size_t i;
    if (obj.kind == J_UNDEFINED) return undefined_use(r, obj);
    *out = key.kind == J_STR ? jinja_undefined(key.u.s, key.n) : jinja_undefined("item", 4);
    bool integer = key.kind == J_INT || key.kind == J_BOOL;
    if (obj.kind == J_DICT && (key.kind < J_LIST || key.kind == J_TUPLE)) {
        struct jvalue *v = jinja_dict_get(r, obj.u.dict, key);
        if (v) *out = *v;
        if (v || r->status) return r->status == FK_OK;
    }
    if ((obj.kind == J_LIST || obj.kind == J_TUPLE || obj.kind == J_RANGE) && integer) {
        if (index_of(r, jinja_seq_n(obj), key, &i)) *out = jinja_seq_at(obj, i);
        return r->status == FK_OK;
    }
    if (obj.kind == J_STR && integer) {
        if (!jinja_work(r, obj.n)) return false;
        if (index_of(r, jinja_chars(obj), key, &i)) {
            size_t at = jinja_char_offset(obj, i);
            struct jvalue rest = jinja_sub(obj, at, obj.n - at);
            *out = jinja_sub(rest, 0, jinja_char_offset(rest, 1));
        }
        return r->status == FK_OK;
    }
    if (key.kind == J_STR && !(key.n && key.u.s[0] == '_') && obj.kind != J_DICT)
        return jinja_get_attr(r, obj, key.u.s, key.n, out);
    if (key.kind == J_STR && obj.kind == J_DICT) jinja_find_method(r, obj, key.u.s, key.n, out);
    return r->status == FK_OK;
}

static bool bound(struct jrun *r, struct jvalue v, int64_t n, int64_t whole, int64_t low,
                  int64_t high, int64_t *out)
{
    *out = whole;
    if (v.kind == J_MISSING || v.kind == J_NONE) return true;
    if (v.kind != J_INT && v.kind != J_BOOL)
        return jinja_fail(r, "a slice needs integers, not %s", jinja_kind_name(v));
    int64_t i = jinja_integer(v);
    if (i < 0) i = i < -n ? low : i + n;
    *out = i < low ? low : i > high ? high : i;
    return true;
}

/* v[at0:at1:at2] of a string, list or tuple. */
bool jinja_slice(struct jrun *r, struct jvalue v, const struct jvalue at[3], struct jvalue *out)
{
    if (v.kind == J_UNDEFINED) return undefined_use(r, v);
    bool is_str = v.kind == J_STR;
    if (!is_str && v.kind != J_LIST && v.kind != J_TUPLE && v.kind != J_RANGE)
        return jinja_fail(r, "%s has no slices", jinja_kind_name(v));
    if (is_str && !jinja_work(r, v.n)) return false;
    int64_t n = (int64_t)(is_str ? jinja_chars(v) : jinja_seq_n(v)), step = 1, from, to;
    if (at[2].kind != J_MISSING && at[2].kind != J_NONE) {
        if (at[2].kind != J_INT && at[2].kind != J_BOOL)
            return jinja_fail(r, "a slice needs integers, not %s", jinja_kind_name(at[2]));
        step = jinja_integer(at[2]);
        if (!step) return jinja_fail(r, "a slice's step is zero");
    }
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    if (!bound(r, at[0], n, step < 0 ? high : low, low, high, &from) ||
        !bound(r, at[1], n, step < 0 ? low : high, low, high, &to))
        return false;
    if (is_str && step == 1) {
        size_t a = jinja_char_offset(v, (size_t)from);
        struct jvalue rest = jinja_sub(v, a, v.n - a);
        *out = jinja_sub(rest, 0, to > from ? jinja_char_offset(rest, (size_t)(to - from)) : 0);
        return true;
    }
    struct jvalue seq = v;
    if (is_str && !jinja_iterate(r, v, &seq)) return false;
    struct jlist *l = jinja_list(r, 0);
    struct jgrow *g = is_str && l ? jinja_grow(r, v.n) : NULL;
    if (!l || (is_str && !g)) return false;
    for (int64_t i = from; step > 0 ? i < to : i > to;) {
        struct jvalue item = jinja_seq_at(seq, (size_t)i);
        if (!jinja_spend(r, 1) || !(is_str ? jinja_put_str(r, g, item) : jinja_push(r, l, item)))
            return false;
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    *out = is_str ? jinja_grown(g) : jinja_list_value(v.kind == J_RANGE ? J_LIST : v.kind, l);
    return true;
}

static bool eval_list(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jlist *l = jinja_list(r, node->n);
    if (!l) return false;
    for (uint32_t i = 0; i < node->n; i++) {
        struct jvalue v;
        if (!jinja_eval(r, node->kid[i], &v) || !jinja_push(r, l, v)) return false;
    }
    *out = jinja_list_value(node->kind == N_LIST ? J_LIST : J_TUPLE, l);
    return true;
}

static bool eval_dict(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jdict *d = jinja_dict(r, node->n / 2);
    if (!d) return false;
    for (uint32_t i = 0; i < node->n; i += 2) {
        struct jvalue key, v;
        if (!jinja_eval(r, node->kid[i], &key) || !jinja_eval(r, node->kid[i + 1], &v) ||
            !jinja_dict_put(r, d, key, v, false))
            return false;
    }
    *out = jinja_kind(J_DICT);
    out->u.dict = d;
    return true;
}

static bool eval_compare(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jvalue left, right;
    bool yes = true;
    if (!jinja_eval(r, node->kid[0], &left)) return false;
    for (uint32_t i = 1; i < node->n && yes; i++) {
        int op = (uint8_t)node->s[i - 1], order;
        if (!jinja_eval(r, node->kid[i], &right)) return false;
        if (op == OP_EQ || op == OP_NE) {
            if (!jinja_equal(r, left, right, &yes)) return false;
            yes = yes == (op == OP_EQ);
        } else if (op == OP_IN || op == OP_NOT_IN) {
            if (!jinja_contains(r, left, right, &yes)) return false;
            yes = yes == (op == OP_IN);
        } else {
            if (left.kind == J_UNDEFINED) return undefined_use(r, left);
            if (right.kind == J_UNDEFINED) return undefined_use(r, right);
            if (!jinja_compare(r, left, right, &order)) return false;
            yes = op == '<' ? order < 0 : op == '>' ? order > 0 : op == OP_LE ? order <= 0
                                                                             : order >= 0;
        }
        left = right;
    }
    *out = jinja_bool(yes);
    return true;
}

static bool eval_arith(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jvalue right;
    if (!jinja_eval(r, node->kid[0], out)) return false;
    for (uint32_t i = 1; i < node->n; i++) {
        if (!jinja_eval(r, node->kid[i], &right)) return false;
        r->line = node->line;
        if (!jinja_arith(r, (uint8_t)node->s[i - 1], *out, right, out)) return false;
    }
    return true;
}

static bool eval_concat(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jvalue v;
    for (uint32_t i = 0; i < node->n; i++) {
        if (!jinja_eval(r, node->kid[i], &v) || !jinja_text(r, v, &v)) return false;
        v.markup = false;
        if (!i) *out = v;
        else if (!jinja_concat(r, *out, v, out)) return false;
    }
    return true;
}

static bool eval_logic(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    for (uint32_t i = 0; i < node->n; i++) {
        if (!jinja_eval(r, node->kid[i], out)) return false;
        if (jinja_truth(*out) == (node->kind == N_OR)) break;
    }
    return true;
}

static bool eval_sign(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    if (!jinja_eval(r, node->kid[0], out)) return false;
    if (!jinja_is_number(*out))
        return jinja_fail(r, "a sign before %s", jinja_kind_name(*out));
    struct jvalue zero = jinja_int(0);
    zero.trusted = out->trusted;
    if (node->kind == N_NEG && out->kind == J_FLOAT) out->u.f = -out->u.f;
    else if (out->kind != J_FLOAT)
        return jinja_arith(r, node->kind == N_NEG ? '-' : '+', zero, *out, out);
    return true;
}

bool jinja_eval_args(struct jrun *r, const struct jnode *call, size_t first, struct jargs *out)
{
    *out = (struct jargs){0};
    size_t n = call->n - first;
    if (!n) return true;
    out->v = jinja_alloc(r, n * sizeof *out->v);
    out->kw = out->v ? jinja_alloc(r, n * sizeof *out->kw) : NULL;
    if (!out->kw) return false;
    for (size_t i = first; i < call->n; i++) {
        const struct jnode *kid = call->kid[i];
        if (kid->kind == N_KWARG) {
            struct jkwarg *kw = &out->kw[out->n_kw++];
            *kw = (struct jkwarg){.s = kid->s, .n = kid->len};
            if (!jinja_eval(r, kid->kid[0], &kw->value)) return false;
        } else if (!jinja_eval(r, kid, &out->v[out->n++])) {
            return false;
        }
    }
    return true;
}

static bool eval_slice(struct jrun *r, const struct jnode *op, struct jvalue *v)
{
    struct jvalue at[3];
    for (int i = 0; i < 3; i++) {
        at[i] = jinja_kind(J_MISSING);
        if (op->kid[i] && !jinja_eval(r, op->kid[i], &at[i])) return false;
    }
    return jinja_slice(r, *v, at, v);
}

static bool apply_filter_or_test(struct jrun *r, const struct jnode *op, struct jvalue *v)
{
    struct jargs args;
    if (!jinja_eval_args(r, op, 0, &args)) return false;
    r->line = op->line;
    if (op->kind == N_FILTER) return jinja_filter(r, op->s, op->len, *v, &args, v);
    bool yes;
    if (!jinja_test(r, op->s, op->len, *v, &args, &yes)) return false;
    *v = jinja_bool(yes != op->negated);
    return true;
}

static bool apply_call(struct jrun *r, const struct jnode *op, struct jvalue *v)
{
    struct jargs args;
    if (!jinja_eval_args(r, op, 0, &args)) return false;
    r->line = op->line;
    return jinja_call(r, *v, &args, v);
}

static bool eval_chain(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jvalue key;
    if (!jinja_eval(r, node->kid[0], out)) return false;
    for (uint32_t i = 1; i < node->n; i++) {
        const struct jnode *op = node->kid[i];
        bool ok = jinja_spend(r, 1);
        r->line = op->line;
        switch (ok ? op->kind : N_CONST) {
        case N_ATTR: ok = jinja_get_attr(r, *out, op->s, op->len, out); break;
        case N_ITEM:
            ok = jinja_eval(r, op->kid[0], &key) && jinja_get_item(r, *out, key, out);
            break;
        case N_SLICE: ok = eval_slice(r, op, out); break;
        case N_CALL: ok = apply_call(r, op, out); break;
        case N_FILTER: case N_TEST: ok = apply_filter_or_test(r, op, out); break;
        default: break;
        }
        if (!ok) return false;
    }
    return true;
}

static bool eval_cond(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jvalue when;
    if (!jinja_eval(r, node->kid[0], &when)) return false;
    if (jinja_truth(when)) return jinja_eval(r, node->kid[1], out);
    if (node->kid[2]) return jinja_eval(r, node->kid[2], out);
    *out = jinja_undefined("the missing else of an inline if", 32);
    return true;
}

static bool eval_kind(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    switch (node->kind) {
    case N_CONST: *out = *node->value; return true;
    case N_NAME: return eval_name(r, node, out);
    case N_LIST: case N_TUPLE: return eval_list(r, node, out);
    case N_DICT: return eval_dict(r, node, out);
    case N_COND: return eval_cond(r, node, out);
    case N_AND: case N_OR: return eval_logic(r, node, out);
    case N_NOT:
        if (!jinja_eval(r, node->kid[0], out)) return false;
        *out = jinja_bool(!jinja_truth(*out));
        return true;
    case N_NEG: case N_POS: return eval_sign(r, node, out);
    case N_ARITH: return eval_arith(r, node, out);
    case N_CONCAT: return eval_concat(r, node, out);
    case N_COMPARE: return eval_compare(r, node, out);
    case N_CHAIN: return eval_chain(r, node, out);
    default: return jinja_fail(r, "an expression of an unknown kind");
    }
}

bool jinja_eval(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    if (!jinja_spend(r, 1)) return false;
    if (r->depth == JINJA_MAX_EVAL)
        return jinja_fail(r, "evaluation nested deeper than %d", JINJA_MAX_EVAL);
    r->depth++;
    struct jvalue v = jinja_kind(J_NONE);
    bool ok = eval_kind(r, node, &v);
    r->depth--;
    *out = v;
    return ok;
}
