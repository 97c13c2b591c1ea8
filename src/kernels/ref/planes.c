/* SPDX-License-Identifier: Apache-2.0
 * planes.c - the meaning of mul_planes*: weights read at a width, levels as integers, exact sums over a
 * block, blocks added in double.
 *
 *   y = row * unit * sum_b d_b scale_b sum_c level_c q_c */
#include "src/kernels/variants.h"

#define TOKENS 16

static void mul_tile(const struct planes *p, int i, int64_t tile, const int8_t *x, size_t x_row_bytes,
                     int64_t block, int n_x, double acc[PLANES_ROWS][TOKENS])
{
    uint8_t codes[PLANES_TILE];
    planes_unpack_tile(p, tile, i + 1, codes);
    for (int r = 0; r < PLANES_ROWS; r++) {
        int level[PLANES_COLS];
        for (int c = 0; c < PLANES_COLS; c++)
            level[c] = planes_level(&p->tables, i, codes[r * PLANES_COLS + c]);
        for (int t = 0; t < n_x; t++) {
            const int8_t *row = x + (size_t)t * x_row_bytes, *q = row + block * PLANES_COLS;
            const float *d = (const float *)(const void *)(row + act_q8_d(p->n_cols));
            int dot = 0;
            for (int c = 0; c < PLANES_COLS; c++) dot += level[c] * q[c];
            acc[r][t] += (double)d[block] * (double)(p->scales[tile * PLANES_ROWS + r] * dot);
        }
    }
}

static void mul(const struct planes *p, int i, int64_t group, int64_t n_rows, const void *x,
                size_t x_row_bytes, int64_t n_x, float *y, size_t y_stride)
{
    for (int64_t first = 0; first < n_rows; first += PLANES_ROWS, group++) {
        int n = n_rows - first < PLANES_ROWS ? (int)(n_rows - first) : PLANES_ROWS;
        for (int64_t t0 = 0; t0 < n_x; t0 += TOKENS) {
            int n_t = n_x - t0 < TOKENS ? (int)(n_x - t0) : TOKENS;
            double acc[PLANES_ROWS][TOKENS] = {{0}};
            for (int64_t b = 0; b < p->n_blocks; b++)
                mul_tile(p, i, group * p->n_blocks + b, (const int8_t *)x + (size_t)t0 * x_row_bytes,
                         x_row_bytes, b, n_t, acc);
            for (int r = 0; r < n; r++) {
                double factor = (double)(planes_row_factor(p, group, r) * p->tables.unit[i]);
                for (int t = 0; t < n_t; t++)
                    y[(size_t)(t0 + t) * y_stride + (size_t)(first + r)] = (float)(acc[r][t] * factor);
            }
        }
    }
}

#define WIDTH(bits, i)                                                                             \
    void mul_planes##bits##_ref(const struct planes *p, int64_t group, int64_t n_rows,             \
                                const void *x, size_t x_row_bytes, int64_t n_x, float *y,          \
                                size_t y_stride)                                                   \
    {                                                                                              \
        mul(p, i, group, n_rows, x, x_row_bytes, n_x, y, y_stride);                                \
    }
WIDTH(2, 0)
WIDTH(3, 1)
WIDTH(4, 2)
WIDTH(5, 3)
WIDTH(6, 4)
WIDTH(8, 5)

void planes_dequant_row(const struct planes *p, int64_t mat, int64_t row, int bits, float *out)
{
    int64_t group = mat * p->n_groups + row / PLANES_ROWS;
    int r = (int)(row % PLANES_ROWS), i = planes_read_index(p, group, bits);
    float factor = planes_row_factor(p, group, r) * p->tables.unit[i];
    for (int64_t b = 0; b < p->n_blocks; b++) {
        uint8_t codes[PLANES_TILE];
        int64_t tile = group * p->n_blocks + b;
        planes_unpack_tile(p, tile, i + 1, codes);
        float scale = factor * (float)p->scales[tile * PLANES_ROWS + r];
        for (int c = 0; c < PLANES_COLS; c++)
            *out++ = scale * (float)planes_level(&p->tables, i, codes[r * PLANES_COLS + c]);
    }
}
