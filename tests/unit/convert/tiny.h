/* SPDX-License-Identifier: Apache-2.0
 * tiny.h - tiny published folders for the tests of convert: every number of every tensor is a known
 * function of the tensor's name and the place, so what a conversion moved can be told. */
#ifndef TESTS_CONVERT_TINY_H
#define TESTS_CONVERT_TINY_H
#include <stdbool.h>
#include "src/file/safetensors.h"

#define TINY_MAX 128

struct tiny {
    const char *folder;
    struct st_out tensors[TINY_MAX];
    char names[TINY_MAX][96];
    size_t n;
};

/* Small multiples of 1/64: exact in every type. */
float tiny_value(const char *name, uint64_t row, uint64_t col);

void tiny_init(struct tiny *t, const char *folder);
/* rows 0: a vector of cols. */
void tiny_add(struct tiny *t, enum dtype dtype, uint64_t rows, uint64_t cols, const char *name, ...)
    __attribute__((format(printf, 5, 6)));
void tiny_write(struct tiny *t);
void tiny_put(const char *folder, const char *name, const char *text);
void tiny_clear(const char *folder); /* removes the files in it */
int tiny_n_files(const char *folder);

/* Whole folders with config.json. */
void tiny_llama(const char *folder, enum dtype dtype, const char *more_config);
void tiny_deepseek(const char *folder, bool with_mtp);
void tiny_vocab(const char *folder);

#endif
