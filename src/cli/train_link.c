/* SPDX-License-Identifier: Apache-2.0
 * train_link.c - finds and loads the training module, as net.c does the network's. */
#include "src/cli/train_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/fail.h"
#include "src/cli/module.h"

/* OpenBLAS chooses its kernels by the processor's model number, and takes those of SSE3 for a model that
 * it does not know yet, at less than half the speed; the features say more. Its own variable, where set,
 * counts. */
static void name_kernels(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        setenv("OPENBLAS_CORETYPE", "Haswell", 0);
#endif
}

enum fk_status train_link_open(const struct train_link **out, struct fk_error *err)
{
    const char *why;
    name_kernels();
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
