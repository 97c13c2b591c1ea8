/* SPDX-License-Identifier: Apache-2.0
 * family_arg.h - --family: names to families of puzzles. */
#ifndef CLI_FAMILY_ARG_H
#define CLI_FAMILY_ARG_H
#include <stdbool.h>
#include "fikr/grade.h"

/* "add" or "add,sub,sort": sets those and clears the others. FK_EINVAL, naming the families that there
 * are. */
enum fk_status family_arg(const char *typed, bool chosen[FK_MAX_FAMILIES], struct fk_error *err);

#endif
