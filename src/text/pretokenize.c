/* SPDX-License-Identifier: Apache-2.0
 * pretokenize.c - runs the steps of pre_patterns.h through PCRE2: compiled to machine code where
 * the system allows that, interpreted otherwise, in both cases with limits on work and memory.
 *
 * Steps nest as deep as a scheme has steps (at most MAX_STEPS), never by input. */
#include "src/text/pretokenize.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/text/pre_patterns.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define MATCH_LIMIT 100000000u   /* interpreter steps of one match */
#define HEAP_LIMIT_KIB (64u << 10)

struct pretokenizer {
    const struct pre_name *name;
    int n_steps;
    pcre2_code *codes[MAX_STEPS]; /* NULL: SPACES_AT_END */
    bool is_jit[MAX_STEPS];
    pcre2_general_context *general;
    pcre2_match_context *match;
};

struct pre_scratch { pcre2_match_data *data[MAX_STEPS]; };

static void *take(size_t bytes, void *arg)
{
    (void)arg;
    return mem_alloc(bytes, MEM_TEXT);
}

static void give(void *p, void *arg)
{
    (void)arg;
    mem_free(p);
}

static const struct pre_name *find_name(struct gguf_str name)
{
    if (!name.n) return &pre_names[0];
    for (size_t i = 0; i < sizeof pre_names / sizeof *pre_names; i++)
        if (strlen(pre_names[i].name) == name.n && !memcmp(pre_names[i].name, name.p, name.n))
            return &pre_names[i];
    return NULL;
}

static enum fk_status compile_step(struct pretokenizer *p, const char *pattern,
                                   struct fk_error *err)
{
    int code = 0, i = p->n_steps;
    PCRE2_SIZE at = 0;
    if (*pattern) {
        pcre2_compile_context *c = pcre2_compile_context_create(p->general);
        if (!c) return fail_nomem(err, 0, "a pre-tokenizer pattern");
        p->codes[i] = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                    PCRE2_UTF | PCRE2_UCP, &code, &at, c);
        pcre2_compile_context_free(c);
        if (!p->codes[i] && code == PCRE2_ERROR_HEAP_FAILED)
            return fail_nomem(err, 0, "a pre-tokenizer pattern");
        if (!p->codes[i])
            return fail(err, FK_EUNSUPPORTED, "pre-tokenizer '%s': PCRE2 refuses step %d at %zu "
                        "with error %d", p->name->name, i + 1, (size_t)at, code);
        p->is_jit[i] = pcre2_jit_compile(p->codes[i], PCRE2_JIT_COMPLETE) == 0;
    }
    p->n_steps++;
    return FK_OK;
}

enum fk_status pretokenizer_create(struct pretokenizer **out, struct gguf_str name,
                                   struct fk_error *err)
{
    const struct pre_name *known = find_name(name);
    enum fk_status st = FK_OK;
    *out = NULL;
    if (!known)
        return fail(err, FK_EUNSUPPORTED, "tokenizer.ggml.pre is '%.*s', a pre-tokenizer that this "
                    "program does not know", (int)(name.n < 60 ? name.n : 60), name.p);
    struct pretokenizer *p = mem_zalloc(sizeof *p, MEM_TEXT);
    if (!p) return fail_nomem(err, sizeof *p, "a pre-tokenizer");
    p->name = known;
    p->general = pcre2_general_context_create(take, give, NULL);
    p->match = p->general ? pcre2_match_context_create(p->general) : NULL;
    if (!p->match) {
        st = fail_nomem(err, 0, "a pre-tokenizer");
        goto failed;
    }
    pcre2_set_match_limit(p->match, MATCH_LIMIT);
    pcre2_set_heap_limit(p->match, HEAP_LIMIT_KIB);
    const struct scheme *scheme = &schemes[known->scheme];
    for (int i = 0; i < MAX_STEPS && scheme->steps[i]; i++)
        TRY_GOTO(compile_step(p, scheme->steps[i], err), failed);
    *out = p;
    return FK_OK;
failed:
    pretokenizer_destroy(&p);
    return st;
}

void pretokenizer_destroy(struct pretokenizer **p)
{
    if (!*p) return;
    for (int i = 0; i < MAX_STEPS; i++) pcre2_code_free((*p)->codes[i]);
    pcre2_match_context_free((*p)->match);
    pcre2_general_context_free((*p)->general);
    mem_free(*p);
    *p = NULL;
}

const struct pre_traits *pretokenizer_traits(const struct pretokenizer *p)
{
    return &p->name->traits;
}

