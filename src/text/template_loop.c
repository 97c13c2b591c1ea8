/* SPDX-License-Identifier: Apache-2.0
 * template_loop.c - {% for %}, unpacking into targets, and the `loop` object. */
#include <string.h>
#include "src/text/template_run.h"

bool jinja_assign(struct jrun *r, struct jscope *scope, const struct jnode *target, struct jvalue v)
{
    if (target->kind == N_NAME) return jinja_set_var(r, scope, target->s, target->len, v);
    if (target->kind == N_NSREF) {
        struct jvalue *ns = jinja_lookup(r, target->s, target->len);
        const struct jnode *attr = target->kid[0];
        if (r->status) return false;
        if (!ns || ns->kind != J_NAMESPACE)
            return jinja_fail(r, "'%.*s' is no namespace, so '%.*s' of it cannot be set",
                              (int)(target->len < 60 ? target->len : 60), target->s,
                              (int)(attr->len < 60 ? attr->len : 60), attr->s);
        if (attr->s[0] == '_') return jinja_fail(r, "a namespace takes no name with '_' before it");
        return jinja_dict_put(r, &ns->u.ns->attrs, jinja_str(attr->s, attr->len, true), v, false);
    }
    struct jvalue seq;
    if (!jinja_iterate(r, v, &seq)) return false;
    if (jinja_seq_n(seq) != target->n)
        return jinja_fail(r, "%zu values for %u names", jinja_seq_n(seq), target->n);
    for (uint32_t i = 0; i < target->n; i++)
        if (!jinja_assign(r, scope, target->kid[i], jinja_seq_at(seq, i))) return false;
    return true;
}

/* Sees to it that the loop has its item i, if there is one. */
static bool fill(struct jrun *r, struct jloop *loop, size_t i, bool *exists)
{
    if (!loop->items) {
        *exists = i < jinja_seq_n(loop->source);
        return true;
    }
    while (loop->items->n <= i && loop->i_source < jinja_seq_n(loop->source)) {
        struct jvalue v = jinja_seq_at(loop->source, loop->i_source++), pass;
        struct jscope scope = {.parent = loop->outer}, *before = r->scope;
        if (!jinja_spend(r, 1) || !jinja_assign(r, &scope, loop->node->kid[0], v)) return false;
        r->scope = &scope;
        bool ok = jinja_eval(r, loop->node->kid[2], &pass);
        r->scope = before;
        if (!ok || (jinja_truth(pass) && !jinja_push(r, loop->items, v))) return false;
    }
    *exists = i < loop->items->n;
    return true;
}

static struct jvalue item(const struct jloop *loop, size_t i)
{
    return loop->items ? loop->items->v[i] : jinja_seq_at(loop->source, i);
}

static bool count(struct jrun *r, struct jloop *loop, size_t *n)
{
    bool exists;
    if (!fill(r, loop, SIZE_MAX, &exists)) return false;
    *n = loop->items ? loop->items->n : jinja_seq_n(loop->source);
    return true;
}

bool jinja_loop_attr(struct jrun *r, struct jloop *loop, const char *s, size_t n,
                     struct jvalue *out)
{
    static const char *const names[] = {"index", "index0", "first", "last", "length", "previtem",
                                        "nextitem", "revindex", "revindex0", "depth", "depth0"};
    size_t which = 0, total;
    bool exists;
    while (which < 11 && (strlen(names[which]) != n || memcmp(names[which], s, n))) which++;
    switch (which) {
    case 0: *out = jinja_int((int64_t)loop->i + 1); return true;
    case 1: *out = jinja_int((int64_t)loop->i); return true;
    case 2: *out = jinja_bool(loop->i == 0); return true;
    case 3:
        if (!fill(r, loop, loop->i + 1, &exists)) return false;
        *out = jinja_bool(!exists);
        return true;
    case 5:
        *out = loop->i ? item(loop, loop->i - 1) : jinja_undefined("there is no previous item", 25);
        return true;
    case 6:
        if (!fill(r, loop, loop->i + 1, &exists)) return false;
        *out = exists ? item(loop, loop->i + 1) : jinja_undefined("there is no next item", 21);
        return true;
    case 4: case 7: case 8:
        if (!count(r, loop, &total)) return false;
        *out = jinja_int((int64_t)(which == 4 ? total : total - loop->i - (which == 8)));
        return true;
    case 9: case 10: *out = jinja_int(which == 9); return true; /* recursive loops only go deeper */
    default:
        *out = jinja_undefined(s, n);
        struct jvalue self = {.kind = J_LOOP, .trusted = true, .u.loop = loop};
        jinja_find_method(r, self, s, n, out);
        return r->status == FK_OK;
    }
}

static enum jflow run_body(struct jrun *r, const struct jnode *node, struct jloop *loop,
                           struct jscope *scope)
{
    struct jvalue self = {.kind = J_LOOP, .trusted = true, .u.loop = loop};
    for (;; loop->i++) {
        bool exists;
        if (!fill(r, loop, loop->i, &exists)) return JFLOW_FAIL;
        if (!exists) return JFLOW_NEXT;
        scope->vars = NULL;
        if (!jinja_spend(r, 1) || !jinja_set_var(r, scope, "loop", 4, self) ||
            !jinja_assign(r, scope, node->kid[0], item(loop, loop->i)))
            return JFLOW_FAIL;
        enum jflow flow = jinja_exec(r, node->kid[3]);
        if (flow == JFLOW_FAIL) return flow;
        if (flow == JFLOW_BREAK) {
            loop->i++; /* not empty: no else */
            return JFLOW_NEXT;
        }
    }
}

/* Scope and loop live in the arena: a macro that the body defines may outlive the loop. */
enum jflow jinja_for(struct jrun *r, const struct jnode *node)
{
    struct jloop *loop = jinja_alloc(r, sizeof *loop);
    struct jscope *scope = loop ? jinja_alloc(r, sizeof *scope) : NULL;
    struct jvalue source;
    if (!scope || !jinja_eval(r, node->kid[1], &source)) return JFLOW_FAIL;
    *loop = (struct jloop){.node = node, .outer = r->scope, .changed = jinja_kind(J_MISSING)};
    *scope = (struct jscope){.parent = r->scope};
    if (!jinja_iterate(r, source, &loop->source)) return JFLOW_FAIL;
    if (node->kid[2] && !(loop->items = jinja_list(r, 0))) return JFLOW_FAIL;
    struct jscope *before = r->scope;
    r->scope = scope;
    enum jflow flow = run_body(r, node, loop, scope);
    if (flow == JFLOW_NEXT && !loop->i && node->kid[4]) {
        scope->vars = NULL;
        flow = jinja_exec(r, node->kid[4]);
    }
    r->scope = before;
    return flow;
}
