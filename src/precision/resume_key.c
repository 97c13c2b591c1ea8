/* SPDX-License-Identifier: Apache-2.0
 * resume_key.c - whether two runs of the quantizer make the same codes. Whoever changes what codes come
 * out of the same input changes FORMAT too. */
#include <stdio.h>
#include <string.h>
#include "src/base/crc32c.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/base/sha256.h"
#include "src/precision/quantize.h"

#define FORMAT 2

static void add_text(struct sha256 *s, const char *text)
{
    sha256_update(s, text, strlen(text) + 1);
}

/* Checksums of large bytes, hashed: a SHA-256 of them all would take minutes of a large model. */
static void add_bytes(struct sha256 *s, const void *p, uint64_t n)
{
    char line[64];
    snprintf(line, sizeof line, "%llu %08x", (unsigned long long)n, crc32c(0, p, n));
    add_text(s, line);
}

static enum fk_status add_model(struct sha256 *s, const struct quantize_inputs *in, struct fk_error *err)
{
    const struct gguf *g = in->model->gguf;
    const struct fk_quantize_params *p = in->params;
    size_t n = gguf_n_tensors(g);
    for (size_t i = 0; i < gguf_n_kv(g); i++) {
        const struct gguf_kv *kv = gguf_kv_at(g, i);
        int types[2] = {(int)kv->type, (int)kv->item_type};
        sha256_update(s, kv->key.p, kv->key.n);
        sha256_update(s, types, sizeof types);
        add_bytes(s, kv->data, kv->data_bytes);
    }
    for (size_t i = 0; i < n; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        if (p->progress && p->progress(p->progress_arg, "reading", i, n))
            return fail(err, FK_ECANCELLED, "cancelled while %s was read", gguf_path(g));
        sha256_update(s, t->name.p, t->name.n);
        sha256_update(s, t->shape, sizeof t->shape);
        sha256_update(s, &t->dtype, sizeof t->dtype);
        add_bytes(s, t->data, t->bytes);
    }
    if (gguf_failed(g)) return fail(err, FK_EGONE, "%s was cut while it was read", gguf_path(g));
    return FK_OK;
}

static enum fk_status add_plan(struct sha256 *s, const char *plan, struct fk_error *err)
{
    struct file_map map;
    add_text(s, plan ? plan : "");
    if (!plan || !plan_is_file(plan)) return FK_OK;
    TRY(file_map_open(&map, plan, err));
    add_bytes(s, map.data, map.bytes);
    bool has_failed = file_map_failed(&map);
    file_map_close(&map);
    return has_failed ? fail(err, FK_EGONE, "%s was cut while it was read", plan) : FK_OK;
}

enum fk_status resume_key(const struct quantize_inputs *in, char key[65], struct fk_error *err)
{
    const struct fk_quantize_params *p = in->params;
    struct sha256 s;
    char line[256];
    sha256_init(&s);
    snprintf(line, sizeof line, "%d %s %s %zu %d %.17g %.17g %llu %d", FORMAT, FIKR_VERSION, in->isa,
             in->max_tokens, p->no_calibration, p->bpw, p->kl, (unsigned long long)p->size_bytes,
             p->head_bits);
    add_text(&s, line);
    add_bytes(&s, in->text, in->n_bytes);
    TRY(add_plan(&s, p->plan, err));
    TRY(add_model(&s, in, err));
    sha256_hex(&s, key);
    return FK_OK;
}
