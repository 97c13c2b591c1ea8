/* SPDX-License-Identifier: Apache-2.0
 * family_arg.c - --family: a name to a family of puzzles. */
#include "src/cli/family_arg.h"
#include "fikr/grade.h"
#include "src/base/alloc.h"
#include "src/base/buf.h"
#include "src/base/fail.h"

enum fk_status family_arg(const char *typed, int *family, struct fk_error *err)
{
    struct buf names;
    *family = fk_family_find(typed);
    if (*family >= 0) return FK_OK;
    buf_init(&names, 1024, MEM_CLI);
    for (int f = 0; f < fk_n_families(); f++) buf_printf(&names, "%s%s", f ? ", " : "", fk_family_name(f));
    enum fk_status st = fail(err, FK_EINVAL, "there is no family of puzzles called %s; there are %s", typed,
                             names.data ? names.data : "others");
    buf_fini(&names);
    return st;
}