struct pre_scratch *pre_scratch_create(const struct pretokenizer *p)
{
    struct pre_scratch *s = mem_zalloc(sizeof *s, MEM_TEXT);
    for (int i = 0; s && i < p->n_steps; i++) {
        s->data[i] = pcre2_match_data_create(1, p->general);
        if (!s->data[i]) pre_scratch_destroy(&s);
    }
    return s;
}

void pre_scratch_destroy(struct pre_scratch **s)
{
    if (!*s) return;
    for (int i = 0; i < MAX_STEPS; i++) pcre2_match_data_free((*s)->data[i]);
    mem_free(*s);
    *s = NULL;
}

struct split {
    const struct pretokenizer *p;
    struct pre_scratch *scratch;
    pre_word_fn fn;
    void *arg;
    struct fk_error *err;
};

static enum fk_status split_step(const struct split *c, int step, const char *s, size_t n);

/* How many bytes of White_Space s[0..n), valid UTF-8, ends with. */
static size_t spaces_at_end(const char *s, size_t n)
{
    size_t end = n;
    while (n) {
        uint8_t a = (uint8_t)s[n - 1], b = n > 1 ? (uint8_t)s[n - 2] : 0;
        uint8_t d = n > 2 ? (uint8_t)s[n - 3] : 0;
        if (a == ' ' || (a >= 9 && a <= 13)) n -= 1;
        else if (b == 0xc2 && (a == 0x85 || a == 0xa0)) n -= 2;
        else if (d == 0xe1 && b == 0x9a && a == 0x80) n -= 3;
        else if (d == 0xe2 && b == 0x80 && (a <= 0x8a || a == 0xa8 || a == 0xa9 || a == 0xaf))
            n -= 3;
        else if (d == 0xe2 && b == 0x81 && a == 0x9f) n -= 3;
        else if (d == 0xe3 && b == 0x80 && a == 0x80) n -= 3;
        else break;
    }
    return end - n;
}

/* Finds the next match of a step in s[at..n). 1: found, 0: none, negative: PCRE2's error. */
static int find_next(const struct split *c, int step, const char *s, size_t n, size_t at,
                     size_t *begin, size_t *end)
{
    pcre2_match_data *data = c->scratch->data[step];
    const pcre2_code *code = c->p->codes[step];
    bool is_jit = c->p->is_jit[step];
    int rc = is_jit ? pcre2_jit_match(code, (PCRE2_SPTR)s, n, at, 0, data, c->p->match) : 0;
    if (!is_jit || (rc < 0 && rc != PCRE2_ERROR_NOMATCH)) /* its stack of 32 KiB may not do */
        rc = pcre2_match(code, (PCRE2_SPTR)s, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data,
                         c->p->match);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc < 0) return rc;
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(data);
    *begin = v[0];
    *end = v[1];
    return *end > *begin;
}

static enum fk_status split_by_pattern(const struct split *c, int step, const char *s, size_t n)
{
    size_t at = 0, begin = 0, end = 0;
    while (at < n) {
        int rc = find_next(c, step, s, n, at, &begin, &end);
        if (rc == PCRE2_ERROR_NOMEMORY || rc == PCRE2_ERROR_HEAPLIMIT)
            return fail_nomem(c->err, n, "pre-tokenizing a text");
        if (rc < 0)
            return fail(c->err, FK_ETOOBIG, "pre-tokenizer '%s' gives up on %zu bytes of text with "
                        "PCRE2's error %d", c->p->name->name, n, rc);
        if (!rc) begin = end = n;
        if (begin > at) TRY(split_step(c, step + 1, s + at, begin - at));
        if (end > begin) TRY(split_step(c, step + 1, s + begin, end - begin));
        at = end;
    }
    return FK_OK;
}

static enum fk_status split_step(const struct split *c, int step, const char *s, size_t n)
{
    if (step == c->p->n_steps)
        return c->fn(c->arg, s, n) ? FK_OK : fail_nomem(c->err, n, "the tokens of a text");
    if (c->p->codes[step]) return split_by_pattern(c, step, s, n);
    size_t tail = spaces_at_end(s, n);
    if (n > tail) TRY(split_step(c, step + 1, s, n - tail));
    return tail ? split_step(c, step + 1, s + n - tail, tail) : FK_OK;
}

enum fk_status pretokenize(const struct pretokenizer *p, struct pre_scratch *scratch, const char *s,
                           size_t n, pre_word_fn fn, void *arg, struct fk_error *err)
{
    struct split c = {p, scratch, fn, arg, err};
    return n ? split_step(&c, 0, s, n) : FK_OK;
}
