/* SPDX-License-Identifier: Apache-2.0
 * gguf_read.c - parses and checks one GGUF file. Owns the format; opening files, split sets and
 * lookups are in gguf_open.c and gguf_get.c.
 *
 * All numbers are little-endian; nothing is aligned before the data section.
 *
 *   offset  bytes  what
 *   0       4      magic "GGUF"
 *   4       4      version, 2 or 3
 *   8       8      n_tensors
 *   16      8      n_kv
 *   24      ...    n_kv pairs:    string key, u32 type, value
 *           ...    n_tensors:     string name, u32 n_dims, u64 shape[n_dims], u32 dtype, u64 offset
 *           ...    zeros up to a multiple of general.alignment (32 where the key is absent)
 *           ...    data section:  a tensor's bytes start at its offset from here
 *
 *   string  u64 n, then n bytes        bool  one byte
 *   array   u32 item type, u64 n_items, then the items; arrays do not nest
 *
 * A file is accepted if:
 *  (1) the magic and a version of 2 or 3 stand at its start; a byte-swapped version is named.
 *  (2) n_kv and n_tensors are at most MAX_KV and MAX_TENSORS, and that many smallest entries fit
 *      into the bytes that are left.
 *  (3) every key has 1 to 65535 bytes, every tensor name 1 to 1024; every string lies in the file.
 *  (4) every value type is known; an array's item type is known and no array; its items fit into the
 *      bytes that are left; a bool is 0 or 1.
 *  (5) no key and no tensor name stands twice.
 *  (6) general.alignment is a u32, a power of two from 8 to 2^20.
 *  (7) 1 <= n_dims <= 4, no dimension is 0, and the number of elements is below 2^63.
 *  (8) the dtype is one that this library reads, and shape[0] is a multiple of its block.
 *  (9) a tensor's size in bytes does not overflow.
 * (10) its offset is a multiple of the alignment, and data section + offset + size lies in the file.
 * (11) no two tensors of a file share a byte.
 * (12) metadata and directory of all files of a set together have at most MAX_HEADER_BYTES, so that
 *      reading them costs bounded time and memory.
 * (13) where fikr.plane_end lists the ends of planes (plane_cut.c), the file may end after any of them;
 *      tensors beyond the last that is there do not exist then. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/file/gguf_impl.h"
#include "src/file/le.h"

#define MAX_KV 65536u
#define MAX_TENSORS 131072u
#define MAX_HEADER_BYTES (40u << 20)
#define MAX_KEY_BYTES 65535u
#define MAX_NAME_BYTES 1024u
#define MIN_ALIGNMENT 8u
#define MAX_ALIGNMENT (1u << 20)
#define MIN_KV_BYTES 14u     /* key length, one byte of key, type, one byte of value */
#define MIN_TENSOR_BYTES 33u /* name length, one byte of name, n_dims, one dim, dtype, offset */

struct reader {
    const uint8_t *p;
    size_t n, at;
    size_t limit; /* (12): what the header may still reach */
    const char *path;
    struct fk_error *err;
};

static int shown(size_t n)
{
    return n < 64 ? (int)n : 64;
}

static enum fk_status need(struct reader *r, uint64_t n, const char *what)
{
    if (n > r->n - r->at)
        return fail(r->err, FK_EFORMAT,
                    "%s: %s at byte %zu needs %" PRIu64 " bytes, but the file ends after %zu more",
                    r->path, what, r->at, n, r->n - r->at);
    if (r->at > r->limit || n > r->limit - r->at)
        return fail(r->err, FK_EFORMAT,
                    "%s: %s at byte %zu of %" PRIu64 " bytes takes the metadata beyond the limit of"
                    " %u bytes", r->path, what, r->at, n, MAX_HEADER_BYTES); /* (12) */
    return FK_OK;
}

