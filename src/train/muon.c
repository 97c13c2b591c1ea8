/* SPDX-License-Identifier: Apache-2.0
 * muon.c - the orthogonal update, matrix by matrix. Serial, so its bits do not depend on threads. */
#include "src/train/muon.h"
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/tape/gemm.h"

#define ROUNDS 5

static bool has(const struct param_item *it, const char *part)
{
    return strstr(it->name, part) != NULL;
}

bool muon_takes(const struct param_item *it)
{
    return it->kind == PARAM_MATRIX && it->n_rows > 1 && it->n_cols > 1 &&
           strcmp(it->name, "token_embd.weight") && strcmp(it->name, "output.weight") &&
           !has(it, "ffn_gate_inp");
}

enum fk_status muon_create(struct muon **out, const struct train_params *p, struct fk_error *err)
{
    size_t n_max = 1, side_max = 1;
    *out = NULL;
    tape_gemm_init();
    for (size_t i = 0; i < p->n_items; i++) {
        const struct param_item *it = &p->items[i];
        size_t n = (size_t)(it->n_rows * it->n_cols);
        size_t side = (size_t)(it->n_rows < it->n_cols ? it->n_rows : it->n_cols);
        if (!muon_takes(it)) continue;
        if (n > n_max) n_max = n;
        if (side > side_max) side_max = side;
    }
    struct muon *m = mem_zalloc(sizeof *m, MEM_TRAIN);
    if (!m) return fail_nomem(err, sizeof *m, "the optimizer");
    float **all[] = {&m->u, &m->x, &m->next, &m->a, &m->b};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        size_t n = i < 3 ? n_max : side_max * side_max;
        *all[i] = mem_array(n, sizeof(float), MEM_TRAIN);
        if (*all[i]) continue;
        muon_destroy(&m);
        return fail_nomem(err, n * sizeof(float), "the optimizer");
    }
    *out = m;
    return FK_OK;
}

void muon_destroy(struct muon **out)
{
    struct muon *m = *out;
    if (!m) return;
    mem_free(m->u);
    mem_free(m->x);
    mem_free(m->next);
    mem_free(m->a);
    mem_free(m->b);
    mem_free(m);
    *out = NULL;
}

/* u[rows, cols] becomes x[n, k], n <= k: transposed where there are more rows, and of norm 1. */
static void normalise(const float *u, int64_t n_rows, int64_t n_cols, float *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n_rows * n_cols; i++) sum += (double)u[i] * (double)u[i];
    float scale = (float)(1 / (sqrt(sum) + 1e-7));
    bool flips = n_rows > n_cols;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t c = 0; c < n_cols; c++)
            x[flips ? c * n_rows + r : r * n_cols + c] = scale * u[r * n_cols + c];
}

/* One round on x[n, k]; the result is in s->next. */
static void one_round(struct muon *s, const float *x, int64_t n, int64_t k)
{
    /* a[n,n] = x x^T;  b[n,n] = -4.7750 a + 2.0315 a a;  next[n,k] = 3.4445 x + b x */
    tape_gemm(&(struct gemm){.tb = true, .m = n, .n = n, .k = k, .alpha = 1, .a = x, .lda = k, .b = x,
                             .ldb = k, .c = s->a, .ldc = n});
    memcpy(s->b, s->a, (size_t)(n * n) * sizeof(float));
    tape_gemm(&(struct gemm){.m = n, .n = n, .k = n, .alpha = 2.0315f, .a = s->a, .lda = n, .b = s->a,
                             .ldb = n, .beta = -4.7750f, .c = s->b, .ldc = n});
    memcpy(s->next, x, (size_t)(n * k) * sizeof(float));
    tape_gemm(&(struct gemm){.m = n, .n = k, .k = n, .alpha = 1, .a = s->b, .lda = n, .b = x, .ldb = k,
                             .beta = 3.4445f, .c = s->next, .ldc = k});
}

static void update_matrix(struct muon *s, float *w, float *g, float *m, int64_t n_rows, int64_t n_cols,
                          float mu, float keep, float lr, float scale)
{
    bool flips = n_rows > n_cols;
    int64_t n = flips ? n_cols : n_rows, k = flips ? n_rows : n_cols;
    for (int64_t i = 0; i < n * k; i++) {
        float x = g[i] * scale;
        m[i] = mu * m[i] + x;
        s->u[i] = x + mu * m[i];
        g[i] = 0;
    }
    normalise(s->u, n_rows, n_cols, s->x);
    for (int i = 0; i < ROUNDS; i++) {
        one_round(s, s->x, n, k);
        float *swap = s->x;
        s->x = s->next;
        s->next = swap;
    }
    float step = lr * 0.2f * sqrtf((float)k);
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t c = 0; c < n_cols; c++)
            w[r * n_cols + c] = keep * w[r * n_cols + c] -
                                step * s->x[flips ? c * n_rows + r : r * n_cols + c];
}

void muon_update(struct muon *s, struct train_params *p, const struct param_item *it, double momentum,
                 double lr, double decay, double scale)
{
    size_t n = (size_t)(it->n_rows * it->n_cols);
    for (int64_t i = 0; i < it->n_mats; i++) {
        size_t at = it->offset + (size_t)i * n;
        update_matrix(s, p->w + at, p->grad + at, p->m + at, it->n_rows, it->n_cols, (float)momentum,
                      (float)(1 - lr * decay), (float)lr, (float)scale);
    }
}
