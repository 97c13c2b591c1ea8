/* SPDX-License-Identifier: Apache-2.0
 * fileio.h - text in and files out: read whole and checked, written whole or not at all. */
#ifndef CLI_FILEIO_H
#define CLI_FILEIO_H
#include "fikr/status.h"
#include "src/base/buf.h"

/* Reads standard input to its end (at most 1 GiB). An interrupt gives FK_ECANCELLED. */
enum fk_status fileio_read_stdin(struct buf *out, struct fk_error *err);
/* The folder that the last part of path lies in exists after this (mode 0700 for new ones). */
enum fk_status fileio_make_parents(const char *path, struct fk_error *err);
/* A prompt is UTF-8 without NUL: anything else is refused, naming the place. */
enum fk_status fileio_check_text(const char *what, const char *s, size_t n, struct fk_error *err);

/* A file that gets its name only when it is complete: written as PATH.tmp, synced, renamed. */
struct output {
    const char *path;
    char *temp_path;
    int fd;
};
enum fk_status output_open(struct output *o, const char *path, struct fk_error *err);
enum fk_status output_write(struct output *o, const void *p, size_t n, struct fk_error *err);
enum fk_status output_commit(struct output *o, struct fk_error *err);
void output_discard(struct output *o); /* nothing after a commit */

#endif
