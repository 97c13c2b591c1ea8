/* SPDX-License-Identifier: Apache-2.0
 * tape.c - recording, the table of gradients by id, and the walk backward. What each op's gradient
 * is stands in the grad_* files. */
#include <stdlib.h>
#include <string.h>
#include "src/tape/tape_impl.h"

#define BLOCK_BYTES ((size_t)4 << 20)

static enum fk_status (*const grads[OP_N_KINDS])(struct tape *, const struct op_call *,
                                                 struct fk_error *) = {
    [OP_EMBED] = tape_embed,           [OP_MATMUL] = tape_matmul,
    [OP_MATMUL_HEADS] = tape_matmul_heads, [OP_RMSNORM] = tape_rmsnorm,
    [OP_ADD] = tape_add,               [OP_SCALE] = tape_scale,
    [OP_ROPE] = tape_rope,             [OP_CONCAT] = tape_concat,
    [OP_GLU] = tape_glu,               [OP_ATTENTION] = tape_attention,
    [OP_ROUTE] = tape_route,           [OP_EXPERTS] = tape_experts,
    [OP_TAKE_ROWS] = tape_take_rows,   [OP_SOFTCAP] = tape_softcap,
    [OP_COLUMNS] = tape_columns,
    /* OP_KV_WRITE: attention's gradient goes straight to what was written. */
};

/* Doubles *items until it holds n. */
static bool grow(void **items, size_t *cap, size_t n, size_t item_bytes)
{
    size_t want = *cap ? *cap : 64, bytes;
    while (want < n) want *= 2;
    if (want == *cap) return true;
    if (!size_mul(want, item_bytes, &bytes)) return false;
    void *p = mem_realloc(*items, bytes, MEM_TRAIN);
    if (!p) return false;
    *items = p;
    *cap = want;
    return true;
}

static void record(void *arg, const struct op_call *call)
{
    struct tape *t = arg;
    if (t->status != FK_OK) return;
    if (!grow((void **)&t->calls, &t->cap_calls, t->n_calls + 1, sizeof *t->calls)) {
        t->status = fail_nomem(&t->error, t->n_calls * sizeof *t->calls, "the tape");
        return;
    }
    struct kept_call *k = &t->calls[t->n_calls++];
    k->call = *call;
    if (call->attention) k->attention = *call->attention;
}

enum fk_status tape_create(struct tape **out, struct device *device, struct fk_error *err)
{
    tape_gemm_init();
    *out = NULL;
    struct tape *t = mem_zalloc(sizeof *t, MEM_TRAIN);
    if (!t) return fail_nomem(err, sizeof *t, "a tape");
    t->device = device;
    t->recorder = (struct op_recorder){.arg = t, .record = record};
    arena_init(&t->memory, BLOCK_BYTES, 0, MEM_TRAIN);
    arena_init(&t->scratch, BLOCK_BYTES, 0, MEM_TRAIN);
    *out = t;
    return FK_OK;
}

void tape_destroy(struct tape **t)
{
    if (!*t) return;
    arena_fini(&(*t)->memory);
    arena_fini(&(*t)->scratch);
    mem_free((*t)->calls);
    mem_free((*t)->params);
    mem_free((*t)->grads);
    mem_free(*t);
    *t = NULL;
}

enum fk_status tape_add_param(struct tape *t, const struct tensor *w, float *grad,
                              struct fk_error *err)
{
    size_t row = (size_t)w->n_cols * (w->dtype == DT_BF16 ? sizeof(uint16_t) : sizeof(float));
    if ((w->dtype != DT_F32 && w->dtype != DT_BF16) || w->row_bytes != row ||
        w->mat_bytes != row * (size_t)w->n_rows)
        return fail(err, FK_EINVAL, "parameter %s is no f32 or bf16 tensor without gaps",
                    w->name ? w->name : "(unnamed)");
    if (!grow((void **)&t->params, &t->cap_params, t->n_params + 1, sizeof *t->params))
        return fail_nomem(err, t->n_params * sizeof *t->params, "the table of parameters");
    t->params[t->n_params++] = (struct param){w->data, grad, (uint64_t)tensor_n_elements(w)};
    t->params_sorted = false;
    return FK_OK;
}

struct op_recorder *tape_recorder(struct tape *t)
{
    return &t->recorder;
}

void tape_begin(struct tape *t, const struct batch *batch)
{
    t->n_calls = 0;
    t->batch = batch;
    t->status = FK_OK;
    t->rope_key = NULL;
    t->balance_loss = 0;
    arena_reset_whole(&t->memory);
    if (t->n_grads) memset(t->grads, 0, t->n_grads * sizeof *t->grads);
    t->n_grads = 0;
}

void tape_set_bf16(struct tape *t, bool is_bf16)
{
    t->is_bf16 = is_bf16;
}

void tape_set_balance(struct tape *t, float coefficient)
{
    t->balance = coefficient;
}

double tape_balance_loss(const struct tape *t)
{
    return t->balance_loss;
}

static int by_data(const void *a, const void *b)
{
    const struct param *x = a, *y = b;
    return x->data < y->data ? -1 : x->data > y->data;
}

float *tape_param_grad(const struct tape *t, const struct tensor *w)
{
    size_t lo = 0, hi = t->n_params;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->params[mid].data == w->data) return t->params[mid].grad;
        if (t->params[mid].data < w->data)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const float *tape_grad_of(const struct tape *t, const struct tensor *x)
{
    return x && x->id < t->n_grads ? t->grads[x->id].data : NULL;
}

