/* SPDX-License-Identifier: Apache-2.0
 * book.c - reads the data folders once: lines that fit a prompt, by kind. */
#include "src/grade/book.h"
#include <jansson.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/base/utf8.h"

#define MAX_FILE (64u << 20)
#define MAX_LINE 280
#define MIN_LINE 4

/* Stems of words that no example should teach. */
static const char *const unfit[] = {
    "fuck", "shit", "bitch", "nigg", "cunt", "whore", "slut", "faggot", "rape", "porn", "sex", "suicid",
    "cock", "dick", "pussy", "asshole", "bastard", "nazi", "damn",
};

static bool is_fit(const char *s, size_t n)
{
    char lower[MAX_LINE + 1];
    if (n < MIN_LINE || n > MAX_LINE || !utf8_is_valid(s, n)) return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 32 || c == 127) return false;
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    lower[n] = 0;
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++)
        if (strstr(lower, unfit[i])) return false;
    return true;
}

/* Puts a line on a shelf; the pool grows in `pool` until it is settled. */
static bool put(struct fk_book *b, struct buf *pool, enum shelf shelf, const char *s, size_t n)
{
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\r' || s[n - 1] == '\t')) n--;
    while (n && *s == ' ') {
        s++;
        n--;
    }
    if (!is_fit(s, n)) return true;
    if (b->n[shelf] == b->cap[shelf]) {
        size_t cap = b->cap[shelf] ? b->cap[shelf] * 2 : 1024;
        uint32_t *p = mem_realloc(b->lines[shelf], cap * sizeof *p, MEM_TEXT);
        if (!p) return false;
        b->lines[shelf] = p;
        b->cap[shelf] = cap;
    }
    b->lines[shelf][b->n[shelf]] = (uint32_t)pool->n;
    if (!buf_append(pool, s, n) || !buf_putc(pool, 0)) return false;
    b->n[shelf]++;
    return true;
}

struct source {
    const char *path;
    /* Reads one line of the file; false only for lack of memory, *bad for a malformed one. */
    bool (*read)(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad);
};

static bool read_dialogue(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    (void)bad;
    return n == 0 || *s == '#' || put(b, pool, SHELF_DIALOGUE, s, n);
}

/* "word<tab>..." */
static bool read_word(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    const char *tab = memchr(s, '\t', n);
    *bad = n && !tab;
    if (!tab || !((*s | 32) >= 'a' && (*s | 32) <= 'z')) return true;
    return put(b, pool, SHELF_WORDS, s, (size_t)(tab - s));
}

static bool read_country(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    const char *tab = memchr(s, '\t', n);
    *bad = n && !tab;
    if (!tab || (n >= 5 && !memcmp(s, "name\t", 5))) return true;
    return put(b, pool, SHELF_COUNTRIES, s, (size_t)(tab - s));
}

static bool read_pair(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    const char *tab = memchr(s, '\t', n);
    *bad = n && !tab;
    if (!tab) return true;
    size_t first = (size_t)(tab - s), rest = n - first - 1;
    const char *second_tab = memchr(tab + 1, '\t', rest);
    if (second_tab) rest = (size_t)(second_tab - tab - 1);
    return put(b, pool, SHELF_PAIRS_EN, s, first) && put(b, pool, SHELF_PAIRS_AR, tab + 1, rest);
}

/* The string `key` of a JSON object on one line. */
static bool read_json(struct fk_book *b, struct buf *pool, const char *s, size_t n, const char *key,
                      enum shelf shelf, bool *bad)
{
    if (n == 0) return true;
    json_t *doc = json_loadb(s, n, 0, NULL);
    const char *text = json_string_value(json_object_get(doc, key));
    *bad = text == NULL;
    const char *split = json_string_value(json_object_get(doc, "split"));
    bool ok = !text || (split && strcmp(split, "train") != 0) || put(b, pool, shelf, text, strlen(text));
    json_decref(doc);
    return ok;
}

