/* SPDX-License-Identifier: Apache-2.0
 * cpu_planes.c - plane weights: every group of 8 rows at the width that is asked of it, neighbours of
 * the same width in one call. */
#include "src/device/cpu/cpu.h"

#define L2_TOKENS_BYTES ((size_t)256 << 10)

void cpu_mul_planes(const struct cpu *c, const struct tensor *w, int64_t mat, int64_t row,
                    int64_t n_rows, int bits, const uint8_t *x, size_t x_row_bytes, int64_t n_x,
                    float *y, size_t y_stride)
{
    const struct planes *p = w->data;
    int64_t group = mat * p->n_groups + row / PLANES_ROWS;
    int64_t block = (int64_t)(L2_TOKENS_BYTES / x_row_bytes) & ~(int64_t)15;
    if (block < 16) block = 16;
    while (n_rows > 0) {
        int i = planes_read_index(p, group, bits);
        int64_t n = 1, rows;
        while (n * PLANES_ROWS < n_rows && planes_read_index(p, group + n, bits) == i) n++;
        rows = n * PLANES_ROWS < n_rows ? n * PLANES_ROWS : n_rows;
        for (int64_t t = 0; t < n_x; t += block)
            kernels_for_planes(&c->k, i)(p, group, rows, x + (size_t)t * x_row_bytes, x_row_bytes,
                                         n_x - t < block ? n_x - t : block, y + (size_t)t * y_stride,
                                         y_stride);
        group += n;
        y += rows;
        n_rows -= rows;
    }
}
