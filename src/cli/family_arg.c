/* SPDX-License-Identifier: Apache-2.0
 * family_arg.c - --family: names to families of puzzles. */
#include "src/cli/family_arg.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/buf.h"
#include "src/base/fail.h"

static enum fk_status unknown(const char *typed, size_t n, struct fk_error *err)
{
    struct buf names;
    buf_init(&names, 1024, MEM_CLI);
    for (int f = 0; f < fk_n_families(); f++) buf_printf(&names, "%s%s", f ? ", " : "", fk_family_name(f));
    enum fk_status st = fail(err, FK_EINVAL, "there is no family of puzzles called %.*s; there are %s",
                             (int)(n < 80 ? n : 80), typed, names.data ? names.data : "others");
    buf_fini(&names);
    return st;
}

enum fk_status family_arg(const char *typed, bool chosen[FK_MAX_FAMILIES], struct fk_error *err)
{
    char name[32];
    memset(chosen, 0, FK_MAX_FAMILIES * sizeof *chosen);
    for (const char *at = typed;; at++) {
        size_t n = strcspn(at, ",");
        if (n >= sizeof name) return unknown(at, n, err);
        memcpy(name, at, n);
        name[n] = 0;
        int family = fk_family_find(name);
        if (family < 0) return unknown(at, n, err);
        chosen[family] = true;
        at += n;
        if (!*at) return FK_OK;
    }
}
