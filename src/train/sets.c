/* SPDX-License-Identifier: Apache-2.0
 * sets.c - reads GSM8K, fills templates, and makes conversations of both. Files are outside bytes: each
 * field is checked. */
#include <jansson.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/base/rng.h"
#include "src/grade/grade.h"
#include "src/grade/problems.h"
#include "src/train/sets.h"

#define MAX_FILE ((size_t)64 << 20)
#define MAX_PROBLEMS ((size_t)1 << 20)

const char *const set_names[N_SETS] = {"gsm8k", "mawps"};

/* Where a problem's texts begin in the pool, each NUL-terminated. */
struct worked {
    size_t question, solution, answer;
};

struct sets {
    struct buf pool;
    struct worked *list; /* GSM8K */
    size_t n, cap;
    struct problems *templates; /* MAWPS */
};

/* GSM8K's solutions carry the calls of a calculator, <<48/2=24>>, which nobody makes here. */
static void put_solution(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *end = NULL;
        if (s[i] == '<' && i + 1 < n && s[i + 1] == '<')
            for (size_t k = i + 2; k + 1 < n && !end; k++)
                if (s[k] == '>' && s[k + 1] == '>') end = s + k + 1;
        if (end) i = (size_t)(end - s);
        else buf_putc(out, s[i]);
    }
    buf_putc(out, 0);
}

static bool add_worked(struct sets *s, const char *question, const char *answer, const char *mark)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 1024;
        struct worked *list = cap > MAX_PROBLEMS ? NULL
                              : mem_realloc(s->list, cap * sizeof *list, MEM_TRAIN);
        if (!list) return false;
        s->list = list;
        s->cap = cap;
    }
    struct worked w = {.question = s->pool.n};
    buf_append(&s->pool, question, strlen(question) + 1);
    size_t n = (size_t)(mark - answer);
    while (n && (answer[n - 1] == '\n' || answer[n - 1] == ' ')) n--;
    w.solution = s->pool.n;
    put_solution(&s->pool, answer, n);
    w.answer = s->pool.n;
    const char *number = mark + 5;
    n = strcspn(number, " \r\n");
    buf_append(&s->pool, number, n);
    buf_putc(&s->pool, 0);
    s->list[s->n++] = w;
    return !s->pool.failed;
}

/* {"question": ..., "answer": "worked out\n#### 18"}, one a line. */
static enum fk_status read_gsm8k(struct sets *s, const char *path, struct fk_error *err)
{
    char *text;
    size_t n;
    TRY(file_read(path, MAX_FILE, &text, &n, err));
    enum fk_status st = FK_OK;
    for (size_t at = 0, line = 1; !st && at < n; line++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        json_t *o = len ? json_loadb(text + at, len, 0, NULL) : NULL;
        const char *question = json_string_value(json_object_get(o, "question"));
        const char *answer = json_string_value(json_object_get(o, "answer"));
        const char *mark = answer ? strstr(answer, "#### ") : NULL;
        if (!len) st = FK_OK;
        else if (!question || !mark)
            st = fail(err, FK_EFORMAT, "%s: line %zu has no question with an answer after ####", path,
                      line);
        else if (!add_worked(s, question, answer, mark))
            st = fail_nomem(err, s->pool.n, "word problems");
        json_decref(o);
        at += len + 1;
    }
    mem_free(text);
    if (!st && !s->n) st = fail(err, FK_EFORMAT, "%s holds no word problems", path);
    return st;
}

static enum fk_status open_all(struct sets *s, const char *data_dir, const bool needed[N_SETS],
                               struct fk_error *err)
{
    static const char *const files[N_SETS] = {"gsm8k/train.jsonl", "mawps/mawps_templates.jsonl"};
    for (int i = 0; i < N_SETS; i++) {
        struct buf path;
        if (!needed[i]) continue;
        buf_init(&path, 0, MEM_TRAIN);
        enum fk_status st = !buf_printf(&path, "%s/%s", data_dir, files[i])
                                ? fail_nomem(err, path.n, "a path")
                            : i == SET_GSM8K ? read_gsm8k(s, path.data, err)
                                             : problems_open(path.data, "train", &s->templates, err);
        buf_fini(&path);
        if (st) return st;
    }
    return FK_OK;
}

