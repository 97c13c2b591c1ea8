/* SPDX-License-Identifier: Apache-2.0
 * name_table.h - a hash table over an array of structs whose first member is a struct gguf_str.
 * It holds indices only; the array stays the owner. Built once, then read by any thread. */
#ifndef FILE_NAME_TABLE_H
#define FILE_NAME_TABLE_H
#include <stddef.h>
#include "src/file/gguf.h"

struct name_table {
    uint32_t *slots; /* index + 1, 0 is empty; at most half full */
    size_t mask;
};

enum name_table_result { NAME_TABLE_OK, NAME_TABLE_NOMEM, NAME_TABLE_TWICE, NAME_TABLE_CROWDED };

/* On NAME_TABLE_TWICE *first and *second are the equal entries. NAME_TABLE_CROWDED: a run of more
 * than 1,024 used slots, which only a file made to collide has. */
enum name_table_result name_table_build(struct name_table *t, const void *base, size_t stride,
                                        size_t n, size_t *first, size_t *second);
void name_table_fini(struct name_table *t);
/* Index of the entry, or SIZE_MAX. */
size_t name_table_find(const struct name_table *t, const void *base, size_t stride, const char *s,
                       size_t n);

#endif
