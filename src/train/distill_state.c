/* SPDX-License-Identifier: Apache-2.0
 * distill_state.c - what a distillation has learned so far, in OUT.distill, so that one that is killed goes on.
 *
 *   0  8  "FKDSTAT\n"           8  64 key, hexadecimal: model, file, text and limits
 *  72  8  steps                80   8 tokens           88   8 seconds, a double
 *  96  8  round of the text   104   8 its next piece
 * 112     of each weight in planes u m v q qm qv, of each vector x m v, as floats
 * end  4  CRC-32C of all before
 *
 * Taken back are only whole files of the same key; the machine's own byte order, since it stays on the machine. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/crc32c.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/base/sha256.h"
#include "src/file/out_file.h"
#include "src/precision/quantize.h"
#include "src/train/distill_impl.h"

#define MAGIC "FKDSTAT\n"
#define FORMAT 2 /* changes with what the same state and text lead to */
#define SUFFIX ".distill"
#define MAX_PATH 4096

struct header {
    char magic[8], key[64];
    int64_t n_steps, n_learned;
    double seconds;
    uint64_t i_round, at;
};
_Static_assert(sizeof(struct header) == 112, "no padding");

static void state_path(const char *planes, char out[MAX_PATH])
{
    snprintf(out, MAX_PATH, "%s" SUFFIX, planes);
}

static void add_tensors(struct sha256 *s, const struct gguf *g)
{
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        uint32_t crc = crc32c(0, t->data, t->bytes);
        sha256_update(s, t->name.p, t->name.n);
        sha256_update(s, t->shape, sizeof t->shape);
        sha256_update(s, &crc, sizeof crc);
    }
}

static void find_key(struct distill *d)
{
    struct sha256 s;
    char line[160], key[65];
    const char *text = d->p->text ? d->p->text : calibration_text;
    size_t n = d->p->text ? d->p->n_bytes : calibration_text_bytes;
    sha256_init(&s);
    snprintf(line, sizeof line, "%d %s %.17g %lld %d", FORMAT, FIKR_VERSION, d->p->minutes,
             (long long)d->p->max_steps, d->is_bf16);
    sha256_update(&s, line, strlen(line));
    sha256_update(&s, text, n);
    add_tensors(&s, d->teacher->gguf);
    add_tensors(&s, d->file->gguf);
    sha256_hex(&s, key);
    memcpy(d->key, key, sizeof d->key);
}

/* Calls fn for every array of the state until it says false. */
static bool each_array(struct distill *d, bool (*fn)(void *, float *, size_t), void *arg)
{
    for (size_t i = 0; i < d->n_planes; i++) {
        struct soft_planes *s = &d->planes[i];
        size_t rows = (size_t)(s->p->n_mats * s->p->n_rows), n = rows * (size_t)s->p->n_cols;
        size_t n_blocks = rows * (size_t)s->p->n_blocks;
        if (!fn(arg, s->u, n) || !fn(arg, s->m, n) || !fn(arg, s->v, n) || !fn(arg, s->q, n_blocks) ||
            !fn(arg, s->qm, n_blocks) || !fn(arg, s->qv, n_blocks))
            return false;
    }
    for (size_t i = 0; i < d->n_vectors; i++) {
        struct soft_vector *v = &d->vectors[i];
        if (!fn(arg, v->x, (size_t)v->n) || !fn(arg, v->m, (size_t)v->n) || !fn(arg, v->v, (size_t)v->n)) return false;
    }
    return true;
}

static bool add_bytes(void *arg, float *x, size_t n)
{
    (void)x;
    *(size_t *)arg += n * sizeof *x;
    return true;
}

struct reader {
    const uint8_t *at;
};

static bool take_array(void *arg, float *x, size_t n)
{
    struct reader *r = arg;
    memcpy(x, r->at, n * sizeof *x);
    r->at += n * sizeof *x;
    return true;
}

static bool is_state(const struct file_map *map)
{
    return map->bytes >= sizeof(struct header) && memcmp(map->data, MAGIC, strlen(MAGIC)) == 0;
}

