/* SPDX-License-Identifier: Apache-2.0
 * convert.c - what is converted to what, and that the result appears whole or not at all. */
#include "src/convert/convert.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/convert/recommended.h"
#include "src/convert/vocab_in.h"
#include "src/model/blocks.h"

static enum fk_status read_type(const struct fk_convert_params *params, enum dtype *out,
                                struct fk_error *err)
{
    static const struct { const char *name; enum dtype dtype; } types[] = {
        {"f32", DT_F32}, {"f16", DT_F16}, {"bf16", DT_BF16}, {"q8_0", DT_Q8_0}};
    const char *name = params ? params->type : NULL;
    *out = DT_NONE;
    if (!name) return FK_OK;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i].name) == 0) {
            *out = types[i].dtype;
            return FK_OK;
        }
    return fail(err, FK_EINVAL, "type is '%s', allowed are f32, f16, bf16 and q8_0", name);
}

/* The last part of a path, for the model's name. */
static void base_name(const char *path, char *out, size_t cap)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t begin = n;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    snprintf(out, cap, "%.*s", (int)(n - begin < cap - 1 ? n - begin : cap - 1), path + begin);
}

static enum fk_status add_tensors(struct gguf_writer *w, struct plan *p, struct fk_error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        struct plan_tensor *t = &p->tensors[i];
        TRY(gguf_add_tensor(w, t->name, t->dtype, t->n_dims, t->shape, plan_fill, t, err));
    }
    return FK_OK;
}

static enum fk_status write_gguf(struct gguf_writer *w, struct plan *p, const char *out,
                                 const struct fk_convert_params *params, struct fk_error *err)
{
    TRY(add_tensors(w, p, err));
    return gguf_writer_write(w, out, params ? params->progress : NULL,
                             params ? params->progress_arg : NULL, err);
}

static bool folder_is_cut(const void *st)
{
    return safetensors_failed(st);
}

static bool gguf_is_cut(const void *g)
{
    return gguf_failed(g);
}

static enum fk_status folder_to_gguf(const char *in, const char *out, enum dtype want,
                                     const struct fk_convert_params *params, struct fk_error *err)
{
    struct hf_config config = {0};
    struct safetensors *st = NULL;
    struct vocab_in vocab = {.map = {.slot = -1}};
    struct gguf_writer *w = NULL;
    struct plan plan;
    char name[128];
    plan_init(&plan);
    enum fk_status status = hf_config_read(&config, in, err);
    if (status == FK_OK) status = safetensors_open(&st, in, err);
    plan.is_cut = folder_is_cut;
    plan.source = st;
    if (status == FK_OK) status = plan_from_folder(&plan, &config, st, want, err);
    if (status == FK_OK) status = vocab_in_read(&vocab, in, (size_t)config.n_vocab, err);
    if (status == FK_OK) status = gguf_writer_create(&w, 32, err);
    base_name(in, name, sizeof name);
    if (status == FK_OK) status = hf_put_keys(&config, w, name, plan_main_dtype(&plan), err);
    if (status == FK_OK) status = recommended_put_keys(in, w, err);
    if (status == FK_OK) {
        vocab_in_put(&vocab, w);
        status = write_gguf(w, &plan, out, params, err);
    }
    gguf_writer_destroy(&w);
    vocab_in_fini(&vocab);
    plan_fini(&plan);
    safetensors_close(&st);
    hf_config_fini(&config);
    return status;
}

static bool is_split_key(const struct gguf_kv *kv)
{
    return kv->key.n > 6 && memcmp(kv->key.p, "split.", 6) == 0;
}

static bool key_is(const struct gguf_kv *kv, const char *key)
{
    return kv->key.n == strlen(key) && memcmp(kv->key.p, key, kv->key.n) == 0;
}

