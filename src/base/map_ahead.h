/* SPDX-License-Identifier: Apache-2.0
 * map_ahead.h - a thread that maps the pages of a file before they are read, while the caller has
 * other work. A fault for each 64 KB of a file takes a third of the time of reading it from memory. */
#ifndef BASE_MAP_AHEAD_H
#define BASE_MAP_AHEAD_H
#include <stddef.h>

struct map_span { const void *p; size_t bytes; };
struct map_ahead;

/* Begins with the first of n spans of file maps, which are borrowed until the end. NULL where nothing is
 * done: on one core, without memory for it, with n = 0. Nothing but time is lost then. */
struct map_ahead *map_ahead_begin(const struct map_span *spans, size_t n);
/* Stops it, within a few megabytes, and waits for that; NULL is fine. */
void map_ahead_end(struct map_ahead **a);

#endif
