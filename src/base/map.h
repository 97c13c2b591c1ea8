/* SPDX-License-Identifier: Apache-2.0
 * map.h - read-only file maps that survive the file being cut under them.
 *
 * A truncated file raises SIGBUS on access. The program (not the library) installs a handler that
 * calls map_handle_fault(): it maps zeros over the hole and marks the map as failed; whoever reads
 * through the map asks file_map_failed() afterwards and ends the request with FK_EGONE. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fikr/status.h"

struct file_map {
    const uint8_t *data;
    size_t bytes;
    int slot;      /* in the table that the fault handler reads */
    uint64_t dev, ino, mtime_ns;
};

/* Maps a regular file whole. Anything else (directory, FIFO, device, empty file) is refused with a
 * sentence, without blocking. */
enum fk_status file_map_open(struct file_map *m, const char *path, struct fk_error *err);
void file_map_close(struct file_map *m);
bool file_map_failed(const struct file_map *m);

/* Asks the system to begin reading bytes of a map that are not in memory, and does not wait. */
void map_will_need(const void *p, size_t bytes);

/* Async-signal-safe. True if addr lay in one of our maps and the hole is closed. */
bool map_handle_fault(void *addr);

/* Reads a small regular file whole into a NUL-terminated buffer (mem_free). */
enum fk_status file_read(const char *path, size_t max_bytes, char **data, size_t *bytes,
                         struct fk_error *err);

/* Whether both names lead to one file that is there. */
bool file_is_same(const char *a, const char *b);

#endif
