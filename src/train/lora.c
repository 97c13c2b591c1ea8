/* SPDX-License-Identifier: Apache-2.0
 * lora.c - fresh adapters over a base. */
#include "src/train/lora.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/base/sha256.h"
#include "src/file/gguf_write.h"

#define MARK_KEY "fikr.base.mark"
#define MARK_BYTES 64 /* of every tensor */
#define CHUNK 1024

const char *const lora_targets[LORA_N_TARGETS] = {
    "attn_q", "attn_k", "attn_v", "attn_output", "attn_q_a", "attn_q_b", "attn_kv_a_mqa", "ffn_gate",
    "ffn_up", "ffn_down", "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"};

/* One matrix of the fresh file. */
struct half {
    uint64_t seed, stream, n;
    double bound; /* 0: zeros */
};

static enum fk_status fill(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct half *h = arg;
    float x[CHUNK];
    for (uint64_t at = 0; at < h->n; at += CHUNK) {
        uint64_t n = h->n - at < CHUNK ? h->n - at : CHUNK;
        for (uint64_t i = 0; i < n; i++)
            x[i] = (float)(h->bound * (2 * rng_uniform(h->seed, h->stream, at + i) - 1));
        TRY(out_file_write(f, x, (size_t)n * sizeof *x, err));
    }
    return FK_OK;
}

static enum fk_status add_pair(struct gguf_writer *w, const struct recipe *r, const struct tensor *of,
                               struct half h[2], uint64_t stream, struct fk_error *err)
{
    uint64_t rank = (uint64_t)r->lora.rank;
    uint64_t a[2] = {(uint64_t)of->n_cols, rank}, b[2] = {rank, (uint64_t)of->n_rows};
    char name[128];
    h[0] = (struct half){(uint64_t)r->seed, stream, a[0] * a[1], 1 / sqrt((double)of->n_cols)};
    h[1] = (struct half){.n = b[0] * b[1]};
    snprintf(name, sizeof name, "%s.lora_a", of->name);
    TRY(gguf_add_tensor(w, name, DT_F32, 2, a, fill, &h[0], err));
    name[strlen(name) - 1] = 'b';
    return gguf_add_tensor(w, name, DT_F32, 2, b, fill, &h[1], err);
}

static enum fk_status add_target(struct gguf_writer *w, const struct recipe *r, const struct model *base,
                                 int target, struct half *halves, struct fk_error *err)
{
    char name[96];
    int n = 0, n_layers = base->config.n_layers;
    for (int i = 0; i < n_layers; i++) {
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, lora_targets[target]);
        const struct tensor *of = model_adaptable(base, name);
        if (!of) continue;
        uint64_t stream = 0x6c6f7261u + (uint64_t)(target * MODEL_MAX_LAYERS + i);
        TRY(add_pair(w, r, of, halves + 2 * i, stream, err));
        n++;
    }
    if (n || !r->lora.targets) return FK_OK; /* the default is whatever there is */
    return fail(err, FK_EINVAL, "no layer of %s has the weight '%s' that 'targets' names",
                gguf_path(base->gguf), lora_targets[target]);
}

/* Tells a base from others of its shape without reading all of it: SHA-256 of where every tensor of the
 * file begins. */
static void base_mark(const struct model *base, char out[65])
{
    struct sha256 h;
    sha256_init(&h);
    for (size_t i = 0; i < gguf_n_tensors(base->gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(base->gguf, i);
        sha256_update(&h, t->name.p, t->name.n);
        sha256_update(&h, t->data, (size_t)(t->bytes < MARK_BYTES ? t->bytes : MARK_BYTES));
    }
    sha256_hex(&h, out);
}

static void put_keys(struct gguf_writer *w, const struct recipe *r, const struct model *base)
{
    char mark[65];
    base_mark(base, mark);
    gguf_put_str(w, "general.architecture", base->config.architecture);
    gguf_put_str(w, "general.type", "adapter");
    gguf_put_str(w, "general.name", r->name);
    gguf_put_str(w, "adapter.type", "lora");
    gguf_put_f32(w, "adapter.lora.alpha", (float)r->lora.alpha);
    gguf_put_u32(w, "general.base_model.count", 1);
    gguf_put_str(w, "general.base_model.0.name", base->config.name);
    gguf_put_str(w, MARK_KEY, mark);
}

enum fk_status lora_fresh_write(const struct recipe *r, const struct model *base, const char *path,
                                struct fk_error *err)
{
    struct gguf_writer *w = NULL;
    size_t n = (size_t)base->config.n_layers * 2 * LORA_N_TARGETS;
    struct half *halves = mem_calloc(n, sizeof *halves, MEM_TRAIN);
    if (!halves) return fail_nomem(err, n * sizeof *halves, "adapters");
    enum fk_status st = gguf_writer_create(&w, 32, err);
    if (!st) put_keys(w, r, base);
    for (int i = 0; i < LORA_N_TARGETS && !st; i++)
        if (!r->lora.targets || r->lora.targets >> i & 1)
            st = add_target(w, r, base, i, halves + (size_t)(i * base->config.n_layers * 2), err);
    if (!st) st = gguf_writer_write(w, path, NULL, NULL, err);
    gguf_writer_destroy(&w);
    mem_free(halves);
    return st;
}

enum fk_status lora_check_base(const struct gguf *fresh, const struct model *base, struct fk_error *err)
{
    struct gguf_str was = {NULL, 0};
    char mark[65];
    base_mark(base, mark);
    TRY(gguf_get_str(fresh, MARK_KEY, true, &was, err));
    if (was.n == 64 && !memcmp(was.p, mark, 64)) return FK_OK;
    return fail(err, FK_EINVAL, "the adapters of %s were begun over another base than %s",
                gguf_path(fresh), gguf_path(base->gguf));
}

enum fk_status lora_lend(const struct train_params *p, struct model *m, struct fk_error *err)
{
    for (struct model_adapter *a = m->adapters; a; a = a->next) {
        struct tensor *half[2] = {&a->a, &a->b};
        for (int i = 0; i < 2; i++) {
            const struct param_item *it = train_params_find(p, half[i]->name);
            if (!it)
                return fail(err, FK_EFORMAT, "the adapter '%s' is not among the weights",
                            half[i]->name);
            half[i]->data = p->w + it->offset;
        }
    }
    return FK_OK;
}
