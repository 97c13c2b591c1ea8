/* SPDX-License-Identifier: Apache-2.0
 * template_exec.c - runs statements: output, branches, set, macros' definitions, blocks that
 * collect their text. Loops are in template_loop.c. */
#include <string.h>
#include "src/text/template_run.h"

bool jinja_set_var(struct jrun *r, struct jscope *scope, const char *s, size_t n, struct jvalue v)
{
    uint64_t seen = 0;
    for (struct jvar *var = scope->vars; var; var = var->next, seen++) {
        if (var->n != n || memcmp(var->s, s, n)) continue;
        var->value = v;
        return jinja_spend(r, seen / 16);
    }
    struct jvar *var = jinja_alloc(r, sizeof *var);
    if (!var) return false;
    *var = (struct jvar){.s = s, .n = n, .value = v, .next = scope->vars};
    scope->vars = var;
    return jinja_spend(r, seen / 16);
}

static bool put_out(struct jrun *r, struct jvalue v)
{
    return jinja_put_str(r, r->out, v);
}

/* Runs body in `scope` (NULL: a new one inside the current) and collects what it prints. */
bool jinja_capture(struct jrun *r, const struct jnode *body, struct jscope *scope,
                   struct jvalue *out)
{
    struct jscope *before = r->scope;
    struct jgrow *g = jinja_grow(r, 64), *out_before = r->out;
    if (!g) return false;
    if (!scope) {
        scope = jinja_alloc(r, sizeof *scope);
        if (!scope) return false;
        *scope = (struct jscope){.parent = before};
    }
    r->scope = scope;
    r->out = g;
    enum jflow flow = jinja_exec(r, body);
    r->scope = before;
    r->out = out_before;
    *out = jinja_grown(g);
    return flow != JFLOW_FAIL;
}

static bool apply_filters(struct jrun *r, const struct jnode *node, uint32_t first,
                          struct jvalue *v)
{
    for (uint32_t i = first; i < node->n; i++) {
        const struct jnode *f = node->kid[i];
        struct jargs args;
        if (!jinja_eval_args(r, f, 0, &args) ||
            !jinja_filter(r, f->s, f->len, *v, &args, v))
            return false;
    }
    return true;
}

static bool exec_print(struct jrun *r, const struct jnode *node)
{
    struct jvalue v;
    for (uint32_t i = 0; i < node->n; i++)
        if (!jinja_eval(r, node->kid[i], &v) || !jinja_text(r, v, &v) || !put_out(r, v))
            return false;
    return true;
}

static bool exec_set(struct jrun *r, const struct jnode *node)
{
    struct jvalue v;
    if (node->kind == N_SET)
        return jinja_eval(r, node->kid[1], &v) && jinja_assign(r, r->scope, node->kid[0], v);
    return jinja_capture(r, node->kid[1], NULL, &v) && apply_filters(r, node, 2, &v) &&
           jinja_assign(r, r->scope, node->kid[0], v);
}

static bool make_macro(struct jrun *r, const struct jnode *node, struct jvalue *out)
{
    struct jmacro *m = jinja_alloc(r, sizeof *m);
    if (!m) return false;
    *m = (struct jmacro){.node = node, .closure = r->scope};
    *out = jinja_kind(J_MACRO);
    out->u.macro = m;
    return true;
}

static bool exec_macro(struct jrun *r, const struct jnode *node)
{
    struct jvalue v;
    return make_macro(r, node, &v) && jinja_set_var(r, r->scope, node->s, node->len, v);
}

