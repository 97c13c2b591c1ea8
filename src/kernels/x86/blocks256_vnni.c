/* SPDX-License-Identifier: Apache-2.0
 * blocks256_vnni.c - weights in superblocks of 256 times ACT_Q8K rows, for CPUs with AVX-512 VNNI.
 * One token: row256.h, whose head says why. More: tiles256_vnni.c. */
#include "src/kernels/x86/row256_types.h"
#include "src/kernels/x86/tiles.h"

#define TYPE(name, has_dmin, has_offset, is_signed)                                                \
    void mul_##name##_vnni(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,           \
                           const void *x, size_t x_row_bytes, int64_t n_x, float *y,               \
                           size_t y_stride)                                                        \
    {                                                                                              \
        const struct type t = {heads_##name, pieces_##name, sizeof(struct block_##name), has_dmin, \
                               has_offset, is_signed};                                             \
        if (n_x == 1)                                                                              \
            mul_row(t, w, w_row_bytes, n_rows, k, x, y);                                           \
        else                                                                                       \
            tiles_##name##_vnni(w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);      \
    }
ROW256_TYPES(TYPE)
