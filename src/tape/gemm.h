/* SPDX-License-Identifier: Apache-2.0
 * gemm.h - one product of float matrices, by BLAS, on the calling thread: its bits depend on the BLAS
 * kernel and on nothing else. */
#ifndef TAPE_GEMM_H
#define TAPE_GEMM_H
#include <stdbool.h>
#include <stdint.h>

/* c[m,n] = alpha a[m,k] b[k,n] + beta c; ta, tb: the stored matrix is the transposed. Row-major;
 * ld*: floats from row to row. */
struct gemm {
    bool ta, tb;
    int64_t m, n, k;
    float alpha;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float beta;
    float *c;
    int64_t ldc;
};

/* Once before the first product: BLAS is to start no threads of its own. May be called again. */
void tape_gemm_init(void);
void tape_gemm(const struct gemm *g);

#endif
