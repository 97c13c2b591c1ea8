/* SPDX-License-Identifier: Apache-2.0
 * template_node.h - tokens and syntax tree of a template: what the lexer gives the parser and the
 * parser gives the interpreter. Everything lives in the template's arena. */
#ifndef TEXT_TEMPLATE_NODE_H
#define TEXT_TEMPLATE_NODE_H
#include "fikr/status.h"
#include "src/base/arena.h"
#include "src/text/template_value.h"

enum jtoken_kind { T_EOF, T_DATA, T_VAR_BEGIN, T_VAR_END, T_BLOCK_BEGIN, T_BLOCK_END, T_NAME, T_STR,
                   T_INT, T_FLOAT, T_OP };

/* Operators of two characters, beside the single ones that stand for themselves. */
enum jop { OP_EQ = 128, OP_NE, OP_GE, OP_LE, OP_POW, OP_FLOORDIV, OP_IN, OP_NOT_IN };

struct jtoken {
    uint8_t kind, op;
    uint32_t line;
    const char *s; /* names, text and unescaped strings */
    size_t n;
    union { int64_t i; double f; } num;
};
struct jtokens { struct jtoken *v; size_t n, cap; };

/* Cuts text into tokens with trim_blocks and lstrip_blocks set. Free tokens->v with mem_free. */
enum fk_status jinja_lex(struct arena *a, const char *text, size_t n, struct jtokens *tokens,
                         struct fk_error *err);

enum jnode_kind {
    /* expressions */
    N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_COND, N_AND, N_OR, N_NOT, N_NEG, N_POS,
    N_ARITH,   /* s[i] is the operator between kid[i] and kid[i + 1]; left to right */
    N_CONCAT,
    N_COMPARE, /* as N_ARITH */
    N_CHAIN,   /* kid[0], then what is applied to it: */
    N_ATTR, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, /* kids: arguments */
    N_KWARG,
    /* statements */
    N_BODY, N_DATA, N_PRINT,
    N_IF,      /* test, body, test, body, ..., and one body more for else */
    N_FOR,     /* target, sequence, test or NULL, body, else or NULL */
    N_SET,     /* target, value */
    N_SET_BLOCK, /* target, body, filters... */
    N_NSREF,   /* s . kid[0]->s as a target */
    N_MACRO,   /* N_PARAM..., body */
    N_PARAM,
    N_CALL_BLOCK, /* the macro `caller`, the call */
    N_FILTER_BLOCK, /* body, filters... */
    N_WITH,    /* N_SET..., body */
    N_SCOPE, N_BREAK, N_CONTINUE
};

enum { JUSES_VARARGS = 1, JUSES_KWARGS = 2, JUSES_CALLER = 4 }; /* N_MACRO.op */

struct jnode {
    uint8_t kind, op;
    bool negated;
    uint32_t line;
    uint32_t n;
    const char *s;
    size_t len;
    struct jnode **kid;
    const struct jvalue *value;
};

#define JINJA_MAX_NEST 64
#define JINJA_MAX_TEMPLATE_BYTES (1u << 20)

struct jparser {
    struct arena *a;
    const struct jtoken *t; /* the current one; T_EOF ends and is never passed */
    struct fk_error *err;
    int depth, n_loops;
    uint8_t uses;
    bool failed;
};

/* template_parse.c: statements. NULL: failed. */
struct jnode *jinja_parse(struct jparser *p);
/* template_expr.c: expressions and what statements need of them. */
struct jnode *jinja_parse_expr(struct jparser *p);
struct jnode *jinja_parse_tuple(struct jparser *p, bool with_cond, bool explicit_parens);
struct jnode *jinja_parse_target(struct jparser *p, bool with_namespace);
struct jnode *jinja_parse_filters(struct jparser *p, struct jnode *into, bool first_is_named);
struct jnode *jinja_node(struct jparser *p, enum jnode_kind kind);
bool jinja_add_kid(struct jparser *p, struct jnode *node, struct jnode *kid);
void *jinja_syntax(struct jparser *p, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool jinja_enter(struct jparser *p); /* nesting; jinja_leave only after true */
void jinja_leave(struct jparser *p);
bool jinja_is_op(const struct jparser *p, int op);
bool jinja_is_word(const struct jparser *p, const char *word);
bool jinja_skip_op(struct jparser *p, int op);
bool jinja_skip_word(struct jparser *p, const char *word);
bool jinja_want_op(struct jparser *p, int op);
bool jinja_want_word(struct jparser *p, const char *word);

#endif
