/* SPDX-License-Identifier: Apache-2.0
 * net_http.c - one file over HTTP, resumable. The server's ETag is kept in PART.etag and sent back
 * as If-Range: when the file changed meanwhile, the server sends all of it, and so do we begin
 * anew. */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/cli/net_module.h"

enum { MAX_ATTEMPTS = 20, MAX_ETAG = 256 };

struct transfer {
    const char *url, *part;
    char etag_path[4200], etag[MAX_ETAG];
    int fd;
    curl_off_t begin;     /* bytes that were there before this attempt */
    curl_off_t whole;     /* the size that a 416 tells, -1: not said */
    int write_errno;
    bool cancelled;
    fk_progress_fn progress;
    void *arg;
};

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t left = size * n;
    while (left) {
        ssize_t k = write(t->fd, p, left);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) {
            t->write_errno = errno;
            return 0;
        }
        p += k;
        left -= (size_t)k;
    }
    return size * n;
}

/* Keeps the ETag of the answer that carries the file (a redirect's is overwritten). */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * n;
    if (len >= 5 && !memcmp(p, "HTTP/", 5)) t->etag[0] = 0;
    if (len > 23 && !strncasecmp(p, "content-range: bytes */", 23)) {
        t->whole = 0;
        for (size_t i = 23; i < len && isdigit((unsigned char)p[i]) && t->whole < 1ll << 50; i++)
            t->whole = t->whole * 10 + (p[i] - '0');
    }
    if (len > 5 && !strncasecmp(p, "etag:", 5)) {
        size_t i = 5;
        while (i < len && (p[i] == ' ' || p[i] == '\t')) i++;
        while (len > i && isspace((unsigned char)p[len - 1])) len--;
        /* A weak ETag does not promise the same bytes. */
        if (len - i < MAX_ETAG && len > i && p[i] == '"') {
            memcpy(t->etag, p + i, len - i);
            t->etag[len - i] = 0;
        }
    }
    return size * n;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t ul_total,
                       curl_off_t ul_now)
{
    struct transfer *t = arg;
    (void)ul_total;
    (void)ul_now;
    curl_off_t whole = total > 0 ? t->begin + total : 0;
    t->cancelled = t->progress(t->arg, "downloading", (unsigned long long)(t->begin + now),
                               (unsigned long long)whole) != 0;
    return t->cancelled;
}

static void store_etag(const struct transfer *t)
{
    if (!t->etag[0]) {
        unlink(t->etag_path);
        return;
    }
    int fd = open(t->etag_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return;
    ssize_t n = write(fd, t->etag, strlen(t->etag));
    close(fd);
    if (n != (ssize_t)strlen(t->etag)) unlink(t->etag_path);
}

static void load_etag(const struct transfer *t, char etag[MAX_ETAG])
{
    etag[0] = 0;
    int fd = open(t->etag_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, etag, MAX_ETAG - 1);
    close(fd);
    etag[n > 0 ? n : 0] = 0;
    for (char *c = etag; *c; c++)
        if (iscntrl((unsigned char)*c)) etag[0] = 0;
}

static enum fk_status sentence(const struct transfer *t, CURL *curl, CURLcode rc,
                               const char *detail, struct fk_error *err)
{
    long code = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (t->cancelled)
        return fail(err, FK_ECANCELLED, "interrupted; the same command continues from %s", t->part);
    if (t->write_errno)
        return fail(err, FK_EIO, "writing %s failed: %s", t->part, strerror(t->write_errno));
    if (rc == CURLE_HTTP_RETURNED_ERROR)
        return fail(err, FK_ENET, "%s is not to be had: the server answers %ld%s", t->url, code,
                    code == 404 ? " (not found)" : "");
    if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL)
        return fail(err, FK_EINVAL, "%s is no http or https address", t->url);
    return fail(err, FK_ENET, "downloading %s failed: %s", t->url,
                detail[0] ? detail : curl_easy_strerror(rc));
}

