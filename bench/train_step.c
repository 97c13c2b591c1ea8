/* SPDX-License-Identifier: Apache-2.0
 * train_step.c - how fast a training step of a model is: forward, loss and backward over packed
 * documents. Usage: train_step MODEL.gguf [threads [rows [document [reps]]]]; prints tokens/s and
 * GFLOP/s, counting 6 per active weight and token and the causal half of attention. */
#include <stdio.h>
#include <stdlib.h>
#include "src/base/clock.h"
#include "src/tape/pass.h"

struct weights {
    struct pass *pass;
    double n_active;
};

static int add(struct weights *w, struct tensor *t, double share)
{
    struct fk_error err;
    if (!t) return 0;
    float *grad = mem_calloc((size_t)tensor_n_elements(t), sizeof(float), MEM_MISC);
    w->n_active += (double)tensor_n_elements(t) * share;
    if (!grad || tape_add_param(pass_tape(w->pass), t, grad, &err) != FK_OK) return 1;
    return 0;
}

static int add_all(struct weights *w, struct model *m)
{
    double share = (double)m->config.n_experts_used / m->config.n_experts;
    int bad = add(w, m->output, 1) + add(w, m->output_norm, 0);
    if (m->tok_embd != m->output) bad += add(w, m->tok_embd, 0);
    for (int i = 0; i < m->config.n_layers; i++) {
        struct model_layer *l = &m->layers[i];
        struct tensor *all[] = {l->wq, l->q_a, l->q_b, l->kv_a, l->kv_b ? l->kv_b : l->v_b, l->kv_b ? NULL : l->k_b, l->wo, l->gate, l->up,
                                l->down, l->router, l->gate_shared, l->up_shared, l->down_shared};
        struct tensor *experts[] = {l->gate_exps, l->up_exps, l->down_exps};
        struct tensor *norms[] = {l->attn_norm, l->q_a_norm, l->kv_a_norm, l->ffn_norm};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) bad += add(w, all[k], 1);
        for (size_t k = 0; k < 3; k++) bad += add(w, experts[k], share);
        for (size_t k = 0; k < 4; k++) bad += add(w, norms[k], 0);
    }
    return bad;
}

int main(int argc, char **argv)
{
    struct fk_error err = {0};
    struct device *d = NULL;
    struct model *m = NULL;
    struct weights w = {0};
    int threads = argc > 2 ? atoi(argv[2]) : 2, rows = argc > 3 ? atoi(argv[3]) : 2048;
    int len = argc > 4 ? atoi(argv[4]) : 128, reps = argc > 5 ? atoi(argv[5]) : 5;
    struct device_params dp = {.n_threads = threads};
    if (argc < 2 || len < 2 || rows < len || reps < 1) return 2;
    if (device_cpu_create(&d, &dp, &err) || model_open(&m, argv[1], false, &err) ||
        pass_create(&w.pass, m, d, rows, &err) || add_all(&w, m)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int n_docs = rows / len;
    int32_t *tokens = mem_calloc((size_t)rows, sizeof *tokens, MEM_MISC);
    uint8_t *targets = mem_calloc((size_t)rows, 1, MEM_MISC);
    struct pass_doc *docs = mem_calloc((size_t)n_docs, sizeof *docs, MEM_MISC);
    if (!tokens || !targets || !docs) return 1;
    for (int i = 0; i < rows; i++) {
        tokens[i] = (i * 7919 + i / 13) % m->config.n_vocab;
        targets[i] = i % len > len / 3;
    }
    for (int i = 0; i < n_docs; i++) docs[i] = (struct pass_doc){tokens + i * len, targets + i * len, len};
    double best_f = 1e9, best_b = 1e9;
    for (int r = 0; r <= reps; r++) { /* the first warms up */
        double t0 = clock_seconds();
        if (pass_forward(w.pass, docs, n_docs, &err)) break;
        double t1 = clock_seconds();
        if (pass_backward(w.pass, NULL, &err)) break;
        double t2 = clock_seconds();
        if (r && t1 - t0 < best_f) best_f = t1 - t0;
        if (r && t2 - t1 < best_b) best_b = t2 - t1;
    }
    if (err.message[0]) fprintf(stderr, "%s\n", err.message);
    const struct model_config *c = &m->config;
    double n = (double)n_docs * len;
    double attention = 6.0 * c->n_layers * c->n_heads * (c->head_dim + c->v_head_dim) * len / 2;
    double flop = (6 * w.n_active + attention) * n, t = best_f + best_b;
    printf("%.0f tokens, %d threads: forward %.1f ms, backward %.1f ms, %.0f tokens/s, %.1f GFLOP/s "
           "(forward %.1f, backward %.1f)\n", n, threads, 1e3 * best_f, 1e3 * best_b, n / t,
           1e-9 * flop / t, 1e-9 * flop / 3 / best_f, 1e-9 * flop / 1.5 / best_b);
    return 0;
}
