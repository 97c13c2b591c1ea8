/* SPDX-License-Identifier: Apache-2.0
 * train_link.c - finds and loads the training module, as net.c does the network's. */
#include "src/cli/train_link.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "src/base/fail.h"

enum fk_status train_link_open(const struct train_link **out, struct fk_error *err)
{
    void *module = dlopen("fikr-train.so", RTLD_NOW | RTLD_LOCAL);
    *out = module ? dlsym(module, "fikr_train") : NULL;
    if (*out) return FK_OK;
    const char *why = dlerror();
    return fail(err, FK_ENOTFOUND, "the part of fikr that trains cannot be loaded: %s",
                why ? why : "fikr-train.so has no table");
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
