/* SPDX-License-Identifier: Apache-2.0
 * gguf_open.c - maps a GGUF file or all files of a split set, and closes them again.
 *
 * A split set is NAME-00001-of-0000N.gguf to NAME-0000N-of-0000N.gguf, at most MAX_PARTS files. It is
 * accepted if:
 *  (1) the name of the file that was asked for has this form; one that has split.count > 1 and another
 *      name is refused, since nothing would say where the rest is.
 *  (2) every file has split.count equal to N and split.no equal to its number less one.
 *  (3) split.tensors.count of the first file, where present, is the number of tensors in all files.
 *  (4) no tensor name stands in two files.
 * The metadata of the set is the first file's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/file/gguf_impl.h"

#define MAX_PARTS 512
#define SUFFIX_BYTES 20 /* "-00001-of-00003.gguf" */

static bool five_digits(const char *s, int *out)
{
    int v = 0;
    for (int i = 0; i < 5; i++) {
        if (s[i] < '0' || s[i] > '9') return false;
        v = v * 10 + (s[i] - '0');
    }
    *out = v;
    return true;
}

/* True if path ends like a member of a split set; *prefix_n is the length of what stands before. */
static bool parse_split_name(const char *path, size_t *prefix_n, int *no, int *count)
{
    size_t n = strlen(path);
    if (n < SUFFIX_BYTES) return false;
    const char *s = path + n - SUFFIX_BYTES;
    *prefix_n = n - SUFFIX_BYTES;
    return s[0] == '-' && five_digits(s + 1, no) && memcmp(s + 6, "-of-", 4) == 0 &&
           five_digits(s + 10, count) && strcmp(s + 15, ".gguf") == 0;
}

static enum fk_status meta_int(const struct gguf_meta *meta, const char *key, int64_t *out,
                               const char *path, struct fk_error *err)
{
    const struct gguf_kv *kv = gguf_meta_find(meta, key);
    if (!kv) return FK_OK;
    if (kv->type == GGUF_ARRAY || !gguf_item_int(kv, 0, out))
        return fail(err, FK_EFORMAT, "%s: %s is of type %s, not an integer", path, key,
                    gguf_type_name(kv->type));
    return FK_OK;
}

static enum fk_status check_part(const struct gguf *g, int i, const struct gguf_meta *meta,
                                 struct fk_error *err)
{
    const char *path = g->parts[i].path;
    int64_t no = -1, count = -1;
    TRY(meta_int(meta, "split.no", &no, path, err));
    TRY(meta_int(meta, "split.count", &count, path, err));
    if (g->n_parts == 1 && count <= 1) return FK_OK;
    if (g->n_parts == 1)
        return fail(err, FK_EFORMAT,
                    "%s: split.count is %" PRId64
                    ", but the file is not named as one of a set (NAME-00001-of-%05" PRId64 ".gguf)",
                    path, count, count); /* (1) */
    if (count != g->n_parts || no != i) /* (2) */
        return fail(err, FK_EFORMAT,
                    "%s: split.no is %" PRId64 " and split.count %" PRId64
                    ", but by its name they are %d and %d", path, no, count, i, g->n_parts);
    return FK_OK;
}

static enum fk_status check_total(const struct gguf *g, struct fk_error *err)
{
    int64_t total = -1;
    TRY(meta_int(&g->meta, "split.tensors.count", &total, g->parts[0].path, err));
    if (g->n_parts > 1 && total >= 0 && (uint64_t)total != g->n_tensors) /* (3) */
        return fail(err, FK_EFORMAT,
                    "%s: split.tensors.count is %" PRId64 ", but the %d files have %zu tensors",
                    g->parts[0].path, total, g->n_parts, g->n_tensors);
    return FK_OK;
}

static enum fk_status load_part(struct gguf *g, int i, struct fk_error *err)
{
    struct gguf_part *part = &g->parts[i];
    TRY(file_map_open(&part->map, part->path, err));
    part->data = part->map.data;
    part->bytes = part->map.bytes;
    struct gguf_meta other = {0}, *meta = i == 0 ? &g->meta : &other;
    enum fk_status st = gguf_parse_part(g, i, meta, err);
    if (st == FK_OK) st = check_part(g, i, meta, err);
    gguf_meta_fini(&other);
    if (st == FK_OK && file_map_failed(&part->map))
        st = fail(err, FK_EGONE, "%s: the file was cut while it was read", part->path);
    return st;
}

