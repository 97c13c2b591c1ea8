/* SPDX-License-Identifier: Apache-2.0
 * args.c - reads words by the table of args_table.c. Knows no verb and prints nothing. */
#include "src/cli/args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/fail.h"

void args_init(struct args *a)
{
    memset(a, 0, sizeof *a);
    struct fk_session_params p;
    fk_session_default_params(&p);
    a->sampling = p.sampling;
    a->think = FK_THINK_AUTO;
    a->pp = 512;
    a->tg = 128;
    a->reps = 3;
    a->lang = a->split = a->style = -1;
    a->count = 100;
    a->samples = 1;
    a->at_once = 16;
}

void args_fini(struct args *a)
{
    mem_free(a->ids.values);
    mem_free(a->batch.values);
    mem_free(a->depths.values);
    memset(a, 0, sizeof *a);
}

/* Edits between two words, each at most 31 bytes: insert, delete, replace, swap neighbours. */
static int distance(const char *a, const char *b)
{
    int d[33][33];
    int n = (int)strlen(a), m = (int)strlen(b);
    if (n > 31 || m > 31) return 99;
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

const char *args_nearest(const char *typed, const char *const *words, size_t n)
{
    const char *best = NULL;
    int best_d = (int)strlen(typed) / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        if (!words[i]) continue;
        size_t len = strlen(typed);
        /* A beginning of at least three letters counts as near: --temperature for --temp too. */
        bool begins = len >= 5 && (!strncmp(typed, words[i], len) ||
                                   (strlen(words[i]) >= 5 &&
                                    !strncmp(typed, words[i], strlen(words[i]))));
        int d = begins ? 1 : distance(typed, words[i]);
        if (d <= best_d && (!best || d < best_d)) {
            best = words[i];
            best_d = d;
        }
    }
    return best;
}

enum fk_status args_parse_int(const char *what, const char *text, long long min, long long max,
                              long long *out, struct fk_error *err)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    char *end = NULL;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (digits[0] < '0' || digits[0] > '9' || *end)
        return fail(err, FK_EINVAL, "%s takes a whole number, not '%s'", what, text);
    if (errno || v < min || v > max)
        return fail(err, FK_EINVAL, "%s is %s; allowed are %lld to %lld", what, text, min, max);
    *out = v;
    return FK_OK;
}

static enum fk_status parse_float(const struct arg_spec *s, const char *text, float *out,
                                  struct fk_error *err)
{
    char *end = NULL;
    errno = 0;
    double v = strtod(text, &end);
    bool plain = text[0] && !text[strspn(text, "0123456789.+-eE")];
    if (!plain || end == text || *end)
        return fail(err, FK_EINVAL, "%s takes a number, not '%s'", s->name, text);
    if (!isfinite(v) || v < s->min || v > s->max)
        return fail(err, FK_EINVAL, "%s is %s; allowed are %g to %g", s->name, text, s->min, s->max);
    *out = (float)v;
    return FK_OK;
}

static enum fk_status parse_u64(const char *what, const char *text, uint64_t *out,
                                struct fk_error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end)
        return fail(err, FK_EINVAL, "%s takes a whole number, not '%s'", what, text);
    if (errno) return fail(err, FK_EINVAL, "%s is %s; the largest is 2^64-1", what, text);
    *out = v;
    return FK_OK;
}

static enum fk_status parse_choice(const struct arg_spec *s, const char *text, void *out,
                                   struct fk_error *err)
{
    size_t len = strlen(text);
    int i = 0;
    for (const char *w = s->choices; w; i++) {
        const char *bar = strchr(w, '|');
        size_t n = bar ? (size_t)(bar - w) : strlen(w);
        if (n == len && !memcmp(w, text, n)) {
            memcpy(out, &i, sizeof i);
            return FK_OK;
        }
        w = bar ? bar + 1 : NULL;
    }
    return fail(err, FK_EINVAL, "%s is '%s'; allowed are %s", s->name, text, s->choices);
}

static enum fk_status parse_int_list(const struct arg_spec *s, const char *text,
                                     struct int_list *out, struct fk_error *err)
{
    size_t n = 1;
    for (const char *c = text; *c; c++) n += *c == ',';
    if (n > ARGS_MAX_LIST)
        return fail(err, FK_EINVAL, "%s has %zu numbers; at most %d are allowed", s->name, n,
                    ARGS_MAX_LIST);
    int32_t *values = mem_array(n, sizeof *values, MEM_CLI);
    if (!values) return fail_nomem(err, n * sizeof *values, s->name);
    size_t i = 0;
    for (const char *w = text; w; i++) {
        char word[24];
        size_t len = strcspn(w, ",");
        long long v;
        enum fk_status st;
        if (len == 0 || len >= sizeof word) {
            st = fail(err, FK_EINVAL, "%s takes numbers with commas between, not '%s'", s->name,
                      text);
        } else {
            memcpy(word, w, len);
            word[len] = 0;
            st = args_parse_int(s->name, word, (long long)s->min, (long long)s->max, &v, err);
        }
        if (st) {
            mem_free(values);
            return st;
        }
        values[i] = (int32_t)v;
        w = w[len] ? w + len + 1 : NULL;
    }
    mem_free(out->values);
    out->values = values;
    out->n = n;
    return FK_OK;
}

