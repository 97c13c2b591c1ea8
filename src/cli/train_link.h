/* SPDX-License-Identifier: Apache-2.0
 * train_link.h - the calls of libfikr-train, which a module holds: its BLAS costs every start of a
 * program milliseconds and megabytes, so only the verbs that train load it. */
#ifndef CLI_TRAIN_LINK_H
#define CLI_TRAIN_LINK_H
#include <stdbool.h>
#include "fikr/train.h"

struct train_link {
    void (*default_params)(struct fk_train_params *p);
    enum fk_status (*train)(const struct fk_train_params *p, struct fk_error *err);
    enum fk_status (*export_f16)(const char *checkpoint, const char *out_path, struct fk_error *err);
    enum fk_status (*distill)(const char *source, const char *planes, const struct fk_distill_params *p,
                              struct fk_error *err);
    enum fk_status (*distill_ready)(const char *planes, struct fk_error *err);
};

/* The table stays valid until the program ends. */
enum fk_status train_link_open(const struct train_link **out, struct fk_error *err);
/* Whether the file begins as a checkpoint does; loads nothing. */
bool train_is_checkpoint(const char *path);

#endif
