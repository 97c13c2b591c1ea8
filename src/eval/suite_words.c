/* SPDX-License-Identifier: Apache-2.0
 * suite_words.c - word problems written by people: GSM8K's test split and SVAMP. Their answers are
 * numbers; a reply is right when the last number in it is. Files are outside bytes: each field is
 * checked. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/eval/suite.h"

#define MAX_FILE ((size_t)64 << 20)
#define MAX_ITEMS ((size_t)1 << 20)

struct words {
    struct { char *prompt, *right; } *all; /* [n], both our own */
    size_t n, cap;
    const char *names[1];
};

static enum fk_verdict grade_number(const struct eval_suite *s, size_t i, const char *answer,
                                    size_t n)
{
    const struct words *w = s->own;
    return fk_check_number(answer, n, w->all[i].right, strlen(w->all[i].right));
}

static void fini_words(struct eval_suite *s)
{
    struct words *w = s->own;
    for (size_t i = 0; w && i < w->n; i++) {
        mem_free(w->all[i].prompt);
        mem_free(w->all[i].right);
    }
    if (w) mem_free(w->all);
    mem_free(w);
}

/* Takes both texts, whatever happens. */
static enum fk_status add(struct words *w, char *prompt, char *right, struct fk_error *err)
{
    if (prompt && right && w->n == w->cap && w->n < MAX_ITEMS) {
        size_t cap = w->cap ? 2 * w->cap : 1024;
        void *all = mem_realloc(w->all, cap * sizeof *w->all, MEM_MISC);
        if (all) {
            w->all = all;
            w->cap = cap;
        }
    }
    if (!prompt || !right || w->n == w->cap) {
        mem_free(prompt);
        mem_free(right);
        return fail_nomem(err, w->cap * sizeof *w->all, "the questions");
    }
    w->all[w->n].prompt = prompt;
    w->all[w->n++].right = right;
    return FK_OK;
}

/* {"question": ..., "answer": "... #### 18"}, one a line. */
static enum fk_status read_gsm8k(struct words *w, const char *path, const char *text, size_t n,
                                 size_t n_most, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    for (size_t at = 0, line = 1; !st && at < n && w->n < n_most; line++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        json_t *o = json_loadb(text + at, len, 0, NULL);
        const char *question = json_string_value(json_object_get(o, "question"));
        const char *answer = json_string_value(json_object_get(o, "answer"));
        const char *mark = answer ? strstr(answer, "#### ") : NULL;
        if (question && mark)
            st = add(w, mem_strdup(question, MEM_MISC), mem_strdup(mark + 5, MEM_MISC), err);
        else if (len)
            st = fail(err, FK_EFORMAT, "%s: line %zu has no question with an answer after ####", path,
                      line);
        json_decref(o);
        at += len + 1;
    }
    return st;
}

static char *joined(const char *body, const char *question)
{
    struct buf b;
    size_t n = strlen(body);
    buf_init(&b, 0, MEM_MISC);
    bool ends = n && strchr(".!?", body[n - 1]);
    if (buf_printf(&b, "%s%s %s", body, ends ? "" : ".", question)) return buf_take(&b);
    buf_fini(&b);
    return NULL;
}

/* A list of {"Body", "Question", "Answer": number}. */
static enum fk_status read_svamp(struct words *w, const char *path, const char *text, size_t n,
                                 size_t n_most, struct fk_error *err)
{
    enum fk_status st = FK_OK;
    json_t *list = json_loadb(text, n, 0, NULL);
    if (!json_is_array(list)) st = fail(err, FK_EFORMAT, "%s is no list of questions", path);
    for (size_t i = 0; !st && i < json_array_size(list) && w->n < n_most; i++) {
        const json_t *o = json_array_get(list, i);
        const char *body = json_string_value(json_object_get(o, "Body"));
        const char *question = json_string_value(json_object_get(o, "Question"));
        const json_t *answer = json_object_get(o, "Answer");
        char number[64];
        if (!body || !question || !json_is_number(answer)) {
            st = fail(err, FK_EFORMAT, "%s: item %zu has no Body, Question and Answer", path, i);
            break;
        }
        snprintf(number, sizeof number, "%.10g", json_number_value(answer));
        st = add(w, joined(body, question), mem_strdup(number, MEM_MISC), err);
    }
    json_decref(list);
    return st;
}

static enum fk_status read_file(struct words *w, const char *name, const char *data_dir,
                                size_t n_most, struct fk_error *err)
{
    bool gsm = !strcmp(name, "gsm8k");
    struct buf path;
    char *text = NULL;
    size_t n = 0;
    buf_init(&path, 0, MEM_MISC);
    enum fk_status st = buf_printf(&path, "%s/%s", data_dir,
                                   gsm ? "gsm8k/test.jsonl" : "svamp/SVAMP.json")
                            ? file_read(path.data, MAX_FILE, &text, &n, err)
                            : fail_nomem(err, path.n, "a path");
    if (!st) st = (gsm ? read_gsm8k : read_svamp)(w, path.data, text, n, n_most, err);
    if (!st && !w->n) st = fail(err, FK_EFORMAT, "%s holds no questions", path.data);
    mem_free(text);
    buf_fini(&path);
    return st;
}

enum fk_status suite_words(struct eval_suite *s, const char *name, const char *data_dir,
                           size_t n_most, struct fk_error *err)
{
    memset(s, 0, sizeof *s);
    struct words *w = mem_zalloc(sizeof *w, MEM_MISC);
    if (!w) return fail_nomem(err, sizeof *w, "the questions");
    s->name = name;
    s->own = w;
    s->grade = grade_number;
    s->fini = fini_words;
    w->names[0] = name;
    s->group_names = w->names;
    s->n_groups = 1;
    enum fk_status st = read_file(w, name, data_dir, n_most ? n_most : MAX_ITEMS, err);
    s->n_items = w->n;
    if (!st && !(s->items = mem_calloc(w->n, sizeof *s->items, MEM_MISC)))
        st = fail_nomem(err, w->n * sizeof *s->items, "the questions");
    for (size_t i = 0; !st && i < w->n; i++) s->items[i].prompt = w->all[i].prompt;
    if (st) suite_fini(s);
    return st;
}
