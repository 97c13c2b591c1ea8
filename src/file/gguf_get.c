/* SPDX-License-Identifier: Apache-2.0
 * gguf_get.c - lookups and typed reads over a parsed file; values as text for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/file/gguf_impl.h"
#include "src/file/le.h"

#define TEXT_ITEMS 8u       /* items of an array that are shown */
#define TEXT_ITEM_BYTES 48u /* bytes of a string in an array that are shown */

size_t gguf_n_kv(const struct gguf *g)
{
    return g->meta.n;
}

const struct gguf_kv *gguf_kv_at(const struct gguf *g, size_t i)
{
    return i < g->meta.n ? &g->meta.kv[i] : NULL;
}

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key)
{
    return gguf_meta_find(&g->meta, key);
}

size_t gguf_n_tensors(const struct gguf *g)
{
    return g->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
    return i < g->n_tensors ? &g->tensors[i] : NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
    size_t i = name_table_find(&g->tensor_table, g->tensors, sizeof *g->tensors, name, strlen(name));
    return i == SIZE_MAX ? NULL : &g->tensors[i];
}

bool gguf_item_int(const struct gguf_kv *kv, uint64_t i, int64_t *out)
{
    unsigned bytes = gguf_scalar_bytes(kv->item_type);
    if (i >= kv->n_items || bytes == 0) return false;
    const uint8_t *p = kv->data + i * bytes;
    switch (kv->item_type) {
    case GGUF_U8:
        *out = p[0];
        return true;
    case GGUF_I8:
        *out = (int8_t)p[0];
        return true;
    case GGUF_U16:
        *out = le16(p);
        return true;
    case GGUF_I16:
        *out = (int16_t)le16(p);
        return true;
    case GGUF_U32:
        *out = le32(p);
        return true;
    case GGUF_I32:
        *out = (int32_t)le32(p);
        return true;
    case GGUF_I64:
        *out = (int64_t)le64(p);
        return true;
    case GGUF_U64:
        if (le64(p) > INT64_MAX) return false;
        *out = (int64_t)le64(p);
        return true;
    default:
        return false;
    }
}

bool gguf_item_f64(const struct gguf_kv *kv, uint64_t i, double *out)
{
    int64_t v;
    if (i >= kv->n_items) return false;
    if (kv->item_type == GGUF_F32) {
        *out = (double)le_f32(kv->data + i * 4);
        return true;
    }
    if (kv->item_type == GGUF_F64) {
        *out = le_f64(kv->data + i * 8);
        return true;
    }
    if (kv->item_type == GGUF_U64) {
        *out = (double)le64(kv->data + i * 8);
        return true;
    }
    if (!gguf_item_int(kv, i, &v)) return false;
    *out = (double)v;
    return true;
}

bool gguf_item_str(const struct gguf *g, const struct gguf_kv *kv, uint64_t i, struct gguf_str *out)
{
    if (kv->item_type != GGUF_STRING || i >= kv->n_items) return false;
    const uint8_t *p = kv->data;
    if (kv->type == GGUF_ARRAY) {
        /* kv is an element of meta.kv: contract of this call */
        const uint32_t *index = g->meta.string_index[kv - g->meta.kv];
        p += index[i / STRING_STEP];
        for (unsigned k = (unsigned)(i % STRING_STEP); k > 0; k--) p += 8 + le64(p);
    }
    *out = (struct gguf_str){(const char *)p + 8, (size_t)le64(p)};
    return true;
}

static enum fk_status missing(const struct gguf *g, const char *key, bool required,
                              struct fk_error *err)
{
    if (!required) return FK_OK;
    return fail(err, FK_EFORMAT, "%s: the key %s is missing", gguf_path(g), key);
}

static enum fk_status wrong_type(const struct gguf *g, const struct gguf_kv *kv, const char *want,
                                 struct fk_error *err)
{
    const char *of = kv->type == GGUF_ARRAY ? "an array" : gguf_type_name(kv->type);
    return fail(err, FK_EFORMAT, "%s: the key %.*s is of type %s, not %s", gguf_path(g),
                (int)kv->key.n, kv->key.p, of, want);
}

