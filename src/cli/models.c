/* SPDX-License-Identifier: Apache-2.0
 * models.c - where models lie, and opening them. */
#include "src/cli/models.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/cli/catalog.h"
#include "src/cli/term.h"

static char *joined(const char *a, const char *b)
{
    struct buf out;
    buf_init(&out, 8192, MEM_CLI);
    if (buf_printf(&out, "%s%s", a, b)) return buf_take(&out);
    buf_fini(&out);
    return NULL;
}

/* The folder above the program's own, with `rest` behind it; yours, NULL where it is not known. */
static char *beside_program(const char *rest)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) return NULL;
    exe[n] = 0;
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(exe, '/');
        if (!slash) return NULL;
        *slash = 0;
    }
    return joined(exe, rest);
}

/* The model that ships: in the source tree beside build/, or in the installed data. */
static char *find_shipped(void)
{
    static const char *const places[] = {"/models/" SHIPPED_MODEL ".gguf",
                                         "/share/fikr/models/" SHIPPED_MODEL ".gguf"};
    struct stat st;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *path = beside_program(places[i]);
        if (path && stat(path, &st) == 0) return path;
        mem_free(path);
    }
    return NULL;
}

char *models_dir(int i)
{
    const char *own = getenv("FIKR_MODELS");
    if (own && *own) {
        if (i == 0) return joined(own, "");
        i--;
    }
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && data[0] == '/') {
        if (i == 0) return joined(data, "/fikr/models");
        i--;
    } else if (home && *home) {
        if (i == 0) return joined(home, "/.local/share/fikr/models");
        i--;
    }
    return i == 0 ? beside_program("/.cache/models") : NULL;
}

static bool is_name(const char *s)
{
    size_t n = strlen(s);
    return n && n < 128 && s[0] != '.' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n &&
           !(n > 5 && !strcmp(s + n - 5, ".gguf"));
}

static enum fk_status fail_folder(const char *name, struct fk_error *err)
{
    return fail(err, FK_EINVAL, "%s is a folder; `fikr convert %s OUT.gguf` makes a model file of one "
                "that holds config.json and *.safetensors", name, name);
}

/* A name is a file's before it is a pulled model's; a folder of that name hides no model. */
enum fk_status models_find(const char *name, char **path, struct fk_error *err)
{
    struct stat st;
    *path = NULL;
    if (!name || (!strcmp(name, SHIPPED_MODEL) && stat(name, &st))) *path = find_shipped();
    if (*path) return FK_OK;
    if (!name) name = DEFAULT_MODEL;
    bool is_there = stat(name, &st) == 0, is_folder = is_there && S_ISDIR(st.st_mode);
    if (is_folder && !is_name(name)) return fail_folder(name, err);
    if (!is_name(name) || (is_there && !is_folder)) {
        *path = mem_strdup(name, MEM_CLI);
        return *path ? FK_OK : fail_nomem(err, strlen(name), "a path");
    }
    char *dir;
    for (int i = 0; (dir = models_dir(i)); i++) {
        struct buf file;
        buf_init(&file, 8192, MEM_CLI);
        bool made = buf_printf(&file, "%s/%s.gguf", dir, name);
        mem_free(dir);
        if (made && stat(file.data, &st) == 0) {
            *path = buf_take(&file);
            return FK_OK;
        }
        buf_fini(&file);
        if (!made) return fail(err, FK_ENOMEM, "the path of model %s is too long", name);
    }
    if (is_folder) return fail_folder(name, err);
    if (catalog_find(name))
        return fail(err, FK_ENOTFOUND, "the model %s is not here yet; `fikr pull %s` fetches it",
                    name, name);
    const char *near = catalog_nearest(name);
    if (near)
        return fail(err, FK_ENOTFOUND, "there is no file and no model called %s; did you mean %s?",
                    name, near);
    return fail(err, FK_ENOTFOUND, "there is no file and no model called %s; `fikr pull %s` "
                "fetches one to begin with", name, DEFAULT_MODEL);
}

enum fk_status models_base(const char *name, char **path, struct fk_error *err)
{
    struct stat st;
    if (stat(name, &st) || !S_ISDIR(st.st_mode)) return models_find(name, path, err);
    *path = mem_strdup(name, MEM_CLI);
    return *path ? FK_OK : fail_nomem(err, strlen(name), "a path");
}

enum fk_status opened_model(struct opened *o, const char *name, const char *lora, bool container_only,
                            struct fk_error *err)
{
    memset(o, 0, sizeof *o);
    TRY(models_find(name, &o->path, err));
    struct fk_model_params p;
    struct bar bar;
    fk_model_default_params(&p);
    bar_init(&bar);
    p.container_only = container_only;
    p.lora = lora;
    p.progress = bar_update;
    p.progress_arg = &bar;
    enum fk_status st = fk_model_open(&o->model, o->path, &p, err);
    bar_fini(&bar);
    if (st) opened_close(o);
    return st;
}

int opened_head(const struct args *a)
{
    static const int of_word[] = {0, FK_HEAD_WHOLE, 2, 3, 4, 5, 6};
    return of_word[a->head];
}

void opened_params(const struct args *a, struct fk_engine_params *p)
{
    static const int bits[] = {0, 2, 3, 4, 5, 6, 8, FK_BITS_EXACT};
    fk_engine_default_params(p);
    p->n_threads = a->threads;
    p->cpu_mask = a->cpu;
    p->n_ctx = a->ctx;
    p->kv_type = a->kv;
    p->mla = a->mla;
    p->bits = bits[a->bits];
    p->head_bits = opened_head(a);
}

enum fk_status opened_engine(struct opened *o, const struct fk_engine_params *p,
                             struct fk_error *err)
{
    return fk_engine_create(&o->engine, o->model, p, err);
}

void opened_close(struct opened *o)
{
    fk_engine_destroy(&o->engine);
    fk_model_close(&o->model);
    mem_free(o->path);
    memset(o, 0, sizeof *o);
}
