/* SPDX-License-Identifier: Apache-2.0
 * gold.c - reads golden files; drives a model by steps. */
#include "tests/golden/gold.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/map.h"

#define PAGE_TOKENS 16

const char *gold_path(const char *name)
{
    static char path[1024];
    const char *dir = getenv("FIKR_GOLDEN_DIR");
    snprintf(path, sizeof path, "%s/%s", dir ? dir : "tests/golden", name);
    return path;
}

void gold_read(struct gold *g, const char *name)
{
    char file[64];
    size_t bytes;
    struct fk_error err;
    snprintf(file, sizeof file, "%s.gold", name);
    if (file_read(gold_path(file), 1 << 20, &g->data, &bytes, &err) != FK_OK)
        fail_msg("%s", err.message);
    assert_true(bytes > 24 && !memcmp(g->data, "FKGOLD01", 8));
    memcpy(&g->n_ids, g->data + 8, 16);
    assert_int_equal(bytes, 24 + 4 * ((size_t)g->n_ids * (1 + g->n_vocab) + 2 * g->n_greedy));
    g->ids = (int32_t *)(void *)(g->data + 24);
    g->logits = (float *)(void *)(g->ids + g->n_ids);
    g->greedy = (int32_t *)(void *)(g->logits + (size_t)g->n_ids * g->n_vocab);
    g->gap = (float *)(void *)(g->greedy + g->n_greedy);
}

void gold_free(struct gold *g)
{
    mem_free(g->data);
}

void rig_open(struct rig *r, const char *path, int n_threads, enum dtype kv, enum mla_form form)
{
    struct fk_error err;
    struct device_params p = {.n_threads = n_threads};
    *r = (struct rig){0};
    if (model_open(&r->model, path, false, &err) != FK_OK) fail_msg("%s", err.message);
    if (device_cpu_create(&r->device, &p, &err) != FK_OK) fail_msg("%s", err.message);
    ops_init(&r->ops, r->device, 0);
    if (model_kv_layout(r->model, kv, form, PAGE_TOKENS, &r->kv, &err) != FK_OK)
        fail_msg("%s", err.message);
    r->n_pages = RIG_MAX_TOKENS / PAGE_TOKENS;
    for (int i = 0; i < r->n_pages; i++) {
        r->pages[i] = mem_alloc(r->kv.page_bytes, MEM_KV);
        assert_non_null(r->pages[i]);
    }
    rig_rewind(r);
}

void rig_close(struct rig *r)
{
    for (int i = 0; i < r->n_pages; i++) mem_free(r->pages[i]);
    ops_fini(&r->ops);
    device_destroy(&r->device);
    model_close(&r->model);
}

void rig_rewind(struct rig *r)
{
    for (int i = 0; i < r->n_pages; i++) memset(r->pages[i], 0x7c, r->kv.page_bytes);
    r->pos = 0;
}

enum fk_status rig_step(struct rig *r, const int32_t *ids, int n, int n_out, const float **logits,
                        struct fk_error *err)
{
    int32_t pos[RIG_MAX_TOKENS], out[RIG_MAX_TOKENS];
    assert_true(r->pos + n <= RIG_MAX_TOKENS);
    for (int i = 0; i < n; i++) pos[i] = r->pos + i;
    for (int i = 0; i < n_out; i++) out[i] = n - n_out + i;
    struct batch_seq seq = {.n_rows = n, .pos0 = r->pos, .pages = r->pages};
    struct batch b = {.n_rows = n, .tokens = ids, .pos = pos, .n_seqs = 1, .seqs = &seq,
                      .kv = &r->kv, .n_out = n_out, .out_rows = out};
    r->pos += n;
    return model_step(r->model, &r->ops, &b, logits, err);
}

void rig_eval(struct rig *r, const int32_t *ids, int n, int chunk, float *out)
{
    size_t n_vocab = (size_t)r->model->config.n_vocab;
    for (int at = 0; at < n; at += chunk) {
        const float *logits;
        struct fk_error err;
        int m = n - at < chunk ? n - at : chunk;
        if (rig_step(r, ids + at, m, m, &logits, &err) != FK_OK) fail_msg("%s", err.message);
        memcpy(out + (size_t)at * n_vocab, logits, (size_t)m * n_vocab * sizeof(float));
    }
}

int best_of(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}
