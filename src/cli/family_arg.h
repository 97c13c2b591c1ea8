/* SPDX-License-Identifier: Apache-2.0
 * family_arg.h - --family: a name to a family of puzzles. */
#ifndef CLI_FAMILY_ARG_H
#define CLI_FAMILY_ARG_H
#include "fikr/status.h"

/* FK_EINVAL, naming the families that there are. */
enum fk_status family_arg(const char *typed, int *family, struct fk_error *err);

#endif
