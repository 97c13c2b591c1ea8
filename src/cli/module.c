/* SPDX-License-Identifier: Apache-2.0
 * module.c - finds and loads a module: first beside the program, by its whole path, so that a copied program
 * takes the module that was copied with it and not that of another build; then by the program's run path,
 * where it is installed. */
#include "src/cli/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char reason[512];

/* A copy of dlerror: later calls of dlopen overwrite it. */
static void keep_reason(const char *file)
{
    const char *said = dlerror();
    if (!*reason) snprintf(reason, sizeof reason, "%s", said ? said : file);
}

static void *open_beside(const char *file)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    char *name = strrchr(path, '/');
    if (!name || (size_t)(name + 1 - path) + strlen(file) >= sizeof path) return NULL;
    strcpy(name + 1, file);
    if (access(path, R_OK)) return NULL;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) keep_reason(file);
    return module;
}

const void *module_open(const char *file, const char *table, const char **why)
{
    *reason = 0;
    void *module = open_beside(file);
    if (!module) module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!module) keep_reason(file);
    const void *found = module ? dlsym(module, table) : NULL;
    if (module && !found) snprintf(reason, sizeof reason, "%s has no table", file);
    *why = reason;
    return found;
}
