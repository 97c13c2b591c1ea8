/* SPDX-License-Identifier: Apache-2.0
 * safetensors.c - parses and checks safetensors files and the index of a folder.
 *
 *   offset  bytes  what
 *   0       8      n, little-endian: bytes of the header
 *   8       n      header: one JSON object, perhaps followed by spaces
 *   8 + n   ...    data
 *
 *   {"__metadata__": {"any": "text"}, "name": {"dtype": "BF16", "shape": [2, 3],
 *    "data_offsets": [begin, end]}, ...}                              offsets count from 8 + n
 *
 * A file is accepted if:
 *  (1) 2 <= n <= MAX_HEADER_BYTES, and 8 + n bytes are there; the header begins with "{".
 *  (2) the header is JSON of exactly this form; a name stands once, has 1 to 1024 bytes and no
 *      escapes; at most MAX_FILE_TENSORS tensors stand in a file, MAX_TENSORS in a folder.
 *  (3) dtype is one of the format's; shape has at most ST_MAX_DIMS dimensions, and their product and
 *      its bytes do not overflow.
 *  (4) begin <= end <= bytes of data, and end - begin is exactly what dtype and shape need.
 *  (5) sorted by offset the tensors follow each other without gap or overlap from 0 to the end of the
 *      file.
 * The index {"weight_map": {"name": "file", ...}} is accepted if
 *  (6) it has at most MAX_HEADER_BYTES; each file name is a plain name that ends in ".safetensors", at
 *      most MAX_FILES different ones; each tensor stands in the file that the index says. */
#include "src/file/safetensors.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/file/json_scan.h"
#include "src/file/le.h"
#include "src/file/name_table.h"

#define MAX_HEADER_BYTES (32u << 20)
#define MAX_FILE_TENSORS 65536u
#define MAX_TENSORS 262144u
#define MAX_FILES 512
#define MAX_NAME_BYTES 1024u


struct st_part {
    char *path;
    struct file_map map;
    const uint8_t *data;
    size_t bytes;
};

struct safetensors {
    struct st_part *parts;
    int n_parts;
    struct st_tensor *tensors;
    size_t n, cap;
    struct name_table table;
};

static const struct { const char *name; enum dtype dtype; int bits; } dtypes[] = {
    {"F32", DT_F32, 32},  {"F16", DT_F16, 16},   {"BF16", DT_BF16, 16}, {"F8_E4M3", DT_F8_E4M3, 8},
    {"F64", DT_F64, 64},  {"I8", DT_I8, 8},      {"I16", DT_I16, 16},   {"I32", DT_I32, 32},
    {"I64", DT_I64, 64},  {"U8", DT_NONE, 8},    {"U16", DT_NONE, 16},  {"U32", DT_NONE, 32},
    {"U64", DT_NONE, 64}, {"BOOL", DT_NONE, 8},  {"F8_E5M2", DT_NONE, 8}, {"F8_E8M0", DT_NONE, 8},
};

