/* SPDX-License-Identifier: Apache-2.0
 * template_expr.c - the grammar of expressions, in Jinja's order of precedence. Chains of
 * operators, attributes and filters become one flat node, so that only brackets, "not", signs and
 * else-branches nest; jinja_enter bounds those. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/text/template_node.h"

void *jinja_syntax(struct jparser *p, uint32_t line, const char *fmt, ...)
{
    if (!p->failed) {
        char sentence[400];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(sentence, sizeof sentence, fmt, ap);
        va_end(ap);
        fail(p->err, FK_EFORMAT, "chat template, line %u: %s", line, sentence);
    }
    p->failed = true;
    return NULL;
}

static const char *shown(const struct jtoken *t, char out[48])
{
    switch (t->kind) {
    case T_EOF: return "the end of the template";
    case T_VAR_END: return "'}}'";
    case T_BLOCK_END: return "'%}'";
    case T_STR: return "a string";
    case T_NAME: case T_OP: case T_INT: case T_FLOAT:
        snprintf(out, 48, "'%.*s'", t->n < 40 ? (int)t->n : 40, t->s);
        return out;
    default: return "text";
    }
}

static void *unexpected(struct jparser *p, const char *wanted)
{
    char text[48];
    return jinja_syntax(p, p->t->line, "expected %s, not %s", wanted, shown(p->t, text));
}

bool jinja_enter(struct jparser *p)
{
    if (p->depth == JINJA_MAX_NEST) {
        jinja_syntax(p, p->t->line, "nested deeper than %d", JINJA_MAX_NEST);
        return false;
    }
    p->depth++;
    return true;
}

void jinja_leave(struct jparser *p)
{
    p->depth--;
}

bool jinja_is_op(const struct jparser *p, int op)
{
    return p->t->kind == T_OP && p->t->op == op;
}

bool jinja_is_word(const struct jparser *p, const char *word)
{
    return p->t->kind == T_NAME && p->t->n == strlen(word) && !memcmp(p->t->s, word, p->t->n);
}

bool jinja_skip_op(struct jparser *p, int op)
{
    if (!jinja_is_op(p, op)) return false;
    p->t++;
    return true;
}

bool jinja_skip_word(struct jparser *p, const char *word)
{
    if (!jinja_is_word(p, word)) return false;
    p->t++;
    return true;
}

bool jinja_want_op(struct jparser *p, int op)
{
    char wanted[8];
    snprintf(wanted, sizeof wanted, "'%c'", op);
    return jinja_skip_op(p, op) || unexpected(p, wanted);
}

bool jinja_want_word(struct jparser *p, const char *word)
{
    return jinja_skip_word(p, word) || unexpected(p, word);
}

struct jnode *jinja_node(struct jparser *p, enum jnode_kind kind)
{
    struct jnode *node = arena_alloc(p->a, sizeof *node);
    if (!node) {
        if (!p->failed) fail_nomem(p->err, sizeof *node, "reading a chat template");
        p->failed = true;
        return NULL;
    }
    *node = (struct jnode){.kind = (uint8_t)kind, .line = p->t->line};
    return node;
}

bool jinja_add_kid(struct jparser *p, struct jnode *node, struct jnode *kid)
{
    if (p->failed || !node) return false;
    bool full = !(node->n & (node->n - 1)); /* 0 and powers of two */
    if (full) {
        uint32_t cap = node->n ? node->n * 2 : 1;
        struct jnode **v = arena_array(p->a, cap, sizeof *v);
        if (!v) {
            fail_nomem(p->err, cap, "reading a chat template");
            p->failed = true;
            return false;
        }
        if (node->n) memcpy(v, node->kid, node->n * sizeof *v);
        node->kid = v;
    }
    node->kid[node->n++] = kid;
    return true;
}

static struct jnode *named(struct jparser *p, enum jnode_kind kind, const char *wanted)
{
    if (p->t->kind != T_NAME) return unexpected(p, wanted);
    struct jnode *node = jinja_node(p, kind);
    if (!node) return NULL;
    node->s = p->t->s;
    node->len = p->t->n;
    p->t++;
    return node;
}

static struct jnode *constant(struct jparser *p, struct jvalue v)
{
    struct jnode *node = jinja_node(p, N_CONST);
    struct jvalue *copy = node ? arena_alloc(p->a, sizeof *copy) : NULL;
    if (!copy) return jinja_syntax(p, p->t->line, "out of memory");
    *copy = v;
    node->value = copy;
    return node;
}

