/* SPDX-License-Identifier: Apache-2.0
 * convert.h - converting models between files; what the api room calls, and the calls between the
 * files of this room. */
#ifndef CONVERT_CONVERT_H
#define CONVERT_CONVERT_H
#include "fikr/convert.h"
#include "src/convert/hf_config.h"
#include "src/convert/plan.h"
#include "src/file/gguf_write.h"
#include "src/file/safetensors.h"
#include "src/model/adapter.h"

/* fk_convert: in is a folder or a GGUF file, out a path that ends in ".gguf" or a folder to create. */
enum fk_status convert_run(const char *in, const char *out, const struct fk_convert_params *params,
                           struct fk_error *err);

/* to_gguf.c: the tensors of a GGUF file out of a folder's. May lower c->n_mtp_layers to what is there. */
enum fk_status plan_from_folder(struct plan *p, struct hf_config *c, const struct safetensors *st,
                                enum dtype want, struct fk_error *err);
/* requantize.c: the same tensors in another type. */
enum fk_status plan_from_gguf(struct plan *p, const struct gguf *g, enum dtype want,
                              struct fk_error *err);
/* to_folder.c: the tensors of a folder out of a GGUF file's. */
enum fk_status plan_to_folder(struct plan *p, const struct gguf *g, const struct model_config *c,
                              enum dtype want, struct fk_error *err);
/* folder_config.c: config.json for it (new reference). */
enum fk_status folder_config(const struct gguf *g, const struct model_config *c, enum dtype type,
                             json_t **out, struct fk_error *err);
/* folder_vocab.c: tokenizer.json, tokenizer_config.json, generation_config.json in folder. */
enum fk_status folder_put_vocab(const struct gguf *g, const struct model_config *c, const char *folder,
                                struct fk_error *err);

/* permute.c: the same function with its dimensions in a random order. */
enum fk_status plan_permute(struct plan *p, const struct model_config *c, uint64_t seed,
                            struct fk_error *err);

/* merge.c: lets the tensors of a plan take in the adapters of a model (opened from the same file; it must
 * outlive the plan). Those of a type that cannot be written here become F16. Then, from plan.c: before a
 * tensor's rows, and for each of them. */
void plan_merge(struct plan *p, const struct model *m);
enum fk_status merge_begin(const struct plan_tensor *t, struct fk_error *err);
void merge_row(const struct plan_tensor *t, uint64_t row, float *out);

/* The type that holds most bytes of a plan. */
enum dtype plan_main_dtype(const struct plan *p);

#endif