/* The call is the last operation of its chain; it gets one more named argument, `caller`. */
static bool exec_call_block(struct jrun *r, const struct jnode *node)
{
    const struct jnode *chain = node->kid[1], *call = chain->kid[chain->n - 1];
    struct jnode front = *chain;
    struct jvalue callee, v;
    struct jargs args;
    front.n--;
    if (!jinja_eval(r, &front, &callee) || !jinja_eval_args(r, call, 0, &args)) return false;
    struct jkwarg *kw = jinja_alloc(r, (args.n_kw + 1) * sizeof *kw);
    if (!kw) return false;
    if (args.n_kw) memcpy(kw, args.kw, args.n_kw * sizeof *kw);
    kw[args.n_kw] = (struct jkwarg){.s = "caller", .n = 6};
    if (!make_macro(r, node->kid[0], &kw[args.n_kw].value)) return false;
    args.kw = kw;
    args.n_kw++;
    return jinja_call(r, callee, &args, &v) && jinja_text(r, v, &v) && put_out(r, v);
}

static enum jflow exec_with(struct jrun *r, const struct jnode *node)
{
    struct jscope *scope = jinja_alloc(r, sizeof *scope), *before = r->scope;
    if (!scope) return JFLOW_FAIL;
    *scope = (struct jscope){.parent = before};
    for (uint32_t i = 0; i + 1 < node->n; i++) {
        struct jvalue v;
        if (!jinja_eval(r, node->kid[i]->kid[1], &v) ||
            !jinja_assign(r, scope, node->kid[i]->kid[0], v))
            return JFLOW_FAIL;
    }
    r->scope = scope;
    enum jflow flow = jinja_exec(r, node->kid[node->n - 1]);
    r->scope = before;
    return flow;
}

static bool exec_captured(struct jrun *r, const struct jnode *node)
{
    struct jvalue v;
    return jinja_capture(r, node->kid[0], NULL, &v) && apply_filters(r, node, 1, &v) &&
           jinja_text(r, v, &v) && put_out(r, v);
}

static enum jflow exec_if(struct jrun *r, const struct jnode *node)
{
    uint32_t i = 0;
    for (; i + 1 < node->n; i += 2) {
        struct jvalue when;
        if (!jinja_eval(r, node->kid[i], &when)) return JFLOW_FAIL;
        if (jinja_truth(when)) return jinja_exec(r, node->kid[i + 1]);
    }
    return i < node->n ? jinja_exec(r, node->kid[i]) : JFLOW_NEXT;
}

static enum jflow exec_body(struct jrun *r, const struct jnode *node)
{
    for (uint32_t i = 0; i < node->n; i++) {
        enum jflow flow = jinja_exec(r, node->kid[i]);
        if (flow != JFLOW_NEXT) return flow;
    }
    return JFLOW_NEXT;
}

static enum jflow exec_kind(struct jrun *r, const struct jnode *node)
{
    bool ok = true;
    switch (node->kind) {
    case N_BODY: return exec_body(r, node);
    case N_IF: return exec_if(r, node);
    case N_FOR: return jinja_for(r, node);
    case N_WITH: return exec_with(r, node);
    case N_BREAK: return JFLOW_BREAK;
    case N_CONTINUE: return JFLOW_CONTINUE;
    case N_DATA: ok = put_out(r, jinja_str(node->s, node->len, true)); break;
    case N_PRINT: ok = exec_print(r, node); break;
    case N_SET: case N_SET_BLOCK: ok = exec_set(r, node); break;
    case N_MACRO: ok = exec_macro(r, node); break;
    case N_CALL_BLOCK: ok = exec_call_block(r, node); break;
    case N_SCOPE: case N_FILTER_BLOCK: ok = exec_captured(r, node); break;
    default: ok = jinja_fail(r, "a statement of an unknown kind");
    }
    return ok ? JFLOW_NEXT : JFLOW_FAIL;
}

enum jflow jinja_exec(struct jrun *r, const struct jnode *node)
{
    r->line = node->line;
    if (!jinja_spend(r, 1)) return JFLOW_FAIL;
    if (r->depth == JINJA_MAX_EVAL) {
        jinja_fail(r, "evaluation nested deeper than %d", JINJA_MAX_EVAL);
        return JFLOW_FAIL;
    }
    r->depth++;
    enum jflow flow = exec_kind(r, node);
    r->depth--;
    return flow;
}