const char *safetensors_dtype_name(enum dtype t)
{
    for (size_t i = 0; t != DT_NONE && i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (dtypes[i].dtype == t) return dtypes[i].name;
    return NULL;
}

static int shown(size_t n)
{
    return n < 64 ? (int)n : 64;
}

static bool is(struct gguf_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

struct entry_reader {
    struct json_scan scan;
    const struct st_part *part;
    int i_part;
    uint64_t data_bytes;
    const uint8_t *data;
    struct fk_error *err;
};

static enum fk_status bad(const struct entry_reader *r, const char *want)
{
    return fail(r->err, FK_EFORMAT, "%s: the header at byte %zu: expected %s", r->part->path,
                8 + r->scan.at, want);
}

/* (3) */
static enum fk_status read_shape(struct entry_reader *r, struct st_tensor *t)
{
    bool first = true, end;
    t->n_dims = 0;
    t->n_elements = 1;
    while (json_scan_item(&r->scan, &first, &end)) {
        uint64_t d;
        if (t->n_dims == ST_MAX_DIMS)
            return fail(r->err, FK_EFORMAT, "%s: tensor '%.*s' at byte %zu has more than %d dimensions",
                        r->part->path, shown(t->name.n), t->name.p, 8 + r->scan.at, ST_MAX_DIMS);
        if (!json_scan_uint(&r->scan, &d)) return bad(r, "a dimension from 0 to 2^63 - 1");
        t->shape[t->n_dims++] = d;
        if (__builtin_mul_overflow(t->n_elements, d, &t->n_elements))
            return fail(r->err, FK_EFORMAT,
                        "%s: tensor size overflow: the shape of '%.*s' up to byte %zu multiplies to"
                        " more than 2^64 - 1", r->part->path, shown(t->name.n), t->name.p,
                        8 + r->scan.at);
    }
    return end ? FK_OK : bad(r, "',' or ']' in a shape");
}

static enum fk_status read_offsets(struct entry_reader *r, uint64_t offsets[2])
{
    if (!json_scan_char(&r->scan, '[') || !json_scan_uint(&r->scan, &offsets[0]) ||
        !json_scan_char(&r->scan, ',') || !json_scan_uint(&r->scan, &offsets[1]) ||
        !json_scan_char(&r->scan, ']'))
        return bad(r, "two data_offsets from 0 to 2^63 - 1");
    return FK_OK;
}

/* (3) (4) */
static enum fk_status check_entry(struct entry_reader *r, struct st_tensor *t, int bits,
                                  const uint64_t offsets[2])
{
    uint64_t total;
    if (__builtin_mul_overflow(t->n_elements, (uint64_t)bits / 8, &total))
        return fail(r->err, FK_EFORMAT, "%s: tensor size overflow: '%.*s' has %" PRIu64
                    " elements of %d bits", r->part->path, shown(t->name.n), t->name.p, t->n_elements,
                    bits);
    if (offsets[1] < offsets[0] || offsets[1] > r->data_bytes)
        return fail(r->err, FK_EFORMAT,
                    "%s: tensor '%.*s' has data_offsets [%" PRIu64 ", %" PRIu64
                    "], allowed are 0 to %" PRIu64 " in order", r->part->path, shown(t->name.n),
                    t->name.p, offsets[0], offsets[1], r->data_bytes);
    if (offsets[1] - offsets[0] != total)
        return fail(r->err, FK_EFORMAT,
                    "%s: tensor '%.*s' has %" PRIu64 " bytes by its data_offsets, but %" PRIu64
                    " by its shape and dtype", r->part->path, shown(t->name.n), t->name.p,
                    offsets[1] - offsets[0], total);
    t->bytes = total;
    t->offset = (uint64_t)(r->data - r->part->data) + offsets[0];
    t->data = r->data + offsets[0];
    return FK_OK;
}

static enum fk_status read_entry(struct entry_reader *r, struct st_tensor *t)
{
    bool first = true, end, escapes;
    struct gguf_str key, text;
    int bits = 0, seen = 0;
    uint64_t offsets[2] = {0, 0};
    while (json_scan_member(&r->scan, &first, &key, &escapes, &end)) {
        int what = is(key, "dtype") ? 1 : is(key, "shape") ? 2 : is(key, "data_offsets") ? 4 : 0;
        if (!what || (seen & what)) return bad(r, "dtype, shape and data_offsets, each once");
        seen |= what;
        if (what == 2) TRY(read_shape(r, t));
        if (what == 4) TRY(read_offsets(r, offsets));
        if (what != 1) continue;
        if (!json_scan_string(&r->scan, &text, &escapes)) return bad(r, "a dtype");
        for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
            if (is(text, dtypes[i].name)) {
                t->dtype = dtypes[i].dtype;
                bits = dtypes[i].bits;
            }
        if (!bits)
            return fail(r->err, FK_EUNSUPPORTED,
                        "%s: tensor '%.*s' at byte %zu is of type '%.*s', which is not supported",
                        r->part->path, shown(t->name.n), t->name.p, 8 + r->scan.at, shown(text.n),
                        text.p);
    }
    if (!end) return bad(r, "',' or '}' in a tensor's entry");
    if (seen != 7) return bad(r, "dtype, shape and data_offsets before '}'");
    return check_entry(r, t, bits, offsets);
}

/* __metadata__: an object of strings. */
static enum fk_status skip_metadata(struct entry_reader *r)
{
    bool first = true, end, escapes;
    struct gguf_str key, text;
    while (json_scan_member(&r->scan, &first, &key, &escapes, &end))
        if (!json_scan_string(&r->scan, &text, &escapes)) return bad(r, "a string in __metadata__");
    return end ? FK_OK : bad(r, "an object of strings as __metadata__");
}

static enum fk_status grow(struct safetensors *st, struct fk_error *err)
{
    if (st->n < st->cap) return FK_OK;
    size_t cap = st->cap ? 2 * st->cap : 256;
    struct st_tensor *p = mem_realloc(st->tensors, cap * sizeof *p, MEM_FILE);
    if (!p) return fail_nomem(err, cap * sizeof *p, "a tensor directory");
    st->tensors = p;
    st->cap = cap;
    return FK_OK;
}

static enum fk_status read_header(struct safetensors *st, struct entry_reader *r)
{
    bool first = true, end, escapes;
    struct gguf_str key;
    size_t n_before = st->n;
    while (json_scan_member(&r->scan, &first, &key, &escapes, &end)) {
        if (is(key, "__metadata__")) {
            TRY(skip_metadata(r));
            continue;
        }
        if (escapes || key.n == 0 || key.n > MAX_NAME_BYTES) /* (2) */
            return fail(r->err, FK_EFORMAT,
                        "%s: a tensor name before byte %zu has %zu bytes%s, allowed are 1 to %u without"
                        " escapes", r->part->path, 8 + r->scan.at, key.n,
                        escapes ? " with escapes" : "", MAX_NAME_BYTES);
        if (st->n - n_before >= MAX_FILE_TENSORS || st->n >= MAX_TENSORS)
            return fail(r->err, FK_EFORMAT,
                        "%s: the header at byte %zu has tensor %zu, the limit is %u in a file and %u in"
                        " a folder", r->part->path, 8 + r->scan.at, st->n - n_before + 1,
                        MAX_FILE_TENSORS, MAX_TENSORS);
        TRY(grow(st, r->err));
        struct st_tensor *t = &st->tensors[st->n];
        *t = (struct st_tensor){.name = key, .dtype = DT_NONE, .i_file = r->i_part};
        TRY(read_entry(r, t));
        st->n++;
    }
    if (!end) return bad(r, "',' or '}' after a tensor's entry");
    if (json_scan_peek(&r->scan) || r->scan.at < r->scan.n) return bad(r, "only spaces after the object");
    return FK_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct st_tensor *x = *(const struct st_tensor *const *)a;
    const struct st_tensor *y = *(const struct st_tensor *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* (5) */
static enum fk_status check_order(const struct safetensors *st, size_t from,
                                  const struct entry_reader *r)
{
    size_t n = st->n - from;
    const struct st_tensor **order = mem_array(n + 1, sizeof *order, MEM_FILE);
    if (!order) return fail_nomem(r->err, (n + 1) * sizeof *order, r->part->path);
    for (size_t i = 0; i < n; i++) order[i] = &st->tensors[from + i];
    qsort(order, n, sizeof *order, by_offset);
    uint64_t base = (uint64_t)(r->data - r->part->data), at = base;
    enum fk_status status = FK_OK;
    for (size_t i = 0; i < n && status == FK_OK; i++) {
        const struct st_tensor *t = order[i];
        if (t->offset != at)
            status = fail(r->err, FK_EFORMAT,
                          "%s: tensor '%.*s' has data_offsets from %" PRIu64 ", the one before ends at %"
                          PRIu64, r->part->path, shown(t->name.n), t->name.p, t->offset - base,
                          at - base);
        at = t->offset + t->bytes;
    }
    if (status == FK_OK && at - base != r->data_bytes)
        status = fail(r->err, FK_EFORMAT,
                      "%s: the last tensor's data_offsets end at %" PRIu64 ", the file's data at %" PRIu64,
                      r->part->path, at - base, r->data_bytes);
    mem_free(order);
    return status;
}

static enum fk_status parse_part(struct safetensors *st, int i_part, struct fk_error *err)
{
    const struct st_part *part = &st->parts[i_part];
    if (part->bytes < 8)
        return fail(err, FK_EFORMAT, "%s: %zu bytes, a safetensors file has at least 10", part->path,
                    part->bytes);
    uint64_t n = le64(part->data);
    if (n < 2 || n > MAX_HEADER_BYTES || n > part->bytes - 8) /* (1) */
        return fail(err, FK_EFORMAT,
                    "%s: the header's length at byte 0 is %" PRIu64 ", allowed are 2 to %" PRIu64,
                    part->path, n,
                    part->bytes - 8 < MAX_HEADER_BYTES ? (uint64_t)part->bytes - 8 : MAX_HEADER_BYTES);
    struct entry_reader r = {.scan = {(const char *)part->data + 8, (size_t)n, 0},
                             .part = part,
                             .i_part = i_part,
                             .data = part->data + 8 + n,
                             .data_bytes = part->bytes - 8 - n,
                             .err = err};
    size_t from = st->n;
    if (r.scan.text[0] != '{') return bad(&r, "'{'");
    TRY(read_header(st, &r));
    return check_order(st, from, &r);
}

static enum fk_status build_table(struct safetensors *st, struct fk_error *err)
{
    size_t a, b;
    switch (name_table_build(&st->table, st->tensors, sizeof *st->tensors, st->n, &a, &b)) {
    case NAME_TABLE_OK:
        return FK_OK;
    case NAME_TABLE_NOMEM:
        return fail_nomem(err, st->n * 8, "a tensor directory");
    case NAME_TABLE_CROWDED:
        return fail(err, FK_EFORMAT, "%s: its tensor names are made to collide", st->parts[0].path);
    case NAME_TABLE_TWICE:
        break;
    }
    return fail(err, FK_EFORMAT, "%s: tensor '%.*s' stands twice, as number %zu and %zu",
                st->parts[st->tensors[b].i_file].path, shown(st->tensors[a].name.n),
                st->tensors[a].name.p, a, b); /* (2) */
}

static enum fk_status create(struct safetensors **out, struct fk_error *err)
{
    struct safetensors *st = mem_zalloc(sizeof *st, MEM_FILE);
    if (!st) return fail_nomem(err, sizeof *st, "a safetensors folder");
    *out = st;
    return FK_OK;
}

static enum fk_status add_part(struct safetensors *st, char *path, struct fk_error *err)
{
    struct st_part *p = path ? mem_realloc(st->parts, ((size_t)st->n_parts + 1) * sizeof *p, MEM_FILE)
                             : NULL;
    if (!p) {
        mem_free(path);
        return fail_nomem(err, sizeof *p, "a safetensors folder");
    }
    st->parts = p;
    st->parts[st->n_parts++] = (struct st_part){.path = path, .map = {.slot = -1}};
    return FK_OK;
}

static enum fk_status load_part(struct safetensors *st, int i, struct fk_error *err)
{
    struct st_part *p = &st->parts[i];
    TRY(file_map_open(&p->map, p->path, err));
    p->data = p->map.data;
    p->bytes = p->map.bytes;
    TRY(parse_part(st, i, err));
    if (file_map_failed(&p->map))
        return fail(err, FK_EGONE, "%s: the file was cut while it was read", p->path);
    return FK_OK;
}

static char *join(const char *folder, const char *name, size_t n)
{
    size_t total = strlen(folder) + n + 2;
    char *p = mem_alloc(total, MEM_FILE);
    if (p) snprintf(p, total, "%s/%.*s", folder, (int)n, name);
    return p;
}

/* (6): the index says which files there are, and where each tensor stands. */

static bool plain_name(struct gguf_str s)
{
    static const char end[] = ".safetensors";
    size_t n = sizeof end - 1;
    return s.n > n && s.n < 256 && s.p[0] != '.' && !memchr(s.p, '/', s.n) && !memchr(s.p, 0, s.n) &&
           memcmp(s.p + s.n - n, end, n) == 0;
}

static int find_part(const struct safetensors *st, struct gguf_str file)
{
    for (int i = 0; i < st->n_parts; i++) {
        const char *slash = strrchr(st->parts[i].path, '/');
        if (is(file, slash ? slash + 1 : st->parts[i].path)) return i;
    }
    return -1;
}

/* Calls for each pair of weight_map. pass 0: collect files; pass 1: compare with what was found. */
static enum fk_status read_weight_map(struct safetensors *st, struct json_scan *s, const char *folder,
                                      const char *path, int pass, struct fk_error *err)
{
    bool first = true, end, escapes, more;
    struct gguf_str name, file;
    int last = -1;
    while (json_scan_member(s, &first, &name, &escapes, &end)) {
        if (escapes || !json_scan_string(s, &file, &more) || more || !plain_name(file))
            return fail(err, FK_EFORMAT, "%s: byte %zu of weight_map: expected a tensor name and a plain"
                        " file name ending in .safetensors", path, s->at);
        if (last < 0 || !is(file, strrchr(st->parts[last].path, '/') + 1)) last = find_part(st, file);
        if (pass == 0 && last < 0) {
            if (st->n_parts >= MAX_FILES)
                return fail(err, FK_EFORMAT, "%s: weight_map names more than %d files", path, MAX_FILES);
            TRY(add_part(st, join(folder, file.p, file.n), err));
            last = st->n_parts - 1;
        }
        if (pass == 0) continue;
        size_t i = name_table_find(&st->table, st->tensors, sizeof *st->tensors, name.p, name.n);
        if (i == SIZE_MAX || st->tensors[i].i_file != last)
            return fail(err, FK_EFORMAT, "%s: tensor '%.*s' is not in '%.*s' as weight_map says", path,
                        shown(name.n), name.p, shown(file.n), file.p);
    }
    return end ? FK_OK : fail(err, FK_EFORMAT, "%s: byte %zu: expected ',' or '}'", path, s->at);
}

static enum fk_status read_index(struct safetensors *st, const char *text, size_t n,
                                 const char *folder, const char *path, int pass,
                                 struct fk_error *err)
{
    struct json_scan s = {text, n, 0};
    bool first = true, end, escapes, found = false;
    struct gguf_str key, value;
    while (json_scan_member(&s, &first, &key, &escapes, &end)) {
        if (is(key, "weight_map") && !found) {
            found = true;
            TRY(read_weight_map(st, &s, folder, path, pass, err));
        } else if (!json_scan_value(&s, &value)) {
            return fail(err, FK_EFORMAT, "%s: byte %zu: no JSON value", path, s.at);
        }
    }
    if (!end) return fail(err, FK_EFORMAT, "%s: byte %zu: expected ',' or '}'", path, s.at);
    if (!found || st->n_parts == 0)
        return fail(err, FK_EFORMAT, "%s: no weight_map that names a file", path);
    return FK_OK;
}

static enum fk_status open_indexed(struct safetensors *st, const char *folder, const char *path,
                                   struct fk_error *err)
{
    char *text;
    size_t n;
    TRY(file_read(path, MAX_HEADER_BYTES, &text, &n, err));
    enum fk_status status = read_index(st, text, n, folder, path, 0, err);
    for (int i = 0; i < st->n_parts && status == FK_OK; i++) status = load_part(st, i, err);
    if (status == FK_OK) status = build_table(st, err);
    if (status == FK_OK) status = read_index(st, text, n, folder, path, 1, err);
    mem_free(text);
    return status;
}

enum fk_status safetensors_open(struct safetensors **out, const char *folder, struct fk_error *err)
{
    static const char index_name[] = "model.safetensors.index.json", one[] = "model.safetensors";
    struct safetensors *st = NULL;
    *out = NULL;
    TRY(create(&st, err));
    enum fk_status status;
    char *index = join(folder, index_name, sizeof index_name - 1);
    if (!index) {
        status = fail_nomem(err, strlen(folder), folder);
    } else if (access(index, F_OK) == 0) {
        status = open_indexed(st, folder, index, err);
    } else {
        status = add_part(st, join(folder, one, sizeof one - 1), err);
        if (status == FK_OK) status = load_part(st, 0, err);
        if (status == FK_OK) status = build_table(st, err);
    }
    mem_free(index);
    if (status != FK_OK) safetensors_close(&st);
    *out = st;
    return status;
}

enum fk_status safetensors_parse(struct safetensors **out, const void *data, size_t bytes,
                                 const char *name, struct fk_error *err)
{
    struct safetensors *st = NULL;
    *out = NULL;
    TRY(create(&st, err));
    enum fk_status status = add_part(st, mem_strdup(name, MEM_FILE), err);
    if (status == FK_OK) {
        st->parts[0].data = data;
        st->parts[0].bytes = bytes;
        status = parse_part(st, 0, err);
    }
    if (status == FK_OK) status = build_table(st, err);
    if (status != FK_OK) safetensors_close(&st);
    *out = st;
    return status;
}

void safetensors_close(struct safetensors **stp)
{
    struct safetensors *st = *stp;
    if (!st) return;
    for (int i = 0; i < st->n_parts; i++) {
        file_map_close(&st->parts[i].map);
        mem_free(st->parts[i].path);
    }
    name_table_fini(&st->table);
    mem_free(st->parts);
    mem_free(st->tensors);
    mem_free(st);
    *stp = NULL;
}

size_t safetensors_n(const struct safetensors *st)
{
    return st->n;
}

const struct st_tensor *safetensors_at(const struct safetensors *st, size_t i)
{
    return i < st->n ? &st->tensors[i] : NULL;
}

const struct st_tensor *safetensors_find(const struct safetensors *st, const char *name)
{
    size_t i = name_table_find(&st->table, st->tensors, sizeof *st->tensors, name, strlen(name));
    return i == SIZE_MAX ? NULL : &st->tensors[i];
}

const char *safetensors_path(const struct safetensors *st, int i_file)
{
    return st->parts[i_file].path;
}

bool safetensors_failed(const struct safetensors *st)
{
    for (int i = 0; i < st->n_parts; i++)
        if (file_map_failed(&st->parts[i].map)) return true;
    return false;
}
