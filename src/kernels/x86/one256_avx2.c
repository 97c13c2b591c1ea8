/* SPDX-License-Identifier: Apache-2.0
 * one256_avx2.c - row256.h, whose head says why, for CPUs with AVX2. */
#include "src/kernels/x86/one.h"
#include "src/kernels/x86/row256_types.h"

#define TYPE(name, has_dmin, has_offset, is_signed)                                                \
    void one_##name##_avx2(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,           \
                           const void *x, size_t x_row_bytes, int64_t n_x, float *y,               \
                           size_t y_stride)                                                        \
    {                                                                                              \
        const struct type t = {heads_##name, pieces_##name, sizeof(struct block_##name), has_dmin, \
                               has_offset, is_signed};                                             \
        (void)x_row_bytes, (void)n_x, (void)y_stride;                                              \
        mul_row(t, w, w_row_bytes, n_rows, k, x, y);                                               \
    }
ROW256_TYPES(TYPE)