enum fk_status args_parse_think(const char *text, enum fk_thinking *think, int *budget,
                                struct fk_error *err)
{
    long long v = 0;
    enum fk_thinking t = FK_THINK_ON;
    if (!strcmp(text, "off")) {
        t = FK_THINK_OFF;
    } else if (!strcmp(text, "auto")) {
        t = FK_THINK_AUTO;
    } else if (strcmp(text, "on") != 0) {
        if (text[0] < '0' || text[0] > '9')
            return fail(err, FK_EINVAL, "thinking is '%s'; allowed are on, off, auto or a budget "
                        "in tokens", text);
        TRY(args_parse_int("the thinking budget", text, 1, 1 << 24, &v, err));
    }
    *think = t;
    *budget = (int)v;
    return FK_OK;
}

static enum fk_status store(struct args *a, const struct arg_spec *s, const char *text,
                            struct fk_error *err)
{
    void *field = (char *)a + s->offset;
    long long v;
    if (s->given_offset) *(bool *)((char *)a + s->given_offset) = true;
    switch (s->kind) {
    case ARG_FLAG:
        *(bool *)field = true;
        return FK_OK;
    case ARG_STRING:
        *(const char **)field = text;
        return FK_OK;
    case ARG_INT:
        TRY(args_parse_int(s->name, text, (long long)s->min, (long long)s->max, &v, err));
        *(int *)field = (int)v;
        return FK_OK;
    case ARG_FLOAT:
        return parse_float(s, text, field, err);
    case ARG_U64:
        return parse_u64(s->name, text, field, err);
    case ARG_CHOICE:
        return parse_choice(s, text, field, err);
    case ARG_INT_LIST:
        return parse_int_list(s, text, field, err);
    case ARG_THINK:
        return args_parse_think(text, &a->think, &a->think_budget, err);
    }
    return FK_OK;
}

/* The spec that a word names, one of the verb's if there is any (-n counts tokens or puzzles); *value
 * is set to what follows its '='. */
static const struct arg_spec *find(const struct verb *verb, const char *word, const char **value)
{
    const struct arg_spec *other = NULL;
    size_t len = word[1] == '-' ? strcspn(word, "=") : strlen(word);
    *value = word[len] ? word + len + 1 : NULL;
    for (size_t i = 0; i < n_arg_specs; i++) {
        const struct arg_spec *s = &arg_specs[i];
        bool named = strlen(s->name) == len && !memcmp(s->name, word, len);
        if (!named && (!s->alias || strcmp(s->alias, word) != 0)) continue;
        if (s->verbs & (unsigned)verb->bit) return s;
        other = s;
    }
    return other;
}

static enum fk_status unknown(const struct verb *verb, const char *word, struct fk_error *err)
{
    const char *words[128];
    char name[32];
    size_t n = 0;
    size_t len = strcspn(word, "=");
    for (size_t i = 0; i < n_arg_specs && n < 128; i++)
        if (arg_specs[i].verbs & (unsigned)verb->bit) words[n++] = arg_specs[i].name;
    const char *near = NULL;
    if (len < sizeof name) {
        memcpy(name, word, len);
        name[len] = 0;
        near = args_nearest(name, words, n);
    }
    if (near)
        return fail(err, FK_EINVAL, "unknown option %.*s of %s; did you mean %s?", (int)len, word,
                    verb->name, near);
    return fail(err, FK_EINVAL, "unknown option %.*s of %s; `fikr %s --help` lists them", (int)len,
                word, verb->name, verb->name);
}

enum fk_status args_parse(struct args *a, const struct verb *verb, int argc, char **argv,
                          struct fk_error *err)
{
    bool options = true;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *value;
        if (options && !strcmp(word, "--")) {
            options = false;
            continue;
        }
        if (!options || word[0] != '-' || !word[1]) {
            if (a->n_operands == verb->max_operands)
                return fail(err, FK_EINVAL, "%s takes %s%s, and '%s' is one too many", verb->name,
                            verb->max_operands ? verb->operands : "no operand",
                            verb->max_operands ? " only" : "", word);
            a->operands[a->n_operands++] = word;
            continue;
        }
        const struct arg_spec *s = find(verb, word, &value);
        if (!s || !(s->verbs & (unsigned)verb->bit)) return unknown(verb, word, err);
        if (s->kind == ARG_FLAG) {
            if (value) return fail(err, FK_EINVAL, "%s takes no value", s->name);
        } else if (!value) {
            if (i + 1 == argc)
                return fail(err, FK_EINVAL, "%s needs a value (%s)", word, s->value);
            value = argv[++i];
        }
        TRY(store(a, s, value, err));
    }
    if (!a->help && a->n_operands < verb->min_operands)
        return fail(err, FK_EINVAL, "%s needs %s; `fikr %s --help` says more", verb->name,
                    verb->operands, verb->name);
    return FK_OK;
}
