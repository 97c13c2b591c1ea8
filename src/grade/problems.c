/* SPDX-License-Identifier: Apache-2.0
 * problems.c - fills templates of word problems with fresh numbers. */
#include "src/grade/problems.h"
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/grade/columns.h"

#define MAX_NUMBERS 16
#define MAX_TOKENS 32
#define MAX_QUESTION 600
#define MOST 1000000000000 /* 10^12 */

struct template {
    char *question, *equation;
    int64_t numbers[MAX_NUMBERS];
    int n;
};

struct problems {
    struct template *list;
    size_t n, cap;
};

/* What a token of an equation says: a sign, a number, or a place in v. */
static bool read_operand(const char *s, size_t len, const int64_t *v, int n, int64_t *out)
{
    bool place = len > 6 && !memcmp(s, "number", 6);
    int64_t x = 0;
    size_t i = place ? 6 : 0;
    if (i == len) return false;
    for (; i < len && s[i] >= '0' && s[i] <= '9'; i++) {
        if (x > MOST) return false;
        x = x * 10 + (s[i] - '0');
    }
    if (place) {
        if (i != len || x >= n) return false;
        *out = v[x];
        return true;
    }
    if (i < len && s[i] == '.') /* "100.0" */
        for (i++; i < len && s[i] == '0'; i++) continue;
    *out = x;
    return i == len && s[0] != '.';
}

static bool operate(char op, int64_t a, int64_t b, int64_t *v)
{
    if (op == '+') *v = a + b;
    else if (op == '-') *v = a - b;
    else if (op == '*') {
        if (a > MOST / (b ? b : 1)) return false;
        *v = a * b;
    } else {
        if (b == 0 || a % b) return false;
        *v = a / b;
    }
    return *v > 0 && *v < MOST;
}

bool problems_value(const char *equation, const int64_t *v, int n, struct buf *steps, int64_t *value)
{
    int64_t stack[MAX_TOKENS];
    int depth = 0;
    size_t end = strlen(equation);
    while (end > 0) { /* prefix notation read from its end */
        if (equation[end - 1] == ' ') {
            end--;
            continue;
        }
        size_t begin = end;
        while (begin > 0 && equation[begin - 1] != ' ') begin--;
        const char *s = equation + begin;
        size_t len = end - begin;
        end = begin;
        if (len == 1 && strchr("+-*/", *s)) {
            if (depth < 2) return false;
            int64_t a = stack[depth - 1], b = stack[depth - 2];
            if (!operate(*s, a, b, &stack[depth - 2])) return false;
            depth--;
            if (steps)
                buf_printf(steps, "%" PRId64 "%c%" PRId64 "=%" PRId64 "\n", a, *s, b, stack[depth - 1]);
        } else {
            if (depth == MAX_TOKENS || !read_operand(s, len, v, n, &stack[depth])) return false;
            depth++;
        }
    }
    *value = depth ? stack[0] : 0;
    return depth == 1;
}

/* The template of one line; *skip where it is of another split or has numbers that are not whole. */
static bool read_template(json_t *doc, const char *split, struct template *t, bool *skip)
{
    const char *question = json_string_value(json_object_get(doc, "question"));
    const char *equation = json_string_value(json_object_get(doc, "equation"));
    const char *of = json_string_value(json_object_get(doc, "split"));
    json_t *numbers = json_object_get(doc, "numbers");
    if (!question || !equation || !of || !json_is_array(numbers)) return false;
    *skip = strcmp(of, split) != 0 || strlen(question) > MAX_QUESTION ||
            json_array_size(numbers) > MAX_NUMBERS || json_array_size(numbers) == 0;
    if (*skip) return true;
    t->n = (int)json_array_size(numbers);
    for (int i = 0; i < t->n; i++) {
        double x = json_number_value(json_array_get(numbers, (size_t)i));
        if (x < 1 || x > 1e9 || x != (double)(int64_t)x) *skip = true;
        else t->numbers[i] = (int64_t)x;
    }
    int64_t value;
    *skip = *skip || !problems_value(equation, t->numbers, t->n, NULL, &value);
    if (*skip) return true;
    t->question = mem_strdup(question, MEM_TEXT);
    t->equation = mem_strdup(equation, MEM_TEXT);
    return true;
}

