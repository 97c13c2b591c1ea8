/* SPDX-License-Identifier: Apache-2.0
 * model_api.c - fk_model: opening a file, and what is in it. Owns the texts it hands out. */
#include <string.h>
#include "src/api/handles.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/base/sha256.h"
#include "src/model/adapter.h"

void fk_model_default_params(struct fk_model_params *p)
{
    if (p) *p = (struct fk_model_params){0};
}

static char *copy_text(struct gguf_str s)
{
    return mem_strndup(s.p, s.n, MEM_MODEL);
}

static enum fk_status read_texts(fk_model *m, struct fk_error *err)
{
    size_t n_kv = gguf_n_kv(m->gguf), n_tensors = gguf_n_tensors(m->gguf);
    m->meta = mem_calloc(n_kv + 1, sizeof *m->meta, MEM_MODEL);
    m->tensor_names = mem_calloc(n_tensors + 1, sizeof *m->tensor_names, MEM_MODEL);
    if (!m->meta || !m->tensor_names) return fail_nomem(err, n_kv + n_tensors, "the file's names");
    for (size_t i = 0; i < n_kv; i++) {
        const struct gguf_kv *kv = gguf_kv_at(m->gguf, i);
        m->meta[i].key = copy_text(kv->key);
        m->meta[i].value = gguf_value_text(m->gguf, kv);
        if (!m->meta[i].key || !m->meta[i].value) return fail_nomem(err, kv->key.n, "metadata");
    }
    for (size_t i = 0; i < n_tensors; i++) {
        m->tensor_names[i] = copy_text(gguf_tensor_at(m->gguf, i)->name);
        if (!m->tensor_names[i]) return fail_nomem(err, 64, "tensor names");
    }
    return FK_OK;
}

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static enum fk_status read_template(fk_model *m, struct fk_error *err)
{
    struct gguf_str s = {NULL, 0};
    TRY(gguf_get_str(m->gguf, "tokenizer.chat_template", false, &s, err));
    if (!s.p || !s.n) return FK_OK;
    m->template_text = copy_text(s);
    if (!m->template_text) return fail_nomem(err, s.n, "the chat template");
    m->template_bytes = s.n;
    m->has_thinking = contains(m->template_text, "<think>") || contains(m->template_text, "</think>");
    struct sha256 h;
    sha256_init(&h);
    sha256_update(&h, s.p, s.n);
    sha256_hex(&h, m->template_sha256);
    return FK_OK;
}

enum fk_status fk_model_open(fk_model **out, const char *path, const struct fk_model_params *params,
                             struct fk_error *err)
{
    if (!out) return fail(err, FK_EINVAL, "fk_model_open: out is NULL");
    *out = NULL;
    if (!path || !*path) return fail(err, FK_EINVAL, "fk_model_open: path is empty");
    fk_model *m = mem_zalloc(sizeof *m, MEM_MODEL);
    if (!m) return fail_nomem(err, sizeof *m, "the model");
    enum fk_status st;
    if (params && params->container_only) {
        TRY_GOTO(gguf_open(&m->gguf, path, err), fail);
    } else {
        TRY_GOTO(model_open(&m->model, path, true, err), fail);
        m->gguf = m->model->gguf;
        if (params && params->lora) TRY_GOTO(model_add_adapter(m->model, params->lora, err), fail);
        m->tokenizer = m->model->tokenizer;
    }
    TRY_GOTO(read_texts(m, err), fail);
    TRY_GOTO(read_template(m, err), fail);
    *out = m;
    return FK_OK;
fail:
    fk_model_close(&m);
    return st;
}

void fk_model_close(fk_model **model)
{
    fk_model *m = model ? *model : NULL;
    if (!m) return;
    if (m->gguf) {
        for (size_t i = 0; m->meta && i < gguf_n_kv(m->gguf); i++) {
            mem_free(m->meta[i].key);
            mem_free(m->meta[i].value);
        }
        for (size_t i = 0; m->tensor_names && i < gguf_n_tensors(m->gguf); i++)
            mem_free(m->tensor_names[i]);
    }
    mem_free(m->meta);
    mem_free(m->tensor_names);
    mem_free(m->template_text);
    if (m->model)
        model_close(&m->model);
    else
        gguf_close(&m->gguf);
    mem_free(m);
    *model = NULL;
}

static void put_text(char *out, size_t cap, const char *s)
{
    size_t n = strlen(s);
    if (n >= cap) n = cap - 1;
    memcpy(out, s, n);
    out[n] = 0;
}

