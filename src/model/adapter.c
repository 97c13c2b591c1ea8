/* SPDX-License-Identifier: Apache-2.0
 * adapter.c - a low-rank adapter kept apart (Hu et al. 2021): a GGUF file in the form that llama.cpp
 * reads, whose pairs of matrices are tied to the weights they add to.
 *
 *   general.type "adapter", adapter.type "lora", general.architecture that of the model,
 *   adapter.lora.alpha f32;  NAME.lora_a [rank, inputs], NAME.lora_b [outputs, rank]
 *   y = W x + scale B (A x)       scale = alpha / rank, or 1 where alpha is 0
 *
 * What is handed out satisfies: (1) the file says that it is a LoRA of this architecture, (2) every
 * tensor of it is half of a pair, (3) NAME is a weight of a plain product and the shapes fit it. */
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/model/adapter.h"

#define MAX_RANK 65536

static bool name_is(struct gguf_str s, const char *text)
{
    return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

struct tensor *model_adaptable(const struct model *m, const char *name)
{
    int layer = -1, end = 0;
    if (!strcmp(name, "output.weight")) return m->output != m->tok_embd ? m->output : NULL;
    if (sscanf(name, "blk.%d.%n", &layer, &end) != 1 || !end || layer < 0 ||
        layer >= m->config.n_layers)
        return NULL;
    const struct model_layer *l = &m->layers[layer];
    struct tensor *all[MODEL_ADAPTABLE] = {l->wq, l->wk, l->wv, l->wo, l->q_a, l->q_b, l->kv_a,
                                           l->router, l->gate, l->up, l->down, l->gate_shared,
                                           l->up_shared, l->down_shared};
    for (size_t i = 0; i < MODEL_ADAPTABLE; i++)
        if (all[i] && !strcmp(all[i]->name, name)) return all[i];
    return NULL;
}

/* (1) */
static enum fk_status check_kind(const struct model *m, const struct gguf *g, double *alpha,
                                 struct fk_error *err)
{
    struct gguf_str type = {NULL, 0}, kind = {NULL, 0}, arch = {NULL, 0};
    TRY(gguf_get_str(g, "general.type", false, &type, err));
    TRY(gguf_get_str(g, "adapter.type", false, &kind, err));
    if (!name_is(type, "adapter") || !name_is(kind, "lora"))
        return fail(err, FK_EFORMAT, "%s is no LoRA adapter: its general.type and adapter.type are not "
                    "'adapter' and 'lora'", gguf_path(g));
    TRY(gguf_get_str(g, "general.architecture", true, &arch, err));
    if (!name_is(arch, m->config.architecture))
        return fail(err, FK_EFORMAT, "%s adapts models of the architecture '%.*s'; this one is '%s'",
                    gguf_path(g), (int)(arch.n < 64 ? arch.n : 64), arch.p, m->config.architecture);
    return gguf_get_f64(g, "adapter.lora.alpha", true, 0, 1e9, alpha, err);
}

static struct tensor view(const struct gguf_tensor *t, const char *name)
{
    uint64_t row = t->bytes / t->shape[1];
    return (struct tensor){.dtype = t->dtype, .n_cols = (int64_t)t->shape[0],
                           .n_rows = (int64_t)t->shape[1], .n_mats = 1, .row_bytes = (size_t)row,
                           .mat_bytes = (size_t)t->bytes, .data = (void *)(uintptr_t)t->data,
                           .name = name};
}

/* (3), of one half. */
static enum fk_status check_half(const struct gguf_tensor *t, uint64_t n_cols, uint64_t n_rows,
                                 struct fk_error *err)
{
    int n = (int)(t->name.n < 96 ? t->name.n : 96);
    const struct dtype_info *info = dtype_info(t->dtype);
    if (t->shape[0] != n_cols || t->shape[1] != n_rows || t->shape[2] != 1 || t->shape[3] != 1)
        return fail(err, FK_EFORMAT, "tensor '%.*s' has the shape [%llu, %llu, %llu]; the model asks "
                    "for [%llu, %llu, 1]", n, t->name.p, (unsigned long long)t->shape[0],
                    (unsigned long long)t->shape[1], (unsigned long long)t->shape[2],
                    (unsigned long long)n_cols, (unsigned long long)n_rows);
    if (!info || !info->is_weight)
        return fail(err, FK_EUNSUPPORTED, "tensor '%.*s' has the type %s, which no kernel reads", n,
                    t->name.p, dtype_name(t->dtype));
    return FK_OK;
}

static enum fk_status tie(struct model *m, const char *name, const struct gguf_tensor *a,
                          const struct gguf_tensor *b, double alpha, struct fk_error *err)
{
    struct tensor *w = model_adaptable(m, name);
    uint64_t rank = a->shape[1];
    char text[160];
    if (!w)
        return fail(err, FK_EUNSUPPORTED, "the adapter changes '%s', which is no weight of a plain "
                    "product in this model", name);
    if (rank < 1 || rank > MAX_RANK)
        return fail(err, FK_EFORMAT, "the adapter of '%s' has the rank %llu; it must be 1 to %d", name,
                    (unsigned long long)rank, MAX_RANK);
    TRY(check_half(a, (uint64_t)w->n_cols, rank, err));
    TRY(check_half(b, rank, (uint64_t)w->n_rows, err));
    struct model_adapter *p = arena_alloc(&m->memory, sizeof *p);
    snprintf(text, sizeof text, "%s.lora_a", name);
    char *name_a = arena_strndup(&m->memory, text, strlen(text));
    text[strlen(text) - 1] = 'b';
    char *name_b = arena_strndup(&m->memory, text, strlen(text));
    if (!p || !name_a || !name_b) return fail_nomem(err, sizeof *p, "an adapter");
    *p = (struct model_adapter){.a = view(a, name_a), .b = view(b, name_b), .weight = w,
                                .next = m->adapters};
    p->link = (struct tensor_adapter){&p->a, &p->b, alpha > 0 ? (float)(alpha / (double)rank) : 1.0f};
    m->adapters = p;
    m->weight_bytes += a->bytes + b->bytes;
    m->active_bytes += a->bytes + b->bytes;
    m->n_params += (uint64_t)(tensor_n_elements(&p->a) + tensor_n_elements(&p->b));
    m->n_active_params += (uint64_t)(tensor_n_elements(&p->a) + tensor_n_elements(&p->b));
    return FK_OK;
}

/* The name of the weight of which t is one half, and the other half. */
static enum fk_status other_half(const struct gguf *g, const struct gguf_tensor *t, char name[128],
                                 const struct gguf_tensor **other, struct fk_error *err)
{
    static const char end[] = ".lora_";
    size_t k = sizeof end - 1;
    char whole[160];
    int n = (int)(t->name.n < 96 ? t->name.n : 96);
    if (t->name.n < k + 2 || t->name.n >= 128 || memchr(t->name.p, 0, t->name.n) ||
        memcmp(t->name.p + t->name.n - k - 1, end, k) ||
        (t->name.p[t->name.n - 1] != 'a' && t->name.p[t->name.n - 1] != 'b'))
        return fail(err, FK_EUNSUPPORTED, "%s holds '%.*s', which is neither a .lora_a nor a .lora_b",
                    gguf_path(g), n, t->name.p);
    memcpy(name, t->name.p, t->name.n - k - 1);
    name[t->name.n - k - 1] = 0;
    snprintf(whole, sizeof whole, "%s%s%c", name, end, t->name.p[t->name.n - 1] == 'a' ? 'b' : 'a');
    *other = gguf_find_tensor(g, whole);
    if (*other) return FK_OK;
    return fail(err, FK_EFORMAT, "%s holds '%.*s' but not '%s'", gguf_path(g), n, t->name.p, whole);
}

static enum fk_status tie_all(struct model *m, const struct gguf *g, struct fk_error *err)
{
    double alpha = 0;
    TRY(check_kind(m, g, &alpha, err));
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i), *other;
        char name[128];
        TRY(other_half(g, t, name, &other, err)); /* (2) */
        if (t->name.p[t->name.n - 1] == 'a') TRY(tie(m, name, t, other, alpha, err));
    }
    if (m->adapters) return FK_OK;
    return fail(err, FK_EFORMAT, "%s holds no adapters", gguf_path(g));
}

enum fk_status model_add_adapter(struct model *m, const char *path, struct fk_error *err)
{
    if (m->adapter_gguf) return fail(err, FK_ESTATE, "the model has an adapter already");
    TRY(gguf_open(&m->adapter_gguf, path, err));
    enum fk_status st = tie_all(m, m->adapter_gguf, err);
    if (st) return st;
    for (struct model_adapter *p = m->adapters; p; p = p->next) p->weight->adapter = &p->link;
    return FK_OK;
}
