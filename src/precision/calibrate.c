/* SPDX-License-Identifier: Apache-2.0
 * calibrate.c - runs a model's own forward in windows of 512 tokens, in chunks of 64, and looks at
 * every matmul through a recorder. What is summed in one run is the caller's choice, so that memory
 * stays bounded: more taps than fit cost another run over the text. */
#include "src/precision/calibrate.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"

#define WINDOW 512
#define CHUNK 64
#define PAGE 64

struct tap {
    const struct tensor *key; /* the first matrix of the call */
    int64_t n;
};

struct use {
    const char *weight;
    int tap;
};

struct calibration {
    const struct model *model;
    struct ops ops;
    struct op_recorder recorder;
    struct kv_layout kv;
    void *pages[WINDOW / PAGE];
    struct token_vec ids;
    struct tap *taps;
    struct use *uses;
    int n_taps, n_uses, cap_taps, cap_uses;
    bool is_learning, failed; /* learning: which taps there are */
    int first, n;
    float *const *out;
};

static bool learn(struct calibration *c, const struct op_call *call)
{
    if (c->n_taps == c->cap_taps) {
        int cap = c->cap_taps ? 2 * c->cap_taps : 64;
        struct tap *t = mem_realloc(c->taps, (size_t)cap * sizeof *t, MEM_MODEL);
        if (!t) return false;
        c->taps = t;
        c->cap_taps = cap;
    }
    for (int i = 0; i < call->n_out; i++) {
        if (c->n_uses == c->cap_uses) {
            int cap = c->cap_uses ? 2 * c->cap_uses : 256;
            struct use *u = mem_realloc(c->uses, (size_t)cap * sizeof *u, MEM_MODEL);
            if (!u) return false;
            c->uses = u;
            c->cap_uses = cap;
        }
        if (call->w[i]->name) c->uses[c->n_uses++] = (struct use){call->w[i]->name, c->n_taps};
    }
    c->taps[c->n_taps++] = (struct tap){call->w[0], call->in[0]->n_cols};
    return true;
}

static void record(void *arg, const struct op_call *call)
{
    struct calibration *c = arg;
    if (call->kind != OP_MATMUL || c->failed) return;
    if (c->is_learning) {
        c->failed = !learn(c, call);
        return;
    }
    for (int i = c->first; i < c->first + c->n; i++) {
        if (c->taps[i].key != call->w[0]) continue;
        const struct tensor *x = call->in[0];
        syrk_upper(c->out[i - c->first], c->taps[i].n, x->data, x->row_bytes / sizeof(float),
                   x->n_rows, 0);
        return;
    }
}

/* Rows [first, first + n) of the window that begins at ids. */
static enum fk_status run_chunk(struct calibration *c, const int32_t *ids, int first, int n,
                                struct fk_error *err)
{
    int32_t pos[CHUNK], rows[CHUNK];
    const float *logits;
    for (int i = 0; i < n; i++) {
        pos[i] = first + i;
        rows[i] = i;
    }
    struct batch_seq seq = {.n_rows = n, .pos0 = first, .pages = c->pages};
    struct batch b = {.n_rows = n, .tokens = ids + first, .pos = pos, .n_seqs = 1, .seqs = &seq,
                      .kv = &c->kv, .n_out = n, .out_rows = rows};
    return model_step(c->model, &c->ops, &b, &logits, err);
}

static enum fk_status tokenize(struct calibration *c, const char *text, size_t n_bytes,
                               size_t max_tokens, struct fk_error *err)
{
    const struct tokenizer *t = c->model->tokenizer;
    if (!t) return fail(err, FK_EINVAL, "the model has no vocabulary to read a calibration text with");
    TRY(tokenizer_encode(t, text, n_bytes, NULL, &c->ids, err));
    if (c->ids.n > max_tokens) c->ids.n = max_tokens;
    if (c->ids.n < 32)
        return fail(err, FK_EINVAL, "the calibration text has %zu tokens; at least 32 are needed",
                    c->ids.n);
    if (!tokenizer_adds_bos(t)) return FK_OK;
    for (size_t i = 0; i < c->ids.n; i += WINDOW) c->ids.ids[i] = tokenizer_bos(t);
    return FK_OK;
}

