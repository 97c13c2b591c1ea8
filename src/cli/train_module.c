/* SPDX-License-Identifier: Apache-2.0
 * train_module.c - the one symbol of fikr-train.so. The module has its own copy of the engine's code;
 * no memory of its goes to the program. */
#include "src/cli/train_link.h"

extern const struct train_link fikr_train;
__attribute__((visibility("default"))) const struct train_link fikr_train = {
    fk_train_default_params, fk_train, fk_train_export, fk_distill, fk_distill_ready};
