/* SPDX-License-Identifier: Apache-2.0
 * fileio.c - reading whole inputs, writing whole files. */
#include "src/cli/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"

#define MAX_INPUT ((size_t)1 << 30)

enum fk_status fileio_read_stdin(struct buf *out, struct fk_error *err)
{
    if (term_is_tty(stdin) && term_is_tty(stderr))
        fputs("(the text, then Ctrl-D on a line of its own)\n", stderr);
    for (;;) {
        if (signals_interrupted()) return fail(err, FK_ECANCELLED, "interrupted");
        if (!buf_reserve(out, 65536)) return fail_nomem(err, out->n + 65536, "standard input");
        ssize_t n = read(STDIN_FILENO, out->data + out->n, 65536);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return fail(err, FK_EIO, "reading standard input failed: %s", strerror(errno));
        out->n += (size_t)n;
        out->data[out->n] = 0;
        if (n == 0) return FK_OK;
        if (out->n > MAX_INPUT)
            return fail(err, FK_ETOOBIG, "standard input is longer than %zu bytes", MAX_INPUT);
    }
}

enum fk_status fileio_check_text(const char *what, const char *s, size_t n, struct fk_error *err)
{
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = utf8_decode(s + i, n - i, &len);
        if (cp == UTF8_BAD)
            return fail(err, FK_EINVAL, "%s is no UTF-8 at byte %zu", what, i);
        if (cp == 0) return fail(err, FK_EINVAL, "%s holds a NUL at byte %zu", what, i);
    }
    return FK_OK;
}

enum fk_status fileio_make_parents(const char *path, struct fk_error *err)
{
    char dir[4096];
    size_t n = strlen(path);
    if (n >= sizeof dir) return fail(err, FK_EINVAL, "the path %s is too long", path);
    memcpy(dir, path, n + 1);
    for (char *c = dir + 1; *c; c++) {
        if (*c != '/') continue;
        *c = 0;
        if (mkdir(dir, 0700) && errno != EEXIST && errno != EISDIR)
            return fail(err, FK_EIO, "the folder %s cannot be made: %s", dir, strerror(errno));
        *c = '/';
    }
    return FK_OK;
}

enum fk_status output_open(struct output *o, const char *path, struct fk_error *err)
{
    struct buf temp;
    struct stat there;
    o->path = path;
    o->fd = -1;
    o->temp_path = NULL;
    /* A device or a pipe is written to, not replaced by a file of its name. */
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
        o->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (o->fd >= 0) return FK_OK;
        return fail(err, FK_EIO, "%s cannot be written: %s", path, strerror(errno));
    }
    buf_init(&temp, 8192, MEM_CLI);
    if (!buf_printf(&temp, "%s.tmp%ld", path, (long)getpid())) {
        buf_fini(&temp);
        return fail(err, FK_EINVAL, "the path %s is too long", path);
    }
    o->temp_path = buf_take(&temp);
    o->fd = open(o->temp_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (o->fd >= 0) return FK_OK;
    enum fk_status st = fail(err, errno == ENOENT ? FK_ENOTFOUND : FK_EIO,
                             "%s cannot be written: %s", path, strerror(errno));
    mem_free(o->temp_path);
    o->temp_path = NULL;
    return st;
}

enum fk_status output_write(struct output *o, const void *p, size_t n, struct fk_error *err)
{
    const char *s = p;
    while (n) {
        ssize_t k = write(o->fd, s, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return fail(err, FK_EIO, "writing %s failed: %s", o->path, strerror(errno));
        s += k;
        n -= (size_t)k;
    }
    return FK_OK;
}

enum fk_status output_commit(struct output *o, struct fk_error *err)
{
    int bad = o->temp_path ? fsync(o->fd) : 0;
    bad |= close(o->fd);
    o->fd = -1;
    if (bad || (o->temp_path && rename(o->temp_path, o->path))) {
        int e = errno;
        output_discard(o);
        return fail(err, FK_EIO, "writing %s failed: %s", o->path, strerror(e));
    }
    mem_free(o->temp_path);
    o->temp_path = NULL;
    return FK_OK;
}

void output_discard(struct output *o)
{
    if (o->fd >= 0) close(o->fd);
    o->fd = -1;
    if (o->temp_path) unlink(o->temp_path);
    mem_free(o->temp_path);
    o->temp_path = NULL;
}
