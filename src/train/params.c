/* SPDX-License-Identifier: Apache-2.0
 * params.c - reads weights into arenas and points a model's tensors at them. */
#include <string.h>
#include "src/base/fail.h"
#include "src/train/params.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && !memcmp(s + n - k, end, k);
}

static enum param_kind kind_of(const struct param_item *it)
{
    if (ends_with(it->name, "exp_probs_b.bias") || ends_with(it->name, "exp_probs_b"))
        return PARAM_ROUTE_BIAS;
    return it->n_rows == 1 && it->n_mats == 1 ? PARAM_VECTOR : PARAM_MATRIX;
}

static enum fk_status add_item(struct train_params *p, const struct gguf_tensor *t,
                               struct fk_error *err)
{
    struct param_item *it = &p->items[p->n_items];
    if (t->name.n >= sizeof it->name)
        return fail(err, FK_EFORMAT, "tensor '%.*s' has a name of %zu bytes; training takes %zu",
                    64, t->name.p, t->name.n, sizeof it->name - 1);
    memcpy(it->name, t->name.p, t->name.n);
    if (t->dtype != DT_F32)
        return fail(err, FK_EUNSUPPORTED, "tensor '%s' has the type %s; training starts from F32",
                    it->name, dtype_name(t->dtype));
    if (t->shape[3] != 1)
        return fail(err, FK_EUNSUPPORTED, "tensor '%s' has four dimensions", it->name);
    it->n_cols = (int64_t)t->shape[0];
    it->n_rows = (int64_t)t->shape[1];
    it->n_mats = (int64_t)t->shape[2];
    it->n = (size_t)(t->bytes / sizeof(float));
    it->kind = kind_of(it);
    it->offset = p->n_floats;
    size_t end, padded;
    if (!size_add(p->n_floats, it->n, &end) || !size_add(end, PARAM_ALIGN - 1, &padded))
        return fail(err, FK_ETOOBIG, "the weights are too many to count");
    p->n_floats = padded / PARAM_ALIGN * PARAM_ALIGN;
    p->n_weights += it->n;
    p->n_items++;
    return FK_OK;
}

static enum fk_status take_memory(struct train_params *p, struct fk_error *err)
{
    float **arrays[] = {&p->w, &p->grad, &p->m, &p->v};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        *arrays[i] = mem_calloc(p->n_floats, sizeof(float), MEM_MODEL);
        if (!*arrays[i])
            return fail_nomem(err, (unsigned long long)p->n_floats * sizeof(float), "weights");
    }
    return FK_OK;
}

enum fk_status train_params_open(struct train_params *p, const struct gguf *g, struct fk_error *err)
{
    *p = (struct train_params){0};
    size_t n = gguf_n_tensors(g);
    if (!n) return fail(err, FK_EFORMAT, "'%s' holds no tensors", gguf_path(g));
    p->items = mem_calloc(n, sizeof *p->items, MEM_MODEL);
    if (!p->items) return fail_nomem(err, n * sizeof *p->items, "the table of weights");
    enum fk_status st = FK_OK;
    for (size_t i = 0; i < n; i++) TRY_GOTO(add_item(p, gguf_tensor_at(g, i), err), failed);
    TRY_GOTO(take_memory(p, err), failed);
    for (size_t i = 0; i < n; i++)
        memcpy(p->w + p->items[i].offset, gguf_tensor_at(g, i)->data, p->items[i].n * sizeof(float));
    return FK_OK;
failed:
    train_params_fini(p);
    return st;
}

void train_params_fini(struct train_params *p)
{
    mem_free(p->items);
    mem_free(p->w);
    mem_free(p->grad);
    mem_free(p->m);
    mem_free(p->v);
    *p = (struct train_params){0};
}

const struct param_item *train_params_find(const struct train_params *p, const char *name)
{
    for (size_t i = 0; i < p->n_items; i++)
        if (!strcmp(p->items[i].name, name)) return &p->items[i];
    return NULL;
}

static enum fk_status each_of_layer(struct model_layer *l, model_tensor_fn fn, void *arg,
                                    struct fk_error *err)
{
    struct tensor *all[] = {
        l->attn_norm, l->wq, l->wk, l->wv, l->wo, l->bq, l->bk, l->bv, l->bo, l->q_norm, l->k_norm,
        l->attn_post_norm, l->ffn_post_norm, l->q_a, l->q_a_norm, l->q_b, l->kv_a, l->kv_a_norm,
        l->k_b, l->v_b, l->kv_b, l->v_b_flat, l->ffn_norm, l->gate, l->up, l->down, l->router,
        l->router_bias, l->gate_exps, l->up_exps, l->down_exps, l->gate_shared, l->up_shared,
        l->down_shared};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i]) TRY(fn(arg, all[i], err));
    return FK_OK;
}

enum fk_status train_each_tensor(struct model *m, model_tensor_fn fn, void *arg, struct fk_error *err)
{
    TRY(fn(arg, m->tok_embd, err));
    TRY(fn(arg, m->output_norm, err));
    if (m->output != m->tok_embd) TRY(fn(arg, m->output, err));
    for (int i = 0; i < m->config.n_layers; i++) TRY(each_of_layer(&m->layers[i], fn, arg, err));
    return FK_OK;
}

/* v_b_flat, and views into an unsplit kv_b, lie somewhere inside the file's tensor: the distance is
 * kept. Vectors may have been copied, so they have none. */
struct lender {
    const struct train_params *p;
    const struct gguf *g;
};

static enum fk_status lend(void *arg, struct tensor *t, struct fk_error *err)
{
    const struct lender *l = arg;
    const struct param_item *it = t->name ? train_params_find(l->p, t->name) : NULL;
    const struct gguf_tensor *g = t->name ? gguf_find_tensor(l->g, t->name) : NULL;
    if (!it || !g)
        return fail(err, FK_EFORMAT, "the model's tensor '%s' is not among the weights",
                    t->name ? t->name : "?");
    uintptr_t from = (uintptr_t)t->data, base = (uintptr_t)g->data;
    size_t shift = from >= base && from < base + g->bytes ? (size_t)(from - base) : 0;
    t->data = (char *)(l->p->w + it->offset) + shift;
    return FK_OK;
}

enum fk_status train_params_lend(const struct train_params *p, struct model *m, struct fk_error *err)
{
    struct lender l = {p, m->gguf};
    return train_each_tensor(m, lend, &l, err);
}
