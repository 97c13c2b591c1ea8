/* SPDX-License-Identifier: Apache-2.0
 * hf_config.h - config.json of a model folder: the family, the sizes that converting needs, and typed
 * reads with the defaults that the families' published code has. */
#ifndef CONVERT_HF_CONFIG_H
#define CONVERT_HF_CONFIG_H
#include <jansson.h>
#include "src/file/gguf_write.h"
#include "src/model/model.h"

struct hf_config {
    json_t *root;       /* owned */
    const json_t *text; /* text_config of it, or root itself */
    char *path;
    enum model_family family;
    const char *arch;   /* "llama" */
    bool is_v3;         /* deepseek2: V3, R1 */
    bool tied;          /* the head is the embedding */
    int n_layers, n_mtp_layers, n_embd, n_heads, n_kv_heads, head_dim, n_vocab;
    int n_experts, n_ff_expert;
    int kv_rank, nope_dim, rope_dim, v_dim;
    int block_rows, block_cols; /* of F8 scales */
};

enum fk_status hf_config_read(struct hf_config *c, const char *folder, struct fk_error *err);
void hf_config_fini(struct hf_config *c);

/* The value, or NULL where it is absent or null. */
const json_t *hf_get(const json_t *object, const char *key);
/* An absent key leaves *out (the default); a wrong type or a value outside is refused. */
enum fk_status hf_int(const struct hf_config *c, const json_t *object, const char *key, int64_t min,
                      int64_t max, int *out, struct fk_error *err);
enum fk_status hf_f64(const struct hf_config *c, const json_t *object, const char *key, double min,
                      double max, double *out, struct fk_error *err);
bool hf_bool(const json_t *object, const char *key, bool absent);

/* Rotary parameters in both forms, that of rope_parameters and that of rope_scaling. */
struct hf_rope {
    const json_t *scaling; /* may be NULL */
    const char *type;      /* "default", "linear", "yarn", "llama3" */
    double theta, theta_local;
};
enum fk_status hf_rope_read(const struct hf_config *c, struct hf_rope *rope, struct fk_error *err);
/* llama3: the divisors of the frequencies, head_dim / 2 of them. */
enum fk_status hf_rope_factors(const struct hf_config *c, const struct hf_rope *rope, float *out,
                               struct fk_error *err);

/* All keys of the model itself (not of its vocabulary). */
enum fk_status hf_put_keys(const struct hf_config *c, struct gguf_writer *w, const char *name,
                           enum dtype file_type, struct fk_error *err);

#endif
