/* SPDX-License-Identifier: Apache-2.0
 * out_file.h - a file that appears whole or not at all: written as PATH.tmp.PID beside its target,
 * synced, renamed over it, and the folder synced. Whatever fails before the rename leaves the target
 * as it was and nothing beside it. */
#ifndef FILE_OUT_FILE_H
#define FILE_OUT_FILE_H
#include <stddef.h>
#include <stdint.h>
#include "fikr/status.h"

struct out_file {
    char *path, *temp;
    int fd, folder_fd;
    uint8_t *buf;
    size_t n_buf;
    uint64_t n_written; /* buffered bytes included */
    /* May be set after opening: asked after every few megabytes. */
    fk_progress_fn progress;
    void *progress_arg;
    uint64_t total; /* for the progress */
};

enum fk_status out_file_open(struct out_file *f, const char *path, struct fk_error *err);
/* FK_ECANCELLED when the progress function says so. */
enum fk_status out_file_write(struct out_file *f, const void *p, size_t n, struct fk_error *err);
/* Zeros up to a multiple of alignment. */
enum fk_status out_file_pad(struct out_file *f, uint64_t alignment, struct fk_error *err);
/* Makes the file appear under its name and releases f. On failure nothing is left. */
enum fk_status out_file_commit(struct out_file *f, struct fk_error *err);
/* Removes what was written; harmless after a commit or a failed open. */
void out_file_abort(struct out_file *f);

/* Writes a small file whole. */
enum fk_status out_file_put(const char *path, const void *p, size_t n, struct fk_error *err);
/* Renames from to path and syncs the folder that path lies in (opened before with out_open_parent, so
 * that nothing but the disk can fail here). Closes the descriptor. */
enum fk_status out_open_parent(const char *path, int *folder_fd, struct fk_error *err);
enum fk_status out_rename(const char *from, const char *path, int *folder_fd, struct fk_error *err);

#endif
