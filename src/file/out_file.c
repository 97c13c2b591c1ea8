/* SPDX-License-Identifier: Apache-2.0
 * out_file.c - buffered output with an atomic end. A failed fsync is not tried again: the file is
 * given up, since the kernel may have dropped the pages. */
#include "src/file/out_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"

#define BUF_BYTES (1u << 20)

enum fk_status out_file_open(struct out_file *f, const char *path, struct fk_error *err)
{
    *f = (struct out_file){.fd = -1, .folder_fd = -1};
    size_t n = strlen(path) + 32;
    f->path = mem_strdup(path, MEM_FILE);
    f->temp = mem_alloc(n, MEM_FILE);
    f->buf = mem_alloc(BUF_BYTES, MEM_FILE);
    if (!f->path || !f->temp || !f->buf) {
        if (f->temp) f->temp[0] = 0;
        out_file_abort(f);
        return fail_nomem(err, BUF_BYTES, path);
    }
    f->temp[0] = 0;
    enum fk_status st = out_open_parent(path, &f->folder_fd, err);
    if (st != FK_OK) {
        out_file_abort(f);
        return st;
    }
    snprintf(f->temp, n, "%s.tmp.%ld", path, (long)getpid());
    f->fd = open(f->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (f->fd < 0) {
        st = fail(err, FK_EIO, "%s: cannot be created: %s", f->temp, strerror(errno));
        f->temp[0] = 0;
        out_file_abort(f);
        return st;
    }
    return FK_OK;
}

static enum fk_status write_all(struct out_file *f, const uint8_t *p, size_t n, struct fk_error *err)
{
    while (n > 0) {
        ssize_t k = write(f->fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0)
            return fail(err, FK_EIO, "%s: writing %zu bytes failed: %s", f->path, n,
                        strerror(k < 0 ? errno : ENOSPC));
        p += k;
        n -= (size_t)k;
    }
    if (f->progress && f->progress(f->progress_arg, "writing", f->n_written, f->total))
        return fail(err, FK_ECANCELLED, "%s: writing was cancelled", f->path);
    return FK_OK;
}

static enum fk_status flush(struct out_file *f, struct fk_error *err)
{
    size_t n = f->n_buf;
    f->n_buf = 0;
    return n ? write_all(f, f->buf, n, err) : FK_OK;
}

enum fk_status out_file_write(struct out_file *f, const void *p, size_t n, struct fk_error *err)
{
    const uint8_t *bytes = p;
    while (n > 0) {
        if (f->n_buf == BUF_BYTES) TRY(flush(f, err));
        size_t k = BUF_BYTES - f->n_buf < n ? BUF_BYTES - f->n_buf : n;
        memcpy(f->buf + f->n_buf, bytes, k);
        f->n_buf += k;
        f->n_written += k;
        bytes += k;
        n -= k;
    }
    return FK_OK;
}

enum fk_status out_file_pad(struct out_file *f, uint64_t alignment, struct fk_error *err)
{
    static const uint8_t zeros[256];
    uint64_t left = (alignment - f->n_written % alignment) % alignment;
    while (left > 0) {
        size_t k = left < sizeof zeros ? (size_t)left : sizeof zeros;
        TRY(out_file_write(f, zeros, k, err));
        left -= k;
    }
    return FK_OK;
}

enum fk_status out_open_parent(const char *path, int *folder_fd, struct fk_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    char *folder = n ? mem_strndup(path, n, MEM_FILE) : mem_strdup(".", MEM_FILE);
    if (!folder) return fail_nomem(err, n + 1, path);
    *folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int e = errno;
    mem_free(folder);
    if (*folder_fd >= 0) return FK_OK;
    return fail(err, e == ENOENT || e == ENOTDIR ? FK_ENOTFOUND : FK_EIO,
                "%s: its folder cannot be opened: %s", path, strerror(e));
}

enum fk_status out_rename(const char *from, const char *path, int *folder_fd, struct fk_error *err)
{
    int rc = rename(from, path), e = errno, fd = *folder_fd;
    *folder_fd = -1;
    if (rc != 0) {
        close(fd);
        return fail(err, FK_EIO, "%s: cannot be put in place: %s", path, strerror(e));
    }
    rc = fsync(fd);
    e = errno;
    close(fd);
    /* Some file systems have no fsync of folders; they have no better promise to give. */
    if (rc != 0 && e != EINVAL && e != EROFS)
        return fail(err, FK_EIO, "%s: its folder cannot be synced: %s", path, strerror(e));
    return FK_OK;
}

enum fk_status out_file_commit(struct out_file *f, struct fk_error *err)
{
    enum fk_status st = flush(f, err);
    if (st == FK_OK && fsync(f->fd) != 0)
        st = fail(err, FK_EIO, "%s: cannot be synced: %s", f->path, strerror(errno));
    int rc = close(f->fd);
    f->fd = -1;
    if (st == FK_OK && rc != 0)
        st = fail(err, FK_EIO, "%s: closing failed: %s", f->path, strerror(errno));
    if (st == FK_OK) {
        st = out_rename(f->temp, f->path, &f->folder_fd, err);
        f->temp[0] = st == FK_OK ? 0 : f->temp[0];
    }
    out_file_abort(f);
    return st;
}

void out_file_abort(struct out_file *f)
{
    if (f->fd >= 0) close(f->fd);
    if (f->folder_fd >= 0) close(f->folder_fd);
    if (f->temp && f->temp[0]) unlink(f->temp);
    mem_free(f->temp);
    mem_free(f->path);
    mem_free(f->buf);
    *f = (struct out_file){.fd = -1, .folder_fd = -1};
}

enum fk_status out_file_put(const char *path, const void *p, size_t n, struct fk_error *err)
{
    struct out_file f;
    TRY(out_file_open(&f, path, err));
    enum fk_status st = out_file_write(&f, p, n, err);
    if (st == FK_OK) return out_file_commit(&f, err);
    out_file_abort(&f);
    return st;
}