static enum fk_status gguf_to_gguf(const struct gguf *g, const char *out, enum dtype want,
                                   const struct fk_convert_params *params, struct fk_error *err)
{
    struct gguf_writer *w = NULL;
    struct plan plan;
    plan_init(&plan);
    plan.is_cut = gguf_is_cut;
    plan.source = g;
    struct model_config config;
    struct model *m = NULL; /* with an adapter */
    const char *lora = params ? params->lora : NULL;
    bool permutes = params && params->permutes;
    if (permutes && want == DT_NONE) want = DT_F16;
    enum fk_status st = plan_from_gguf(&plan, g, want, err);
    if (st == FK_OK && lora) st = model_open(&m, gguf_path(g), false, err);
    if (st == FK_OK && lora) st = model_add_adapter(m, lora, err);
    if (st == FK_OK && lora) {
        plan_merge(&plan, m);
        enum dtype most = plan_main_dtype(&plan);
        want = most == DT_F32 || most == DT_F16 || most == DT_BF16 || most == DT_Q8_0 ? most : DT_NONE;
    }
    if (st == FK_OK && permutes) st = model_config_read(&config, g, err);
    if (st == FK_OK && permutes) st = plan_permute(&plan, &config, params->permute_seed, err);
    if (st == FK_OK) st = gguf_writer_create(&w, 32, err);
    for (size_t i = 0; st == FK_OK && i < gguf_n_kv(g); i++) {
        const struct gguf_kv *kv = gguf_kv_at(g, i);
        bool new_type = want != DT_NONE && key_is(kv, "general.file_type");
        if (is_split_key(kv) || key_is(kv, "general.alignment")) continue;
        if (!new_type) gguf_put_kv(w, kv);
        else gguf_put_u32(w, "general.file_type", want == DT_F32    ? 0
                                                  : want == DT_F16  ? 1
                                                  : want == DT_Q8_0 ? 7
                                                                    : 32);
    }
    if (st == FK_OK) st = write_gguf(w, &plan, out, params, err);
    gguf_writer_destroy(&w);
    plan_fini(&plan);
    model_close(&m);
    return st;
}

static enum fk_status write_weights(struct plan *p, const char *folder,
                                    const struct fk_convert_params *params, struct fk_error *err)
{
    char path[4200];
    struct st_out *out = mem_calloc(p->n + 1, sizeof *out, MEM_FILE);
    if (!out) return fail_nomem(err, p->n * sizeof *out, folder);
    for (size_t i = 0; i < p->n; i++) {
        struct plan_tensor *t = &p->tensors[i];
        out[i] = (struct st_out){t->name, t->dtype, t->n_dims, {0}, plan_fill, t};
        for (int k = 0; k < t->n_dims; k++) out[i].shape[k] = t->shape[t->n_dims - 1 - k];
    }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    enum fk_status st = safetensors_write(path, out, p->n, params ? params->progress : NULL,
                                          params ? params->progress_arg : NULL, err);
    mem_free(out);
    return st;
}

static enum fk_status put_config(const struct gguf *g, const struct model_config *c, enum dtype type,
                                 const char *folder, struct fk_error *err)
{
    json_t *config = NULL;
    char path[4200];
    TRY(folder_config(g, c, type, &config, err));
    char *text = json_dumps(config, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(config);
    if (!text) return fail_nomem(err, 0, "config.json");
    snprintf(path, sizeof path, "%s/config.json", folder);
    enum fk_status st = out_file_put(path, text, strlen(text), err);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return st;
}

static enum fk_status fill_folder(const struct gguf *g, const char *folder, enum dtype want,
                                  const struct fk_convert_params *params, struct fk_error *err)
{
    struct model_config c;
    struct plan plan;
    TRY(model_config_read(&c, g, err));
    plan_init(&plan);
    plan.is_cut = gguf_is_cut;
    plan.source = g;
    enum fk_status st = plan_to_folder(&plan, g, &c, want, err);
    if (st == FK_OK) st = put_config(g, &c, plan_main_dtype(&plan), folder, err);
    if (st == FK_OK) st = folder_put_vocab(g, &c, folder, err);
    if (st == FK_OK) st = write_weights(&plan, folder, params, err);
    plan_fini(&plan);
    return st;
}

/* Removes the files that fill_folder writes, and the folder. */
static void drop_folder(const char *folder)
{
    static const char *const files[] = {"config.json", "generation_config.json", "model.safetensors",
                                        "tokenizer.json", "tokenizer.model", "tokenizer_config.json"};
    char path[4200];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* A folder that holds something is not replaced. */
static enum fk_status check_target(const char *path, struct fk_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) return FK_OK;
    DIR *d = opendir(path);
    if (!d) return fail(err, FK_EINVAL, "%s: stands in the way: %s", path, strerror(errno));
    bool empty = true;
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) empty = false;
    closedir(d);
    return empty ? FK_OK : fail(err, FK_EINVAL, "%s: the folder is not empty", path);
}