/* Strings that stand side by side are one. */
static struct jnode *string(struct jparser *p)
{
    size_t n = 0;
    const struct jtoken *first = p->t, *last = first;
    for (; last->kind == T_STR; last++) n += last->n;
    char *s = arena_alloc(p->a, n + 1);
    if (!s) return jinja_syntax(p, p->t->line, "out of memory");
    n = 0;
    for (p->t = first; p->t < last; p->t++) {
        if (p->t->n) memcpy(s + n, p->t->s, p->t->n);
        n += p->t->n;
    }
    return constant(p, jinja_str(s, n, true));
}

static struct jnode *list(struct jparser *p)
{
    struct jnode *node = jinja_node(p, N_LIST);
    p->t++;
    while (node && !jinja_is_op(p, ']')) {
        if (node->n && !jinja_want_op(p, ',')) return NULL;
        if (jinja_is_op(p, ']')) break;
        struct jnode *item = jinja_parse_expr(p);
        if (!item || !jinja_add_kid(p, node, item)) return NULL;
    }
    return node && jinja_want_op(p, ']') ? node : NULL;
}

static struct jnode *dict(struct jparser *p)
{
    struct jnode *node = jinja_node(p, N_DICT);
    p->t++;
    while (node && !jinja_is_op(p, '}')) {
        if (node->n && !jinja_want_op(p, ',')) return NULL;
        if (jinja_is_op(p, '}')) break;
        struct jnode *key = jinja_parse_expr(p);
        if (!key || !jinja_want_op(p, ':') || !jinja_add_kid(p, node, key)) return NULL;
        struct jnode *value = jinja_parse_expr(p);
        if (!value || !jinja_add_kid(p, node, value)) return NULL;
    }
    return node && jinja_want_op(p, '}') ? node : NULL;
}

static struct jnode *name(struct jparser *p)
{
    static const struct { const char *s; uint8_t kind; bool b; } words[] = {
        {"true", J_BOOL, true}, {"True", J_BOOL, true}, {"false", J_BOOL, false},
        {"False", J_BOOL, false}, {"none", J_NONE, false}, {"None", J_NONE, false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!jinja_skip_word(p, words[i].s)) continue;
        struct jvalue v = jinja_bool(words[i].b);
        v.kind = words[i].kind;
        return constant(p, v);
    }
    if (jinja_is_word(p, "varargs")) p->uses |= JUSES_VARARGS;
    if (jinja_is_word(p, "kwargs")) p->uses |= JUSES_KWARGS;
    if (jinja_is_word(p, "caller")) p->uses |= JUSES_CALLER;
    return named(p, N_NAME, "a name");
}

static struct jnode *primary(struct jparser *p)
{
    const struct jtoken *t = p->t;
    switch (t->kind) {
    case T_NAME: return name(p);
    case T_STR: return string(p);
    case T_INT: p->t++; return constant(p, jinja_int(t->num.i));
    case T_FLOAT: p->t++; return constant(p, jinja_float(t->num.f));
    default: break;
    }
    if (jinja_is_op(p, '[')) return list(p);
    if (jinja_is_op(p, '{')) return dict(p);
    if (!jinja_skip_op(p, '(')) return unexpected(p, "an expression");
    struct jnode *node = jinja_parse_tuple(p, true, true);
    return node && jinja_want_op(p, ')') ? node : NULL;
}

static bool arguments(struct jparser *p, struct jnode *call)
{
    bool keywords = false;
    if (!jinja_want_op(p, '(')) return false;
    for (bool first = true; !jinja_is_op(p, ')'); first = false) {
        if (!first && !jinja_want_op(p, ',')) return false;
        if (jinja_is_op(p, ')')) break;
        if (jinja_is_op(p, '*') || jinja_is_op(p, OP_POW))
            return jinja_syntax(p, p->t->line, "unpacked arguments are not supported");
        struct jnode *arg;
        if (p->t->kind == T_NAME && p->t[1].kind == T_OP && p->t[1].op == '=') {
            arg = named(p, N_KWARG, "a name");
            p->t++;
            struct jnode *value = arg ? jinja_parse_expr(p) : NULL;
            if (!value || !jinja_add_kid(p, arg, value)) return false;
            keywords = true;
        } else {
            if (keywords)
                return jinja_syntax(p, p->t->line, "an argument without a name after named ones");
            arg = jinja_parse_expr(p);
        }
        if (!arg || !jinja_add_kid(p, call, arg)) return false;
    }
    return jinja_want_op(p, ')');
}

