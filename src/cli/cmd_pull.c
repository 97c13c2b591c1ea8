/* SPDX-License-Identifier: Apache-2.0
 * cmd_pull.c - what to fetch, from where, to where; and the check before a file gets its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/cli/fileio.h"
#include "src/cli/models.h"
#include "src/cli/net.h"
#include "src/cli/pull.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

struct pull {
    const struct catalog_entry *entry; /* NULL: a URL, or a name that only a mirror knows */
    const char *expected;              /* sha256, or NULL */
    char name[128], sha256[65];
    struct buf url, path, part;
    uint64_t bytes;
    bool was_here;
};

static bool is_url(const char *s)
{
    return !strncmp(s, "http://", 7) || !strncmp(s, "https://", 8);
}

/* The name that a URL's last part gives a model: its letters before .gguf. */
static enum fk_status name_of_url(struct pull *p, const char *url, struct fk_error *err)
{
    size_t end = strcspn(url, "?#"), begin = end;
    while (begin > 0 && url[begin - 1] != '/') begin--;
    size_t n = end - begin;
    if (n > 5 && !memcmp(url + end - 5, ".gguf", 5)) n -= 5;
    if (n == 0 || n >= sizeof p->name)
        return fail(err, FK_EINVAL, "%s names no file; -o FILE says where it shall go", url);
    memcpy(p->name, url + begin, n);
    p->name[n] = 0;
    return FK_OK;
}

static enum fk_status check_name(const char *name, struct fk_error *err)
{
    for (const char *c = name; *c; c++) {
        bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                    ((*c == '-' || *c == '_' || *c == '.') && c != name);
        if (!good)
            return fail(err, FK_EINVAL, "'%s' is no model name: letters, digits, '-', '_' and '.' "
                        "make one; -o FILE says where else it shall go", name);
    }
    return FK_OK;
}

static enum fk_status check_sha256(const char *hex, struct fk_error *err)
{
    if (strlen(hex) == 64 && strspn(hex, "0123456789abcdefABCDEF") == 64) return FK_OK;
    return fail(err, FK_EINVAL, "--sha256 takes 64 hexadecimal digits, not '%s'", hex);
}

static enum fk_status plan(struct pull *p, const struct args *a, struct fk_error *err)
{
    const char *what = a->operands[0];
    bool ok = true;
    if (a->sha256) TRY(check_sha256(a->sha256, err));
    if (is_url(what)) {
        if (a->base_url) return fail(err, FK_EINVAL, "--base-url goes with a name, not with a URL");
        TRY(name_of_url(p, what, err));
        ok = buf_puts(&p->url, what);
    } else {
        if (strlen(what) >= sizeof p->name)
            return fail(err, FK_EINVAL, "the name %s is too long", what);
        snprintf(p->name, sizeof p->name, "%s", what);
        TRY(check_name(what, err));
        p->entry = catalog_find(what);
        const char *near = catalog_nearest(what);
        if (a->base_url) {
            if (!is_url(a->base_url))
                return fail(err, FK_EINVAL, "--base-url is '%s', no http or https address",
                            a->base_url);
            size_t n = strlen(a->base_url);
            while (n && a->base_url[n - 1] == '/') n--;
            ok = buf_printf(&p->url, "%.*s/%s.gguf", (int)n, a->base_url, what);
        } else if (!p->entry) {
            if (near)
                return fail(err, FK_ENOTFOUND, "no model called %s is known; did you mean %s?", what,
                            near);
            return fail(err, FK_ENOTFOUND, "no model called %s is known; `fikr pull` lists those "
                        "that are, and a URL does too", what);
        }
    }
    if (!a->out) TRY(check_name(p->name, err));
    p->expected = a->sha256 ? a->sha256 : p->entry ? p->entry->sha256 : NULL;
    if (a->out) {
        ok = ok && buf_puts(&p->path, a->out);
    } else {
        char *dir = models_dir(0);
        ok = ok && dir && buf_printf(&p->path, "%s/%s.gguf", dir, p->name);
        mem_free(dir);
    }
    ok = ok && buf_printf(&p->part, "%s.part", p->path.data);
    return ok ? FK_OK : fail_nomem(err, 8192, "a path");
}

static enum fk_status check_magic(const struct pull *p, struct fk_error *err)
{
    char magic[4] = "";
    int fd = open(p->part.data, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, magic, 4);
    if (fd >= 0) close(fd);
    if (n == 4 && !memcmp(magic, "GGUF", 4)) return FK_OK;
    unlink(p->part.data);
    return fail(err, FK_EFORMAT, "what came is no GGUF file; it was removed");
}