static enum fk_status gguf_to_folder(const struct gguf *g, const char *out, enum dtype want,
                                     const struct fk_convert_params *params, struct fk_error *err)
{
    char target[4096], temp[4150];
    int parent = -1;
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') n--;
    if (n >= sizeof target)
        return fail(err, FK_EINVAL, "%s: the path is longer than %zu bytes", out, sizeof target);
    memcpy(target, out, n);
    target[n] = 0;
    if (want == DT_Q8_0)
        return fail(err, FK_EINVAL, "type is q8_0; a safetensors folder holds f32, f16 or bf16");
    TRY(check_target(target, err));
    snprintf(temp, sizeof temp, "%s.tmp.%ld", target, (long)getpid());
    TRY(out_open_parent(target, &parent, err));
    enum fk_status st = FK_OK;
    if (mkdir(temp, 0777) != 0)
        st = fail(err, FK_EIO, "%s: cannot be created: %s", temp, strerror(errno));
    else
        st = fill_folder(g, temp, want, params, err);
    if (st == FK_OK) st = out_rename(temp, target, &parent, err);
    if (st != FK_OK) drop_folder(temp);
    if (parent >= 0) close(parent);
    return st;
}

static bool ends_in_gguf(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".gguf") == 0;
}

enum fk_status convert_run(const char *in, const char *out, const struct fk_convert_params *params,
                           struct fk_error *err)
{
    enum dtype want;
    struct stat info;
    struct gguf *g = NULL;
    TRY(read_type(params, &want, err));
    bool merges = params && params->lora;
    if (merges && params->permutes)
        return fail(err, FK_EINVAL, "an adapter is merged or a model permuted, not both at once");
    if (merges && (file_is_same(params->lora, out) || !ends_in_gguf(out)))
        return fail(err, FK_EINVAL, "%s: a merged model is written to a path of its own that ends in .gguf",
                    out);
    if (file_is_same(in, out)) return fail(err, FK_EINVAL, "%s: is both what is read and what is written", in);
    if (stat(in, &info) == 0 && S_ISDIR(info.st_mode)) {
        if (!ends_in_gguf(out))
            return fail(err, FK_EINVAL, "%s: a folder is converted to a path that ends in .gguf", out);
        if (params && (params->permutes || merges))
            return fail(err, FK_EINVAL, "%s: only a GGUF file is %s; convert the folder first", in,
                        merges ? "merged with an adapter" : "permuted");
        return folder_to_gguf(in, out, want, params, err);
    }
    if (params && params->permutes && !ends_in_gguf(out))
        return fail(err, FK_EINVAL, "%s: a permuted model is written to a path that ends in .gguf", out);
    TRY(gguf_open(&g, in, err));
    enum fk_status st;
    if (ends_in_gguf(out)) st = gguf_to_gguf(g, out, want, params, err);
    else st = gguf_to_folder(g, out, want, params, err);
    gguf_close(&g);
    return st;
}
