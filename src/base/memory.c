/* SPDX-License-Identifier: Apache-2.0
 * memory.c - how much memory the system can still give. */
#include "src/base/memory.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_text(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, out, cap - 1);
    close(fd);
    out[n > 0 ? n : 0] = 0;
    return n > 0;
}

static bool read_number(const char *path, uint64_t *out)
{
    char text[64], *end;
    if (!read_text(path, text, sizeof text)) return false;
    unsigned long long v = strtoull(text, &end, 10);
    if (end == text) return false; /* "max" */
    *out = v;
    return true;
}

uint64_t memory_available(void)
{
    char text[4096];
    uint64_t bytes = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (read_text("/proc/meminfo", text, sizeof text)) {
        const char *line = strstr(text, "MemAvailable:");
        if (line) bytes = strtoull(line + strlen("MemAvailable:"), NULL, 10) * 1024;
    }
    uint64_t limit, used;
    if (read_number("/sys/fs/cgroup/memory.max", &limit) &&
        read_number("/sys/fs/cgroup/memory.current", &used)) {
        uint64_t left = limit > used ? limit - used : 0;
        if (left < bytes) bytes = left;
    }
    return bytes;
}
