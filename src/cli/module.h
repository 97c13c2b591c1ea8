/* SPDX-License-Identifier: Apache-2.0
 * module.h - parts of the program that are loaded when they are needed. */
#ifndef CLI_MODULE_H
#define CLI_MODULE_H

/* The module's table, or NULL and a reason in *why (valid until the next call). It is looked for beside the
 * program, then where the program's run path says. Stays loaded. */
const void *module_open(const char *file, const char *table, const char **why);

#endif
