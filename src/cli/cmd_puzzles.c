/* SPDX-License-Identifier: Apache-2.0
 * cmd_puzzles.c - shows puzzles with their thinking, and grades replies to them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fikr/grade.h"
#include "src/base/fail.h"
#include "src/cli/family_arg.h"
#include "src/cli/fileio.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

static const char *const langs[] = {"en", "ar"};
static const char *const styles[] = {"direct", "stepwise", "search"};
static const char *const splits[] = {"train", "dev", "test", "longer", "unseen"};
static const char *const verdicts[] = {"none", "right", "wrong", "refused"};
#define COUNT(x) (sizeof(x) / sizeof(x)[0])

static enum fk_status make_mix(const struct args *a, struct fk_mix *mix, struct fk_error *err)
{
    fk_mix_defaults(mix);
    mix->seed = a->seed;
    mix->plain = a->plain;
    if (a->split >= 0) mix->split = (enum fk_split)a->split;
    if (a->lang >= 0) mix->lang[!a->lang] = 0;
    if (a->family) {
        bool chosen[FK_MAX_FAMILIES];
        TRY(family_arg(a->family, chosen, err));
        for (int f = 0; f < FK_MAX_FAMILIES; f++) mix->family[f] = chosen[f];
    }
    for (int f = 0; f < fk_n_families(); f++) {
        memset(mix->style[f], 0, sizeof mix->style[f]);
        mix->style[f][a->style < 0 ? (int)fk_family_style(f) : a->style] = 1;
        if (!a->level) continue;
        memset(mix->level[f], 0, sizeof mix->level[f]);
        mix->level[f][a->level - 1] = 1;
    }
    return FK_OK;
}

static json_t *puzzle_json(const struct fk_puzzle *p)
{
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, p->hash);
    json_t *doc = json_object();
    bool ok = json_put(doc, "family", json_cstr(fk_family_name(p->family))) &&
              json_put(doc, "level", json_integer(p->level)) &&
              json_put(doc, "lang", json_cstr(langs[p->lang])) &&
              json_put(doc, "style", json_cstr(styles[p->style])) &&
              json_put(doc, "split", json_cstr(splits[p->split])) &&
              json_put(doc, "hash", json_cstr(hash)) &&
              json_put(doc, "prompt", json_cstr(p->prompt)) &&
              json_put(doc, "thinking", json_cstr(p->thinking)) &&
              json_put(doc, "answer", json_cstr(p->answer));
    if (ok) return doc;
    json_decref(doc);
    return NULL;
}

static void print_puzzle(const struct fk_puzzle *p)
{
    term_style(stdout, TERM_BOLD);
    term_text(stdout, p->prompt, strlen(p->prompt));
    term_style(stdout, TERM_DIM);
    printf("\n(%s, level %d)\n%s%s", fk_family_name(p->family), p->level, p->thinking,
           *p->thinking ? "\n" : "");
    term_style(stdout, TERM_PLAIN);
    printf("%s\n\n", p->answer);
}

static int show(const struct args *a)
{
    struct fk_mix mix;
    struct fk_error err = {0};
    struct fk_puzzle p = {0};
    fk_book *book = NULL;
    enum fk_status st = make_mix(a, &mix, &err);
    if (!st) st = fk_book_open(a->data, &book, &err);
    json_t *list = a->json && !st ? json_array() : NULL;
    int n = a->count_given ? a->count : 5;
    for (int i = 0; i < n && !st && !signals_interrupted(); i++) {
        st = fk_puzzle_make(book, &mix, (uint64_t)i, &p, &err);
        if (st) break;
        if (!a->json) print_puzzle(&p);
        else if (json_array_append_new(list, puzzle_json(&p)))
            st = fail_nomem(&err, 1, "the JSON document");
    }
    fk_puzzle_free(&p);
    fk_book_close(book);
    if (!st && !a->json) return term_finish(0);
    json_t *doc = st ? NULL : json_object();
    if (st || !json_put(doc, "puzzles", list)) {
        if (st) json_decref(list);
        json_decref(doc);
        return st ? term_complain(&err) : json_emit(NULL, 0);
    }
    return json_emit(doc, 0);
}

struct tally {
    long long n[COUNT(verdicts)];
};

/* One line of standard input. */
static enum fk_status grade_line(const char *line, size_t n, size_t number, struct fk_check *out,
                                 struct fk_error *err)
{
    json_t *doc = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
    json_t *prompt = json_object_get(doc, "prompt"), *reply = json_object_get(doc, "reply");
    enum fk_status st = FK_OK;
    if (json_is_string(prompt) && json_is_string(reply))
        fk_check_reply(json_string_value(prompt), json_string_length(prompt), json_string_value(reply),
                       json_string_length(reply), out);
    else
        st = fail(err, FK_EFORMAT, "line %zu of standard input is not {\"prompt\": TEXT, \"reply\": "
                  "TEXT}", number);
    json_decref(doc);
    return st;
}

static bool report(const struct fk_check *check, json_t *list)
{
    const char *family = check->family < 0 ? NULL : fk_family_name(check->family);
    if (!list) {
        printf("%s", verdicts[check->verdict]);
        if (family) printf(" %s: %s", family, check->right);
        putchar('\n');
        return true;
    }
    json_t *doc = json_object();
    bool ok = json_put(doc, "verdict", json_cstr(verdicts[check->verdict])) &&
              json_put(doc, "family", json_cstr(family)) &&
              json_put(doc, "right", json_cstr(family ? check->right : NULL));
    if (ok) return json_array_append_new(list, doc) == 0;
    json_decref(doc);
    return false;
}

static int grade(const struct args *a)
{
    struct fk_error err = {0};
    struct buf in;
    struct tally tally = {0};
    buf_init(&in, 0, MEM_CLI);
    enum fk_status st = fileio_read_stdin(&in, &err);
    json_t *list = a->json ? json_array() : NULL;
    size_t number = 1;
    for (size_t at = 0; at < in.n && !st; number++) {
        const char *end = memchr(in.data + at, '\n', in.n - at);
        size_t len = end ? (size_t)(end - in.data) - at : in.n - at;
        struct fk_check check;
        if (len > 0) {
            st = grade_line(in.data + at, len, number, &check, &err);
            if (st) break;
            tally.n[check.verdict]++;
            if (!report(&check, list)) st = fail_nomem(&err, 1, "the JSON document");
        }
        at += len + 1;
    }
    buf_fini(&in);
    if (st) {
        json_decref(list);
        return term_complain(&err);
    }
    if (!a->json) return term_finish(0);
    json_t *doc = json_object();
    bool ok = json_put(doc, "graded", list);
    for (size_t i = 0; i < COUNT(verdicts) && ok; i++)
        ok = json_put(doc, verdicts[i], json_integer(tally.n[i]));
    if (!ok) json_decref(doc);
    return json_emit(ok ? doc : NULL, 0);
}

int cmd_puzzles(const struct args *a)
{
    return a->grade ? grade(a) : show(a);
}