/* Appends an operation to a chain, making base a chain first. */
static struct jnode *chain(struct jparser *p, struct jnode *base, struct jnode *op)
{
    if (!base || !op) return NULL;
    if (base->kind != N_CHAIN) {
        struct jnode *node = jinja_node(p, N_CHAIN);
        if (!node || !jinja_add_kid(p, node, base)) return NULL;
        base = node;
    }
    return jinja_add_kid(p, base, op) ? base : NULL;
}

static struct jnode *subscript(struct jparser *p)
{
    struct jnode *part[3] = {NULL, NULL, NULL};
    int n_colons = 0;
    struct jnode *node = jinja_node(p, N_ITEM);
    p->t++;
    while (node && !jinja_is_op(p, ']')) {
        if (jinja_skip_op(p, ':')) {
            if (++n_colons > 2) return unexpected(p, "']'");
            continue;
        }
        if (part[n_colons]) return unexpected(p, "']'");
        if (!(part[n_colons] = jinja_parse_expr(p))) return NULL;
    }
    if (!node || !jinja_want_op(p, ']')) return NULL;
    if (!n_colons && !part[0]) return jinja_syntax(p, node->line, "an empty subscript");
    node->kind = n_colons ? N_SLICE : N_ITEM;
    for (int i = 0; i < (n_colons ? 3 : 1); i++)
        if (!jinja_add_kid(p, node, part[i])) return NULL;
    return node;
}

static struct jnode *attribute(struct jparser *p)
{
    p->t++;
    if (p->t->kind != T_INT) return named(p, N_ATTR, "a name after '.'");
    struct jnode *node = jinja_node(p, N_ITEM), *index = constant(p, jinja_int(p->t->num.i));
    p->t++;
    return jinja_add_kid(p, node, index) ? node : NULL;
}

static struct jnode *call(struct jparser *p)
{
    struct jnode *node = jinja_node(p, N_CALL);
    return node && arguments(p, node) ? node : NULL;
}

static struct jnode *postfix(struct jparser *p, struct jnode *node)
{
    while (node) {
        if (jinja_is_op(p, '.')) node = chain(p, node, attribute(p));
        else if (jinja_is_op(p, '[')) node = chain(p, node, subscript(p));
        else if (jinja_is_op(p, '(')) node = chain(p, node, call(p));
        else break;
    }
    return node;
}

static struct jnode *filter(struct jparser *p)
{
    struct jnode *node = named(p, N_FILTER, "a filter's name");
    if (!node || jinja_is_op(p, '.')) return node ? unexpected(p, "a filter without '.'") : NULL;
    return !jinja_is_op(p, '(') || arguments(p, node) ? node : NULL;
}

static bool begins_test_argument(const struct jparser *p)
{
    if (jinja_is_word(p, "else") || jinja_is_word(p, "or") || jinja_is_word(p, "and")) return false;
    return p->t->kind == T_NAME || p->t->kind == T_STR || p->t->kind == T_INT ||
           p->t->kind == T_FLOAT || jinja_is_op(p, '[') || jinja_is_op(p, '{');
}

static struct jnode *test(struct jparser *p)
{
    bool negated = jinja_skip_word(p, "not");
    struct jnode *node = named(p, N_TEST, "a test's name");
    if (!node) return NULL;
    node->negated = negated;
    if (jinja_is_op(p, '(')) return arguments(p, node) ? node : NULL;
    if (!begins_test_argument(p)) return node;
    if (jinja_is_word(p, "is")) return jinja_syntax(p, p->t->line, "'is' tests cannot be chained");
    if (!jinja_enter(p)) return NULL;
    struct jnode *arg = postfix(p, primary(p));
    jinja_leave(p);
    return arg && jinja_add_kid(p, node, arg) ? node : NULL;
}

