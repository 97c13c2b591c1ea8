/* SPDX-License-Identifier: Apache-2.0
 * safetensors_write.c - writes one safetensors file (the format is specified in safetensors.c).
 * The header is padded with spaces so that the data begins at a multiple of 64. */
#include <inttypes.h>
#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/file/le.h"
#include "src/file/safetensors.h"

static void put_json_string(struct buf *b, const char *s)
{
    buf_putc(b, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') buf_printf(b, "\\%c", c);
        else if (c < 0x20) buf_printf(b, "\\u%04x", c);
        else buf_putc(b, (char)c);
    }
    buf_putc(b, '"');
}

static bool tensor_bytes(const struct st_out *t, uint64_t *bytes)
{
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(n, t->shape[i], &n)) return false;
    return dtype_row_bytes(t->dtype, n, bytes);
}

static enum fk_status make_header(struct buf *b, const struct st_out *tensors, size_t n,
                                  uint64_t *total, struct fk_error *err)
{
    uint64_t at = 0, bytes = 0;
    buf_puts(b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        const struct st_out *t = &tensors[i];
        const char *type = safetensors_dtype_name(t->dtype);
        if (!type || !tensor_bytes(t, &bytes) || at + bytes < at || at + bytes > INT64_MAX)
            return fail(err, FK_EINVAL, "tensor '%s' of type %s cannot stand in a safetensors file",
                        t->name, dtype_name(t->dtype));
        buf_putc(b, ',');
        put_json_string(b, t->name);
        buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", type);
        for (int k = 0; k < t->n_dims; k++) buf_printf(b, "%s%" PRIu64, k ? "," : "", t->shape[k]);
        buf_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + bytes);
        at += bytes;
    }
    buf_putc(b, '}');
    while ((b->n + 8) % 64 && !b->failed) buf_putc(b, ' ');
    *total = at;
    return b->failed ? fail_nomem(err, b->n, "a safetensors header") : FK_OK;
}

enum fk_status safetensors_write(const char *path, const struct st_out *tensors, size_t n,
                                 fk_progress_fn progress, void *progress_arg, struct fk_error *err)
{
    struct buf header;
    uint64_t total = 0;
    uint8_t length[8];
    struct out_file f = {.fd = -1, .folder_fd = -1};
    buf_init(&header, 0, MEM_FILE);
    enum fk_status st = make_header(&header, tensors, n, &total, err);
    if (st == FK_OK) st = out_file_open(&f, path, err);
    if (st == FK_OK) {
        put_le(length, header.n, 8);
        st = out_file_write(&f, length, 8, err);
    }
    if (st == FK_OK) st = out_file_write(&f, header.data, header.n, err);
    f.progress = progress;
    f.progress_arg = progress_arg;
    f.total = f.n_written + total;
    for (size_t i = 0; i < n && st == FK_OK; i++) {
        uint64_t bytes = 0, before = f.n_written;
        tensor_bytes(&tensors[i], &bytes);
        st = tensors[i].fill(tensors[i].arg, &f, err);
        if (st == FK_OK && f.n_written - before != bytes)
            st = fail(err, FK_ESTATE, "tensor '%s' got %" PRIu64 " bytes instead of %" PRIu64,
                      tensors[i].name, f.n_written - before, bytes);
    }
    buf_fini(&header);
    if (st == FK_OK) return out_file_commit(&f, err);
    out_file_abort(&f);
    return st;
}
