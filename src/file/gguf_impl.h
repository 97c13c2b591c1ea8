/* SPDX-License-Identifier: Apache-2.0
 * gguf_impl.h - what the gguf_*.c files share: the parsed set and the call that parses one file. */
#ifndef FILE_GGUF_IMPL_H
#define FILE_GGUF_IMPL_H
#include "src/base/map.h"
#include "src/file/gguf.h"
#include "src/file/name_table.h"

/* One of every STRING_STEP strings of an array has its offset in the index. */
#define STRING_STEP 8u

struct gguf_meta {
    struct gguf_kv *kv;
    uint32_t **string_index; /* [n]; NULL where kv[i] is no array of strings */
    size_t n;
    struct name_table table;
};

struct gguf_part {
    char *path;
    struct file_map map; /* closed (data NULL) when the bytes are the caller's */
    const uint8_t *data;
    size_t bytes;
};

struct gguf {
    struct gguf_part *parts;
    int n_parts;
    uint32_t version;
    struct gguf_meta meta; /* of the first file */
    struct gguf_tensor *tensors;
    size_t n_tensors;
    struct name_table tensor_table;
    uint64_t header_bytes; /* of all files so far: bounded as a whole */
};

/* Parses parts[i_part] and appends its tensors; metadata goes to *meta (gguf_meta_fini it in any
 * case). */
enum fk_status gguf_parse_part(struct gguf *g, int i_part, struct gguf_meta *meta,
                               struct fk_error *err);
/* fikr.plane_end lists where a file of planes may be cut, ascending. The last of these that a file of
 * `bytes` bytes reaches; 0 if it does not reach the first; UINT64_MAX if it is whole or no such file. */
uint64_t gguf_plane_cut(const struct gguf_meta *meta, uint64_t bytes);
void gguf_meta_fini(struct gguf_meta *meta);
const struct gguf_kv *gguf_meta_find(const struct gguf_meta *meta, const char *key);
/* Builds the table over all tensors; refuses a name that stands twice. */
enum fk_status gguf_index_tensors(struct gguf *g, struct fk_error *err);

/* Bytes of a scalar of this type; 0 for strings, arrays and unknown numbers. */
unsigned gguf_scalar_bytes(uint32_t type);

#endif
