/* SPDX-License-Identifier: Apache-2.0
 * gguf_write.c - lays out and writes a GGUF version 3 file (the format is specified in gguf_read.c).
 * Metadata is collected as the bytes that will stand in the file; tensors are placed in the order of
 * adding, each at the next multiple of the alignment. */
#include "src/file/gguf_write.h"
#include <inttypes.h>
#include <string.h>
#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/file/gguf_impl.h"
#include "src/file/le.h"

struct out_tensor {
    char *name;
    enum dtype dtype;
    int n_dims;
    uint64_t shape[4];
    uint64_t offset, bytes;
    gguf_fill_fn fill;
    void *arg;
};

struct gguf_writer {
    uint32_t alignment;
    struct buf meta;
    uint64_t n_kv;
    size_t *key_at; /* where in meta each pair begins */
    size_t cap_kv;
    bool failed;    /* out of memory */
    char twice[128]; /* a key that was put a second time */
    struct out_tensor *tensors;
    size_t n_tensors, cap_tensors;
    uint64_t data_bytes;
};

enum fk_status gguf_writer_create(struct gguf_writer **out, uint32_t alignment, struct fk_error *err)
{
    *out = NULL;
    if (alignment < 8 || alignment > 1u << 20 || (alignment & (alignment - 1)))
        return fail(err, FK_EINVAL, "alignment %" PRIu32 " is no power of two from 8 to 2^20", alignment);
    struct gguf_writer *w = mem_zalloc(sizeof *w, MEM_FILE);
    if (!w) return fail_nomem(err, sizeof *w, "a GGUF writer");
    w->alignment = alignment;
    buf_init(&w->meta, 0, MEM_FILE);
    if (alignment != 32) gguf_put_u32(w, "general.alignment", alignment);
    *out = w;
    return FK_OK;
}

void gguf_writer_destroy(struct gguf_writer **wp)
{
    struct gguf_writer *w = *wp;
    if (!w) return;
    for (size_t i = 0; i < w->n_tensors; i++) mem_free(w->tensors[i].name);
    mem_free(w->tensors);
    mem_free(w->key_at);
    buf_fini(&w->meta);
    mem_free(w);
    *wp = NULL;
}

static void put_int(struct gguf_writer *w, uint64_t v, int n_bytes)
{
    uint8_t b[8];
    put_le(b, v, n_bytes);
    buf_append(&w->meta, b, (size_t)n_bytes);
}

static void put_bytes(struct gguf_writer *w, const char *s, size_t n)
{
    put_int(w, n, 8);
    buf_append(&w->meta, s, n);
}

static bool find_key(const struct gguf_writer *w, const char *key, size_t n)
{
    for (uint64_t i = 0; i < w->n_kv; i++) {
        const uint8_t *p = (const uint8_t *)w->meta.data + w->key_at[i];
        if (le64(p) == n && memcmp(p + 8, key, n) == 0) return true;
    }
    return false;
}

bool gguf_has_key(const struct gguf_writer *w, const char *key)
{
    return !w->meta.failed && find_key(w, key, strlen(key));
}

/* Begins a pair; false if nothing more may be put. */
static bool begin(struct gguf_writer *w, const char *key, size_t n, enum gguf_type type)
{
    if (w->failed || w->meta.failed || w->twice[0]) return false;
    if (find_key(w, key, n)) {
        size_t k = n < sizeof w->twice - 1 ? n : sizeof w->twice - 1;
        memcpy(w->twice, key, k);
        w->twice[k] = 0;
        return false;
    }
    if (w->n_kv == w->cap_kv) {
        size_t cap = w->cap_kv ? 2 * w->cap_kv : 64;
        size_t *p = mem_realloc(w->key_at, cap * sizeof *p, MEM_FILE);
        if (!p) {
            w->failed = true;
            return false;
        }
        w->key_at = p;
        w->cap_kv = cap;
    }
    w->key_at[w->n_kv++] = w->meta.n;
    put_bytes(w, key, n);
    put_int(w, type, 4);
    return true;
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    if (begin(w, key, strlen(key), GGUF_U32)) put_int(w, v, 4);
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    if (begin(w, key, strlen(key), GGUF_F32)) put_int(w, u, 4);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    if (begin(w, key, strlen(key), GGUF_BOOL)) put_int(w, v, 1);
}

void gguf_put_strn(struct gguf_writer *w, const char *key, const char *s, size_t n)
{
    if (begin(w, key, strlen(key), GGUF_STRING)) put_bytes(w, s, n);
}

void gguf_put_str(struct gguf_writer *w, const char *key, const char *s)
{
    gguf_put_strn(w, key, s, strlen(s));
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type item, const void *data,
                    uint64_t n)
{
    if (!begin(w, key, strlen(key), GGUF_ARRAY)) return;
    put_int(w, item, 4);
    put_int(w, n, 8);
    buf_append(&w->meta, data, (size_t)n * gguf_scalar_bytes(item));
}

void gguf_put_strings(struct gguf_writer *w, const char *key, const struct gguf_str *items,
                      uint64_t n)
{
    if (!begin(w, key, strlen(key), GGUF_ARRAY)) return;
    put_int(w, GGUF_STRING, 4);
    put_int(w, n, 8);
    for (uint64_t i = 0; i < n && !w->meta.failed; i++) put_bytes(w, items[i].p, items[i].n);
}

