/* SPDX-License-Identifier: Apache-2.0
 * fresh.h - a model that knows nothing yet: vocabulary, chat template and random weights as an F32
 * GGUF file of the architecture deepseek2, which the engine and llama.cpp load. */
#ifndef TRAIN_FRESH_H
#define TRAIN_FRESH_H
#include "src/file/gguf.h"
#include "src/train/words.h"

/* Names of tensors and keys are llama.cpp's. The same recipe gives the same bytes. */
enum fk_status fresh_write(const struct recipe *r, const fk_book *book, const char *path,
                           struct fk_error *err);
/* The same with the vocabulary of another model, whose weights are to follow: ids must mean what they
 * meant there. FK_EFORMAT where its tokens are not as many as the recipe's. */
enum fk_status fresh_write_like(const struct recipe *r, const struct gguf *like, const char *path,
                                struct fk_error *err);

#endif
