/* SPDX-License-Identifier: Apache-2.0
 * repl_model.c - /model: going over to another model in the middle of a chat, fetching it first where
 * it is not here and the person wants it. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/cli/answer.h"
#include "src/cli/catalog.h"
#include "src/cli/line.h"
#include "src/cli/pull.h"
#include "src/cli/repl.h"
#include "src/cli/term.h"

static int is_gguf(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 5 && !strcmp(e->d_name + n - 5, ".gguf");
}

/* The models that lie in one folder, each without its .gguf; not those that one of the folders before
 * it has, too. */
static void list_folder(const char *dir)
{
    struct dirent **found;
    int n = scandir(dir, &found, is_gguf, alphasort);
    for (int i = 0; i < n; i++) {
        char *name = found[i]->d_name, *path = NULL;
        struct fk_error err = {0};
        name[strlen(name) - 5] = 0;
        if (!models_find(name, &path, &err) && !strncmp(path, dir, strlen(dir))) {
            fputs("  ", stdout);
            term_escaped(stdout, name, strlen(name));
            putchar('\n');
        }
        mem_free(path);
        free(found[i]);
    }
    if (n >= 0) free(found);
}

static bool is_here(const char *name)
{
    struct fk_error err = {0};
    char *path = NULL;
    bool here = models_find(name, &path, &err) == FK_OK;
    mem_free(path);
    return here;
}

static void list_models(const struct repl *r)
{
    char *dir;
    fputs("In use: ", stdout);
    term_escaped(stdout, r->opened.path, strlen(r->opened.path));
    putchar('\n');
    if (is_here(SHIPPED_MODEL)) fputs("  " SHIPPED_MODEL "\n", stdout);
    for (int i = 0; (dir = models_dir(i)); i++) {
        list_folder(dir);
        mem_free(dir);
    }
    for (size_t i = 0; i < n_catalog; i++)
        if (!is_here(catalog[i].name))
            printf("  %s (%s, to be fetched: %s)\n", catalog[i].name, catalog[i].title,
                   term_bytes(catalog[i].bytes));
    fputs("/model NAME goes over to one of them and begins a new conversation.\n\n", stdout);
}

static bool says_yes(struct repl *r, const char *question)
{
    struct buf reply;
    bool had_text = false;
    buf_init(&reply, 4096, MEM_CLI);
    bool yes = line_read(r->line, question, &reply, &had_text) == LINE_OK && reply.n &&
               (reply.data[0] == 'y' || reply.data[0] == 'Y');
    buf_fini(&reply);
    return yes;
}

/* Fetches name if it is of the catalog, not here, and wanted. FK_ECANCELLED: not wanted. */
static enum fk_status fetch_if_wanted(struct repl *r, const char *name, struct fk_error *err)
{
    const struct catalog_entry *e = catalog_find(name);
    if (!e || is_here(name)) return FK_OK;
    printf("%s (%s) is not here yet: %s to download, with pip.\n", e->title, e->licence,
           term_bytes(e->bytes));
    if (!says_yes(r, "Fetch it? [y/N]")) return FK_ECANCELLED;
    fflush(stdout);
    return pull_model(name, err);
}

static enum fk_status change(struct repl *r, const char *name, struct fk_error *err)
{
    struct opened next = {0}, before = r->opened;
    fk_session *old_session = r->session;
    TRY(opened_model(&next, name, NULL, false, err));
    struct fk_sampling old_sampling = r->params.sampling;
    struct fk_session_params as_next;
    answer_params(r->args, next.model, &as_next);
    r->params.sampling = as_next.sampling;
    r->opened = next;
    r->session = NULL;
    enum fk_status st = repl_open_session(r, err);
    if (st) {
        r->params.sampling = old_sampling;
        next = r->opened;
        r->opened = before;
        r->session = old_session;
        opened_close(&next);
        return st;
    }
    fk_session_destroy(&old_session);
    opened_close(&before);
    talk_clear(&r->talk);
    r->n_replies = 0;
    r->total_tokens = 0;
    r->total_s = 0;
    answer_fini(&r->last);
    answer_init(&r->last, NULL, false);
    return FK_OK;
}

void repl_model(struct repl *r, const char *name)
{
    struct fk_error err = {0};
    if (!*name) {
        list_models(r);
        return;
    }
    enum fk_status st = fetch_if_wanted(r, name, &err);
    if (!st) st = change(r, name, &err);
    if (!st)
        repl_greet(r);
    else if (err.message[0])
        term_complain(&err);
    else
        fputs("Nothing was changed.\n\n", stdout);
}
