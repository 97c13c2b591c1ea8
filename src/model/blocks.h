/* SPDX-License-Identifier: Apache-2.0
 * blocks.h - what the files of this room share: reading a file into struct model, and the blocks that
 * the forwards are made of. */
#ifndef MODEL_BLOCKS_H
#define MODEL_BLOCKS_H
#include "src/model/model.h"

/* config.c: hyper-parameters from metadata, every one within its bounds. */
enum fk_status model_config_read(struct model_config *c, const struct gguf *g,
                                 struct fk_error *err);
/* bind.c: tensors by name, shapes checked against the config; sums of bytes and parameters. */
enum fk_status model_bind(struct model *m, struct fk_error *err);
/* bind_planes.c: the planes of a weight, in *out; NULL where the file has none of that name. */
enum fk_status model_find_planes(struct model *m, const char *name, struct planes **out,
                                 struct fk_error *err);
/* rope.c: the tables of angles. After bind, since llama3's factors are a tensor. */
enum fk_status model_rope_init(struct model *m, struct fk_error *err);

/* gqa.c: heads of softmax attention [n_rows, n_heads*v_head_dim] of x, which is normed. */
struct tensor *gqa_attention(const struct model *m, struct ops *o, int i_layer,
                             const struct tensor *x);
/* mla.c: the same with latents; the form is that of the batch's cache. */
struct tensor *mla_attention(const struct model *m, struct ops *o, int i_layer,
                             const struct tensor *x);
/* ffn.c: down(act(gate x) * up x). */
struct tensor *ffn(struct ops *o, enum act act, const struct tensor *gate, const struct tensor *up,
                   const struct tensor *down, const struct tensor *x);
/* moe.c: chosen experts, and the shared ones where the layer has them. */
struct tensor *moe(const struct model *m, struct ops *o, const struct model_layer *l,
                   const struct tensor *x);

/* head.c: in the last layer, keeps of both only the rows whose logits are wanted. */
void keep_out_rows(const struct model *m, struct ops *o, int i_layer, struct tensor **x,
                   struct tensor **attn);
/* logits [n_out, n_vocab] of the residual stream. */
struct tensor *lm_head(const struct model *m, struct ops *o, struct tensor *x);

struct tensor *forward_llama(const struct model *m, struct ops *o);
struct tensor *forward_qwen2(const struct model *m, struct ops *o);
struct tensor *forward_qwen3(const struct model *m, struct ops *o);
struct tensor *forward_qwen3moe(const struct model *m, struct ops *o);
struct tensor *forward_gemma3(const struct model *m, struct ops *o);
struct tensor *forward_deepseek2(const struct model *m, struct ops *o);

#endif
