/* SPDX-License-Identifier: Apache-2.0
 * syrk.c - sums of outer products, in tiles that stay in registers. */
#include "src/base/clones.h"
#include "src/precision/calibrate.h"

#define TILE_ROWS 4
#define TILE_COLS 32

CLONES static void tile(const float *x, size_t x_stride, int64_t n_rows, int64_t i, int64_t j,
                        float acc[TILE_ROWS][TILE_COLS])
{
    float sum[TILE_ROWS][TILE_COLS] = {{0}};
    for (int64_t t = 0; t < n_rows; t++) {
        const float *row = x + (size_t)t * x_stride;
        for (int a = 0; a < TILE_ROWS; a++)
            for (int b = 0; b < TILE_COLS; b++) sum[a][b] += row[i + a] * row[j + b];
    }
    for (int a = 0; a < TILE_ROWS; a++)
        for (int b = 0; b < TILE_COLS; b++) acc[a][b] = sum[a][b];
}

static void edge(float *h, int64_t n, const float *x, size_t x_stride, int64_t n_rows, int64_t i0,
                 int64_t j0, float sign)
{
    for (int64_t i = i0; i < i0 + TILE_ROWS && i < n; i++)
        for (int64_t j = j0; j < j0 + TILE_COLS && j < n; j++) {
            float sum = 0;
            for (int64_t t = 0; t < n_rows; t++)
                sum += x[(size_t)t * x_stride + (size_t)i] * x[(size_t)t * x_stride + (size_t)j];
            h[i * n + j] += sign * sum;
        }
}

void syrk_upper(float *h, int64_t n, const float *x, size_t x_stride, int64_t n_rows, int minus)
{
    float acc[TILE_ROWS][TILE_COLS], sign = minus ? -1.0f : 1.0f;
    for (int64_t i = 0; i < n; i += TILE_ROWS)
        for (int64_t j = i / TILE_COLS * TILE_COLS; j < n; j += TILE_COLS) {
            if (i + TILE_ROWS > n || j + TILE_COLS > n) {
                edge(h, n, x, x_stride, n_rows, i, j, sign);
                continue;
            }
            tile(x, x_stride, n_rows, i, j, acc);
            for (int a = 0; a < TILE_ROWS; a++)
                for (int b = 0; b < TILE_COLS; b++) h[(i + a) * n + j + b] += sign * acc[a][b];
        }
}
