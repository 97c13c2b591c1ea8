/* SPDX-License-Identifier: Apache-2.0
 * gguf.h - the GGUF container: metadata and a tensor directory over mapped files. Knows no model.
 *
 * Everything is checked at open: what these functions hand out lies inside the file, has a known
 * type, and its sizes fit (see gguf_read.c for the format and the numbered conditions). */
#ifndef FILE_GGUF_H
#define FILE_GGUF_H
#include <stdbool.h>
#include "fikr/status.h"
#include "src/file/le.h"
#include "src/tensor/tensor.h"

struct gguf;

enum gguf_type { GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
                 GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64, GGUF_N_TYPES };

struct gguf_str { const char *p; size_t n; }; /* bytes in the map: not NUL-terminated, any bytes */

struct gguf_kv {
    struct gguf_str key;
    enum gguf_type type;       /* GGUF_ARRAY: see item_type */
    enum gguf_type item_type;
    uint64_t n_items;          /* 1 for scalars */
    const uint8_t *data;       /* little-endian, unaligned */
    uint64_t data_bytes;
};

struct gguf_tensor {
    struct gguf_str name;
    enum dtype dtype;
    int n_dims;                /* 1..4 */
    uint64_t shape[4];         /* shape[0] runs fastest */
    uint64_t offset;           /* in its file */
    uint64_t bytes;
    int i_file;
    const uint8_t *data;
};

/* Opens path, and the other files of a split set when path is one of "NAME-00001-of-00003.gguf". */
enum fk_status gguf_open(struct gguf **out, const char *path, struct fk_error *err);
/* The same over bytes in memory (borrowed until close; 8-byte aligned); name stands in sentences. */
enum fk_status gguf_parse(struct gguf **out, const void *data, size_t bytes, const char *name,
                          struct fk_error *err);
void gguf_close(struct gguf **g);
const char *gguf_path(const struct gguf *g);
uint64_t gguf_file_bytes(const struct gguf *g); /* of all files */
int gguf_version(const struct gguf *g);
bool gguf_failed(const struct gguf *g);         /* a file was cut under us */

size_t gguf_n_kv(const struct gguf *g);
const struct gguf_kv *gguf_kv_at(const struct gguf *g, size_t i);
const struct gguf_kv *gguf_find(const struct gguf *g, const char *key); /* hashed; NULL if absent */
size_t gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i);
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name); /* hashed */

/* Typed reads. A missing key leaves *out as it was and returns FK_OK when `required` is false;
 * a wrong type, a value outside [min, max] or a missing required key fails naming the key. Any
 * integer type is accepted for integers, any number for floats. */
enum fk_status gguf_get_int(const struct gguf *g, const char *key, bool required, int64_t min,
                            int64_t max, int64_t *out, struct fk_error *err);
enum fk_status gguf_get_f64(const struct gguf *g, const char *key, bool required, double min,
                            double max, double *out, struct fk_error *err);
enum fk_status gguf_get_bool(const struct gguf *g, const char *key, bool required, bool *out,
                             struct fk_error *err);
/* Valid until close. */
enum fk_status gguf_get_str(const struct gguf *g, const char *key, bool required,
                            struct gguf_str *out, struct fk_error *err);
/* Element i of an array (or the scalar itself for i == 0). False if out of range or type differs. */
bool gguf_item_int(const struct gguf_kv *kv, uint64_t i, int64_t *out);
bool gguf_item_f64(const struct gguf_kv *kv, uint64_t i, double *out);
/* O(1). kv must be one of g's own (gguf_find, gguf_kv_at). */
bool gguf_item_str(const struct gguf *g, const struct gguf_kv *kv, uint64_t i,
                   struct gguf_str *out);

/* The strings of an array in order, without the index. False: none is left, or, where another process
 * writes to the file, the next does not lie in the array any more. kv has strings. */
struct gguf_walk { const uint8_t *p, *end; };
static inline struct gguf_walk gguf_walk_begin(const struct gguf_kv *kv)
{
    return (struct gguf_walk){kv->data, kv->data + kv->data_bytes};
}
static inline bool gguf_walk_next(struct gguf_walk *w, struct gguf_str *out)
{
    size_t left = (size_t)(w->end - w->p);
    uint64_t n = left < 8 ? 0 : le64(w->p);
    if (left < 8 || n > left - 8) return false;
    *out = (struct gguf_str){(const char *)w->p + 8, (size_t)n};
    w->p += 8 + (size_t)n;
    return true;
}

/* A value as one line of text for people: scalars plain, strings as they are, arrays cut. Yours. */
char *gguf_value_text(const struct gguf *g, const struct gguf_kv *kv);
const char *gguf_type_name(enum gguf_type t);

#endif
