/* SPDX-License-Identifier: Apache-2.0
 * hf_names.h - which tensor of a published folder is which tensor of a GGUF file. */
#ifndef CONVERT_HF_NAMES_H
#define CONVERT_HF_NAMES_H
#include "src/model/model.h"

enum hf_kind {
    HF_PLAIN,
    HF_QUERY, HF_KEY, /* rotary rows: halves there, pairs here for llama */
    HF_NORM           /* gemma3 stores the weight less one */
};

struct hf_name {
    const char *hf;   /* without "model.layers.N." where it belongs to a layer */
    const char *gguf; /* without "blk.N." */
    enum hf_kind kind;
    bool per_layer;
    unsigned families; /* bits 1 << family */
};

#define HF_IN(family) (1u << (family))

/* NULL: the family has no such tensor. */
const struct hf_name *hf_name_find(enum model_family family, bool per_layer, const char *hf);
const struct hf_name *hf_name_of_gguf(enum model_family family, bool per_layer, const char *gguf);

/* "gate_proj" of experts: the GGUF tensor that stacks them. Index 0 to 2. */
extern const char *const hf_expert_proj[3], *const hf_expert_gguf[3];

#endif
