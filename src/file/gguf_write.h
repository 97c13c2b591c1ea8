/* SPDX-License-Identifier: Apache-2.0
 * gguf_write.h - writes a GGUF file: keys first, then tensors whose bytes come from callbacks, so
 * that a file of any size is written with little memory.
 *
 *   gguf_writer_create(&w, 32, &err);
 *   gguf_put_str(w, "general.architecture", "llama");
 *   gguf_add_tensor(w, "a.weight", DT_F16, 2, shape, fill, arg, &err);
 *   gguf_writer_write(w, "out.gguf", NULL, NULL, &err);
 *   gguf_writer_destroy(&w); */
#ifndef FILE_GGUF_WRITE_H
#define FILE_GGUF_WRITE_H
#include <stdbool.h>
#include "src/file/gguf.h"
#include "src/file/out_file.h"

struct gguf_writer;

/* Called once, in the order of adding; writes exactly the tensor's bytes to f. */
typedef enum fk_status (*gguf_fill_fn)(void *arg, struct out_file *f, struct fk_error *err);

/* alignment: a power of two from 8 to 2^20; another than 32 is written as general.alignment. */
enum fk_status gguf_writer_create(struct gguf_writer **out, uint32_t alignment, struct fk_error *err);
void gguf_writer_destroy(struct gguf_writer **w);

/* A failure (no memory, a key twice) stays with the writer and is reported by gguf_writer_write. */
void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_put_f32(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_put_str(struct gguf_writer *w, const char *key, const char *s);
void gguf_put_strn(struct gguf_writer *w, const char *key, const char *s, size_t n);
/* data: n items, little-endian, packed; not for strings. */
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type item, const void *data,
                    uint64_t n);
void gguf_put_strings(struct gguf_writer *w, const char *key, const struct gguf_str *items,
                      uint64_t n);
/* A pair of another file as it is. */
void gguf_put_kv(struct gguf_writer *w, const struct gguf_kv *kv);
bool gguf_has_key(const struct gguf_writer *w, const char *key);

enum fk_status gguf_add_tensor(struct gguf_writer *w, const char *name, enum dtype dtype, int n_dims,
                               const uint64_t *shape, gguf_fill_fn fill, void *arg,
                               struct fk_error *err);
/* Bytes of the data section, and of what stands before it without its padding. */
uint64_t gguf_writer_data_bytes(const struct gguf_writer *w);
uint64_t gguf_writer_header_bytes(const struct gguf_writer *w);

enum fk_status gguf_writer_write(struct gguf_writer *w, const char *path, fk_progress_fn progress,
                                 void *progress_arg, struct fk_error *err);

#endif