enum fk_status sets_open(struct sets **out, const char *data_dir, const bool needed[N_SETS],
                         struct fk_error *err)
{
    *out = NULL;
    struct sets *s = mem_zalloc(sizeof *s, MEM_TRAIN);
    if (!s) return fail_nomem(err, sizeof *s, "word problems");
    buf_init(&s->pool, 0, MEM_TRAIN);
    enum fk_status st = open_all(s, data_dir, needed, err);
    if (st) sets_close(s);
    else *out = s;
    return st;
}

void sets_close(struct sets *s)
{
    if (!s) return;
    problems_close(s->templates);
    buf_fini(&s->pool);
    mem_free(s->list);
    mem_free(s);
}

/* MAWPS' texts are cut into words: "a cake . Sally 's $ 3" becomes "a cake. Sally's $3". */
static void tidy(const struct buf *in, struct buf *out)
{
    for (size_t i = 0; i < in->n; i++) {
        char c = in->data[i], next = i + 1 < in->n ? in->data[i + 1] : 0;
        bool is_glue = c == ' ' && ((next && strchr(".,?!;:'%", next)) || (i && in->data[i - 1] == '$'));
        if (!is_glue) buf_putc(out, c);
    }
}

static enum fk_status make_mawps(const struct sets *s, uint64_t seed, uint64_t index,
                                 struct grade_item *item, struct fk_error *err)
{
    struct buf raw;
    buf_init(&raw, 0, MEM_TRAIN);
    enum fk_status st = problems_make(s->templates, seed, index, &raw, &item->thinking, &item->answer,
                                      err);
    if (!st) tidy(&raw, &item->prompt);
    buf_fini(&raw);
    struct buf *t = &item->thinking;
    while (t->n && t->data[t->n - 1] == '\n') t->data[--t->n] = 0;
    return st;
}

static void make_gsm8k(const struct sets *s, uint64_t seed, uint64_t index, struct grade_item *item)
{
    const struct worked *w = &s->list[rng_u64(seed, 0x67736d38, index) % s->n];
    buf_puts(&item->prompt, s->pool.data + w->question);
    buf_puts(&item->thinking, s->pool.data + w->solution);
    buf_puts(&item->answer, s->pool.data + w->answer);
}

enum fk_status sets_make(const struct sets *s, const uint32_t weights[N_SETS], uint64_t seed,
                         uint64_t index, struct fk_puzzle *out, struct fk_error *err)
{
    uint64_t sum = 0;
    for (int i = 0; i < N_SETS; i++) sum += weights[i];
    if (!sum) return fail(err, FK_EINVAL, "no set of word problems has a weight");
    if (!out->own) {
        out->own = mem_alloc(sizeof(struct grade_item), MEM_TEXT);
        if (!out->own) return fail_nomem(err, sizeof(struct grade_item), "a word problem");
        grade_item_init(out->own);
    }
    struct grade_item *item = out->own;
    buf_clear(&item->prompt);
    buf_clear(&item->thinking);
    buf_clear(&item->answer);
    bool is_gsm8k = rng_u64(seed, 0x73657473, index) % sum < weights[SET_GSM8K];
    if (is_gsm8k) make_gsm8k(s, seed, index, item);
    else TRY(make_mawps(s, seed, index, item, err));
    if (item->prompt.failed || item->thinking.failed || item->answer.failed)
        return fail_nomem(err, item->prompt.n, "a word problem");
    out->prompt = item->prompt.n ? item->prompt.data : "";
    out->thinking = item->thinking.n ? item->thinking.data : "";
    out->answer = item->answer.n ? item->answer.data : "";
    out->family = -1;
    out->level = 0;
    out->lang = FK_LANG_EN;
    out->split = FK_SPLIT_TRAIN;
    return FK_OK;
}

enum fk_verdict sets_grade(const struct fk_puzzle *p, const char *reply, size_t n)
{
    if (p->family >= 0) return fk_puzzle_grade(p, reply, n);
    return fk_check_number(reply, n, p->answer, strlen(p->answer));
}
