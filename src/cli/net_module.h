/* SPDX-License-Identifier: Apache-2.0
 * net_module.h - the functions of the network module, for the module's own files only. */
#ifndef CLI_NET_MODULE_H
#define CLI_NET_MODULE_H
#include "src/cli/net.h"

enum fk_status net_download(const char *url, const char *part, bool hash_known,
                            fk_progress_fn progress, void *arg, struct fk_error *err);
enum fk_status net_sha256(const char *path, char hex[65], fk_progress_fn progress, void *arg,
                          struct fk_error *err);

#endif
