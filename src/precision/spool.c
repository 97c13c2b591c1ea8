/* SPDX-License-Identifier: Apache-2.0
 * spool.c - codes on disk, in OUT.resume: the system writes them back when memory is short, and they
 * outlive the process, so that the same command goes on with what an earlier one has done.
 *
 *   data of every weight, one after the other     at a page: head     record of every weight     end mark
 *
 * A record is written after its weight's data and has their checksum. Nothing is synced: what a killed
 * process wrote is in the system's hands, and after a loss of power the checksums tell what is missing. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/crc32c.h"
#include "src/base/fail.h"
#include "src/precision/quantize.h"

#define PAGE 4096u
#define OPEN_TRIES 8

static const char magic[8] = "fkresum1"; /* of the head, and the end mark, which is found whatever the weights are */

struct spool_head {
    char magic[8];
    char key[64];
    struct spool_round round;
    uint32_t is_planned;
    uint32_t crc; /* of what stands before it */
};

struct spool_record {
    int32_t plan;
    float loss[PLANES_N - 1];
    uint32_t crc; /* of what stands before it */
    uint32_t data_crc, data_crc_inverse; /* the weight is done where they fit together */
};

/* Opens and locks the file at s->path; one that was removed before the lock was held is no use. */
static enum fk_status open_locked(struct spool *s, struct stat *st, struct fk_error *err)
{
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        struct stat there;
        s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (s->fd < 0 || fstat(s->fd, st))
            return fail(err, FK_EIO, "%s: cannot be opened: %s", s->path, strerror(errno));
        if (!S_ISREG(st->st_mode)) return fail(err, FK_EINVAL, "%s: is no regular file", s->path);
        if (flock(s->fd, LOCK_EX | LOCK_NB))
            return fail(err, FK_EBUSY, "%s: is in use by another run", s->path);
        if (fstat(s->fd, st) == 0 && stat(s->path, &there) == 0 && there.st_ino == st->st_ino &&
            there.st_dev == st->st_dev)
            return FK_OK;
        close(s->fd);
        s->fd = -1;
    }
    return fail(err, FK_EBUSY, "%s: other runs come and go", s->path);
}

/* A file that ends otherwise is a user's, and nothing happens to it. One of zeros is an earlier run's that ended before
 * it wrote. */
static enum fk_status check_owner(struct spool *s, uint64_t bytes, struct fk_error *err)
{
    char begin[64] = {0}, end[sizeof magic] = {0};
    static const char zeros[sizeof begin];
    size_t n = bytes < sizeof begin ? (size_t)bytes : sizeof begin, n_end = bytes < sizeof end ? (size_t)bytes : sizeof end;
    if (pread(s->fd, begin, n, 0) != (ssize_t)n || pread(s->fd, end, n_end, (off_t)(bytes - n_end)) != (ssize_t)n_end)
        return fail(err, FK_EIO, "%s: cannot be read: %s", s->path, strerror(errno));
    s->is_owned = memcmp(end, magic, sizeof end) == 0 ||
                  (memcmp(begin, zeros, sizeof begin) == 0 && memcmp(end, zeros, sizeof end) == 0);
    if (s->is_owned) return FK_OK;
    return fail(err, FK_EINVAL, "%s: is in the way and none of ours; move it, or give OUT another name", s->path);
}

static enum fk_status map_spool(struct spool *s, uint64_t bytes, struct fk_error *err)
{
    /* Blocks are taken now: a full disk must not show itself as a fault in the map. */
    int e = posix_fallocate(s->fd, 0, (off_t)bytes);
    if (e) return fail(err, FK_EIO, "%s: %llu bytes for codes: %s", s->path, (unsigned long long)bytes,
                       strerror(e));
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (p == MAP_FAILED)
        return fail(err, FK_ENOMEM, "%s: %llu bytes cannot be mapped: %s", s->path,
                    (unsigned long long)bytes, strerror(errno));
    s->data = p;
    s->bytes = bytes;
    return FK_OK;
}

static bool is_ours(const struct spool *s, const char key[65])
{
    const struct spool_head *h = s->head;
    return memcmp(h->magic, magic, sizeof magic) == 0 && memcmp(h->key, key, sizeof h->key) == 0 &&
           h->crc == crc32c(0, h, offsetof(struct spool_head, crc));
}

/* Takes the plans of a round that was planned. False if a record is damaged. */
static bool recall_plans(const struct spool *s, struct plane_weight *w)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct spool_record *r = &s->records[i];
        if (r->crc != crc32c(0, r, offsetof(struct spool_record, crc))) return false;
        if (r->plan < 0 || r->plan > 8) return false;
    }
    for (size_t i = 0; i < s->n && s->head->is_planned; i++) {
        w[i].plan = s->records[i].plan;
        memcpy(w[i].loss, s->records[i].loss, sizeof w[i].loss);
    }
    return true;
}