static bool read_task(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    return read_json(b, pool, s, n, "instruction", SHELF_TASKS, bad);
}

static bool read_user_task(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    return read_json(b, pool, s, n, "instruction", SHELF_EVAL, bad);
}

static bool read_problem(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    return read_json(b, pool, s, n, "question", SHELF_PROBLEMS, bad);
}

static bool read_eval_problem(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    return read_json(b, pool, s, n, "question", SHELF_EVAL, bad);
}

static bool read_template(struct fk_book *b, struct buf *pool, const char *s, size_t n, bool *bad)
{
    return read_json(b, pool, s, n, "question", SHELF_TEMPLATES, bad);
}

static const struct source sources[] = {
    {"self-dialogue/dialogues.txt", read_dialogue},
    {"wordnet-glosses/glosses.tsv", read_word},
    {"countryinfo/countries.tsv", read_country},
    {"self-instruct/seed_tasks.jsonl", read_task},
    {"self-instruct/user_oriented_instructions.jsonl", read_user_task},
    {"tatoeba-ara-eng/ara_eng.txt", read_pair},
    {"gsm8k/train.jsonl", read_problem},
    {"gsm8k/test.jsonl", read_eval_problem},
    {"mawps/mawps_templates.jsonl", read_template},
};

static enum fk_status read_source(struct fk_book *b, struct buf *pool, const char *dir,
                                  const struct source *source, struct fk_error *err)
{
    char path[4096], *text = NULL;
    size_t n = 0;
    if (strlen(dir) + strlen(source->path) + 2 > sizeof path)
        return fail(err, FK_EINVAL, "the path of the data folder is too long");
    memcpy(path, dir, strlen(dir) + 1);
    strncat(path, "/", 2);
    strncat(path, source->path, sizeof path - strlen(path) - 1);
    struct fk_error ignored;
    enum fk_status st = file_read(path, MAX_FILE, &text, &n, &ignored);
    if (st == FK_ENOTFOUND) return FK_OK; /* each may be missing */
    if (st) {
        if (err) *err = ignored;
        return st;
    }
    size_t line = 1;
    for (size_t at = 0; at < n && !st; line++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        bool bad = false;
        if (!source->read(b, pool, text + at, len, &bad))
            st = fail_nomem(err, pool->n, "the lists of prompts");
        else if (bad)
            st = fail(err, FK_EFORMAT, "%s:%zu is not what this file should hold", path, line);
        at += len + 1;
    }
    mem_free(text);
    return st;
}

enum fk_status book_open(const char *data_dir, struct fk_book **out, struct fk_error *err)
{
    struct fk_book *b = mem_zalloc(sizeof *b, MEM_TEXT);
    struct buf pool;
    enum fk_status st = FK_OK;
    *out = NULL;
    if (!b) return fail_nomem(err, sizeof *b, "the lists of prompts");
    buf_init(&pool, UINT32_MAX, MEM_TEXT);
    for (size_t i = 0; data_dir && i < sizeof sources / sizeof sources[0] && !st; i++)
        st = read_source(b, &pool, data_dir, &sources[i], err);
    b->n_bytes = pool.n;
    b->pool = pool.data;
    if (st) book_close(b);
    else *out = b;
    return st;
}

void book_close(struct fk_book *b)
{
    if (!b) return;
    for (int i = 0; i < N_SHELVES; i++) mem_free(b->lines[i]);
    mem_free(b->pool);
    mem_free(b);
}

size_t book_count(const struct fk_book *b, enum shelf shelf)
{
    return outside_list(shelf).n + (b ? b->n[shelf] : 0);
}

const char *book_line(const struct fk_book *b, enum shelf shelf, size_t i)
{
    struct text_list list = outside_list(shelf);
    return i < list.n ? list.texts[i] : b->pool + b->lines[shelf][i - list.n];
}
