/* SPDX-License-Identifier: Apache-2.0
 * net.c - finds and loads the network module (net_module.c): beside the program in the build folder,
 * where the program's run path says once installed. */
#include "src/cli/net.h"

#include "src/base/fail.h"
#include "src/cli/module.h"

enum fk_status net_open(const struct net **out, struct fk_error *err)
{
    const char *why;
    *out = module_open("fikr-net.so", "fikr_net", &why);
    if (*out) return FK_OK;
    return fail(err, FK_ENOTFOUND, "the part of fikr that downloads cannot be loaded: %s", why);
}
