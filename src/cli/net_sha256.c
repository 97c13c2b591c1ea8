/* SPDX-License-Identifier: Apache-2.0
 * net_sha256.c - the hash of a file of any size, with the TLS library's own fast SHA-256. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/cli/net_module.h"

enum fk_status net_sha256(const char *path, char hex[65], fk_progress_fn progress, void *arg,
                          struct fk_error *err)
{
    unsigned char digest[32];
    gnutls_hash_hd_t hash;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        if (fd >= 0) close(fd);
        return fail(err, FK_EIO, "%s cannot be read: %s", path, strerror(errno));
    }
    char *block = mem_alloc(1 << 20, MEM_CLI);
    if (!block || gnutls_hash_init(&hash, GNUTLS_DIG_SHA256)) {
        mem_free(block);
        close(fd);
        return fail_nomem(err, 1 << 20, "the check of a file");
    }
    enum fk_status status = FK_OK;
    for (unsigned long long done = 0; !status;) {
        ssize_t n = read(fd, block, 1 << 20);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = fail(err, FK_EIO, "reading %s failed: %s", path, strerror(errno));
        if (n <= 0) break;
        done += (unsigned long long)n;
        gnutls_hash(hash, block, (size_t)n);
        if (progress(arg, "checking", done, (unsigned long long)st.st_size))
            status = fail(err, FK_ECANCELLED, "interrupted");
    }
    gnutls_hash_deinit(hash, digest);
    mem_free(block);
    close(fd);
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return status;
}
