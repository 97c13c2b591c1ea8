/* SPDX-License-Identifier: Apache-2.0
 * convert_api.c - the public calls of fikr/convert.h. */
#include "fikr/convert.h"
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/convert.h"

void fk_convert_default_params(struct fk_convert_params *p)
{
    memset(p, 0, sizeof *p);
}

enum fk_status fk_convert(const char *in, const char *out, const struct fk_convert_params *params,
                          struct fk_error *err)
{
    if (!in || !out) return fail(err, FK_EINVAL, "%s is NULL", in ? "out" : "in");
    return convert_run(in, out, params, err);
}
