/* SPDX-License-Identifier: Apache-2.0
 * template_parse.c - the grammar of statements. What is not here (include, import, extends, block,
 * autoescape, do, recursive loops) is refused by name: such a template is never run in part. */
#include <string.h>
#include "src/text/template_node.h"

typedef struct jnode *statement_fn(struct jparser *p, struct jnode *node);

static struct jnode *body_until(struct jparser *p, const char *const *ends);

static bool end_block(struct jparser *p)
{
    if (p->t->kind == T_BLOCK_END) {
        p->t++;
        return true;
    }
    return jinja_syntax(p, p->t->line, "expected '%%}' before more of the tag");
}

/* The body up to the named end tag, which is taken. */
static struct jnode *body_to(struct jparser *p, const char *end)
{
    const char *const ends[] = {end, NULL};
    if (!end_block(p)) return NULL;
    struct jnode *body = body_until(p, ends);
    if (!body) return NULL;
    p->t++;
    return end_block(p) ? body : NULL;
}

static struct jnode *parse_if(struct jparser *p, struct jnode *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    for (;;) {
        struct jnode *test = jinja_parse_tuple(p, false, false);
        if (!test || !jinja_add_kid(p, node, test) || !end_block(p)) return NULL;
        struct jnode *body = body_until(p, ends);
        if (!body || !jinja_add_kid(p, node, body)) return NULL;
        if (jinja_skip_word(p, "elif")) continue;
        if (jinja_skip_word(p, "endif")) return end_block(p) ? node : NULL;
        p->t++; /* else */
        body = body_to(p, "endif");
        return body && jinja_add_kid(p, node, body) ? node : NULL;
    }
}

static struct jnode *parse_for(struct jparser *p, struct jnode *node)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    struct jnode *test = NULL, *otherwise = NULL;
    struct jnode *target = jinja_parse_target(p, false);
    if (!target || !jinja_want_word(p, "in")) return NULL;
    struct jnode *seq = jinja_parse_tuple(p, false, false);
    if (!seq) return NULL;
    if (jinja_skip_word(p, "if") && !(test = jinja_parse_expr(p))) return NULL;
    if (jinja_is_word(p, "recursive"))
        return jinja_syntax(p, p->t->line, "recursive loops are not supported");
    if (!end_block(p)) return NULL;
    p->n_loops++;
    struct jnode *body = body_until(p, ends);
    p->n_loops--;
    if (!body) return NULL;
    if (jinja_skip_word(p, "endfor")) {
        if (!end_block(p)) return NULL;
    } else {
        p->t++;
        if (!(otherwise = body_to(p, "endfor"))) return NULL;
    }
    struct jnode *kids[] = {target, seq, test, body, otherwise};
    for (int i = 0; i < 5; i++)
        if (!jinja_add_kid(p, node, kids[i])) return NULL;
    return node;
}

static struct jnode *parse_set(struct jparser *p, struct jnode *node)
{
    struct jnode *target = jinja_parse_target(p, true);
    if (!target || !jinja_add_kid(p, node, target)) return NULL;
    if (jinja_skip_op(p, '=')) {
        struct jnode *value = jinja_parse_tuple(p, true, false);
        return value && jinja_add_kid(p, node, value) && end_block(p) ? node : NULL;
    }
    struct jnode *filters = jinja_node(p, N_BODY);
    if (!filters || !jinja_parse_filters(p, filters, false)) return NULL;
    struct jnode *body = body_to(p, "endset");
    node->kind = N_SET_BLOCK;
    if (!body || !jinja_add_kid(p, node, body)) return NULL;
    for (uint32_t i = 0; i < filters->n; i++)
        if (!jinja_add_kid(p, node, filters->kid[i])) return NULL;
    return node;
}

static bool parameters(struct jparser *p, struct jnode *macro)
{
    bool defaults = false;
    if (!jinja_want_op(p, '(')) return false;
    for (bool first = true; !jinja_is_op(p, ')'); first = false) {
        if (!first && !jinja_want_op(p, ',')) return false;
        if (p->t->kind != T_NAME) return jinja_syntax(p, p->t->line, "expected a parameter's name");
        struct jnode *param = jinja_node(p, N_PARAM), *value = NULL;
        if (!param) return false;
        param->s = p->t->s;
        param->len = p->t->n;
        p->t++;
        if (jinja_skip_op(p, '=')) {
            defaults = true;
            if (!(value = jinja_parse_expr(p))) return false;
        } else if (defaults) {
            return jinja_syntax(p, p->t->line, "a parameter without a default after one with");
        }
        if (!jinja_add_kid(p, param, value) || !jinja_add_kid(p, macro, param)) return false;
    }
    return jinja_want_op(p, ')');
}

/* Body of a macro or call block: its own loops and its own use of varargs, kwargs, caller. */
static bool macro_body(struct jparser *p, struct jnode *macro, const char *end)
{
    int n_loops = p->n_loops;
    uint8_t uses = p->uses;
    p->n_loops = 0;
    p->uses = 0;
    struct jnode *body = body_to(p, end);
    macro->op = p->uses;
    p->n_loops = n_loops;
    p->uses = uses;
    return body && jinja_add_kid(p, macro, body);
}

static struct jnode *parse_macro(struct jparser *p, struct jnode *node)
{
    if (p->t->kind != T_NAME) return jinja_syntax(p, p->t->line, "expected the macro's name");
    node->s = p->t->s;
    node->len = p->t->n;
    p->t++;
    return parameters(p, node) && macro_body(p, node, "endmacro") ? node : NULL;
}

