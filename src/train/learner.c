/* SPDX-License-Identifier: Apache-2.0
 * learner.c - one gradient. */
#include "src/train/learner.h"
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/train/lora.h"
#include "src/train/optim.h"

static enum fk_status add_params(struct learner *l, struct fk_error *err)
{
    const struct train_params *p = &l->params;
    for (size_t i = 0; i < p->n_items; i++) {
        const struct param_item *it = &p->items[i];
        struct tensor t = {.dtype = DT_F32, .n_cols = it->n_cols, .n_rows = it->n_rows,
                           .n_mats = it->n_mats, .row_bytes = (size_t)it->n_cols * sizeof(float),
                           .mat_bytes = (size_t)(it->n_rows * it->n_cols) * sizeof(float),
                           .data = p->w + it->offset, .name = it->name};
        if (it->kind == PARAM_ROUTE_BIAS) continue;
        TRY(tape_add_param(pass_tape(l->pass), &t, p->grad + it->offset, err));
    }
    return FK_OK;
}

/* adapter: NULL, or the file of what is to learn. */
static enum fk_status open_weights(struct learner *l, const char *path, const char *adapter,
                                   struct fk_error *err)
{
    TRY(model_open(&l->model, path, true, err));
    if (!adapter) {
        TRY(train_params_open(&l->params, l->model->gguf, err));
        return train_params_lend(&l->params, l->model, err);
    }
    l->is_adapter = true;
    TRY(model_add_adapter(l->model, adapter, err));
    TRY(lora_check_base(l->model->adapter_gguf, l->model, err));
    TRY(train_params_open(&l->params, l->model->adapter_gguf, err));
    return lora_lend(&l->params, l->model, err);
}

static enum fk_status open_parts(struct learner *l, const char *path, const char *adapter,
                                 int n_threads, struct fk_error *err)
{
    struct device_params dp = {.n_threads = n_threads};
    TRY(open_weights(l, path, adapter, err));
    l->n_ctx = l->model->config.n_ctx_train;
    TRY(device_cpu_create(&l->device, &dp, err));
    TRY(pass_create(&l->pass, l->model, l->device, (int)l->max_tokens, err));
    TRY(add_params(l, err));
    const struct model_config *c = &l->model->config;
    size_t n_load = (size_t)c->n_layers * (size_t)(c->n_experts + 1);
    l->load = mem_calloc(n_load, sizeof *l->load, MEM_TRAIN);
    l->coef = mem_array((size_t)l->max_tokens, sizeof *l->coef, MEM_TRAIN);
    if (!l->load || !l->coef) return fail_nomem(err, n_load * sizeof *l->load, "a learner");
    return FK_OK;
}

enum fk_status learner_open(struct learner *l, const char *path, int n_threads, int64_t max_tokens,
                            struct fk_error *err)
{
    *l = (struct learner){.max_tokens = max_tokens};
    enum fk_status st = open_parts(l, path, NULL, n_threads, err);
    if (st) learner_close(l);
    return st;
}

enum fk_status learner_open_adapter(struct learner *l, const char *base, const char *adapter,
                                    int n_threads, int64_t max_tokens, struct fk_error *err)
{
    *l = (struct learner){.max_tokens = max_tokens};
    enum fk_status st = open_parts(l, base, adapter, n_threads, err);
    if (st) learner_close(l);
    return st;
}

void learner_close(struct learner *l)
{
    pass_destroy(&l->pass);
    device_destroy(&l->device);
    model_close(&l->model);
    train_params_fini(&l->params);
    mem_free(l->load);
    mem_free(l->coef);
    *l = (struct learner){0};
}

struct counter {
    struct learner *l;
    int i_layer;
};

static void count_route(void *arg, const struct tensor *ids, const struct tensor *bias,
                        int64_t n_experts)
{
    struct counter *c = arg;
    (void)bias;
    int64_t *load = c->l->load + (size_t)c->i_layer++ * (size_t)n_experts;
    for (int64_t t = 0; t < ids->n_rows; t++) {
        const int32_t *id = (const void *)tensor_row_f32(ids, t);
        for (int64_t i = 0; i < ids->n_cols; i++) load[id[i]]++;
    }
}

void learner_count_load(struct learner *l)
{
    struct counter counter = {l, 0};
    tape_each_route(pass_tape(l->pass), count_route, &counter);
}

void learner_balance(struct learner *l, double rate)
{
    const struct model_config *c = &l->model->config;
    const int64_t *load = l->load;
    for (int i = 0; i < c->n_layers && !l->is_adapter; i++) { /* a base's biases are its file's */
        if (!l->model->layers[i].is_moe) continue;
        const struct tensor *bias = l->model->layers[i].router_bias;
        if (bias) optim_route_bias(bias->data, load, c->n_experts, rate);
        load += c->n_experts;
    }
    memset(l->load, 0, (size_t)c->n_layers * (size_t)c->n_experts * sizeof *l->load);
}

enum fk_status learner_gradient(struct learner *l, const struct pack *b, double balance,
                                struct learner_sums *out, struct fk_error *err)
{
    /* The tape's unit is the sum over rows, the loss here is a mean. */
    tape_set_balance(pass_tape(l->pass), (float)(balance / b->n_tokens));
    TRY(pass_forward(l->pass, b->docs, b->n_docs, err));
    int n = pass_n_targets(l->pass);
    double sum = 0, n_best = 0;
    for (int i = 0; i < n; i++) {
        sum -= (double)pass_logp(l->pass)[i];
        n_best += pass_is_best(l->pass)[i];
        l->coef[i] = (float)(1 / (double)n);
    }
    *out = (struct learner_sums){sum / n, n_best / n, n};
    learner_count_load(l);
    return pass_backward(l->pass, l->coef, err);
}