/* The type that most weight bytes have: what people call the file's quantization. */
static const char *main_type(const struct gguf *g)
{
    uint64_t bytes[256] = {0};
    unsigned best = DT_F32;
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        if (t->n_dims > 1) bytes[(unsigned)t->dtype & 255] += t->bytes;
    }
    for (unsigned t = 0; t < 256; t++)
        if (bytes[t] > bytes[best]) best = t;
    return dtype_name(best);
}

/* Of a container alone: the architecture's name, the model's, and the parameters there are. */
static void info_of_container(const fk_model *m, struct fk_model_info *out)
{
    struct gguf_str s = {NULL, 0};
    gguf_get_str(m->gguf, "general.architecture", false, &s, NULL);
    for (size_t i = 0; i < s.n && i < sizeof out->architecture - 1; i++) out->architecture[i] = s.p[i];
    s = (struct gguf_str){NULL, 0};
    gguf_get_str(m->gguf, "general.name", false, &s, NULL);
    for (size_t i = 0; i < s.n && i < sizeof out->name - 1; i++) out->name[i] = s.p[i];
    for (size_t i = 0; i < gguf_n_tensors(m->gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(m->gguf, i);
        uint64_t n = 1;
        for (int d = 0; d < t->n_dims; d++) n *= t->shape[d];
        out->n_params += n;
        out->weight_bytes += t->bytes;
    }
}

static void info_of_model(const fk_model *m, struct fk_model_info *out)
{
    const struct model_config *c = &m->model->config;
    put_text(out->architecture, sizeof out->architecture, c->architecture);
    put_text(out->name, sizeof out->name, c->name);
    out->weight_bytes = m->model->weight_bytes;
    out->active_bytes = m->model->active_bytes;
    out->n_params = m->model->n_params;
    out->n_active_params = m->model->n_active_params;
    out->n_layers = c->n_layers;
    out->n_mtp_layers = c->n_mtp_layers;
    out->n_embd = c->n_embd;
    out->n_ff = c->n_ff;
    out->n_vocab = c->n_vocab;
    out->n_ctx_train = c->n_ctx_train;
    out->n_heads = c->n_heads;
    out->n_kv_heads = c->n_kv_heads;
    out->head_dim = c->head_dim;
    out->n_experts = c->n_experts;
    out->n_experts_used = c->n_experts_used;
    struct kv_layout kv;
    if (model_kv_layout(m->model, DT_F16, MLA_AUTO, 64, &kv, NULL) == FK_OK)
        out->kv_bytes_per_token_f16 = kv.page_bytes / 64;
}

enum fk_status fk_model_get_info(const fk_model *m, struct fk_model_info *out)
{
    if (!m || !out) return FK_EINVAL;
    *out = (struct fk_model_info){0};
    if (m->model)
        info_of_model(m, out);
    else
        info_of_container(m, out);
    put_text(out->file_type, sizeof out->file_type, main_type(m->gguf));
    out->file_bytes = gguf_file_bytes(m->gguf);
    out->has_template = m->template_text != NULL;
    out->has_thinking = m->has_thinking;
    put_text(out->template_sha256, sizeof out->template_sha256, m->template_sha256);
    return FK_OK;
}

size_t fk_model_n_meta(const fk_model *m)
{
    return m ? gguf_n_kv(m->gguf) : 0;
}

enum fk_status fk_model_get_meta(const fk_model *m, size_t i, const char **key, const char **type,
                                 const char **value)
{
    if (!m || i >= gguf_n_kv(m->gguf)) return FK_EINVAL;
    if (key) *key = m->meta[i].key;
    if (type) *type = gguf_type_name(gguf_kv_at(m->gguf, i)->type);
    if (value) *value = m->meta[i].value;
    return FK_OK;
}

size_t fk_model_n_tensors(const fk_model *m)
{
    return m ? gguf_n_tensors(m->gguf) : 0;
}

enum fk_status fk_model_get_tensor(const fk_model *m, size_t i, struct fk_tensor_info *out)
{
    if (!m || !out || i >= gguf_n_tensors(m->gguf)) return FK_EINVAL;
    const struct gguf_tensor *t = gguf_tensor_at(m->gguf, i);
    *out = (struct fk_tensor_info){.name = m->tensor_names[i],
                                   .type = dtype_name(t->dtype),
                                   .n_dims = t->n_dims,
                                   .offset = t->offset,
                                   .bytes = t->bytes,
                                   .i_file = t->i_file};
    for (int d = 0; d < 4; d++) out->shape[d] = d < t->n_dims ? t->shape[d] : 1;
    return FK_OK;
}

int fk_model_failed(const fk_model *m)
{
    return m && gguf_failed(m->gguf);
}

int fk_handle_fault(void *addr)
{
    return map_handle_fault(addr);
}