static enum fk_status read_u32(struct reader *r, uint32_t *v, const char *what)
{
    TRY(need(r, 4, what));
    *v = le32(r->p + r->at);
    r->at += 4;
    return FK_OK;
}

static enum fk_status read_u64(struct reader *r, uint64_t *v, const char *what)
{
    TRY(need(r, 8, what));
    *v = le64(r->p + r->at);
    r->at += 8;
    return FK_OK;
}

/* (3) */
static enum fk_status read_name(struct reader *r, struct gguf_str *s, uint64_t max, const char *what)
{
    size_t at = r->at;
    uint64_t n;
    TRY(read_u64(r, &n, what));
    if (n == 0 || n > max)
        return fail(r->err, FK_EFORMAT,
                    "%s: %s at byte %zu has a length of %" PRIu64 ", allowed are 1 to %" PRIu64,
                    r->path, what, at, n, max);
    TRY(need(r, n, what));
    *s = (struct gguf_str){(const char *)r->p + r->at, (size_t)n};
    r->at += (size_t)n;
    return FK_OK;
}

unsigned gguf_scalar_bytes(uint32_t type)
{
    static const uint8_t bytes[GGUF_N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < GGUF_N_TYPES ? bytes[type] : 0;
}

static enum fk_status skip_string(struct reader *r, const struct gguf_str *key)
{
    uint64_t n;
    TRY(need(r, 8, "a string's length"));
    n = le64(r->p + r->at);
    if (n > r->n - r->at - 8)
        return fail(r->err, FK_EFORMAT,
                    "%s: a string of key '%.*s' at byte %zu has a length of %" PRIu64
                    ", but only %zu bytes are left", r->path, shown(key->n), key->p, r->at, n,
                    r->n - r->at - 8);
    r->at += 8;
    TRY(need(r, n, "a string"));
    r->at += (size_t)n;
    return FK_OK;
}

/* Walks the strings of an array, noting where every STRING_STEP-th begins. */
static enum fk_status read_strings(struct reader *r, struct gguf_kv *kv, uint32_t **index)
{
    size_t begin = r->at;
    size_t n_index = (size_t)(kv->n_items / STRING_STEP) + 1;
    *index = mem_array(n_index, sizeof **index, MEM_FILE);
    if (!*index) return fail_nomem(r->err, n_index * sizeof **index, r->path);
    for (uint64_t i = 0; i < kv->n_items; i++) {
        if (i % STRING_STEP == 0) (*index)[i / STRING_STEP] = (uint32_t)(r->at - begin);
        TRY(skip_string(r, &kv->key));
    }
    return FK_OK;
}

static enum fk_status check_bools(const struct reader *r, const struct gguf_kv *kv)
{
    for (uint64_t i = 0; i < kv->n_items; i++)
        if (kv->data[i] > 1)
            return fail(r->err, FK_EFORMAT,
                        "%s: key '%.*s' at byte %zu holds a bool of %u, allowed are 0 and 1",
                        r->path, shown(kv->key.n), kv->key.p, (size_t)(kv->data + i - r->p),
                        kv->data[i]);
    return FK_OK;
}

/* (4) */
static enum fk_status read_value(struct reader *r, struct gguf_kv *kv, uint32_t **index)
{
    size_t at = r->at;
    uint32_t type, item;
    TRY(read_u32(r, &type, "a value type"));
    if (type >= GGUF_N_TYPES)
        return fail(r->err, FK_EFORMAT,
                    "%s: key '%.*s' at byte %zu has value type %" PRIu32 ", the highest is %d",
                    r->path, shown(kv->key.n), kv->key.p, at, type, GGUF_N_TYPES - 1);
    kv->type = (enum gguf_type)type;
    kv->n_items = 1;
    item = type;
    if (type == GGUF_ARRAY) {
        at = r->at;
        TRY(read_u32(r, &item, "an array's item type"));
        TRY(read_u64(r, &kv->n_items, "an array's length"));
        if (item >= GGUF_N_TYPES || item == GGUF_ARRAY)
            return fail(r->err, FK_EFORMAT,
                        "%s: key '%.*s' at byte %zu has array item type %" PRIu32
                        ", allowed are 0 to %d except %d", r->path, shown(kv->key.n), kv->key.p, at,
                        item, GGUF_N_TYPES - 1, GGUF_ARRAY);
        uint64_t each = item == GGUF_STRING ? 8 : gguf_scalar_bytes(item);
        if (kv->n_items > (r->n - r->at) / each)
            return fail(r->err, FK_EFORMAT,
                        "%s: key '%.*s' at byte %zu has an array of %" PRIu64
                        " items, but %zu bytes are left", r->path, shown(kv->key.n), kv->key.p, at,
                        kv->n_items, r->n - r->at);
    }
    kv->item_type = (enum gguf_type)item;
    kv->data = r->p + r->at;
    if (item == GGUF_STRING) {
        if (type == GGUF_ARRAY) {
            TRY(need(r, kv->n_items * 8, "an array of strings"));
            TRY(read_strings(r, kv, index));
        } else {
            TRY(skip_string(r, &kv->key));
        }
        kv->data_bytes = (uint64_t)(r->p + r->at - kv->data);
        return FK_OK;
    }
    kv->data_bytes = kv->n_items * gguf_scalar_bytes(item);
    TRY(need(r, kv->data_bytes, "a value"));
    r->at += (size_t)kv->data_bytes;
    return item == GGUF_BOOL ? check_bools(r, kv) : FK_OK;
}

static enum fk_status read_meta(struct reader *r, uint64_t n_kv, struct gguf_meta *meta)
{
    if (n_kv > MAX_KV || n_kv > (r->n - r->at) / MIN_KV_BYTES) /* (2) */
        return fail(r->err, FK_EFORMAT,
                    "%s: n_kv at byte 16 is %" PRIu64 ", but %zu bytes are left and the limit is %u",
                    r->path, n_kv, r->n - r->at, MAX_KV);
    meta->kv = mem_calloc((size_t)n_kv + 1, sizeof *meta->kv, MEM_FILE);
    meta->string_index = mem_calloc((size_t)n_kv + 1, sizeof *meta->string_index, MEM_FILE);
    if (!meta->kv || !meta->string_index)
        return fail_nomem(r->err, n_kv * sizeof *meta->kv, r->path);
    for (; meta->n < n_kv; meta->n++) {
        struct gguf_kv *kv = &meta->kv[meta->n];
        TRY(read_name(r, &kv->key, MAX_KEY_BYTES, "a key"));
        enum fk_status st = read_value(r, kv, &meta->string_index[meta->n]);
        if (st != FK_OK) {
            mem_free(meta->string_index[meta->n]);
            meta->string_index[meta->n] = NULL;
            return st;
        }
    }
    size_t a, b;
    switch (name_table_build(&meta->table, meta->kv, sizeof *meta->kv, meta->n, &a, &b)) {
    case NAME_TABLE_OK:
        return FK_OK;
    case NAME_TABLE_NOMEM:
        return fail_nomem(r->err, meta->n * 8, r->path);
    case NAME_TABLE_CROWDED:
        return fail(r->err, FK_EFORMAT, "%s: its keys are made to collide", r->path);
    case NAME_TABLE_TWICE:
        break;
    }
    return fail(r->err, FK_EFORMAT, "%s: key '%.*s' stands twice, as number %zu and %zu", r->path,
                shown(meta->kv[a].key.n), meta->kv[a].key.p, a, b); /* (5) */
}

void gguf_meta_fini(struct gguf_meta *meta)
{
    for (size_t i = 0; i < meta->n && meta->string_index; i++) mem_free(meta->string_index[i]);
    mem_free(meta->string_index);
    mem_free(meta->kv);
    name_table_fini(&meta->table);
    *meta = (struct gguf_meta){0};
}

const struct gguf_kv *gguf_meta_find(const struct gguf_meta *meta, const char *key)
{
    size_t i = name_table_find(&meta->table, meta->kv, sizeof *meta->kv, key, strlen(key));
    return i == SIZE_MAX ? NULL : &meta->kv[i];
}

/* (6) */
static enum fk_status read_alignment(const struct reader *r, const struct gguf_meta *meta,
                                     uint32_t *out)
{
    *out = 32;
    const struct gguf_kv *kv = gguf_meta_find(meta, "general.alignment");
    if (!kv) return FK_OK;
    size_t at = (size_t)(kv->data - r->p);
    if (kv->type != GGUF_U32)
        return fail(r->err, FK_EFORMAT, "%s: general.alignment at byte %zu is of type %s, not u32",
                    r->path, at, gguf_type_name(kv->type));
    uint32_t v = le32(kv->data);
    if (v < MIN_ALIGNMENT || v > MAX_ALIGNMENT || (v & (v - 1)))
        return fail(r->err, FK_EFORMAT,
                    "%s: general.alignment at byte %zu is %" PRIu32
                    ", allowed are powers of two from %u to %u", r->path, at, v, MIN_ALIGNMENT,
                    MAX_ALIGNMENT);
    *out = v;
    return FK_OK;
}

/* (7) (8) (9) */
static enum fk_status read_shape(struct reader *r, struct gguf_tensor *t)
{
    size_t at = r->at;
    uint32_t n_dims, type;
    TRY(read_u32(r, &n_dims, "n_dims"));
    if (n_dims < 1 || n_dims > 4)
        return fail(r->err, FK_EFORMAT,
                    "%s: tensor '%.*s' at byte %zu has n_dims %" PRIu32 ", allowed are 1 to 4",
                    r->path, shown(t->name.n), t->name.p, at, n_dims);
    t->n_dims = (int)n_dims;
    uint64_t n = 1, n_rows = 1;
    for (uint32_t i = 0; i < 4; i++) {
        t->shape[i] = 1;
        if (i >= n_dims) continue;
        at = r->at;
        TRY(read_u64(r, &t->shape[i], "a dimension"));
        if (t->shape[i] == 0 || t->shape[i] > INT64_MAX)
            return fail(r->err, FK_EFORMAT,
                        "%s: dimension %" PRIu32 " of tensor '%.*s' at byte %zu is %" PRIu64
                        ", allowed are 1 to 2^63 - 1", r->path, i, shown(t->name.n), t->name.p, at,
                        t->shape[i]);
        if (__builtin_mul_overflow(n, t->shape[i], &n) || n > INT64_MAX)
            return fail(r->err, FK_EFORMAT,
                        "%s: tensor size overflow: the dimensions of '%.*s' up to byte %zu multiply"
                        " to more than 2^63 - 1", r->path, shown(t->name.n), t->name.p, r->at);
        if (i > 0) n_rows *= t->shape[i];
    }
    at = r->at;
    TRY(read_u32(r, &type, "a tensor type"));
    const struct dtype_info *info = type <= DT_BF16 ? dtype_info(type) : NULL;
    if (!info)
        return fail(r->err, FK_EUNSUPPORTED,
                    "%s: tensor '%.*s' at byte %zu is of type %" PRIu32 ", which is not supported",
                    r->path, shown(t->name.n), t->name.p, at, type);
    t->dtype = (enum dtype)type;
    if (t->shape[0] % info->block_weights)
        return fail(r->err, FK_EFORMAT,
                    "%s: dimension 0 of tensor '%.*s' is %" PRIu64 ", no multiple of %" PRIu32
                    ", the block of %s", r->path, shown(t->name.n), t->name.p, t->shape[0],
                    info->block_weights, info->name);
    uint64_t row;
    if (!dtype_row_bytes(type, t->shape[0], &row) || __builtin_mul_overflow(row, n_rows, &t->bytes))
        return fail(r->err, FK_EFORMAT,
                    "%s: tensor size overflow: '%.*s' at byte %zu has %" PRIu64 " elements of %s",
                    r->path, shown(t->name.n), t->name.p, at, n, info->name);
    return FK_OK;
}

static enum fk_status read_tensor(struct reader *r, struct gguf_tensor *t, uint32_t alignment)
{
    TRY(read_name(r, &t->name, MAX_NAME_BYTES, "a tensor name"));
    TRY(read_shape(r, t));
    size_t at = r->at;
    TRY(read_u64(r, &t->offset, "a tensor offset"));
    if (t->offset % alignment) /* (10) */
        return fail(r->err, FK_EFORMAT,
                    "%s: the offset of tensor '%.*s' at byte %zu is %" PRIu64
                    ", no multiple of the alignment %" PRIu32, r->path, shown(t->name.n), t->name.p,
                    at, t->offset, alignment);
    return FK_OK;
}

/* (10): offsets become positions in the file. Tensors from `cut` on (13) are dropped; *n is what stays. */
static enum fk_status place_tensors(const struct reader *r, struct gguf_tensor *t, size_t *n_tensors,
                                    uint32_t alignment, uint64_t cut)
{
    uint64_t base = ((uint64_t)r->at + alignment - 1) & ~((uint64_t)alignment - 1);
    size_t n = *n_tensors, kept = 0;
    if (cut == 0)
        return fail(r->err, FK_EFORMAT, "%s: the file ends at byte %zu, before its first plane is whole",
                    r->path, r->n);
    for (size_t i = 0; i < n; i++) {
        uint64_t begin, end;
        if (!__builtin_add_overflow(base, t[i].offset, &begin) && begin >= cut) continue;
        if (__builtin_add_overflow(base, t[i].offset, &begin) ||
            __builtin_add_overflow(begin, t[i].bytes, &end) || end > r->n)
            return fail(r->err, FK_EFORMAT,
                        "%s: the data of tensor '%.*s' has offset %" PRIu64 " and %" PRIu64
                        " bytes after byte %" PRIu64 ", beyond the end of the file at %zu",
                        r->path, shown(t[i].name.n), t[i].name.p, t[i].offset, t[i].bytes, base,
                        r->n);
        t[kept] = t[i];
        t[kept].offset = begin;
        t[kept++].data = r->p + begin;
    }
    *n_tensors = kept;
    return FK_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a;
    const struct gguf_tensor *y = *(const struct gguf_tensor *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* (11) */
static enum fk_status check_overlap(const struct reader *r, const struct gguf_tensor *t, size_t n)
{
    bool sorted = true;
    for (size_t i = 1; i < n && sorted; i++) sorted = t[i - 1].offset + t[i - 1].bytes <= t[i].offset;
    if (sorted) return FK_OK;
    const struct gguf_tensor **order = mem_array(n, sizeof *order, MEM_FILE);
    if (!order) return fail_nomem(r->err, n * sizeof *order, r->path);
    for (size_t i = 0; i < n; i++) order[i] = &t[i];
    qsort(order, n, sizeof *order, by_offset);
    enum fk_status st = FK_OK;
    for (size_t i = 1; i < n && st == FK_OK; i++) {
        const struct gguf_tensor *a = order[i - 1], *b = order[i];
        if (a->offset + a->bytes > b->offset)
            st = fail(r->err, FK_EFORMAT,
                      "%s: tensor '%.*s' starts at byte %" PRIu64 ", inside of '%.*s', which ends at"
                      " byte %" PRIu64, r->path, shown(b->name.n), b->name.p, b->offset,
                      shown(a->name.n), a->name.p, a->offset + a->bytes);
    }
    mem_free(order);
    return st;
}

/* (1) */
static enum fk_status read_start(struct reader *r, uint32_t *version, uint64_t *n_tensors,
                                 uint64_t *n_kv)
{
    if (r->n < 4 || memcmp(r->p, "GGUF", 4) != 0)
        return fail(r->err, FK_EFORMAT, "%s: no GGUF file: its first bytes are not \"GGUF\"",
                    r->path);
    r->at = 4;
    TRY(read_u32(r, version, "the version"));
    if (*version && (*version & 0xffff) == 0)
        return fail(r->err, FK_EUNSUPPORTED,
                    "%s: the version at byte 4 is 0x%08" PRIx32
                    ": a big-endian GGUF file, only little-endian is supported", r->path, *version);
    if (*version < 2 || *version > 3)
        return fail(r->err, FK_EUNSUPPORTED,
                    "%s: the GGUF version at byte 4 is %" PRIu32 ", supported are 2 and 3", r->path,
                    *version);
    TRY(read_u64(r, n_tensors, "n_tensors"));
    return read_u64(r, n_kv, "n_kv");
}

enum fk_status gguf_parse_part(struct gguf *g, int i_part, struct gguf_meta *meta,
                               struct fk_error *err)
{
    const struct gguf_part *part = &g->parts[i_part];
    struct reader r = {.p = part->data, .n = part->bytes, .path = part->path, .err = err,
                       .limit = MAX_HEADER_BYTES - (size_t)g->header_bytes};
    uint32_t version = 0, alignment;
    uint64_t n_tensors, n_kv;
    TRY(read_start(&r, &version, &n_tensors, &n_kv));
    if (i_part == 0) g->version = version;
    if (n_tensors > MAX_TENSORS - g->n_tensors || n_tensors > (r.n - r.at) / MIN_TENSOR_BYTES)
        return fail(err, FK_EFORMAT,
                    "%s: n_tensors at byte 8 is %" PRIu64 ", but %zu bytes are left and the limit is"
                    " %u", r.path, n_tensors, r.n - r.at, MAX_TENSORS); /* (2) */
    TRY(read_meta(&r, n_kv, meta));
    TRY(read_alignment(&r, meta, &alignment));
    size_t total = g->n_tensors + (size_t)n_tensors;
    struct gguf_tensor *all = mem_realloc(g->tensors, (total + 1) * sizeof *all, MEM_FILE);
    if (!all) return fail_nomem(err, (total + 1) * sizeof *all, part->path);
    g->tensors = all;
    struct gguf_tensor *mine = all + g->n_tensors;
    for (size_t i = 0; i < n_tensors; i++) {
        mine[i] = (struct gguf_tensor){.i_file = i_part};
        TRY(read_tensor(&r, &mine[i], alignment));
    }
    size_t n_kept = (size_t)n_tensors;
    TRY(place_tensors(&r, mine, &n_kept, alignment, gguf_plane_cut(meta, r.n)));
    TRY(check_overlap(&r, mine, n_kept));
    g->n_tensors += n_kept;
    g->header_bytes += r.at;
    return FK_OK;
}

enum fk_status gguf_index_tensors(struct gguf *g, struct fk_error *err)
{
    size_t a, b;
    const char *path = g->parts[0].path;
    switch (name_table_build(&g->tensor_table, g->tensors, sizeof *g->tensors, g->n_tensors, &a, &b)) {
    case NAME_TABLE_OK:
        return FK_OK;
    case NAME_TABLE_NOMEM:
        return fail_nomem(err, g->n_tensors * 8, path);
    case NAME_TABLE_CROWDED:
        return fail(err, FK_EFORMAT, "%s: its tensor names are made to collide", path);
    case NAME_TABLE_TWICE:
        break;
    }
    return fail(err, FK_EFORMAT, "%s: tensor '%.*s' stands twice, as number %zu and %zu",
                g->parts[g->tensors[b].i_file].path, shown(g->tensors[a].name.n),
                g->tensors[a].name.p, a, b); /* (5) */
}