enum fk_status calibration_create(struct calibration **out, const struct model *m, struct device *d,
                                  const char *text, size_t n_bytes, size_t max_tokens,
                                  struct fk_error *err)
{
    enum fk_status st;
    *out = NULL;
    struct calibration *c = mem_zalloc(sizeof *c, MEM_MODEL);
    if (!c) return fail_nomem(err, sizeof *c, "a calibration");
    c->model = m;
    c->recorder = (struct op_recorder){.arg = c, .record = record};
    ops_init(&c->ops, d, 0);
    c->ops.recorder = &c->recorder;
    c->ops.recorder_looks = true;
    TRY_GOTO(model_kv_layout(m, DT_F32, MLA_AUTO, PAGE, &c->kv, err), failed);
    for (int i = 0; i < WINDOW / PAGE; i++) {
        c->pages[i] = mem_map(c->kv.page_bytes, MEM_KV);
        if (c->pages[i]) continue;
        st = fail_nomem(err, c->kv.page_bytes, "the cache of a calibration");
        goto failed;
    }
    TRY_GOTO(tokenize(c, text, n_bytes, max_tokens, err), failed);
    c->is_learning = true;
    TRY_GOTO(run_chunk(c, c->ids.ids, 0, 1, err), failed);
    c->is_learning = false;
    if (c->failed) {
        st = fail_nomem(err, sizeof *c->uses, "the matrices of a calibration");
        goto failed;
    }
    *out = c;
    return FK_OK;
failed:
    calibration_destroy(&c);
    return st;
}

void calibration_destroy(struct calibration **cp)
{
    struct calibration *c = *cp;
    if (!c) return;
    ops_fini(&c->ops);
    for (int i = 0; i < WINDOW / PAGE; i++)
        if (c->pages[i]) mem_unmap(c->pages[i], c->kv.page_bytes, MEM_KV);
    mem_free(c->ids.ids);
    mem_free(c->taps);
    mem_free(c->uses);
    mem_free(c);
    *cp = NULL;
}

size_t calibration_n_tokens(const struct calibration *c)
{
    return c->ids.n;
}

int calibration_n_taps(const struct calibration *c)
{
    return c->n_taps;
}

int64_t calibration_size(const struct calibration *c, int tap)
{
    return c->taps[tap].n;
}

int calibration_tap(const struct calibration *c, const char *weight)
{
    for (int i = 0; i < c->n_uses; i++)
        if (strcmp(c->uses[i].weight, weight) == 0) return c->uses[i].tap;
    return -1;
}

static void mirror(float *h, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        for (int64_t j = 0; j < i; j++) h[i * n + j] = h[j * n + i];
}

enum fk_status calibration_collect(struct calibration *c, int first, int n, float *const *out,
                                   fk_progress_fn progress, void *progress_arg,
                                   struct fk_error *err)
{
    c->first = first;
    c->n = n;
    c->out = out;
    for (int i = 0; i < n; i++) {
        size_t k = (size_t)c->taps[first + i].n;
        memset(out[i], 0, k * k * sizeof(float));
    }
    enum fk_status st = FK_OK;
    for (size_t at = 0; at < c->ids.n && st == FK_OK; at += CHUNK) {
        size_t window = at / WINDOW * WINDOW;
        int rows = c->ids.n - at < CHUNK ? (int)(c->ids.n - at) : CHUNK;
        if (progress && progress(progress_arg, "calibrating", at, c->ids.n))
            st = fail(err, FK_ECANCELLED, "cancelled after %zu of %zu tokens", at, c->ids.n);
        else
            st = run_chunk(c, c->ids.ids + window, (int)(at - window), rows, err);
    }
    c->n = 0;
    for (int i = 0; i < n; i++) mirror(out[i], c->taps[first + i].n);
    return st;
}
