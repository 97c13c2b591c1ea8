/* SPDX-License-Identifier: Apache-2.0
 * map.c - file maps and the table that the fault handler reads.
 *
 * The table has fixed slots written with release and read with acquire order, because the handler
 * may run on any thread at any time and may take no lock. */
#include "src/base/map.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/pool.h"

#define N_SLOTS 1024
#define RELEASE_BYTES ((size_t)64 << 20) /* from which a half is worth a thread */

static struct slot {
    _Atomic uintptr_t begin; /* 0: free, 1: being set up */
    _Atomic uintptr_t end;
    _Atomic int failed;
} slots[N_SLOTS];

static enum fk_status open_regular(const char *path, int *fd_out, struct stat *st,
                                   struct fk_error *err)
{
    /* O_NONBLOCK: opening a FIFO without a writer must not hang. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        enum fk_status status = errno == ENOENT || errno == ENOTDIR ? FK_ENOTFOUND : FK_EIO;
        if (errno == EACCES || errno == ELOOP) status = FK_EINVAL;
        return fail(err, status, "%s: %s", path, strerror(errno));
    }
    if (fstat(fd, st) != 0) {
        int e = errno;
        close(fd);
        return fail(err, FK_EIO, "%s: %s", path, strerror(e));
    }
    if (!S_ISREG(st->st_mode)) {
        const char *what = S_ISDIR(st->st_mode)    ? "a folder"
                           : S_ISFIFO(st->st_mode) ? "a pipe"
                           : S_ISCHR(st->st_mode)  ? "a device"
                                                   : "no regular file";
        close(fd);
        return fail(err, FK_EINVAL, "%s: is %s, not a file", path, what);
    }
    *fd_out = fd;
    return FK_OK;
}

enum fk_status file_map_open(struct file_map *m, const char *path, struct fk_error *err)
{
    struct stat st;
    int fd = -1;
    *m = (struct file_map){.slot = -1};
    TRY(open_regular(path, &fd, &st, err));
    if (st.st_size <= 0) {
        close(fd);
        return fail(err, FK_EFORMAT, "%s: the file is empty", path);
    }
    int slot = -1;
    for (int i = 0; i < N_SLOTS && slot < 0; i++) {
        uintptr_t unused = 0;
        if (atomic_compare_exchange_strong(&slots[i].begin, &unused, 1)) slot = i;
    }
    if (slot < 0) {
        close(fd);
        return fail(err, FK_ENOMEM, "%s: more than %d files are mapped", path, N_SLOTS);
    }
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int e = errno;
    close(fd);
    if (p == MAP_FAILED) {
        atomic_store(&slots[slot].begin, 0);
        return fail(err, e == ENOMEM ? FK_ENOMEM : FK_EIO, "%s: cannot map %lld bytes: %s", path,
                    (long long)st.st_size, strerror(e));
    }
    atomic_store(&slots[slot].failed, 0);
    atomic_store(&slots[slot].end, (uintptr_t)p + (size_t)st.st_size);
    atomic_store_explicit(&slots[slot].begin, (uintptr_t)p, memory_order_release);
    *m = (struct file_map){.data = p,
                           .bytes = (size_t)st.st_size,
                           .slot = slot,
                           .dev = (uint64_t)st.st_dev,
                           .ino = (uint64_t)st.st_ino,
                           .mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u +
                                       (uint64_t)st.st_mtim.tv_nsec};
    return FK_OK;
}

struct part { void *p; size_t bytes; };

static void *release(void *arg)
{
    struct part *part = arg;
    madvise(part->p, part->bytes, MADV_DONTNEED);
    return NULL;
}

/* Where the system keeps a file in small pages, unmapping 1.6 GB takes 20 ms, and munmap is one thread. */
static void release_in_two(const struct file_map *m)
{
    size_t half = m->bytes / 2 & ~(((size_t)2 << 20) - 1); /* page tables are not shared then */
    uint8_t *p = (uint8_t *)(uintptr_t)m->data;
    struct part second = {p + half, m->bytes - half};
    pthread_t thread;
    if (half < RELEASE_BYTES || pool_n_cores() < 2 || pthread_create(&thread, NULL, release, &second))
        return;
    release(&(struct part){p, half});
    pthread_join(thread, NULL);
}

void file_map_close(struct file_map *m)
{
    if (!m->data) return;
    atomic_store(&slots[m->slot].begin, 1); /* the handler no longer matches it */
    atomic_store(&slots[m->slot].end, 0);
    release_in_two(m);
    munmap((void *)(uintptr_t)m->data, m->bytes);
    atomic_store_explicit(&slots[m->slot].begin, 0, memory_order_release);
    *m = (struct file_map){.slot = -1};
}

bool file_map_failed(const struct file_map *m)
{
    return m->data && atomic_load_explicit(&slots[m->slot].failed, memory_order_acquire);
}

void map_will_need(const void *p, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)p & ~(page - 1);
    if (bytes) madvise((void *)begin, (uintptr_t)p + bytes - begin, MADV_WILLNEED); /* a hint only */
}

bool map_handle_fault(void *addr)
{
    uintptr_t a = (uintptr_t)addr;
    long page = sysconf(_SC_PAGESIZE);
    for (int i = 0; i < N_SLOTS; i++) {
        uintptr_t begin = atomic_load_explicit(&slots[i].begin, memory_order_acquire);
        uintptr_t end = atomic_load_explicit(&slots[i].end, memory_order_acquire);
        if (begin <= 1 || a < begin || a >= end) continue;
        uintptr_t from = a & ~((uintptr_t)page - 1);
        size_t bytes = end - from;
        void *p = mmap((void *)from, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (p == MAP_FAILED) return false;
        atomic_store_explicit(&slots[i].failed, 1, memory_order_release);
        return true;
    }
    return false;
}

enum fk_status file_read(const char *path, size_t max_bytes, char **data, size_t *bytes,
                         struct fk_error *err)
{
    struct stat st;
    int fd = -1;
    TRY(open_regular(path, &fd, &st, err));
    size_t want = (size_t)st.st_size;
    if (st.st_size < 0 || want > max_bytes) {
        close(fd);
        return fail(err, FK_ETOOBIG, "%s: %lld bytes, more than the limit of %zu", path,
                    (long long)st.st_size, max_bytes);
    }
    char *p = mem_alloc(want + 1, MEM_FILE);
    if (!p) {
        close(fd);
        return fail_nomem(err, want, path);
    }
    size_t n = 0;
    while (n < want) {
        ssize_t got = read(fd, p + n, want - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int e = errno;
            close(fd);
            mem_free(p);
            return fail(err, FK_EIO, "%s: %s", path, strerror(e));
        }
        if (got == 0) break;
        n += (size_t)got;
    }
    close(fd);
    p[n] = 0;
    *data = p;
    *bytes = n;
    return FK_OK;
}

bool file_is_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