static char *part_path(const char *path, size_t prefix_n, int i, int n)
{
    if (n == 0) return mem_strdup(path, MEM_FILE);
    size_t bytes = prefix_n + SUFFIX_BYTES + 16; /* more than numbers of five digits need */
    char *p = mem_alloc(bytes, MEM_FILE);
    if (!p) return NULL;
    memcpy(p, path, prefix_n);
    snprintf(p + prefix_n, SUFFIX_BYTES + 16, "-%05d-of-%05d.gguf", i + 1, n);
    return p;
}

static enum fk_status create(struct gguf **out, int n_parts, const char *path, struct fk_error *err)
{
    struct gguf *g = mem_zalloc(sizeof *g, MEM_FILE);
    struct gguf_part *parts = mem_calloc((size_t)n_parts, sizeof *parts, MEM_FILE);
    if (!g || !parts) {
        mem_free(g);
        mem_free(parts);
        return fail_nomem(err, sizeof *g + (size_t)n_parts * sizeof *parts, path);
    }
    g->parts = parts;
    g->n_parts = n_parts;
    for (int i = 0; i < n_parts; i++) parts[i].map.slot = -1;
    *out = g;
    return FK_OK;
}

enum fk_status gguf_open(struct gguf **out, const char *path, struct fk_error *err)
{
    size_t prefix_n = 0;
    int no = 0, count = 0;
    *out = NULL;
    bool split = parse_split_name(path, &prefix_n, &no, &count) && count > 1;
    if (split && (no < 1 || no > count || count > MAX_PARTS))
        return fail(err, FK_EFORMAT,
                    "%s: by its name it is file %d of %d, allowed are 1 to the count and at most %d",
                    path, no, count, MAX_PARTS);
    struct gguf *g = NULL;
    TRY(create(&g, split ? count : 1, path, err));
    enum fk_status st = FK_OK;
    for (int i = 0; i < g->n_parts; i++) {
        g->parts[i].path = part_path(path, prefix_n, i, split ? count : 0);
        if (!g->parts[i].path) {
            st = fail_nomem(err, strlen(path), path);
            goto failed;
        }
        TRY_GOTO(load_part(g, i, err), failed);
    }
    TRY_GOTO(check_total(g, err), failed);
    TRY_GOTO(gguf_index_tensors(g, err), failed);
    *out = g;
    return FK_OK;
failed:
    gguf_close(&g);
    return st;
}

enum fk_status gguf_parse(struct gguf **out, const void *data, size_t bytes, const char *name,
                          struct fk_error *err)
{
    struct gguf *g = NULL;
    *out = NULL;
    TRY(create(&g, 1, name, err));
    enum fk_status st = FK_OK;
    g->parts[0].path = mem_strdup(name, MEM_FILE);
    if (!g->parts[0].path) {
        st = fail_nomem(err, strlen(name), name);
        goto failed;
    }
    g->parts[0].data = data;
    g->parts[0].bytes = bytes;
    TRY_GOTO(gguf_parse_part(g, 0, &g->meta, err), failed);
    TRY_GOTO(check_part(g, 0, &g->meta, err), failed);
    TRY_GOTO(gguf_index_tensors(g, err), failed);
    *out = g;
    return FK_OK;
failed:
    gguf_close(&g);
    return st;
}

void gguf_close(struct gguf **gp)
{
    struct gguf *g = *gp;
    if (!g) return;
    gguf_meta_fini(&g->meta);
    name_table_fini(&g->tensor_table);
    mem_free(g->tensors);
    for (int i = 0; i < g->n_parts; i++) {
        file_map_close(&g->parts[i].map);
        mem_free(g->parts[i].path);
    }
    mem_free(g->parts);
    mem_free(g);
    *gp = NULL;
}

const char *gguf_path(const struct gguf *g)
{
    return g->parts[0].path;
}

uint64_t gguf_file_bytes(const struct gguf *g)
{
    uint64_t n = 0;
    for (int i = 0; i < g->n_parts; i++) n += g->parts[i].bytes;
    return n;
}

int gguf_version(const struct gguf *g)
{
    return (int)g->version;
}

bool gguf_failed(const struct gguf *g)
{
    for (int i = 0; i < g->n_parts; i++)
        if (file_map_failed(&g->parts[i].map)) return true;
    return false;
}
