/* SPDX-License-Identifier: Apache-2.0
 * export.c - weights in the arenas as a GGUF file: the keys of the fresh model, its tensors in its
 * order, matrices as F16. Routers stay F32, since a choice between experts must not turn on rounding.
 * Adapters stay F32 whole: they are small, and then what was trained is what runs, bit for bit. */
#include "src/train/export.h"
#include <stdio.h>
#include <string.h>
#include "fikr/train.h"
#include "src/base/fail.h"
#include "src/file/gguf_write.h"
#include "src/train/ckpt.h"

#define MAX_PATH 4096
#define CHUNK 4096
#define TEMPERATURE_KEY "general.sampling.temp"

struct source {
    const float *x;
    size_t n;
    enum dtype dtype;
};

static enum fk_status fill(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct source *s = arg;
    if (s->dtype == DT_F32) return out_file_write(f, s->x, s->n * sizeof(float), err);
    uint16_t h[CHUNK];
    for (size_t at = 0; at < s->n; at += CHUNK) {
        size_t n = s->n - at < CHUNK ? s->n - at : CHUNK;
        for (size_t i = 0; i < n; i++) h[i] = f32_to_f16(s->x[at + i]);
        TRY(out_file_write(f, h, n * sizeof *h, err));
    }
    return FK_OK;
}

static bool is_adapter_file(const struct gguf *g)
{
    struct gguf_str s = {NULL, 0};
    return !gguf_get_str(g, "general.type", false, &s, NULL) && s.n == 7 && !memcmp(s.p, "adapter", 7);
}

static enum fk_status write_all(struct gguf_writer *w, const struct train_params *p,
                                const struct gguf *fresh, struct source *sources, const char *path,
                                struct fk_error *err)
{
    for (size_t i = 0; i < gguf_n_kv(fresh); i++) gguf_put_kv(w, gguf_kv_at(fresh, i));
    bool is_adapter = is_adapter_file(fresh);
    if (!is_adapter) gguf_put_u32(w, "general.file_type", 1); /* mostly F16 */
    /* Puzzles have one right answer, and the greedy one is right most often. */
    if (!is_adapter && !gguf_find(fresh, TEMPERATURE_KEY)) gguf_put_f32(w, TEMPERATURE_KEY, 0);
    for (size_t i = 0; i < p->n_items; i++) {
        const struct param_item *it = &p->items[i];
        const struct gguf_tensor *t = gguf_find_tensor(fresh, it->name);
        if (!t) return fail(err, FK_EFORMAT, "'%s' has no tensor '%s'", gguf_path(fresh), it->name);
        bool is_exact = is_adapter || it->kind != PARAM_MATRIX || strstr(it->name, "ffn_gate_inp");
        sources[i] = (struct source){p->w + it->offset, it->n, is_exact ? DT_F32 : DT_F16};
        TRY(gguf_add_tensor(w, it->name, sources[i].dtype, t->n_dims, t->shape, fill, &sources[i], err));
    }
    return gguf_writer_write(w, path, NULL, NULL, err);
}

enum fk_status export_f16(const struct train_params *p, const struct gguf *fresh, const char *path,
                          struct fk_error *err)
{
    struct gguf_writer *w = NULL;
    struct source *sources = mem_calloc(p->n_items, sizeof *sources, MEM_TRAIN);
    if (!sources) return fail_nomem(err, p->n_items * sizeof *sources, "tensors");
    enum fk_status st = gguf_writer_create(&w, 32, err);
    if (!st) st = write_all(w, p, fresh, sources, path, err);
    gguf_writer_destroy(&w);
    mem_free(sources);
    return st;
}

enum fk_status fk_train_export(const char *checkpoint, const char *out_path, struct fk_error *err)
{
    char path[MAX_PATH];
    const char *slash = strrchr(checkpoint, '/');
    struct gguf *fresh = NULL;
    struct train_params p = {0};
    struct ckpt_state s;
    int n = snprintf(path, sizeof path, "%.*sfresh.gguf", slash ? (int)(slash - checkpoint) + 1 : 0,
                     checkpoint);
    if (n >= MAX_PATH) return fail(err, FK_EINVAL, "the path is too long");
    TRY(gguf_open(&fresh, path, err));
    enum fk_status st = train_params_open(&p, fresh, err);
    if (!st) st = ckpt_load(checkpoint, &p, &s, err);
    if (!st) st = export_f16(&p, fresh, out_path, err);
    train_params_fini(&p);
    gguf_close(&fresh);
    return st;
}