enum fk_status gguf_get_int(const struct gguf *g, const char *key, bool required, int64_t min,
                            int64_t max, int64_t *out, struct fk_error *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return missing(g, key, required, err);
    int64_t v;
    if (kv->type == GGUF_U64 && le64(kv->data) > INT64_MAX)
        return fail(err, FK_EFORMAT, "%s: %s is %" PRIu64 ", allowed are %" PRId64 " to %" PRId64,
                    gguf_path(g), key, le64(kv->data), min, max);
    if (kv->type == GGUF_ARRAY || !gguf_item_int(kv, 0, &v))
        return wrong_type(g, kv, "an integer", err);
    if (v < min || v > max)
        return fail(err, FK_EFORMAT, "%s: %s is %" PRId64 ", allowed are %" PRId64 " to %" PRId64,
                    gguf_path(g), key, v, min, max);
    *out = v;
    return FK_OK;
}

enum fk_status gguf_get_f64(const struct gguf *g, const char *key, bool required, double min,
                            double max, double *out, struct fk_error *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return missing(g, key, required, err);
    double v;
    if (kv->type == GGUF_ARRAY || !gguf_item_f64(kv, 0, &v))
        return wrong_type(g, kv, "a number", err);
    if (!(v >= min && v <= max)) /* a NaN too */
        return fail(err, FK_EFORMAT, "%s: %s is %g, allowed are %g to %g", gguf_path(g), key, v, min,
                    max);
    *out = v;
    return FK_OK;
}

enum fk_status gguf_get_bool(const struct gguf *g, const char *key, bool required, bool *out,
                             struct fk_error *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return missing(g, key, required, err);
    if (kv->type != GGUF_BOOL) return wrong_type(g, kv, "a bool", err);
    *out = kv->data[0] != 0;
    return FK_OK;
}

enum fk_status gguf_get_str(const struct gguf *g, const char *key, bool required,
                            struct gguf_str *out, struct fk_error *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return missing(g, key, required, err);
    if (kv->type != GGUF_STRING) return wrong_type(g, kv, "a string", err);
    gguf_item_str(g, kv, 0, out);
    return FK_OK;
}

const char *gguf_type_name(enum gguf_type t)
{
    static const char *const names[GGUF_N_TYPES] = {"u8",   "i8",     "u16",   "i16", "u32",
                                                    "i32",  "f32",    "bool",  "string",
                                                    "array", "u64",   "i64",   "f64"};
    return (unsigned)t < GGUF_N_TYPES ? names[t] : "unknown";
}

/* The shortest decimal form that reads back to the same number. */
static void put_number(struct buf *b, double v, bool is_f32)
{
    char s[40];
    for (int digits = is_f32 ? 6 : 15; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        double back = strtod(s, NULL);
        if (is_f32 ? (float)back == (float)v : back == v) break;
    }
    buf_puts(b, s);
}

static void put_item(struct buf *b, const struct gguf *g, const struct gguf_kv *kv, uint64_t i)
{
    int64_t v;
    double f;
    struct gguf_str s;
    if (kv->item_type == GGUF_STRING && gguf_item_str(g, kv, i, &s)) {
        size_t n = kv->type == GGUF_ARRAY && s.n > TEXT_ITEM_BYTES ? TEXT_ITEM_BYTES : s.n;
        buf_append(b, s.p, n);
        if (n < s.n) buf_puts(b, "...");
    } else if (kv->item_type == GGUF_BOOL) {
        buf_puts(b, kv->data[i] ? "true" : "false");
    } else if (kv->item_type == GGUF_U64) {
        buf_printf(b, "%" PRIu64, le64(kv->data + 8 * i));
    } else if (gguf_item_int(kv, i, &v)) {
        buf_printf(b, "%" PRId64, v);
    } else if (gguf_item_f64(kv, i, &f)) {
        put_number(b, f, kv->item_type == GGUF_F32);
    }
}

char *gguf_value_text(const struct gguf *g, const struct gguf_kv *kv)
{
    struct buf b;
    buf_init(&b, 0, MEM_FILE);
    if (kv->type != GGUF_ARRAY) {
        put_item(&b, g, kv, 0);
    } else {
        buf_printf(&b, "[%" PRIu64 "]", kv->n_items);
        for (uint64_t i = 0; i < kv->n_items && i < TEXT_ITEMS; i++) {
            buf_puts(&b, i ? ", " : " ");
            put_item(&b, g, kv, i);
        }
        if (kv->n_items > TEXT_ITEMS) buf_puts(&b, ", ...");
    }
    if (b.failed) {
        buf_fini(&b);
        return NULL;
    }
    return buf_take(&b);
}
