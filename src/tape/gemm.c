/* SPDX-License-Identifier: Apache-2.0
 * gemm.c - matrix products of the backward pass: the only file that calls BLAS.
 *
 * A product is cut into blocks of rows of its result whose size depends on its shape alone, and each
 * block is one BLAS call on one thread: so the bits depend on the BLAS kernel, not on how many
 * threads there are or which of them took what. */
#include <cblas.h>
#include <pthread.h>
#include "src/tape/tape_impl.h"

#define BLOCK_ROWS 256

static void one_thread(void)
{
    openblas_set_num_threads(1);
}

void tape_gemm_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, one_thread);
}

void tape_gemm(const struct gemm *g)
{
    if (g->m < 1 || g->n < 1) return;
    cblas_sgemm(CblasRowMajor, g->ta ? CblasTrans : CblasNoTrans,
                g->tb ? CblasTrans : CblasNoTrans, (blasint)g->m, (blasint)g->n, (blasint)g->k,
                g->alpha, g->a, (blasint)g->lda, g->b, (blasint)g->ldb, g->beta, g->c,
                (blasint)g->ldc);
}

enum fk_status gemm_list_init(struct gemm_list *l, struct tape *t, int64_t cap,
                              struct fk_error *err)
{
    enum fk_status st = FK_OK;
    *l = (struct gemm_list){.cap = cap};
    l->gemms = tape_scratch(t, (size_t)cap, sizeof *l->gemms, &st, err);
    l->lane_end = tape_scratch(t, (size_t)cap + 1, sizeof *l->lane_end, &st, err);
    return st;
}

void gemm_list_lane(struct gemm_list *l)
{
    int64_t first = l->n_lanes > 1 ? l->lane_end[l->n_lanes - 2] : 0;
    bool is_empty = l->n_lanes && first == l->n; /* the lane that is open now */
    if (!is_empty) l->lane_end[l->n_lanes++] = l->n;
}

void gemm_list_add(struct gemm_list *l, const struct gemm *g)
{
    if (!l->n_lanes) l->lane_end[l->n_lanes++] = 0;
    l->gemms[l->n++] = *g;
    l->lane_end[l->n_lanes - 1] = l->n;
}

static void lane_chunk(void *arg, int64_t chunk, int worker)
{
    const struct gemm_list *l = arg;
    (void)worker;
    int64_t first = chunk ? l->lane_end[chunk - 1] : 0;
    for (int64_t i = first; i < l->lane_end[chunk]; i++) tape_gemm(&l->gemms[i]);
}

void gemm_list_run(struct gemm_list *l, struct tape *t)
{
    device_parallel(t->device, lane_chunk, l, l->n_lanes);
}

int64_t gemm_n_blocks(int64_t m)
{
    int64_t n = (m + BLOCK_ROWS - 1) / BLOCK_ROWS;
    return n < 4 ? 4 : n;
}

void gemm_list_add_blocks(struct gemm_list *l, const struct gemm *g)
{
    int64_t n = gemm_n_blocks(g->m);
    for (int64_t i = 0; i < n; i++) {
        int64_t first = (g->m * i / n + 15) & ~(int64_t)15, end = (g->m * (i + 1) / n + 15) & ~(int64_t)15;
        if (i == n - 1) end = g->m;
        if (first >= end || first >= g->m) continue;
        if (end > g->m) end = g->m;
        struct gemm part = *g;
        part.m = end - first;
        part.a += g->ta ? first : first * g->lda;
        part.c += first * g->ldc;
        gemm_list_lane(l);
        gemm_list_add(l, &part);
    }
}
