/* SPDX-License-Identifier: Apache-2.0
 * template_run.h - the state of one render and the calls between the interpreter's files. */
#ifndef TEXT_TEMPLATE_RUN_H
#define TEXT_TEMPLATE_RUN_H
#include "fikr/status.h"
#include "src/base/arena.h"
#include "src/text/template_node.h"
#include "src/text/template_value.h"

#define JINJA_MAX_EVAL 400  /* evaluation inside evaluation, over all macros */
#define JINJA_MAX_MACROS 16

struct jvar { const char *s; size_t n; struct jvalue value; struct jvar *next; };
struct jscope { struct jscope *parent; struct jvar *vars; };

struct jrun {
    struct arena arena;
    char *chunk;               /* small objects are cut from here */
    size_t chunk_left;
    uint64_t bytes, max_bytes, steps, max_steps;
    int depth, n_macros;
    uint32_t line;             /* of what is being done, for the sentence */
    enum fk_status status;     /* the first failure stays */
    struct fk_error *err;
    struct jscope *scope;
    struct jgrow *out;
    int64_t now;
};

struct jmacro { const struct jnode *node; struct jscope *closure; };
struct jmethod { struct jvalue self; const struct jmethod_def *def; };

/* A for loop. `items` are those that passed the loop's test so far; with no test it is the sequence
 * itself. They are taken one at a time since the test may look at what the body changed. */
struct jloop {
    struct jvalue source;
    size_t i_source;
    struct jlist *items;       /* NULL: no test, source is indexed */
    const struct jnode *node;
    struct jscope *outer;
    size_t i;
    struct jvalue changed;     /* of loop.changed() */
};

struct jkwarg { const char *s; size_t n; struct jvalue value; };
struct jargs {
    struct jvalue *v;
    size_t n;
    struct jkwarg *kw;
    size_t n_kw;
};
/* Sorts args into out[] by the parameter names, a list ended by NULL; what was not given is
 * J_MISSING and fails if it is among the first n_needed. */
bool jinja_bind(struct jrun *r, const char *what, const struct jargs *args,
                const char *const *names, size_t n_needed, struct jvalue *out);
bool jinja_eval_args(struct jrun *r, const struct jnode *call, size_t first, struct jargs *out);

enum jflow { JFLOW_NEXT, JFLOW_BREAK, JFLOW_CONTINUE, JFLOW_FAIL };

/* template_eval.c */
bool jinja_eval(struct jrun *r, const struct jnode *node, struct jvalue *out);
bool jinja_get_attr(struct jrun *r, struct jvalue obj, const char *s, size_t n, struct jvalue *out);
bool jinja_get_item(struct jrun *r, struct jvalue obj, struct jvalue key, struct jvalue *out);
bool jinja_slice(struct jrun *r, struct jvalue v, const struct jvalue at[3], struct jvalue *out);
struct jvalue *jinja_lookup(struct jrun *r, const char *s, size_t n);
/* template_arith.c */
bool jinja_arith(struct jrun *r, int op, struct jvalue a, struct jvalue b, struct jvalue *out);
/* template_exec.c */
enum jflow jinja_exec(struct jrun *r, const struct jnode *node);
bool jinja_capture(struct jrun *r, const struct jnode *body, struct jscope *scope,
                   struct jvalue *out);
bool jinja_set_var(struct jrun *r, struct jscope *scope, const char *s, size_t n, struct jvalue v);
/* template_loop.c */
enum jflow jinja_for(struct jrun *r, const struct jnode *node);
bool jinja_assign(struct jrun *r, struct jscope *scope, const struct jnode *target,
                  struct jvalue v);
bool jinja_loop_attr(struct jrun *r, struct jloop *loop, const char *s, size_t n,
                     struct jvalue *out);
/* template_call.c: macros, global functions, methods of strings, mappings and lists */
bool jinja_call(struct jrun *r, struct jvalue callee, const struct jargs *args, struct jvalue *out);
bool jinja_find_function(const char *s, size_t n, struct jvalue *out);
/* *out gets the bound method; false with no failure set: there is none of that name. */
bool jinja_find_method(struct jrun *r, struct jvalue self, const char *s, size_t n,
                       struct jvalue *out);
/* template_filter.c, template_is.c */
bool jinja_filter(struct jrun *r, const char *s, size_t n, struct jvalue v,
                  const struct jargs *args, struct jvalue *out);
bool jinja_test(struct jrun *r, const char *s, size_t n, struct jvalue v, const struct jargs *args,
                bool *out);

#endif
