/* SPDX-License-Identifier: Apache-2.0
 * train_link.c - finds and loads the training module, as net.c does the network's. */
#include "src/cli/train_link.h"

#include <stdio.h>
#include <string.h>

#include "src/base/fail.h"
#include "src/cli/module.h"

enum fk_status train_link_open(const struct train_link **out, struct fk_error *err)
{
    const char *why;
    *out = module_open("fikr-train.so", "fikr_train", &why);
    if (*out) return FK_OK;
    return fail(err, FK_ENOTFOUND, "the part of fikr that trains cannot be loaded: %s", why);
}

bool train_is_checkpoint(const char *path)
{
    char magic[8] = {0};
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    size_t n = fread(magic, 1, sizeof magic, f);
    fclose(f);
    return n == sizeof magic && !memcmp(magic, FK_TRAIN_MAGIC, sizeof magic);
}
