/* SPDX-License-Identifier: Apache-2.0
 * adapter.h - low-rank adapters tied to the weights of an open model. adapter.c has the file's form. */
#ifndef MODEL_ADAPTER_H
#define MODEL_ADAPTER_H
#include "src/model/model.h"

#define MODEL_ADAPTABLE 14 /* weights of a layer that may have one, at most */

struct model_adapter {
    struct tensor_adapter link;
    struct tensor a, b;    /* views into the adapter's file; training points them at its own memory */
    struct tensor *weight; /* what they add to */
    struct model_adapter *next;
};

/* Ties the adapters of a GGUF file to the model's weights. Once, before anything runs on the model. On
 * failure the model is to be closed. */
enum fk_status model_add_adapter(struct model *m, const char *path, struct fk_error *err);

/* The weight of this name if an adapter may add to it: those of plain products, experts and the
 * up-projections of latents left out. NULL: there is none. */
struct tensor *model_adaptable(const struct model *m, const char *name);

#endif
