/* SPDX-License-Identifier: Apache-2.0
 * spool.c - a mapped file that has lost its name: the system writes it back when memory is short, and
 * it is gone with its descriptor, whatever happens to us. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "src/base/fail.h"
#include "src/precision/quantize.h"

enum fk_status spool_open(struct spool *s, const char *beside, uint64_t bytes, struct fk_error *err)
{
    char path[4200];
    *s = (struct spool){.fd = -1};
    if (bytes == 0) return FK_OK;
    int n = snprintf(path, sizeof path, "%s.codes.%ld", beside, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof path)
        return fail(err, FK_EINVAL, "the path of the target has more than 4000 bytes");
    s->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->fd < 0) return fail(err, FK_EIO, "%s: cannot be created: %s", path, strerror(errno));
    unlink(path);
    /* Blocks are taken now: a full disk must not show itself as a fault in the map. */
    int e = posix_fallocate(s->fd, 0, (off_t)bytes);
    if (e) return fail(err, FK_EIO, "%s: %llu bytes for codes: %s", path, (unsigned long long)bytes,
                       strerror(e));
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (p == MAP_FAILED)
        return fail(err, FK_ENOMEM, "%s: %llu bytes cannot be mapped: %s", path,
                    (unsigned long long)bytes, strerror(errno));
    s->data = p;
    s->bytes = bytes;
    return FK_OK;
}

void spool_close(struct spool *s)
{
    if (s->data) munmap(s->data, s->bytes);
    if (s->fd >= 0) close(s->fd);
    *s = (struct spool){.fd = -1};
}
