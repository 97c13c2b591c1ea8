/* SPDX-License-Identifier: Apache-2.0
 * ppl.c - log probabilities and the base file (its format stands in ppl.h). */
#include "src/cli/ppl.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fail.h"

#define HEADER_BYTES 32
#define RANGE 24.0

int32_t ppl_log_softmax(const float *logits, size_t n_vocab, float *out)
{
    float max = -INFINITY;
    int32_t best = -1;
    double sum = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        if (!isfinite(logits[i])) return -1;
        if (logits[i] > max) {
            max = logits[i];
            best = (int32_t)i;
        }
    }
    for (size_t i = 0; i < n_vocab; i++) sum += expf(logits[i] - max);
    double shift = (double)max + log(sum);
    for (size_t i = 0; i < n_vocab; i++) out[i] = (float)((double)logits[i] - shift);
    return best;
}

double ppl_kl(const float *log_p, const float *log_q, size_t n_vocab)
{
    double kl = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        double p = log_p[i];
        if (p > -80) kl += (double)expf((float)p) * (p - (double)log_q[i]);
    }
    return kl > 0 ? kl : 0;
}

uint64_t base_record_bytes(const struct base_header *h)
{
    return 8 + 2 * (uint64_t)h->n_vocab;
}

uint64_t base_file_bytes(const struct base_header *h)
{
    uint64_t n_rows = (uint64_t)h->n_windows * (h->n_ctx - h->n_ctx / 2 - 1);
    return HEADER_BYTES + n_rows * base_record_bytes(h);
}

uint64_t base_hash(const int32_t *ids, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 4; k++) h = (h ^ ((uint32_t)ids[i] >> (8 * k) & 255)) * 0x100000001b3u;
    return h;
}

static void put(unsigned char *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get(const unsigned char *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

enum fk_status base_write_header(struct output *o, const struct base_header *h,
                                 struct fk_error *err)
{
    unsigned char b[HEADER_BYTES] = "fikrbase";
    put(b + 8, 1, 4);
    put(b + 12, h->n_vocab, 4);
    put(b + 16, h->n_ctx, 4);
    put(b + 20, h->n_windows, 4);
    put(b + 24, h->ids_hash, 8);
    return output_write(o, b, sizeof b, err);
}

enum fk_status base_write(struct output *o, const struct base_header *h, const float *log_p,
                          int32_t argmax, unsigned char *record, struct fk_error *err)
{
    float top = log_p[argmax];
    uint32_t bits;
    memcpy(&bits, &top, sizeof bits);
    put(record, (uint32_t)argmax, 4);
    put(record + 4, bits, 4);
    for (size_t i = 0; i < h->n_vocab; i++) {
        double code = ((double)top - (double)log_p[i]) * (65535 / RANGE) + 0.5;
        put(record + 8 + 2 * i, code < 65535 ? (uint64_t)code : 65535, 2);
    }
    return output_write(o, record, base_record_bytes(h), err);
}

static enum fk_status read_all(struct base_reader *r, unsigned char *p, size_t n,
                               struct fk_error *err)
{
    while (n) {
        ssize_t k = read(r->fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return fail(err, FK_EIO, "reading %s failed: %s", r->path, strerror(errno));
        if (k == 0) return fail(err, FK_EFORMAT, "%s ends before its last record", r->path);
        p += k;
        n -= (size_t)k;
    }
    return FK_OK;
}

static enum fk_status check_header(struct base_reader *r, const struct base_header *want,
                                   struct fk_error *err)
{
    unsigned char b[HEADER_BYTES];
    struct stat st;
    struct base_header *h = &r->header;
    TRY(read_all(r, b, sizeof b, err));
    if (memcmp(b, "fikrbase", 8) != 0 || get(b + 8, 4) != 1)
        return fail(err, FK_EFORMAT, "%s was not written by --save-logits", r->path);
    h->n_vocab = (uint32_t)get(b + 12, 4);
    h->n_ctx = (uint32_t)get(b + 16, 4);
    h->n_windows = (uint32_t)get(b + 20, 4);
    h->ids_hash = get(b + 24, 8);
    if (h->n_vocab != want->n_vocab || h->n_ctx != want->n_ctx || h->n_windows != want->n_windows)
        return fail(err, FK_EINVAL, "%s has %u tokens of vocabulary and %u windows of %u, this run "
                    "%u and %u of %u", r->path, h->n_vocab, h->n_windows, h->n_ctx, want->n_vocab,
                    want->n_windows, want->n_ctx);
    if (h->ids_hash != want->ids_hash)
        return fail(err, FK_EINVAL, "%s judges another text than this run", r->path);
    if (fstat(r->fd, &st) || (uint64_t)st.st_size != base_file_bytes(h))
        return fail(err, FK_EFORMAT, "%s has %lld bytes; its header asks for %llu", r->path,
                    (long long)st.st_size, (unsigned long long)base_file_bytes(h));
    return FK_OK;
}

enum fk_status base_open(struct base_reader *r, const char *path, const struct base_header *want,
                         struct fk_error *err)
{
    memset(r, 0, sizeof *r);
    r->path = path;
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0)
        return fail(err, FK_ENOTFOUND, "%s cannot be opened: %s", path, strerror(errno));
    enum fk_status st = check_header(r, want, err);
    if (st) {
        base_close(r);
        return st;
    }
    r->record = mem_alloc(base_record_bytes(want), MEM_CLI);
    r->log_p = mem_array(want->n_vocab, sizeof *r->log_p, MEM_CLI);
    if (r->record && r->log_p) return FK_OK;
    base_close(r);
    return fail_nomem(err, 6ull * want->n_vocab, "a row of the base file");
}

enum fk_status base_next(struct base_reader *r, struct fk_error *err)
{
    size_t n = r->header.n_vocab;
    TRY(read_all(r, r->record, base_record_bytes(&r->header), err));
    uint32_t bits = (uint32_t)get(r->record + 4, 4);
    float top;
    memcpy(&top, &bits, sizeof top);
    uint64_t argmax = get(r->record, 4);
    if (argmax >= n || !(top <= 0.001f && top > -100))
        return fail(err, FK_EFORMAT, "%s has a record with best token %llu and log p %g", r->path,
                    (unsigned long long)argmax, (double)top);
    r->argmax = (int32_t)argmax;
    /* The codes are rounded, so the row is brought back to a sum of one. */
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        r->log_p[i] = top - (float)((double)get(r->record + 8 + 2 * i, 2) * (RANGE / 65535));
        sum += expf(r->log_p[i]);
    }
    float shift = (float)log(sum);
    for (size_t i = 0; i < n; i++) r->log_p[i] -= shift;
    return FK_OK;
}

void base_close(struct base_reader *r)
{
    if (r->fd >= 0) close(r->fd);
    mem_free(r->record);
    mem_free(r->log_p);
    memset(r, 0, sizeof *r);
    r->fd = -1;
}