static struct jnode *filters_and_tests(struct jparser *p, struct jnode *node)
{
    while (node) {
        if (jinja_skip_op(p, '|')) node = chain(p, node, filter(p));
        else if (jinja_skip_word(p, "is")) node = chain(p, node, test(p));
        else if (jinja_is_op(p, '(')) node = chain(p, node, call(p));
        else break;
    }
    return node;
}

/* {% filter a|b %} and {% set x | a %}: appends N_FILTER nodes to `into`. */
struct jnode *jinja_parse_filters(struct jparser *p, struct jnode *into, bool first_is_named)
{
    while (first_is_named || jinja_skip_op(p, '|')) {
        first_is_named = false;
        struct jnode *f = filter(p);
        if (!f || !jinja_add_kid(p, into, f)) return NULL;
    }
    return into;
}

static struct jnode *unary(struct jparser *p, bool with_filters)
{
    struct jnode *node;
    if (jinja_is_op(p, '-') || jinja_is_op(p, '+')) {
        node = jinja_node(p, jinja_is_op(p, '-') ? N_NEG : N_POS);
        p->t++;
        if (!node || !jinja_enter(p)) return NULL;
        struct jnode *of = unary(p, false);
        jinja_leave(p);
        if (!of || !jinja_add_kid(p, node, of)) return NULL;
    } else {
        node = primary(p);
    }
    node = postfix(p, node);
    return with_filters ? filters_and_tests(p, node) : node;
}

typedef struct jnode *level_fn(struct jparser *p);

/* left (op right)*: one flat node of `kind` with the operators in s. */
static struct jnode *flat(struct jparser *p, enum jnode_kind kind, level_fn *next,
                          int (*take)(struct jparser *p))
{
    struct jnode *left = next(p), *node = NULL;
    char *ops = NULL;
    uint32_t cap = 0;
    for (int op; left && (op = take(p));) {
        if (!node) {
            node = jinja_node(p, kind);
            if (!jinja_add_kid(p, node, left)) return NULL;
            left = node;
        }
        if (node->n > cap) {
            char *more = arena_alloc(p->a, cap = node->n * 2 + 8);
            if (!more) return jinja_syntax(p, p->t->line, "out of memory");
            if (ops) memcpy(more, ops, node->n - 1);
            node->s = ops = more;
        }
        ops[node->n - 1] = (char)op;
        struct jnode *right = next(p);
        if (!right || !jinja_add_kid(p, node, right)) return NULL;
    }
    return left;
}

static int take_one_of(struct jparser *p, const char *ops)
{
    if (p->t->kind != T_OP || !strchr(ops, (char)p->t->op) || !p->t->op) return 0;
    return (p->t++)->op;
}

static int take_pow(struct jparser *p) { return jinja_skip_op(p, OP_POW) ? OP_POW : 0; }
static int take_tilde(struct jparser *p) { return take_one_of(p, "~"); }
static int take_sum(struct jparser *p) { return take_one_of(p, "+-"); }
static int take_product(struct jparser *p)
{
    return jinja_skip_op(p, OP_FLOORDIV) ? OP_FLOORDIV : take_one_of(p, "*/%");
}
static int take_and(struct jparser *p) { return jinja_skip_word(p, "and"); }
static int take_or(struct jparser *p) { return jinja_skip_word(p, "or"); }
static int take_comparison(struct jparser *p)
{
    if (p->t->kind == T_OP && p->t->op >= OP_EQ && p->t->op <= OP_LE) return (p->t++)->op;
    if (jinja_skip_word(p, "in")) return OP_IN;
    if (jinja_is_word(p, "not") && p->t[1].kind == T_NAME && p->t[1].n == 2 &&
        !memcmp(p->t[1].s, "in", 2)) {
        p->t += 2;
        return OP_NOT_IN;
    }
    return take_one_of(p, "<>");
}

static struct jnode *unary_level(struct jparser *p) { return unary(p, true); }
static struct jnode *power(struct jparser *p) { return flat(p, N_ARITH, unary_level, take_pow); }
static struct jnode *product(struct jparser *p) { return flat(p, N_ARITH, power, take_product); }
static struct jnode *tilde(struct jparser *p) { return flat(p, N_CONCAT, product, take_tilde); }
static struct jnode *sum(struct jparser *p) { return flat(p, N_ARITH, tilde, take_sum); }
static struct jnode *comparison(struct jparser *p)
{
    return flat(p, N_COMPARE, sum, take_comparison);
}