static uint32_t data_crc(const struct plane_weight *w)
{
    const uint8_t *end = w->codes + w->sizes.n_tiles * PLANES_TILE;
    return crc32c(0, w->side, (size_t)(end - w->side));
}

static void begin_anew(struct spool *s, const char key[65], struct plane_weight *w)
{
    memset(s->head, 0, sizeof *s->head);
    memcpy(s->head->magic, magic, sizeof magic);
    memcpy(s->head->key, key, sizeof s->head->key);
    spool_begin_round(s, NULL, w);
}

/* What an earlier run has done: which weights' data are as their checksums say. */
static void recall(struct spool *s, struct plane_weight *w)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->records[i].data_crc_inverse != ~s->records[i].data_crc) continue;
        w[i].is_done = data_crc(&w[i]) == s->records[i].data_crc;
        s->n_kept += w[i].is_done;
        s->n_damaged += !w[i].is_done;
    }
}

enum fk_status spool_open(struct spool *s, const char *out, const char key[65], struct plane_weight *w,
                          size_t n, struct fk_error *err)
{
    struct stat st;
    uint64_t at = 0, records_at, bytes;
    size_t path_bytes = strlen(out) + 16;
    *s = (struct spool){.fd = -1, .n = n};
    for (size_t i = 0; i < n; i++)
        at += ((w[i].sizes.side_bytes + 63) & ~(uint64_t)63) + w[i].sizes.n_tiles * PLANES_TILE;
    at = (at + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    records_at = (at + sizeof *s->head + 63) & ~(uint64_t)63;
    bytes = records_at + n * sizeof *s->records + sizeof magic;
    s->path = mem_alloc(path_bytes, MEM_FILE);
    if (!s->path) return fail_nomem(err, path_bytes, out);
    snprintf(s->path, path_bytes, "%s.resume", out);
    TRY(open_locked(s, &st, err));
    TRY(check_owner(s, (uint64_t)st.st_size, err));
    bool was_there = st.st_size > 0, fits = (uint64_t)st.st_size == bytes;
    if (was_there && !fits && ftruncate(s->fd, 0))
        return fail(err, FK_EIO, "%s: cannot be emptied: %s", s->path, strerror(errno));
    enum fk_status mapped = map_spool(s, bytes, err);
    s->is_owned = mapped == FK_OK || !fits; /* what is done and cannot be mapped now is kept */
    if (mapped != FK_OK) return mapped;
    s->head = (struct spool_head *)(void *)(s->data + at);
    s->records = (struct spool_record *)(void *)(s->data + records_at);
    at = 0;
    for (size_t i = 0; i < n; i++) {
        w[i].i_record = i;
        w[i].side = s->data + at;
        at += (w[i].sizes.side_bytes + 63) & ~(uint64_t)63;
        w[i].codes = s->data + at;
        at += w[i].sizes.n_tiles * PLANES_TILE;
    }
    s->is_foreign = was_there && !(fits && is_ours(s, key) && recall_plans(s, w));
    if (!was_there || s->is_foreign) begin_anew(s, key, w);
    else recall(s, w);
    memcpy(s->data + bytes - sizeof magic, magic, sizeof magic);
    return FK_OK;
}

const struct spool_round *spool_round(const struct spool *s)
{
    return s->head->is_planned ? &s->head->round : NULL;
}

/* Records first lose what they had, then the head changes: broken off between, nothing is taken for
 * what it is not. */
void spool_begin_round(struct spool *s, const struct spool_round *r, struct plane_weight *w)
{
    for (size_t i = 0; i < s->n; i++) {
        s->records[i] = (struct spool_record){.plan = w[i].plan};
        memcpy(s->records[i].loss, w[i].loss, sizeof w[i].loss);
        w[i].is_done = false;
    }
    atomic_signal_fence(memory_order_seq_cst);
    if (r) s->head->round = *r;
    s->head->is_planned = r != NULL;
    s->head->crc = crc32c(0, s->head, offsetof(struct spool_head, crc));
    atomic_signal_fence(memory_order_seq_cst);
    for (size_t i = 0; i < s->n; i++)
        s->records[i].crc = crc32c(0, &s->records[i], offsetof(struct spool_record, crc));
}

void spool_keep(struct spool *s, struct plane_weight *w)
{
    struct spool_record *r = &s->records[w->i_record];
    uint32_t crc = data_crc(w);
    r->data_crc = crc;
    atomic_signal_fence(memory_order_seq_cst);
    r->data_crc_inverse = ~crc;
    w->is_done = s->has_work = true;
}

bool spool_close(struct spool *s, bool is_needed)
{
    bool keep = is_needed && s->data && (s->has_work || s->n_kept || s->head->is_planned);
    if (s->is_owned && !keep) unlink(s->path);
    if (s->data) munmap(s->data, s->bytes);
    if (s->fd >= 0) close(s->fd);
    mem_free(s->path);
    *s = (struct spool){.fd = -1};
    return keep;
}