static enum fk_status add(struct problems *p, const char *line, size_t n, const char *split,
                          const char *path, size_t number, struct fk_error *err)
{
    struct template t = {0};
    bool skip = false;
    json_t *doc = json_loadb(line, n, 0, NULL);
    bool ok = doc && read_template(doc, split, &t, &skip);
    json_decref(doc);
    if (!ok) return fail(err, FK_EFORMAT, "%s:%zu is no template of a word problem", path, number);
    if (skip) return FK_OK;
    bool room = t.question && t.equation;
    if (room && p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 256;
        struct template *list = mem_realloc(p->list, cap * sizeof *list, MEM_TEXT);
        room = list != NULL;
        if (list) {
            p->list = list;
            p->cap = cap;
        }
    }
    if (!room) {
        mem_free(t.question);
        mem_free(t.equation);
        return fail_nomem(err, n, "a word problem");
    }
    p->list[p->n++] = t;
    return FK_OK;
}

enum fk_status problems_open(const char *path, const char *split, struct problems **out,
                             struct fk_error *err)
{
    char *text = NULL;
    size_t n = 0, number = 1;
    *out = NULL;
    TRY(file_read(path, 64u << 20, &text, &n, err));
    struct problems *p = mem_zalloc(sizeof *p, MEM_TEXT);
    enum fk_status st = p ? FK_OK : fail_nomem(err, sizeof *p, "the word problems");
    for (size_t at = 0; at < n && !st; number++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        if (len) st = add(p, text + at, len, split, path, number, err);
        at += len + 1;
    }
    mem_free(text);
    if (st) problems_close(p);
    else *out = p;
    return st;
}

void problems_close(struct problems *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) {
        mem_free(p->list[i].question);
        mem_free(p->list[i].equation);
    }
    mem_free(p->list);
    mem_free(p);
}

size_t problems_count(const struct problems *p)
{
    return p->n;
}

static void fill(const char *question, const int64_t *v, int n, struct buf *out)
{
    for (const char *p = question; *p;) {
        if (strncmp(p, "number", 6) != 0 || p[6] < '0' || p[6] > '9') {
            buf_putc(out, *p++);
            continue;
        }
        int at = 0;
        for (p += 6; *p >= '0' && *p <= '9' && at < 1000; p++) at = at * 10 + (*p - '0');
        if (at < n) buf_printf(out, "%" PRId64, v[at]);
    }
}

enum fk_status problems_make(const struct problems *p, uint64_t seed, uint64_t index, struct buf *prompt,
                             struct buf *thinking, struct buf *answer, struct fk_error *err)
{
    if (!p->n) return fail(err, FK_EINVAL, "there are no templates of word problems");
    struct dice dice = dice_make(seed, rng_u64(0x70726f62, 0, index));
    const struct template *t = &p->list[dice_below(&dice, (int64_t)p->n)];
    int64_t v[MAX_NUMBERS], value = 0;
    bool found = false;
    for (int tries = 0; tries < 2000 && !found; tries++) {
        for (int i = 0; i < t->n; i++) {
            v[i] = dice_digits(&dice, count_digits(t->numbers[i]));
            if (v[i] == 0) v[i] = 1;
        }
        found = problems_value(t->equation, v, t->n, NULL, &value);
    }
    if (!found) memcpy(v, t->numbers, sizeof v); /* its own numbers always work */
    problems_value(t->equation, v, t->n, thinking, &value);
    fill(t->question, v, t->n, prompt);
    buf_printf(answer, "%" PRId64, value);
    bool failed = prompt->failed || thinking->failed || answer->failed;
    return failed ? fail(err, FK_ENOMEM, "out of memory while a word problem was written") : FK_OK;
}
