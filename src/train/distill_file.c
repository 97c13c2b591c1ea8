/* SPDX-License-Identifier: Apache-2.0
 * distill_file.c - a file of planes with other codes, scales and vectors: nothing in it moves. */
#include <stdio.h>
#include <string.h>
#include "src/base/crc32c.h"
#include "src/base/fail.h"
#include "src/base/alloc.h"
#include "src/base/map.h"
#include "src/file/out_file.h"
#include "src/train/distill_impl.h"

#define NAME_BYTES 160

static const struct gguf_tensor *part_of(const struct distill *d, const char *name, const char *part)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return gguf_find_tensor(d->file->gguf, full);
}

static enum fk_status put_planes(const struct distill *d, const struct soft_planes *s, uint8_t *out,
                                 struct fk_error *err)
{
    const struct planes *p = s->p;
    const struct gguf_tensor *side = part_of(d, s->name, "s"), *plane[PLANES_N];
    struct planes_sizes sizes;
    struct planes_head head;
    planes_sizes(&sizes, (uint64_t)p->n_cols, (uint64_t)p->n_rows, (uint64_t)p->n_mats);
    for (int i = 0; i < p->n_planes; i++) plane[i] = part_of(d, s->name, planes_part[i]);
    const char *wrong = planes_head_read(&head, side->data);
    if (wrong) return fail(err, FK_EFORMAT, "tensor '%s' has %s", s->name, wrong);
    for (int i = 0; i < p->n_planes; i++) head.crc[i] = 0;
    for (uint64_t tile = 0; tile < sizes.n_tiles; tile++) {
        uint8_t codes[PLANES_TILE];
        int8_t scales[PLANES_ROWS];
        soft_planes_tile(s, (int64_t)tile, codes, scales);
        memcpy(out + side->offset + sizes.scales_at + tile * PLANES_ROWS, scales, sizeof scales);
        for (int i = 0; i < p->n_planes; i++) {
            size_t n = planes_tile_bytes(i);
            uint8_t *to = out + plane[i]->offset + tile * n;
            planes_pack_tile(codes, i, to);
            head.crc[i] = crc32c(head.crc[i], to, n);
        }
    }
    head.crc_scales = crc32c(0, out + side->offset + sizes.rows_at, sizes.side_bytes - sizes.rows_at);
    planes_head_write(&head, out + side->offset);
    return FK_OK;
}

enum fk_status distill_write(const struct distill *d, struct fk_error *err)
{
    char *bytes;
    size_t n;
    TRY(file_read(d->path, (size_t)1 << 40, &bytes, &n, err));
    enum fk_status st = FK_OK;
    for (size_t i = 0; i < d->n_planes && st == FK_OK; i++)
        st = put_planes(d, &d->planes[i], (uint8_t *)bytes, err);
    for (size_t i = 0; i < d->n_vectors; i++) {
        const struct gguf_tensor *t = gguf_find_tensor(d->file->gguf, d->vectors[i].name);
        memcpy(bytes + t->offset, d->vectors[i].x, (size_t)d->vectors[i].n * sizeof(float));
    }
    if (st == FK_OK) st = out_file_put(d->path, bytes, n, err);
    mem_free(bytes);
    return st;
}
