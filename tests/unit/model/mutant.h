/* SPDX-License-Identifier: Apache-2.0
 * mutant.h - copies of golden files with something wrong in them. */
#ifndef MODEL_MUTANT_H
#define MODEL_MUTANT_H
#include "tests/golden/gold.h"

struct mutant {
    uint8_t *data;
    size_t n;
    char path[64]; /* "" until mutant_save() */
};

void mutant_init(struct mutant *m, const char *golden); /* "llama.gguf" */
void mutant_fini(struct mutant *m);                     /* removes the file */
const char *mutant_save(struct mutant *m);
/* The bytes of key's scalar value (after its type). */
uint8_t *mutant_value(struct mutant *m, const char *key);
void mutant_set_u32(struct mutant *m, const char *key, uint32_t v);
void mutant_set_f32(struct mutant *m, const char *key, float v);
/* The entry of a tensor: behind its name stand u32 n_dims, u64 shape[n_dims], u32 type, u64 offset. */
uint8_t *mutant_tensor(struct mutant *m, const char *name);
#endif
