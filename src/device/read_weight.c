/* SPDX-License-Identifier: Apache-2.0
 * read_weight.c - weights of any type as floats: what a gradient through a frozen matrix needs. */
#include "src/base/fail.h"
#include "src/device/device.h"

#define ROWS 16 /* of a chunk */

struct read_job {
    const struct device *d;
    const struct tensor *w;
    int64_t mat, n_chunks; /* first matrix; chunks of one matrix */
    int bits;
    float *out;
};

static void read_chunk(void *arg, int64_t chunk, int worker)
{
    const struct read_job *j = arg;
    int64_t mat = chunk / j->n_chunks, first = chunk % j->n_chunks * ROWS, n = j->w->n_rows - first;
    (void)worker;
    j->d->ops->weight_rows(j->d, j->w, j->mat + mat, first, n < ROWS ? n : ROWS, j->bits,
                           j->out + (mat * j->w->n_rows + first) * j->w->n_cols);
}

enum fk_status device_read_weight(struct device *d, const struct tensor *w, int64_t mat, int64_t n_mats,
                                  int bits, float *out, struct fk_error *err)
{
    const struct dtype_info *info = dtype_info(w->dtype);
    bool is_weight = w->dtype == DT_PLANES || (info && info->is_weight);
    if (!d->ops->weight_rows || !is_weight)
        return fail(err, FK_EUNSUPPORTED, "device %s does not turn weight %s of type %s into floats",
                    d->ops->name, w->name ? w->name : "(unnamed)", dtype_name(w->dtype));
    struct read_job j = {d, w, mat, (w->n_rows + ROWS - 1) / ROWS, bits, out};
    device_parallel(d, read_chunk, &j, j.n_chunks * n_mats);
    return FK_OK;
}
