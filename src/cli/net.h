/* SPDX-License-Identifier: Apache-2.0
 * net.h - what needs the network libraries. They stand in a module that is loaded when a model is
 * fetched: libcurl and GnuTLS bring some thirty libraries with them, whose loading took 4 of the 35
 * ms from start to first token of a small model. */
#ifndef CLI_NET_H
#define CLI_NET_H
#include <stdbool.h>
#include "fikr/status.h"

struct net {
    /* Downloads url to `part`, from its end on where a broken download left one: if the server's
     * ETag is still the same, or the caller knows the hash that the whole must have. err is not
     * NULL. */
    enum fk_status (*download)(const char *url, const char *part, bool hash_known,
                               fk_progress_fn progress, void *arg, struct fk_error *err);
    /* SHA-256 of a file as 64 hexadecimal digits. */
    enum fk_status (*sha256)(const char *path, char hex[65], fk_progress_fn progress, void *arg,
                             struct fk_error *err);
};

/* Stays loaded until the program ends. FK_ENOTFOUND: the module is not installed, or a library that
 * it wants is not. */
enum fk_status net_open(const struct net **out, struct fk_error *err);

#endif