void gguf_put_kv(struct gguf_writer *w, const struct gguf_kv *kv)
{
    if (!begin(w, kv->key.p, kv->key.n, kv->type)) return;
    if (kv->type == GGUF_ARRAY) {
        put_int(w, kv->item_type, 4);
        put_int(w, kv->n_items, 8);
    }
    buf_append(&w->meta, kv->data, (size_t)kv->data_bytes);
}

enum fk_status gguf_add_tensor(struct gguf_writer *w, const char *name, enum dtype dtype, int n_dims,
                               const uint64_t *shape, gguf_fill_fn fill, void *arg,
                               struct fk_error *err)
{
    if (w->n_tensors == w->cap_tensors) {
        size_t cap = w->cap_tensors ? 2 * w->cap_tensors : 256;
        struct out_tensor *p = mem_realloc(w->tensors, cap * sizeof *p, MEM_FILE);
        if (!p) return fail_nomem(err, cap * sizeof *p, "a tensor directory");
        w->tensors = p;
        w->cap_tensors = cap;
    }
    struct out_tensor t = {.dtype = dtype, .n_dims = n_dims, .fill = fill, .arg = arg};
    uint64_t n_rows = 1, row, end;
    for (int i = 0; i < 4; i++) t.shape[i] = i < n_dims ? shape[i] : 1;
    if (n_dims < 1 || n_dims > 4 || !dtype_row_bytes(dtype, t.shape[0], &row) ||
        __builtin_mul_overflow(t.shape[1] * t.shape[2], t.shape[3], &n_rows) ||
        __builtin_mul_overflow(row, n_rows, &t.bytes) || t.bytes == 0)
        return fail(err, FK_EINVAL, "tensor '%s' of type %s cannot have the shape [%" PRIu64 ", %" PRIu64
                    ", %" PRIu64 ", %" PRIu64 "]", name, dtype_name(dtype), t.shape[0], t.shape[1],
                    t.shape[2], t.shape[3]);
    t.offset = (w->data_bytes + w->alignment - 1) & ~((uint64_t)w->alignment - 1);
    if (__builtin_add_overflow(t.offset, t.bytes, &end))
        return fail(err, FK_EINVAL, "tensor '%s' takes the file beyond 2^64 bytes", name);
    t.name = mem_strdup(name, MEM_FILE);
    if (!t.name) return fail_nomem(err, strlen(name), name);
    w->data_bytes = end;
    w->tensors[w->n_tensors++] = t;
    return FK_OK;
}

uint64_t gguf_writer_data_bytes(const struct gguf_writer *w)
{
    return w->data_bytes;
}

uint64_t gguf_writer_header_bytes(const struct gguf_writer *w)
{
    uint64_t n = 24 + w->meta.n;
    for (size_t i = 0; i < w->n_tensors; i++)
        n += 8 + strlen(w->tensors[i].name) + 4 + 8 * (uint64_t)w->tensors[i].n_dims + 4 + 8;
    return n;
}

static enum fk_status write_int(struct out_file *f, uint64_t v, int n_bytes, struct fk_error *err)
{
    uint8_t b[8];
    put_le(b, v, n_bytes);
    return out_file_write(f, b, (size_t)n_bytes, err);
}

static enum fk_status write_header(const struct gguf_writer *w, struct out_file *f,
                                   struct fk_error *err)
{
    TRY(out_file_write(f, "GGUF", 4, err));
    TRY(write_int(f, 3, 4, err));
    TRY(write_int(f, w->n_tensors, 8, err));
    TRY(write_int(f, w->n_kv, 8, err));
    TRY(out_file_write(f, w->meta.data, w->meta.n, err));
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct out_tensor *t = &w->tensors[i];
        TRY(write_int(f, strlen(t->name), 8, err));
        TRY(out_file_write(f, t->name, strlen(t->name), err));
        TRY(write_int(f, (uint64_t)t->n_dims, 4, err));
        for (int k = 0; k < t->n_dims; k++) TRY(write_int(f, t->shape[k], 8, err));
        TRY(write_int(f, t->dtype, 4, err));
        TRY(write_int(f, t->offset, 8, err));
    }
    return FK_OK;
}

static enum fk_status write_tensors(const struct gguf_writer *w, struct out_file *f,
                                    struct fk_error *err)
{
    if (w->n_tensors == 0) return FK_OK;
    TRY(out_file_pad(f, w->alignment, err));
    uint64_t base = f->n_written;
    f->total = base + w->data_bytes;
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct out_tensor *t = &w->tensors[i];
        TRY(out_file_pad(f, w->alignment, err));
        TRY(t->fill(t->arg, f, err));
        if (f->n_written != base + t->offset + t->bytes)
            return fail(err, FK_ESTATE, "tensor '%s' got %" PRIu64 " bytes instead of %" PRIu64, t->name,
                        f->n_written - base - t->offset, t->bytes);
    }
    return FK_OK;
}

enum fk_status gguf_writer_write(struct gguf_writer *w, const char *path, fk_progress_fn progress,
                                 void *progress_arg, struct fk_error *err)
{
    if (w->twice[0]) return fail(err, FK_ESTATE, "%s: key %s was put twice", path, w->twice);
    if (w->failed || w->meta.failed) return fail_nomem(err, w->meta.n, "the metadata of a GGUF file");
    struct out_file f;
    TRY(out_file_open(&f, path, err));
    enum fk_status st = write_header(w, &f, err);
    f.progress = progress;
    f.progress_arg = progress_arg;
    if (st == FK_OK) st = write_tensors(w, &f, err);
    if (st == FK_OK) return out_file_commit(&f, err);
    out_file_abort(&f);
    return st;
}
