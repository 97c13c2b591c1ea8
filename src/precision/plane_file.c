/* SPDX-License-Identifier: Apache-2.0
 * plane_file.c - a GGUF file of planes. What a weight has fewer planes of is missing from the later ones;
 * those that no weight has are left out with their pads.
 *
 *   keys (those of the source; fikr.plane_bits, fikr.plane_end)
 *   tensors that stay as they are, then NAME.s of every weight     fikr.pad.2
 *   NAME.p2 of every weight     fikr.pad.3     NAME.p3 ...    and so on to NAME.p8
 *
 * Tensors stand at multiples of 64, in the order of the directory, without gaps; a pad brings the next
 * plane to a multiple of 4096 in the file, so that reading one plane touches no page of the next.
 * fikr.plane_end[i] is the byte after the last of plane i: there, and only there, the file may be cut. */
#include <stdio.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/file/gguf_write.h"
#include "src/file/le.h"
#include "src/precision/quantize.h"

#define PAGE 4096u
#define ALIGNMENT 64u
#define TILES_AT_ONCE 256

struct part {
    const struct plane_weight *w;
    const struct gguf_tensor *copy;
    uint64_t pad;
    int plane;
};

static enum fk_status fill_copy(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct part *p = arg;
    return out_file_write(f, p->copy->data, p->copy->bytes, err);
}

static enum fk_status fill_side(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct part *p = arg;
    return out_file_write(f, p->w->side, p->w->sizes.side_bytes, err);
}

static enum fk_status fill_pad(void *arg, struct out_file *f, struct fk_error *err)
{
    static const uint8_t zeros[PAGE + ALIGNMENT];
    const struct part *p = arg;
    return out_file_write(f, zeros, p->pad, err);
}

static enum fk_status fill_plane(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct part *p = arg;
    uint8_t bytes[TILES_AT_ONCE * 64];
    size_t each = planes_tile_bytes(p->plane);
    if (!p->w->codes) return out_file_write(f, p->w->plane[p->plane], p->w->sizes.plane_bytes[p->plane], err);
    for (uint64_t tile = 0; tile < p->w->sizes.n_tiles;) {
        size_t n = 0;
        for (; n < TILES_AT_ONCE && tile < p->w->sizes.n_tiles; n++, tile++)
            planes_pack_tile(p->w->codes + tile * PLANES_TILE, p->plane, bytes + n * each);
        TRY(out_file_write(f, bytes, n * each, err));
    }
    return FK_OK;
}

struct layout {
    const struct gguf *g;
    const struct plane_weight *w;
    size_t n;
    struct part *parts; /* of every tensor of the file, in order */
    size_t n_parts;
    int n_planes; /* the most of a weight */
    bool is_new;  /* the weights of g become planes; else they are */
    uint64_t pad[PLANES_N], end[PLANES_N];
};

static enum fk_status add(struct layout *l, struct gguf_writer *w, const char *name, uint64_t bytes,
                          gguf_fill_fn fill, struct part part, struct fk_error *err)
{
    struct part *p = &l->parts[l->n_parts++];
    *p = part;
    return gguf_add_tensor(w, name, DT_I8, 1, &bytes, fill, p, err);
}