static void set_options(CURL *curl, struct transfer *t, char *detail)
{
    curl_easy_setopt(curl, CURLOPT_URL, t->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "fikr/" FIKR_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
}

enum outcome { DONE, FAILED, CUT, RESTART };

/* One request. CUT: bytes came and then the connection broke. RESTART: what lies in the part file
 * cannot be continued. */
static enum outcome attempt(struct transfer *t, struct fk_error *err)
{
    char detail[CURL_ERROR_SIZE] = "", etag[MAX_ETAG];
    struct curl_slist *headers = NULL;
    enum outcome out = FAILED;
    CURL *curl = curl_easy_init();
    if (!curl) {
        fail_nomem(err, 0, "the download");
        return FAILED;
    }
    t->begin = lseek(t->fd, 0, SEEK_END);
    t->whole = -1;
    t->write_errno = 0;
    t->etag[0] = 0;
    set_options(curl, t, detail);
    load_etag(t, etag);
    if (t->begin > 0) {
        curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, t->begin);
        if (etag[0]) {
            struct buf line;
            buf_init(&line, 1024, MEM_CLI);
            if (buf_printf(&line, "If-Range: %s", etag))
                headers = curl_slist_append(NULL, line.data);
            buf_fini(&line);
            curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        }
    }
    CURLcode rc = curl_easy_perform(curl);
    curl_off_t end = lseek(t->fd, 0, SEEK_END);
    long code = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (t->begin == 0 && end > 0) store_etag(t);
    /* 416: nothing lies behind our end. That is well if the server's file ends there too. */
    if (code == 416 && t->begin > 0) {
        out = t->whole == t->begin ? DONE : RESTART;
    } else if (rc == CURLE_OK) {
        out = DONE;
    } else if (t->begin > 0 && rc == CURLE_RANGE_ERROR) {
        out = RESTART;
    } else {
        sentence(t, curl, rc, detail, err);
        bool cut = rc == CURLE_PARTIAL_FILE || rc == CURLE_RECV_ERROR;
        if (cut && end > t->begin && !t->cancelled && !t->write_errno) out = CUT;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return out;
}

/* A part file that nothing vouches for (no ETag) is not continued. */
static void drop_unknown_part(struct transfer *t, bool hash_known)
{
    char etag[MAX_ETAG];
    load_etag(t, etag);
    if (!etag[0] && !hash_known && ftruncate(t->fd, 0)) t->write_errno = errno;
}

enum fk_status net_download(const char *url, const char *part, bool hash_known,
                            fk_progress_fn progress, void *arg, struct fk_error *err)
{
    struct transfer t = {.url = url, .part = part, .progress = progress, .arg = arg};
    int n = snprintf(t.etag_path, sizeof t.etag_path, "%s.etag", part);
    if (n < 0 || n >= (int)sizeof t.etag_path)
        return fail(err, FK_EINVAL, "the path %s is too long", part);
    t.fd = open(part, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (t.fd < 0) return fail(err, FK_EIO, "%s cannot be written: %s", part, strerror(errno));
    if (flock(t.fd, LOCK_EX | LOCK_NB)) {
        close(t.fd);
        return fail(err, FK_EBUSY, "another fikr is downloading %s", part);
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
        close(t.fd);
        return fail(err, FK_ENET, "the download library does not start");
    }
    drop_unknown_part(&t, hash_known);
    enum outcome out = CUT;
    for (int i = 0; i < MAX_ATTEMPTS && out == CUT; i++) {
        out = attempt(&t, err);
        if (out == RESTART) {
            if (ftruncate(t.fd, 0)) {
                fail(err, FK_EIO, "%s cannot be emptied: %s", part, strerror(errno));
                out = FAILED;
            } else {
                unlink(t.etag_path);
                out = CUT;
            }
        }
    }
    bool empty = lseek(t.fd, 0, SEEK_END) == 0;
    if (out == DONE && fsync(t.fd)) {
        fail(err, FK_EIO, "writing %s failed: %s", part, strerror(errno));
        out = FAILED;
    }
    close(t.fd);
    if (out == DONE || empty) unlink(t.etag_path);
    if (empty) unlink(part);
    curl_global_cleanup();
    if (out == DONE && empty) return fail(err, FK_ENET, "%s is empty", url);
    if (out == CUT && !err->status) fail(err, FK_ENET, "%s broke off too often", url);
    return out == DONE ? FK_OK : err->status;
}
