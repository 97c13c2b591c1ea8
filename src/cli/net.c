/* SPDX-License-Identifier: Apache-2.0
 * net.c - finds and loads the network module (net_module.c): beside the program in the build folder,
 * where the program's run path says once installed. */
#include "src/cli/net.h"

#include <dlfcn.h>
#include <stddef.h>

#include "src/base/fail.h"

enum fk_status net_open(const struct net **out, struct fk_error *err)
{
    void *module = dlopen("fikr-net.so", RTLD_NOW | RTLD_LOCAL);
    *out = module ? dlsym(module, "fikr_net") : NULL;
    if (*out) return FK_OK;
    const char *why = dlerror();
    return fail(err, FK_ENOTFOUND, "the part of fikr that downloads cannot be loaded: %s",
                why ? why : "fikr-net.so has no table");
}