enum fk_status fk_distill_ready(const char *planes, struct fk_error *err)
{
    char path[MAX_PATH];
    struct file_map map;
    struct fk_error none = {0};
    if (!planes) return fail(err, FK_EINVAL, "fk_distill_ready: planes is NULL");
    if (strlen(planes) + sizeof SUFFIX > MAX_PATH)
        return fail(err, FK_EINVAL, "the name of OUT is longer than %zu bytes", MAX_PATH - sizeof SUFFIX);
    state_path(planes, path);
    if (access(path, F_OK) != 0) return FK_OK;
    bool is_ours = false;
    if (file_map_open(&map, path, &none) == FK_OK) {
        is_ours = is_state(&map);
        file_map_close(&map);
    }
    return is_ours ? FK_OK : fail(err, FK_EINVAL, "%s: is in the way and none of ours; move it, or give OUT another name", path);
}

/* Whether the map is a state of this run. */
static bool is_of_run(struct distill *d, const struct file_map *map)
{
    struct header h;
    size_t bytes = sizeof h + sizeof(uint32_t);
    uint32_t crc;
    each_array(d, add_bytes, &bytes);
    if (map->bytes != bytes) return false;
    memcpy(&h, map->data, sizeof h);
    if (!is_state(map) || memcmp(h.key, d->key, sizeof h.key) != 0) return false;
    memcpy(&crc, map->data + bytes - sizeof crc, sizeof crc);
    return crc32c(0, map->data, bytes - sizeof crc) == crc && !file_map_failed(map) && h.n_steps > 0 &&
           h.seconds >= 0 && isfinite(h.seconds);
}

enum fk_status distill_state_load(struct distill *d, struct fk_distill_report *r, double *seconds, struct fk_error *err)
{
    char path[MAX_PATH];
    struct file_map map;
    struct fk_error none = {0};
    *seconds = 0;
    find_key(d);
    state_path(d->path, path);
    if (file_map_open(&map, path, &none)) return FK_OK;
    enum fk_status st = FK_OK;
    if (is_of_run(d, &map)) {
        struct header h;
        memcpy(&h, map.data, sizeof h);
        st = distill_text_seek(&d->text, h.i_round, h.at, err);
        struct reader reader = {map.data + sizeof h};
        if (st == FK_OK) each_array(d, take_array, &reader);
        if (st == FK_OK && file_map_failed(&map)) st = fail(err, FK_EGONE, "%s was cut while it was read", path);
        r->n_steps = r->n_resumed = h.n_steps;
        r->n_learned = h.n_learned;
        *seconds = h.seconds;
    }
    file_map_close(&map);
    return st;
}

struct writer {
    struct out_file file;
    uint32_t crc;
    enum fk_status st;
    struct fk_error *err;
};

static bool put(struct writer *w, const void *p, size_t n)
{
    w->crc = crc32c(w->crc, p, n);
    w->st = out_file_write(&w->file, p, n, w->err);
    return w->st == FK_OK;
}

static bool put_array(void *arg, float *x, size_t n)
{
    return put(arg, x, n * sizeof *x);
}

enum fk_status distill_state_save(struct distill *d, const struct fk_distill_report *r, double seconds, struct fk_error *err)
{
    char path[MAX_PATH];
    struct writer w = {.err = err};
    struct header h = {.n_steps = r->n_steps, .n_learned = r->n_learned, .seconds = seconds, .i_round = d->text.i_round,
                       .at = (uint64_t)d->text.at};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    memcpy(h.key, d->key, sizeof h.key);
    state_path(d->path, path);
    TRY(out_file_open(&w.file, path, err));
    if (put(&w, &h, sizeof h) && each_array(d, put_array, &w)) {
        uint32_t crc = w.crc;
        if (put(&w, &crc, sizeof crc)) return out_file_commit(&w.file, err);
    }
    out_file_abort(&w.file);
    return w.st;
}

void distill_state_remove(const struct distill *d)
{
    char path[MAX_PATH];
    struct file_map map;
    struct fk_error none = {0};
    state_path(d->path, path);
    if (file_map_open(&map, path, &none)) return;
    bool is_ours = is_state(&map);
    file_map_close(&map);
    if (is_ours) unlink(path);
}
