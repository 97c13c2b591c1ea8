/* SPDX-License-Identifier: Apache-2.0
 * check.c - whether the bytes of planes are those that were written: a CRC-32C for each head, for its
 * factors and scales, and for each plane that is there. Tensors that are not in planes have none. */
#include <stdio.h>
#include "src/base/alloc.h"
#include "src/base/crc32c.h"
#include "src/base/fail.h"
#include "src/precision/quantize.h"

#define SLICE ((uint64_t)1 << 22)

struct check {
    fk_progress_fn progress;
    void *progress_arg;
    struct fk_check_report *report;
    uint64_t total;
};

static enum fk_status part(struct check *c, const struct plane_weight *w, const char *name,
                           const uint8_t *p, uint64_t n, uint32_t want, struct fk_error *err)
{
    uint32_t crc = 0;
    for (uint64_t at = 0; at < n; at += SLICE) {
        uint64_t some = n - at < SLICE ? n - at : SLICE;
        if (c->progress && c->progress(c->progress_arg, "checking", c->report->n_bytes, c->total))
            return fail(err, FK_ECANCELLED, "cancelled before all was checked");
        crc = crc32c(crc, p + at, some);
        c->report->n_bytes += some;
    }
    if (crc == want) return FK_OK;
    return fail(err, FK_EFORMAT, "%s of tensor '%s' is damaged: its CRC-32C is %08x, and %08x was written; "
                "the file must be fetched or quantized anew", name, w->name, crc, want);
}

static enum fk_status weight(struct check *c, const struct plane_weight *w, struct fk_error *err)
{
    struct planes_head h;
    const char *wrong = planes_head_read(&h, w->side);
    if (wrong) return fail(err, FK_EFORMAT, "tensor '%s.s' has %s", w->name, wrong);
    if (h.crc_head && h.crc_head != planes_head_crc(w->side))
        return fail(err, FK_EFORMAT, "the head of tensor '%s' is damaged: its CRC-32C is %08x, and %08x was "
                    "written; the file must be fetched or quantized anew", w->name, planes_head_crc(w->side),
                    h.crc_head);
    TRY(part(c, w, "the part with the scales", w->side + w->sizes.rows_at,
             w->sizes.side_bytes - w->sizes.rows_at, h.crc_scales, err));
    for (int i = 0; i < w->n_planes; i++) {
        char name[32];
        snprintf(name, sizeof name, "the plane of %d bits", planes_bits(i));
        TRY(part(c, w, name, w->plane[i], w->sizes.plane_bytes[i], h.crc[i], err));
    }
    c->report->n_weights++;
    return FK_OK;
}

enum fk_status planes_check(const char *path, fk_progress_fn progress, void *progress_arg,
                            struct fk_check_report *report, struct fk_error *err)
{
    struct model *m = NULL;
    struct plane_weight *w = NULL;
    size_t n = 0;
    struct check c = {progress, progress_arg, report, 0};
    *report = (struct fk_check_report){0, 0};
    TRY(model_open(&m, path, false, err));
    enum fk_status st = FK_OK;
    if (!m->n_planes)
        st = fail(err, FK_EUNSUPPORTED, "%s is not in planes; only planes carry checksums", path);
    if (st == FK_OK) st = plane_list(m, &w, &n, err);
    for (size_t i = 0; st == FK_OK && i < n; i++) {
        c.total += w[i].sizes.side_bytes - w[i].sizes.rows_at;
        for (int k = 0; k < w[i].n_planes; k++) c.total += w[i].sizes.plane_bytes[k];
    }
    for (size_t i = 0; st == FK_OK && i < n; i++) st = weight(&c, &w[i], err);
    if (st == FK_OK && gguf_failed(m->gguf)) st = fail(err, FK_EGONE, "%s was cut while it was read", path);
    mem_free(w);
    model_close(&m);
    return st;
}