static struct jnode *parse_call(struct jparser *p, struct jnode *node)
{
    struct jnode *macro = jinja_node(p, N_MACRO);
    if (!macro) return NULL;
    macro->s = "caller";
    macro->len = 6;
    if (jinja_is_op(p, '(') && !parameters(p, macro)) return NULL;
    struct jnode *call = jinja_parse_expr(p);
    if (!call) return NULL;
    if (call->kind != N_CHAIN || call->kid[call->n - 1]->kind != N_CALL)
        return jinja_syntax(p, node->line, "{%% call %%} needs a call");
    if (!macro_body(p, macro, "endcall")) return NULL;
    return jinja_add_kid(p, node, macro) && jinja_add_kid(p, node, call) ? node : NULL;
}

static struct jnode *parse_filter(struct jparser *p, struct jnode *node)
{
    struct jnode *filters = jinja_node(p, N_BODY);
    if (!filters || !jinja_parse_filters(p, filters, true)) return NULL;
    struct jnode *body = body_to(p, "endfilter");
    if (!body || !jinja_add_kid(p, node, body)) return NULL;
    for (uint32_t i = 0; i < filters->n; i++)
        if (!jinja_add_kid(p, node, filters->kid[i])) return NULL;
    return node;
}

static struct jnode *parse_with(struct jparser *p, struct jnode *node)
{
    while (p->t->kind != T_BLOCK_END) {
        if (node->n && !jinja_want_op(p, ',')) return NULL;
        struct jnode *set = jinja_node(p, N_SET), *target = jinja_parse_target(p, false);
        if (!target || !jinja_add_kid(p, set, target) || !jinja_want_op(p, '=')) return NULL;
        struct jnode *value = jinja_parse_expr(p);
        if (!value || !jinja_add_kid(p, set, value) || !jinja_add_kid(p, node, set)) return NULL;
    }
    struct jnode *body = body_to(p, "endwith");
    return body && jinja_add_kid(p, node, body) ? node : NULL;
}

static struct jnode *parse_generation(struct jparser *p, struct jnode *node)
{
    int n_loops = p->n_loops;
    p->n_loops = 0;
    struct jnode *body = body_to(p, "endgeneration");
    p->n_loops = n_loops;
    return body && jinja_add_kid(p, node, body) ? node : NULL;
}

static struct jnode *parse_jump(struct jparser *p, struct jnode *node)
{
    if (!p->n_loops) return jinja_syntax(p, node->line, "break or continue outside a loop");
    return end_block(p) ? node : NULL;
}

static struct jnode *parse_print(struct jparser *p, struct jnode *node)
{
    while (p->t->kind != T_BLOCK_END) {
        if (node->n && !jinja_want_op(p, ',')) return NULL;
        struct jnode *value = jinja_parse_expr(p);
        if (!value || !jinja_add_kid(p, node, value)) return NULL;
    }
    return end_block(p) ? node : NULL;
}

static struct jnode *statement(struct jparser *p)
{
    static const struct { const char *word; uint8_t kind; statement_fn *parse; } known[] = {
        {"if", N_IF, parse_if}, {"for", N_FOR, parse_for}, {"set", N_SET, parse_set},
        {"macro", N_MACRO, parse_macro}, {"call", N_CALL_BLOCK, parse_call},
        {"filter", N_FILTER_BLOCK, parse_filter}, {"with", N_WITH, parse_with},
        {"generation", N_SCOPE, parse_generation}, {"break", N_BREAK, parse_jump},
        {"continue", N_CONTINUE, parse_jump}, {"print", N_PRINT, parse_print}};
    if (p->t->kind != T_NAME)
        return jinja_syntax(p, p->t->line, "expected a tag's name after '{%%'");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!jinja_is_word(p, known[i].word)) continue;
        struct jnode *node = jinja_node(p, known[i].kind);
        p->t++;
        return node ? known[i].parse(p, node) : NULL;
    }
    return jinja_syntax(p, p->t->line, "the tag '%.*s' is not supported here",
                        p->t->n < 60 ? (int)p->t->n : 60, p->t->s);
}

static bool is_one_of(const struct jparser *p, const char *const *words)
{
    for (; words && *words; words++)
        if (jinja_is_word(p, *words)) return true;
    return false;
}

/* Up to a tag named in ends, on whose name p->t is left; NULL: to the end of the template. */
static struct jnode *body_until(struct jparser *p, const char *const *ends)
{
    struct jnode *body = jinja_node(p, N_BODY);
    uint32_t opened = p->t->line;
    if (!body || !jinja_enter(p)) return NULL;
    bool done = false;
    while (!done && !p->failed) {
        struct jnode *node = NULL;
        if (p->t->kind == T_EOF) {
            if (ends) jinja_syntax(p, opened, "the tag here has no end ('%s' is missing)", ends[0]);
            break;
        }
        const struct jtoken *t = p->t++;
        if (t->kind == T_DATA) {
            if (!(node = jinja_node(p, N_DATA))) break;
            node->s = t->s;
            node->len = t->n;
        } else if (t->kind == T_VAR_BEGIN) {
            struct jnode *value = jinja_parse_tuple(p, true, false);
            node = value ? jinja_node(p, N_PRINT) : NULL;
            if (!jinja_add_kid(p, node, value)) break;
            node->line = t->line;
            if (p->t->kind != T_VAR_END) jinja_syntax(p, p->t->line, "expected '}}'");
            p->t++;
        } else {
            done = is_one_of(p, ends);
            if (done) break;
            node = statement(p);
        }
        if (!node || !jinja_add_kid(p, body, node)) break;
    }
    jinja_leave(p);
    return p->failed ? NULL : body;
}

struct jnode *jinja_parse(struct jparser *p)
{
    return body_until(p, NULL);
}
