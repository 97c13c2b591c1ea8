/* SPDX-License-Identifier: Apache-2.0
 * quantize_api.c - the public calls of fikr/quantize.h. */
#include "fikr/quantize.h"
#include <string.h>
#include "src/base/fail.h"
#include "src/precision/quantize.h"

void fk_quantize_default_params(struct fk_quantize_params *p)
{
    memset(p, 0, sizeof *p);
}

enum fk_status fk_quantize(const char *in, const char *out, const struct fk_quantize_params *params,
                           struct fk_error *err)
{
    if (!in || !out) return fail(err, FK_EINVAL, "fk_quantize: %s is NULL", in ? "out" : "in");
    return quantize_run(in, out, params, err);
}

enum fk_status fk_check_planes(const char *path, fk_progress_fn progress, void *progress_arg,
                               struct fk_check_report *report, struct fk_error *err)
{
    struct fk_check_report ignored;
    if (!path) return fail(err, FK_EINVAL, "fk_check_planes: path is NULL");
    return planes_check(path, progress, progress_arg, report ? report : &ignored, err);
}
