/* SPDX-License-Identifier: Apache-2.0
 * safetensors.h - folders of *.safetensors files as models are published, read through maps; and a
 * writer of one file. Containers only: they know no model. */
#ifndef FILE_SAFETENSORS_H
#define FILE_SAFETENSORS_H
#include "src/file/gguf.h"
#include "src/file/out_file.h"

#define ST_MAX_DIMS 8

struct safetensors;

struct st_tensor {
    struct gguf_str name; /* bytes in the map */
    enum dtype dtype;     /* DT_NONE: known to the format, but no type that this library reads */
    int n_dims;           /* 0 to ST_MAX_DIMS */
    uint64_t shape[ST_MAX_DIMS]; /* the last runs fastest, as in the file */
    uint64_t n_elements, bytes;
    uint64_t offset;      /* in its file */
    int i_file;
    const uint8_t *data;
};

/* folder/model.safetensors.index.json and the files it names, or folder/model.safetensors. */
enum fk_status safetensors_open(struct safetensors **out, const char *folder, struct fk_error *err);
/* The bytes of one file (borrowed until close). */
enum fk_status safetensors_parse(struct safetensors **out, const void *data, size_t bytes,
                                 const char *name, struct fk_error *err);
void safetensors_close(struct safetensors **st);
size_t safetensors_n(const struct safetensors *st);
const struct st_tensor *safetensors_at(const struct safetensors *st, size_t i);
const struct st_tensor *safetensors_find(const struct safetensors *st, const char *name); /* hashed */
const char *safetensors_path(const struct safetensors *st, int i_file);
bool safetensors_failed(const struct safetensors *st); /* a file was cut under us */

/* "BF16" for a dtype that the format knows, else NULL. */
const char *safetensors_dtype_name(enum dtype t);

struct st_out {
    const char *name;
    enum dtype dtype;     /* F32, F16 or BF16 */
    int n_dims;
    uint64_t shape[4];    /* the last runs fastest */
    enum fk_status (*fill)(void *arg, struct out_file *f, struct fk_error *err);
    void *arg;
};
/* Writes one file, atomically (out_file.h). */
enum fk_status safetensors_write(const char *path, const struct st_out *tensors, size_t n,
                                 fk_progress_fn progress, void *progress_arg, struct fk_error *err);

#endif
