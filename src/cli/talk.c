/* SPDX-License-Identifier: Apache-2.0
 * talk.c - the list of messages and saving it. */
#include "src/cli/talk.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/cli/fileio.h"
#include "src/cli/term.h"

static void free_message(struct fk_message *m)
{
    mem_free((char *)m->role);
    mem_free((char *)m->content);
    mem_free((char *)m->reasoning);
    memset(m, 0, sizeof *m);
}

void talk_fini(struct talk *t)
{
    while (t->n) talk_pop(t);
    mem_free(t->messages);
    memset(t, 0, sizeof *t);
}

void talk_pop(struct talk *t)
{
    if (t->n) free_message(&t->messages[--t->n]);
}

bool talk_ends_with(const struct talk *t, const char *role)
{
    return t->n && !strcmp(t->messages[t->n - 1].role, role);
}

const char *talk_system(const struct talk *t)
{
    return t->n && !strcmp(t->messages[0].role, "system") ? t->messages[0].content : NULL;
}

void talk_clear(struct talk *t)
{
    size_t keep = talk_system(t) ? 1 : 0;
    while (t->n > keep) talk_pop(t);
}

static enum fk_status make_room(struct talk *t, struct fk_error *err)
{
    if (t->n < t->cap) return FK_OK;
    size_t cap = t->cap ? 2 * t->cap : 16, bytes;
    if (!size_mul(cap, sizeof *t->messages, &bytes)) return fail_nomem(err, 0, "the conversation");
    struct fk_message *p = mem_realloc(t->messages, bytes, MEM_CLI);
    if (!p) return fail_nomem(err, bytes, "the conversation");
    t->messages = p;
    t->cap = cap;
    return FK_OK;
}

enum fk_status talk_add(struct talk *t, const char *role, const char *content,
                        const char *reasoning, struct fk_error *err)
{
    TRY(make_room(t, err));
    struct fk_message m;
    memset(&m, 0, sizeof m);
    m.role = mem_strdup(role, MEM_CLI);
    m.content = mem_strdup(content, MEM_CLI);
    m.reasoning = reasoning ? mem_strdup(reasoning, MEM_CLI) : NULL;
    if (!m.role || !m.content || (reasoning && !m.reasoning)) {
        free_message(&m);
        return fail_nomem(err, strlen(content), "a message");
    }
    t->messages[t->n++] = m;
    return FK_OK;
}

enum fk_status talk_set_system(struct talk *t, const char *text, struct fk_error *err)
{
    bool wanted = text && *text;
    if (wanted) {
        TRY(talk_add(t, "system", text, NULL, err));
        struct fk_message m = t->messages[--t->n];
        if (talk_system(t)) {
            free_message(&t->messages[0]);
        } else {
            memmove(t->messages + 1, t->messages, t->n * sizeof *t->messages);
            t->n++;
        }
        t->messages[0] = m;
    } else if (talk_system(t)) {
        free_message(&t->messages[0]);
        t->n--;
        memmove(t->messages, t->messages + 1, t->n * sizeof *t->messages);
    }
    return FK_OK;
}

enum fk_status talk_template(const char *value, char **text, struct fk_error *err)
{
    size_t n = value ? strlen(value) : 0;
    *text = NULL;
    if (!value) return FK_OK;
    if (strchr(value, '/') || (n > 6 && !strcmp(value + n - 6, ".jinja"))) {
        TRY(file_read(value, (size_t)1 << 20, text, &n, err));
        enum fk_status st = fileio_check_text(value, *text, n, err);
        if (!st) return FK_OK;
        mem_free(*text);
        *text = NULL;
        return st;
    }
    *text = mem_strdup(value, MEM_CLI);
    return *text ? FK_OK : fail_nomem(err, n, "the template");
}

static bool append_json(const struct talk *t, struct buf *out)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < t->n; i++) {
        const struct fk_message *m = &t->messages[i];
        json_t *o = json_object();
        bool ok = json_put(o, "role", json_cstr(m->role)) &&
                  json_put(o, "content", json_cstr(m->content)) &&
                  (!m->reasoning || json_put(o, "reasoning_content", json_cstr(m->reasoning))) &&
                  json_array_append(list, o) == 0;
        json_decref(o);
        if (!ok) {
            json_decref(list);
            list = NULL;
        }
    }
    char *text = list ? json_dumps(list, JSON_INDENT(2)) : NULL;
    bool ok = text && buf_puts(out, text) && buf_putc(out, '\n');
    free(text);
    json_decref(list);
    return ok;
}

static bool append_text(const struct talk *t, struct buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct fk_message *m = &t->messages[i];
        buf_printf(out, "%s## %s\n\n", i ? "\n" : "", m->role);
        if (m->reasoning) buf_printf(out, "<think>\n%s\n</think>\n\n", m->reasoning);
        buf_printf(out, "%s\n", m->content);
    }
    return !out->failed;
}

enum fk_status talk_save(const struct talk *t, const char *path, struct fk_error *err)
{
    struct buf text;
    struct output out = {.fd = -1};
    size_t n = strlen(path);
    bool json = n > 5 && !strcmp(path + n - 5, ".json");
    enum fk_status st;
    buf_init(&text, 0, MEM_CLI);
    if (!(json ? append_json(t, &text) : append_text(t, &text))) {
        st = fail_nomem(err, text.n, "the text to save");
        goto done;
    }
    TRY_GOTO(output_open(&out, path, err), done);
    TRY_GOTO(output_write(&out, text.n ? text.data : "", text.n, err), done);
    st = output_commit(&out, err);
done:
    output_discard(&out);
    buf_fini(&text);
    return st;
}
