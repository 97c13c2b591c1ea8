/* SPDX-License-Identifier: Apache-2.0
 * lora.h - low-rank adapters as what a run trains: a fresh adapter file over a base model, and the
 * base's adapters reading the weights that training changes. */
#ifndef TRAIN_LORA_H
#define TRAIN_LORA_H
#include "src/model/adapter.h"
#include "src/train/params.h"
#include "src/train/recipe.h"

/* Names of weights that a recipe's "targets" may list: "attn_q" is blk.N.attn_q.weight. */
#define LORA_N_TARGETS 13
extern const char *const lora_targets[LORA_N_TARGETS];

/* Writes an F32 adapter file for every target that the base has: A uniform in +-1/sqrt(inputs), B 0,
 * so that it changes nothing yet. The same recipe and base give the same bytes. FK_EINVAL names a
 * target that the base does not have. */
enum fk_status lora_fresh_write(const struct recipe *r, const struct model *base, const char *path,
                                struct fk_error *err);
/* Whether the fresh file was made over this base. */
enum fk_status lora_check_base(const struct gguf *fresh, const struct model *base, struct fk_error *err);

/* Lets the adapters of a model read p's weights (p: of the adapter's own file). p must outlive it. */
enum fk_status lora_lend(const struct train_params *p, struct model *m, struct fk_error *err);

#endif
