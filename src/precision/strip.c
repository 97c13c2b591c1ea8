/* SPDX-License-Identifier: Apache-2.0
 * strip.c - a file of planes without those that nobody will read. */
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/precision/quantize.h"

static enum fk_status strip(const struct model *m, const char *in, const char *out, int bits,
                            struct plane_weight *w, size_t n, fk_progress_fn progress, void *progress_arg,
                            struct fk_error *err)
{
    if (!m->n_planes) return fail(err, FK_EINVAL, "%s is not in planes; there is nothing to strip", in);
    if (bits == FK_STRIP_PLAN && !m->has_plan)
        return fail(err, FK_EINVAL, "%s plans nothing, so all its planes are read; --strip " PLANES_NARROWER " "
                    "drops those above", in);
    for (size_t i = 0; i < n; i++) {
        int most = bits == FK_STRIP_PLAN ? w[i].plan : bits;
        if (most && planes_index(most) + 1 < w[i].n_planes) w[i].n_planes = planes_index(most) + 1;
    }
    TRY(plane_file_write(m->gguf, w, n, out, progress, progress_arg, err));
    return gguf_failed(m->gguf) ? fail(err, FK_EGONE, "%s was cut while it was read", in) : FK_OK;
}

enum fk_status planes_strip(const char *in, const char *out, int bits, fk_progress_fn progress,
                            void *progress_arg, struct fk_error *err)
{
    struct model *m = NULL;
    struct plane_weight *w = NULL;
    size_t n = 0;
    TRY(model_open(&m, in, false, err));
    enum fk_status st = plane_list(m, &w, &n, err);
    if (st == FK_OK) st = strip(m, in, out, bits, w, n, progress, progress_arg, err);
    mem_free(w);
    model_close(&m);
    return st;
}
