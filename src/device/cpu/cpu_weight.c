/* SPDX-License-Identifier: Apache-2.0
 * cpu_weight.c - rows of a weight as floats. */
#include "src/device/cpu/cpu.h"

void cpu_weight_rows(const struct device *d, const struct tensor *w, int64_t mat, int64_t first,
                     int64_t n_rows, int bits, float *out)
{
    const struct cpu *c = (const struct cpu *)d;
    struct weight_kernels wk = {0};
    if (w->dtype != DT_PLANES && !kernels_for_weight(&c->k, w->dtype, &wk)) return;
    for (int64_t r = first; r < first + n_rows; r++, out += w->n_cols) {
        if (w->dtype == DT_PLANES)
            planes_dequant_row(w->data, mat, r, bits, out);
        else
            wk.dequant((const char *)w->data + (size_t)mat * w->mat_bytes + (size_t)r * w->row_bytes,
                       w->n_cols, out);
    }
}
