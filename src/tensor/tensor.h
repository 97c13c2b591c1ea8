/* SPDX-License-Identifier: Apache-2.0
 * tensor.h - a view of numbers in memory: up to three dimensions, rows contiguous.
 *
 *   data[mat][row][col]   col runs fastest; n_cols is the length of a row
 *
 * Weights: n_rows outputs, n_cols inputs, n_mats experts or heads.   y[row] = sum_col W[row,col] x[col]
 * Activations: always f32; n_rows tokens, n_cols features; n_mats 1. A view of some columns of a
 * wider tensor has row_bytes larger than its row.
 * DT_PLANES: data is a struct planes, and row_bytes says only what a row costs at 8 bits. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H
#include "src/tensor/dtype.h"

struct tensor;
/* What low-rank adaptation (Hu et al. 2021) adds to a matrix: y += scale B (A x). */
struct tensor_adapter {
    const struct tensor *a; /* [rank, n_cols of the matrix] */
    const struct tensor *b; /* [n_rows of the matrix, rank] */
    float scale;
};

struct tensor {
    enum dtype dtype;
    int64_t n_cols, n_rows, n_mats;
    size_t row_bytes; /* from a row to the next */
    size_t mat_bytes; /* from a matrix to the next */
    void *data;
    const char *name; /* weights: the name in the file; activations: NULL or a label */
    const struct tensor_adapter *adapter; /* weights of a plain product; NULL: none */
    uint32_t id;      /* for recorders: unique within a forward pass, 0 for weights */
};

static inline float *tensor_row_f32(const struct tensor *t, int64_t row)
{
    return (float *)(void *)((char *)t->data + (size_t)row * t->row_bytes);
}

static inline int64_t tensor_n_elements(const struct tensor *t)
{
    return t->n_cols * t->n_rows * t->n_mats;
}

#endif