float *tape_grad_claim(struct tape *t, const struct tensor *x, bool *is_new, enum fk_status *st,
                       struct fk_error *err)
{
    if (*st != FK_OK) return NULL;
    size_t n = (size_t)x->id + 1;
    if (n > t->n_grads) {
        size_t had = t->cap_grads;
        if (!grow((void **)&t->grads, &t->cap_grads, n, sizeof *t->grads)) {
            *st = fail_nomem(err, n * sizeof *t->grads, "the table of gradients");
            return NULL;
        }
        memset(t->grads + had, 0, (t->cap_grads - had) * sizeof *t->grads);
        t->n_grads = n;
    }
    struct grad *g = &t->grads[x->id];
    *is_new = !g->data;
    if (g->data) return g->data;
    g->data = arena_array(&t->memory, (size_t)(x->n_rows * x->n_cols), sizeof(float));
    g->n_rows = x->n_rows;
    g->n_cols = x->n_cols;
    if (!g->data)
        *st = fail_nomem(err, (uint64_t)(x->n_rows * x->n_cols) * sizeof(float), "gradients");
    return g->data;
}

float *tape_grad_into(struct tape *t, const struct tensor *x, enum fk_status *st,
                      struct fk_error *err)
{
    bool is_new;
    float *g = tape_grad_claim(t, x, &is_new, st, err);
    if (g && is_new) memset(g, 0, (size_t)(x->n_rows * x->n_cols) * sizeof(float));
    return g;
}

void *tape_scratch(struct tape *t, size_t n, size_t bytes, enum fk_status *st,
                   struct fk_error *err)
{
    if (*st != FK_OK) return NULL;
    void *p = arena_array(&t->scratch, n, bytes);
    if (!p) *st = fail_nomem(err, (unsigned long long)n * bytes, "scratch of a gradient");
    return p;
}

const float *tape_weight(struct tape *t, const struct op_call *call, int i, enum fk_status *st,
                         struct fk_error *err)
{
    const struct tensor *w = call->w[i];
    size_t row = (size_t)w->n_cols * sizeof(float);
    if (*st != FK_OK) return NULL;
    if (w->dtype == DT_F32 && w->row_bytes == row &&
        (w->n_mats == 1 || w->mat_bytes == row * (size_t)w->n_rows))
        return w->data;
    float *copy = tape_scratch(t, (size_t)tensor_n_elements(w), sizeof *copy, st, err);
    if (copy) *st = device_read_weight(t->device, w, 0, w->n_mats, call->bits, copy, err);
    return *st == FK_OK ? copy : NULL;
}

struct rows_job {
    tape_rows_fn fn;
    void *arg;
    int64_t n_rows;
};

static void rows_chunk(void *arg, int64_t chunk, int worker)
{
    const struct rows_job *j = arg;
    (void)worker;
    int64_t first = chunk * TAPE_ROWS, end = first + TAPE_ROWS;
    j->fn(j->arg, first, end < j->n_rows ? end : j->n_rows);
}

void tape_rows(struct tape *t, tape_rows_fn fn, void *arg, int64_t n_rows)
{
    struct rows_job j = {fn, arg, n_rows};
    device_parallel(t->device, rows_chunk, &j, (n_rows + TAPE_ROWS - 1) / TAPE_ROWS);
}

/* True if a gradient reached some output of the call. */
static bool matters(const struct tape *t, const struct op_call *call)
{
    for (int i = 0; i < call->n_out; i++)
        if (tape_grad_of(t, call->out[i])) return true;
    return false;
}

enum fk_status tape_backward(struct tape *t, const struct tensor *out, const float *dout,
                             struct fk_error *err)
{
    if (t->status != FK_OK) {
        if (err) *err = t->error;
        return t->status;
    }
    for (int i = 0; i < t->batch->n_seqs; i++)
        if (t->batch->seqs[i].pos0)
            return fail(err, FK_EINVAL, "sequence %d of a training batch starts at position %d", i,
                        t->batch->seqs[i].pos0);
    if (!t->params_sorted && t->n_params)
        qsort(t->params, t->n_params, sizeof *t->params, by_data);
    t->params_sorted = true;
    enum fk_status st = FK_OK;
    bool is_new;
    float *g = tape_grad_claim(t, out, &is_new, &st, err);
    if (!g) return st;
    memcpy(g, dout, (size_t)(out->n_rows * out->n_cols) * sizeof(float));
    for (size_t i = t->n_calls; i-- > 0;) {
        struct op_call *call = &t->calls[i].call;
        if (call->attention) call->attention = &t->calls[i].attention;
        bool is_balanced = call->kind == OP_ROUTE && t->balance != 0;
        if (!grads[call->kind] || (!is_balanced && !matters(t, call))) continue;
        arena_reset_whole(&t->scratch);
        TRY(grads[call->kind](t, call, err));
    }
    return FK_OK;
}

void tape_each_route(const struct tape *t, tape_route_fn fn, void *arg)
{
    for (size_t i = 0; i < t->n_calls; i++) {
        const struct op_call *c = &t->calls[i].call;
        if (c->kind == OP_ROUTE) fn(arg, c->out[0], c->bias[0], c->in[0]->n_cols);
    }
}