static enum fk_status fetch(struct pull *p, struct bar *bar, struct fk_error *err)
{
    struct stat st;
    const struct net *net;
    TRY(net_open(&net, err));
    TRY(fileio_make_parents(p->path.data, err));
    if (stat(p->path.data, &st) == 0) {
        p->bytes = (uint64_t)st.st_size;
        TRY(net->sha256(p->path.data, p->sha256, bar_update, bar, err));
        p->was_here = !p->expected || !strcasecmp(p->sha256, p->expected);
        if (p->was_here) return FK_OK;
    }
    if (p->url.n)
        TRY(net->download(p->url.data, p->part.data, p->expected != NULL, bar_update, bar, err));
    else
        TRY(pull_wheels(p->entry, p->part.data, err));
    TRY(net->sha256(p->part.data, p->sha256, bar_update, bar, err));
    if (p->expected && strcasecmp(p->sha256, p->expected) != 0) {
        unlink(p->part.data);
        return fail(err, FK_ECHECKSUM, "the sha256 of what came is %s, not %s; it was removed",
                    p->sha256, p->expected);
    }
    TRY(check_magic(p, err));
    if (stat(p->part.data, &st) == 0) p->bytes = (uint64_t)st.st_size;
    if (rename(p->part.data, p->path.data))
        return fail(err, FK_EIO, "%s cannot get its name: %s", p->part.data, strerror(errno));
    return FK_OK;
}

static int list_known(const struct args *a)
{
    if (a->json) {
        json_t *doc = json_array();
        for (size_t i = 0; i < n_catalog; i++) {
            json_t *o = json_object();
            if (!json_put(o, "name", json_cstr(catalog[i].name)) ||
                !json_put(o, "title", json_cstr(catalog[i].title)) ||
                !json_put(o, "licence", json_cstr(catalog[i].licence)) ||
                !json_put(o, "bytes", json_count(catalog[i].bytes)) ||
                !json_put(o, "sha256", json_cstr(catalog[i].sha256)) || json_array_append(doc, o)) {
                json_decref(doc);
                doc = NULL;
            }
            json_decref(o);
        }
        return json_emit(doc, 0);
    }
    for (size_t i = 0; i < n_catalog; i++)
        printf("%-16s %8s  %s (%s)\n", catalog[i].name, term_bytes(catalog[i].bytes),
               catalog[i].title, catalog[i].licence);
    return term_finish(0);
}

static int report(const struct pull *p, const struct args *a)
{
    if (!a->json) {
        if (p->was_here) fprintf(stderr, "%s is already here.\n", p->name);
        if (!p->expected) fprintf(stderr, "sha256 %s (nothing to compare it with)\n", p->sha256);
        puts(p->path.data);
        return term_finish(0);
    }
    json_t *o = json_object();
    if (!json_put(o, "name", json_cstr(p->name)) || !json_put(o, "path", json_cstr(p->path.data)) ||
        !json_put(o, "bytes", json_count(p->bytes)) || !json_put(o, "sha256", json_cstr(p->sha256)) ||
        !json_put(o, "verified", json_boolean(p->expected != NULL)) ||
        !json_put(o, "was_here", json_boolean(p->was_here))) {
        json_decref(o);
        o = NULL;
    }
    return json_emit(o, 0);
}

static enum fk_status plan_and_fetch(struct pull *p, const struct args *a, struct fk_error *err)
{
    struct bar bar;
    buf_init(&p->url, 8192, MEM_CLI);
    buf_init(&p->path, 4096, MEM_CLI);
    buf_init(&p->part, 4096, MEM_CLI);
    bar_init(&bar);
    enum fk_status st = plan(p, a, err);
    if (!st) st = fetch(p, &bar, err);
    bar_fini(&bar);
    return st;
}

static void pull_fini(struct pull *p)
{
    buf_fini(&p->url);
    buf_fini(&p->path);
    buf_fini(&p->part);
}

enum fk_status pull_model(const char *name, struct fk_error *err)
{
    struct pull p = {0};
    struct args a;
    args_init(&a);
    a.operands[a.n_operands++] = name;
    enum fk_status st = plan_and_fetch(&p, &a, err);
    pull_fini(&p);
    args_fini(&a);
    return st;
}

int cmd_pull(const struct args *a)
{
    if (!a->n_operands) return list_known(a);
    struct pull p = {0};
    struct fk_error err = {0};
    int code = plan_and_fetch(&p, a, &err) ? term_complain(&err) : report(&p, a);
    pull_fini(&p);
    return code;
}