static enum fk_status add_sides(struct layout *l, struct gguf_writer *w, struct fk_error *err)
{
    char name[NAME_BYTES + 8];
    for (size_t i = 0; i < gguf_n_tensors(l->g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(l->g, i);
        if (l->is_new ? plane_weight_wanted(t) : plane_list_has(l->w, l->n, t)) continue;
        struct part *p = &l->parts[l->n_parts++];
        char own[1100];
        *p = (struct part){.copy = t};
        snprintf(own, sizeof own, "%.*s", (int)t->name.n, t->name.p);
        TRY(gguf_add_tensor(w, own, t->dtype, t->n_dims, t->shape, fill_copy, p, err));
    }
    for (size_t i = 0; i < l->n; i++) {
        snprintf(name, sizeof name, "%s.s", l->w[i].name);
        TRY(add(l, w, name, l->w[i].sizes.side_bytes, fill_side, (struct part){.w = &l->w[i]}, err));
    }
    return FK_OK;
}

static void put_keys(const struct layout *l, struct gguf_writer *w)
{
    static const char *const dropped[] = {"general.alignment", "general.file_type", "fikr.plane_bits",
                                          "fikr.plane_end"};
    uint8_t bits[PLANES_N], ends[8 * PLANES_N];
    for (size_t i = 0; i < gguf_n_kv(l->g); i++) {
        const struct gguf_kv *kv = gguf_kv_at(l->g, i);
        bool drop = kv->key.n > 6 && memcmp(kv->key.p, "split.", 6) == 0;
        for (size_t k = 0; k < sizeof dropped / sizeof *dropped; k++)
            drop |= kv->key.n == strlen(dropped[k]) && memcmp(kv->key.p, dropped[k], kv->key.n) == 0;
        if (!drop) gguf_put_kv(w, kv);
    }
    for (int i = 0; i < l->n_planes && i < PLANES_N; i++) {
        bits[i] = (uint8_t)planes_bits(i);
        put_le(ends + 8 * i, l->end[i], 8);
    }
    gguf_put_array(w, "fikr.plane_bits", GGUF_U8, bits, (uint64_t)l->n_planes);
    gguf_put_array(w, "fikr.plane_end", GGUF_U64, ends, (uint64_t)l->n_planes);
}

/* Builds the whole file; the pads and ends that result go back into l. */
static enum fk_status build(struct layout *l, struct gguf_writer *w, struct fk_error *err)
{
    char name[NAME_BYTES + 8];
    uint64_t at[PLANES_N], end[PLANES_N];
    l->n_parts = 0;
    put_keys(l, w);
    TRY(add_sides(l, w, err));
    for (int i = 0; i < l->n_planes; i++) {
        uint64_t before = (gguf_writer_data_bytes(w) + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
        snprintf(name, sizeof name, "fikr.pad.%d", planes_bits(i));
        TRY(add(l, w, name, l->pad[i], fill_pad, (struct part){.pad = l->pad[i]}, err));
        at[i] = before;
        for (size_t k = 0; k < l->n; k++) {
            if (l->w[k].n_planes <= i) continue;
            snprintf(name, sizeof name, "%s.%s", l->w[k].name, planes_part[i]);
            TRY(add(l, w, name, l->w[k].sizes.plane_bytes[i], fill_plane,
                    (struct part){.w = &l->w[k], .plane = i}, err));
        }
        end[i] = gguf_writer_data_bytes(w);
    }
    /* A pad of at least 64 bytes begins at base + at[i]; later pads move what follows them. */
    uint64_t base = (gguf_writer_header_bytes(w) + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
    uint64_t moved = 0;
    for (int i = 0; i < l->n_planes; i++) {
        uint64_t begin = base + at[i] + moved, to = (begin + ALIGNMENT + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        moved += to - begin - l->pad[i];
        l->pad[i] = to - begin;
        l->end[i] = base + end[i] + moved;
    }
    return FK_OK;
}

enum fk_status plane_file_write(const struct gguf *g, const struct plane_weight *w, size_t n,
                                const char *path, fk_progress_fn progress, void *progress_arg,
                                struct fk_error *err)
{
    struct layout l = {.g = g, .w = w, .n = n};
    struct gguf_writer *writer = NULL;
    enum fk_status st = FK_OK;
    l.parts = mem_calloc(gguf_n_tensors(g) + (PLANES_N + 1) * (n + 1), sizeof *l.parts, MEM_FILE);
    if (!l.parts) return fail_nomem(err, n * 6 * sizeof *l.parts, "the parts of a plane file");
    for (int i = 0; i < PLANES_N; i++) l.pad[i] = ALIGNMENT;
    l.is_new = n && w[0].codes;
    for (size_t i = 0; i < n; i++) l.n_planes = w[i].n_planes > l.n_planes ? w[i].n_planes : l.n_planes;
    /* Once to learn how long the header is, once for good. */
    for (int pass = 0; pass < 2 && st == FK_OK; pass++) {
        gguf_writer_destroy(&writer);
        st = gguf_writer_create(&writer, ALIGNMENT, err);
        if (st == FK_OK) st = build(&l, writer, err);
    }
    if (st == FK_OK) st = gguf_writer_write(writer, path, progress, progress_arg, err);
    gguf_writer_destroy(&writer);
    mem_free(l.parts);
    return st;
}