static struct jnode *negation(struct jparser *p)
{
    if (!jinja_is_word(p, "not")) return comparison(p);
    struct jnode *node = jinja_node(p, N_NOT);
    p->t++;
    if (!node || !jinja_enter(p)) return NULL;
    struct jnode *of = negation(p);
    jinja_leave(p);
    return of && jinja_add_kid(p, node, of) ? node : NULL;
}

static struct jnode *conjunction(struct jparser *p) { return flat(p, N_AND, negation, take_and); }
static struct jnode *disjunction(struct jparser *p) { return flat(p, N_OR, conjunction, take_or); }

static struct jnode *conditional(struct jparser *p)
{
    struct jnode *node = disjunction(p);
    while (node && jinja_is_word(p, "if")) {
        struct jnode *cond = jinja_node(p, N_COND), *otherwise = NULL;
        p->t++;
        struct jnode *when = disjunction(p);
        if (!when) return NULL;
        if (jinja_skip_word(p, "else") && !(otherwise = jinja_parse_expr(p))) return NULL;
        if (!jinja_add_kid(p, cond, when) || !jinja_add_kid(p, cond, node) ||
            !jinja_add_kid(p, cond, otherwise) || !jinja_enter(p))
            return NULL;
        jinja_leave(p);
        node = cond;
    }
    return node;
}

struct jnode *jinja_parse_expr(struct jparser *p)
{
    if (!jinja_enter(p)) return NULL;
    struct jnode *node = conditional(p);
    jinja_leave(p);
    return node;
}

static bool at_tuple_end(const struct jparser *p)
{
    return p->t->kind == T_VAR_END || p->t->kind == T_BLOCK_END || jinja_is_op(p, ')') ||
           jinja_is_word(p, "in") || jinja_is_word(p, "recursive");
}

/* a, b, c: with no comma the expression itself. */
struct jnode *jinja_parse_tuple(struct jparser *p, bool with_cond, bool explicit_parens)
{
    struct jnode *tuple = NULL, *item = NULL;
    if (!jinja_enter(p)) return NULL;
    for (;;) {
        if (at_tuple_end(p)) {
            if (!tuple && explicit_parens) tuple = jinja_node(p, N_TUPLE);
            if (!tuple) unexpected(p, "an expression");
            break;
        }
        item = with_cond ? jinja_parse_expr(p) : disjunction(p);
        if (!item) break;
        if (!tuple && jinja_is_op(p, ',')) tuple = jinja_node(p, N_TUPLE);
        if (!tuple) break;
        if (!jinja_add_kid(p, tuple, item)) break;
        item = NULL;
        if (!jinja_skip_op(p, ',')) break;
    }
    jinja_leave(p);
    if (p->failed) return NULL;
    return tuple ? tuple : item;
}

/* A name, names with commas, brackets around them, or (with_namespace) ns.name. */
static struct jnode *target_item(struct jparser *p, bool with_namespace)
{
    if (jinja_skip_op(p, '(')) {
        if (!jinja_enter(p)) return NULL;
        struct jnode *node = jinja_parse_target(p, with_namespace);
        jinja_leave(p);
        return node && jinja_want_op(p, ')') ? node : NULL;
    }
    struct jnode *node = named(p, N_NAME, "a name");
    if (!node || !with_namespace || !jinja_skip_op(p, '.')) return node;
    struct jnode *attr = named(p, N_NAME, "a name after '.'");
    node->kind = N_NSREF;
    return attr && jinja_add_kid(p, node, attr) ? node : NULL;
}

struct jnode *jinja_parse_target(struct jparser *p, bool with_namespace)
{
    static const char *const reserved[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (jinja_is_word(p, reserved[i])) return unexpected(p, "a name to set");
    struct jnode *node = target_item(p, with_namespace);
    if (!node || !jinja_is_op(p, ',')) return node;
    struct jnode *tuple = jinja_node(p, N_TUPLE);
    if (!jinja_add_kid(p, tuple, node)) return NULL;
    while (jinja_skip_op(p, ',')) {
        if (jinja_is_word(p, "in") || jinja_is_op(p, '=') || jinja_is_op(p, ')')) break;
        node = target_item(p, with_namespace);
        if (!node || !jinja_add_kid(p, tuple, node)) return NULL;
    }
    return tuple;
}
