/* SPDX-License-Identifier: Apache-2.0
 * module.c - finds and loads a module. Beside the program it is looked for by its whole path: under
 * AddressSanitizer dlopen is somebody else's call, which does not see the program's run path. */
#include "src/cli/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *open_beside(const char *file)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    char *name = strrchr(path, '/');
    if (!name || (size_t)(name + 1 - path) + strlen(file) >= sizeof path) return NULL;
    strcpy(name + 1, file);
    return access(path, R_OK) ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

const void *module_open(const char *file, const char *table, const char **why)
{
    static char reason[512];
    void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!module) {
        const char *said = dlerror();
        snprintf(reason, sizeof reason, "%s", said ? said : file);
        module = open_beside(file);
    }
    const void *found = module ? dlsym(module, table) : NULL;
    if (module && !found) snprintf(reason, sizeof reason, "%s has no table", file);
    *why = reason;
    return found;
}
