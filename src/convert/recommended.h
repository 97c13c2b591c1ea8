/* SPDX-License-Identifier: Apache-2.0
 * recommended.h - recommended sampling between generation_config.json and general.sampling.* keys.
 * Values out of bounds are left out. */
#ifndef CONVERT_RECOMMENDED_H
#define CONVERT_RECOMMENDED_H
#include <jansson.h>
#include "fikr/status.h"
#include "src/file/gguf.h"
#include "src/file/gguf_write.h"

/* A folder without generation_config.json gives no keys. */
enum fk_status recommended_put_keys(const char *folder, struct gguf_writer *w, struct fk_error *err);
void recommended_put_json(const struct gguf *g, json_t *o);

#endif
