/* SPDX-License-Identifier: Apache-2.0
 * template.c - the two calls of template.h: parse a template once, render it with variables. Owns
 * the syntax tree's arena and the life of a render. */
#include "src/text/template.h"
#include <string.h>
#include <time.h>
#include "src/base/alloc.h"
#include "src/base/arena.h"
#include "src/base/fail.h"
#include "src/text/template_run.h"

enum { DEFAULT_STEPS = 1000000, ARENA_BLOCK = 65536 };
#define DEFAULT_BYTES (32ull << 20)

struct chat_template {
    struct arena arena;
    struct jnode *body;
};

enum fk_status template_parse(struct chat_template **out, const char *text, size_t n,
                              struct fk_error *err)
{
    *out = NULL;
    struct chat_template *t = mem_zalloc(sizeof *t, MEM_TEXT);
    if (!t) return fail_nomem(err, sizeof *t, "a chat template");
    arena_init(&t->arena, ARENA_BLOCK, 0, MEM_TEXT);
    struct jtokens tokens = {0};
    struct fk_error mine = {FK_OK, ""};
    struct fk_error *sink = err ? err : &mine;
    sink->status = FK_OK;
    enum fk_status status = jinja_lex(&t->arena, text, n, &tokens, sink);
    if (!status) {
        struct jparser p = {.a = &t->arena, .t = tokens.v, .err = sink};
        t->body = jinja_parse(&p);
        if (!t->body) status = sink->status ? sink->status : FK_ENOMEM;
    }
    mem_free(tokens.v);
    if (status) {
        template_destroy(&t);
        return status;
    }
    *out = t;
    return FK_OK;
}

void template_destroy(struct chat_template **t)
{
    if (!*t) return;
    arena_fini(&(*t)->arena);
    mem_free(*t);
    *t = NULL;
}

/* Bytes of the strings in j, and its depth bounded: what limits grow with. */
static uint64_t json_bytes(const json_t *j, int depth)
{
    uint64_t bytes = 8;
    if (depth > JINJA_MAX_DEPTH) return bytes;
    if (json_is_string(j)) return bytes + json_string_length(j);
    for (size_t i = 0; json_is_array(j) && i < json_array_size(j); i++)
        bytes += json_bytes(json_array_get(j, i), depth + 1);
    if (!json_is_object(j)) return bytes;
    json_t *object = (json_t *)(uintptr_t)j;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        bytes += json_object_iter_key_len(it) + json_bytes(json_object_iter_value(it), depth + 1);
    return bytes;
}

static bool is_trusted(const char *const *names, const char *key)
{
    for (; names && *names; names++)
        if (!strcmp(*names, key)) return true;
    return false;
}

static bool put_vars(struct jrun *r, struct jscope *scope, const json_t *vars,
                     const char *const *trusted_vars)
{
    json_t *object = (json_t *)(uintptr_t)vars;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        struct jvalue v;
        struct jvar *var = jinja_alloc(r, sizeof *var);
        if (!var ||
            !jinja_from_json(r, json_object_iter_value(it), is_trusted(trusted_vars, key), 0, &v))
            return false;
        *var = (struct jvar){key, json_object_iter_key_len(it), v, scope->vars};
        scope->vars = var;
    }
    return true;
}

enum fk_status template_render(const struct chat_template *t, const json_t *vars,
                               const char *const *trusted_vars, int64_t now,
                               const struct template_limits *limits, struct buf *out,
                               struct buf *trust, struct fk_error *err)
{
    uint64_t input = json_bytes(vars, 0);
    struct jrun r = {.err = err, .now = now ? now : (int64_t)time(NULL), .line = 1};
    r.max_steps = limits && limits->max_steps ? limits->max_steps : DEFAULT_STEPS + input / 2;
    r.max_bytes = limits && limits->max_bytes ? limits->max_bytes : DEFAULT_BYTES + 16 * input;
    arena_init(&r.arena, ARENA_BLOCK, 0, MEM_TEXT);
    struct jscope context = {0}, top = {.parent = &context};
    r.scope = &top;
    r.out = jinja_grow(&r, 1024);
    if (r.out && put_vars(&r, &context, vars, trusted_vars) &&
        jinja_exec(&r, t->body) != JFLOW_FAIL) {
        size_t n_out = out->n, n_trust = trust->n;
        if (!buf_append(out, r.out->p, r.out->n) || !buf_append(trust, r.out->marks, r.out->n)) {
            out->n = n_out < out->n ? n_out : out->n;
            trust->n = n_trust < trust->n ? n_trust : trust->n;
            r.status = fail_nomem(err, r.out->n, "the text of a chat template");
        }
    } else if (!r.status) {
        r.status = fail(err, FK_EFORMAT, "the chat template ended early");
    }
    arena_fini(&r.arena);
    return r.status;
}
