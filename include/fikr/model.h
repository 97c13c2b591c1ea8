/* SPDX-License-Identifier: Apache-2.0
 * model.h - open a model file and look into it.
 *
 *   fk_model *m = NULL;
 *   struct fk_error err;
 *   if (fk_model_open(&m, "model.gguf", NULL, &err)) { fprintf(stderr, "%s\n", err.message); ... }
 *   ...
 *   fk_model_close(&m);
 *
 * A model is immutable: any number of threads and engines may use one. */
#ifndef FIKR_MODEL_H
#define FIKR_MODEL_H
#include <stddef.h>
#include <stdint.h>
#include "fikr/status.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct fk_model fk_model;

struct fk_model_params {
    int container_only;        /* parse and check the file, but build no model: inspect uses it */
    fk_progress_fn progress;   /* may be NULL */
    void *progress_arg;
    const char *lora;          /* a low-rank adapter's GGUF file, added to the weights as they are read;
                                * NULL: none */
    void *reserved[7];         /* zero */
};
FK_API void fk_model_default_params(struct fk_model_params *p);

/* Maps the file; nothing is copied or repacked, so this is fast. params may be NULL. */
FK_API enum fk_status fk_model_open(fk_model **out, const char *path,
                                    const struct fk_model_params *params, struct fk_error *err);
/* Accepts NULL and sets *m to NULL. Engines on it must be gone. */
FK_API void fk_model_close(fk_model **m);

struct fk_model_info {
    char architecture[32], name[128], file_type[16]; /* "llama", "SmolLM2 135M", "Q4_1" */
    uint64_t file_bytes, weight_bytes, active_bytes; /* active: read per decoded token */
    uint64_t n_params, n_active_params;
    int n_layers, n_mtp_layers, n_embd, n_ff, n_vocab, n_ctx_train;
    int n_heads, n_kv_heads, head_dim, n_experts, n_experts_used;
    uint64_t kv_bytes_per_token_f16;
    int has_template, has_thinking; /* thinking: the template knows think tags */
    char template_sha256[65];
};
FK_API enum fk_status fk_model_get_info(const fk_model *m, struct fk_model_info *out);

/* Metadata: keys in file order, values as text (arrays as "[n] a, b, c, ..."). Strings are valid
 * until close; the file's bytes unchanged, so escape them before a terminal. */
FK_API size_t fk_model_n_meta(const fk_model *m);
FK_API enum fk_status fk_model_get_meta(const fk_model *m, size_t i, const char **key,
                                        const char **type, const char **value);

struct fk_tensor_info {
    const char *name, *type;
    uint64_t shape[4]; /* shape[0] runs fastest; unused are 1 */
    int n_dims;
    uint64_t offset, bytes;
    int i_file;        /* of a split set */
};
FK_API size_t fk_model_n_tensors(const fk_model *m);
FK_API enum fk_status fk_model_get_tensor(const fk_model *m, size_t i, struct fk_tensor_info *out);

/* True once the file was cut or changed under us. */
FK_API int fk_model_failed(const fk_model *m);

/* For a SIGBUS handler (async-signal-safe): 1 if addr lay in a model's map; the hole is then filled
 * with zeros and the model marked failed, and the handler may return. 0: not ours. */
FK_API int fk_handle_fault(void *addr);

#ifdef __cplusplus
}
#endif
#endif
