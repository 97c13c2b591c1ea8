/* SPDX-License-Identifier: Apache-2.0
 * export.h - from weights in training to a file that the engine and llama.cpp run. */
#ifndef TRAIN_EXPORT_H
#define TRAIN_EXPORT_H
#include "src/train/params.h"

enum fk_status export_f16(const struct train_params *p, const struct gguf *fresh, const char *path,
                          struct fk_error *err);

#endif
