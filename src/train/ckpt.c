/* SPDX-License-Identifier: Apache-2.0
 * ckpt.c - the checkpoint file, version 2. Little-endian, no padding:
 *
 *     0  8  "FKTRAIN\n"
 *     8  4  version 2
 *    12  4  bytes of the header, 512
 *    16  8  floats of an arena (gaps included)
 *    24  8  tensors
 *    32  64 the state's eight numbers in the order of struct ckpt_state
 *    96  64 SHA-256 of the recipe, hexadecimal
 *   160  64 machine
 *   224  32 SHA-256 of the table of tensors (names and shapes), the first 32 hexadecimal digits
 *   256 256 curriculum: 16 doubles, 16 numbers of 64 bits; version 1 had none of it
 *   512     weights, first moments, second moments: f32 arenas
 *   end  64 SHA-256 of all bytes before, hexadecimal
 *
 * What is read back satisfies: (1) the sum holds, (2) shape and table are those of the model at hand.
 * A file is read twice, first to check it, so a damaged one leaves the arenas as they were. */
#include "src/train/ckpt.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/base/sha256.h"
#include "src/file/out_file.h"

#define HEADER_BYTES 512
#define HEADER_BYTES_V1 256
_Static_assert(FK_MAX_FAMILIES == 16, "the curriculum's room in the header");
#define SUM_BYTES 64
#define MAX_PATH 4096

static void hash_table(const struct train_params *p, char out[65])
{
    struct sha256 h;
    sha256_init(&h);
    for (size_t i = 0; i < p->n_items; i++) {
        const struct param_item *it = &p->items[i];
        char line[160];
        int n = snprintf(line, sizeof line, "%s %" PRId64 " %" PRId64 " %" PRId64 "\n", it->name,
                         it->n_mats, it->n_rows, it->n_cols);
        sha256_update(&h, line, (size_t)n);
    }
    sha256_hex(&h, out);
}

static void put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void write_header(uint8_t h[HEADER_BYTES], const struct train_params *p,
                         const struct ckpt_state *s)
{
    char table[65];
    uint64_t bits[8] = {s->step, s->stage, s->stage_step, s->cursor, s->n_tokens, s->n_targets};
    memcpy(&bits[6], &s->seconds, 8);
    memcpy(&bits[7], &s->loss_mean, 8);
    memset(h, 0, HEADER_BYTES);
    memcpy(h, FK_TRAIN_MAGIC, 8);
    put_u64(h + 8, 2 | (uint64_t)HEADER_BYTES << 32);
    put_u64(h + 16, p->n_floats);
    put_u64(h + 24, p->n_items);
    for (int i = 0; i < 8; i++) put_u64(h + 32 + 8 * i, bits[i]);
    memcpy(h + 96, s->recipe_sha256, 64);
    memcpy(h + 160, s->machine, 64);
    hash_table(p, table);
    memcpy(h + 224, table, 32);
    for (int i = 0; i < FK_MAX_FAMILIES; i++) {
        uint64_t rate;
        memcpy(&rate, &s->rate[i], 8);
        put_u64(h + 256 + 8 * i, rate);
        put_u64(h + 384 + 8 * i, s->level[i]);
    }
}

/* 0: a version that is not known. */
static size_t header_bytes(const uint8_t *h)
{
    uint64_t v = get_u64(h + 8);
    if (v == (2 | (uint64_t)HEADER_BYTES << 32)) return HEADER_BYTES;
    return v == (1 | (uint64_t)HEADER_BYTES_V1 << 32) ? HEADER_BYTES_V1 : 0;
}

static void read_state(const uint8_t *h, struct ckpt_state *s)
{
    uint64_t bits[8];
    for (int i = 0; i < 8; i++) bits[i] = get_u64(h + 32 + 8 * i);
    *s = (struct ckpt_state){.step = bits[0], .stage = bits[1], .stage_step = bits[2],
                             .cursor = bits[3], .n_tokens = bits[4], .n_targets = bits[5]};
    memcpy(&s->seconds, &bits[6], 8);
    memcpy(&s->loss_mean, &bits[7], 8);
    memcpy(s->recipe_sha256, h + 96, 64);
    memcpy(s->machine, h + 160, 63);
    if (header_bytes(h) < HEADER_BYTES) return;
    for (int i = 0; i < FK_MAX_FAMILIES; i++) {
        uint64_t rate = get_u64(h + 256 + 8 * i);
        memcpy(&s->rate[i], &rate, 8);
        s->level[i] = get_u64(h + 384 + 8 * i);
        if (s->level[i] > FK_N_LEVELS) s->level[i] = FK_N_LEVELS;
    }
}

static enum fk_status put(struct out_file *f, struct sha256 *sum, const void *p, size_t n,
                          struct fk_error *err)
{
    sha256_update(sum, p, n);
    return out_file_write(f, p, n, err);
}

static enum fk_status write_all(struct out_file *f, const struct train_params *p,
                                const struct ckpt_state *s, struct fk_error *err)
{
    uint8_t header[HEADER_BYTES];
    const float *arenas[] = {p->w, p->m, p->v};
    struct sha256 sum;
    char hex[65];
    sha256_init(&sum);
    write_header(header, p, s);
    TRY(put(f, &sum, header, sizeof header, err));
    for (int i = 0; i < 3; i++) TRY(put(f, &sum, arenas[i], p->n_floats * sizeof(float), err));
    sha256_hex(&sum, hex);
    return out_file_write(f, hex, SUM_BYTES, err);
}

/* Steps of the folder's checkpoints, the newest first; at most max. */
static size_t list(const char *dir, uint64_t *steps, size_t max)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) {
        uint64_t step;
        int end = 0;
        if (sscanf(e->d_name, "ckpt-%" SCNu64 ".fikr%n", &step, &end) != 1 || !end ||
            e->d_name[end])
            continue;
        if (n == max && steps[n - 1] > step) continue;
        size_t at = n < max ? n++ : n - 1;
        while (at > 0 && steps[at - 1] < step) {
            steps[at] = steps[at - 1];
            at--;
        }
        steps[at] = step;
    }
    closedir(d);
    return n;
}

static bool path_of(char path[MAX_PATH], const char *dir, uint64_t step)
{
    int n = snprintf(path, MAX_PATH, "%s/ckpt-%08" PRIu64 ".fikr", dir, step);
    return n > 0 && n < MAX_PATH;
}

#define MAX_LISTED 1024

static void remove_old(const char *dir, int keep)
{
    uint64_t steps[MAX_LISTED];
    char path[MAX_PATH];
    size_t n = list(dir, steps, MAX_LISTED);
    for (size_t i = (size_t)keep; i < n; i++)
        if (path_of(path, dir, steps[i])) unlink(path);
}

enum fk_status ckpt_save(const char *dir, const struct train_params *p, const struct ckpt_state *s,
                         int keep, struct fk_error *err)
{
    char path[MAX_PATH];
    struct out_file f;
    if (!path_of(path, dir, s->step)) return fail(err, FK_EINVAL, "the folder's name is too long");
    TRY(out_file_open(&f, path, err));
    enum fk_status st = write_all(&f, p, s, err);
    if (st) {
        out_file_abort(&f);
        return st;
    }
    TRY(out_file_commit(&f, err));
    remove_old(dir, keep);
    return FK_OK;
}

static enum fk_status check(const char *path, const struct file_map *m, const struct train_params *p,
                            struct fk_error *err)
{
    size_t floats = 3 * p->n_floats * sizeof(float);
    char hex[65];
    struct sha256 sum;
    if (m->bytes < HEADER_BYTES || memcmp(m->data, FK_TRAIN_MAGIC, 8))
        return fail(err, FK_EFORMAT, "'%s' is no checkpoint", path);
    size_t head = header_bytes(m->data);
    if (!head)
        return fail(err, FK_EUNSUPPORTED, "'%s' is a checkpoint of another version", path);
    if (m->bytes != head + floats + SUM_BYTES || get_u64(m->data + 16) != p->n_floats)
        return fail(err, FK_EFORMAT, "'%s' has %zu bytes; a checkpoint of this model has %zu", path,
                    m->bytes, head + floats + SUM_BYTES);
    sha256_init(&sum);
    sha256_update(&sum, m->data, m->bytes - SUM_BYTES);
    sha256_hex(&sum, hex);
    if (memcmp(hex, m->data + m->bytes - SUM_BYTES, SUM_BYTES))
        return fail(err, FK_ECHECKSUM, "'%s' is damaged: its SHA-256 does not hold", path);
    hash_table(p, hex);
    if (memcmp(hex, m->data + 224, 32) || get_u64(m->data + 24) != p->n_items)
        return fail(err, FK_EFORMAT, "'%s' is of another model", path);
    return FK_OK;
}

enum fk_status ckpt_load(const char *path, struct train_params *p, struct ckpt_state *s,
                         struct fk_error *err)
{
    struct file_map m;
    TRY(file_map_open(&m, path, err));
    enum fk_status st = check(path, &m, p, err);
    if (!st) {
        float *arenas[] = {p->w, p->m, p->v};
        size_t bytes = p->n_floats * sizeof(float);
        read_state(m.data, s);
        for (size_t i = 0; i < 3; i++) memcpy(arenas[i], m.data + header_bytes(m.data) + i * bytes, bytes);
        if (file_map_failed(&m)) st = fail(err, FK_EGONE, "'%s' was cut while it was read", path);
    }
    file_map_close(&m);
    return st;
}

enum fk_status ckpt_load_newest(const char *dir, struct train_params *p, struct ckpt_state *s,
                                int *n_skipped, char *skipped, struct fk_error *err)
{
    uint64_t steps[MAX_LISTED];
    char path[MAX_PATH];
    size_t n = list(dir, steps, MAX_LISTED);
    *n_skipped = 0;
    for (size_t i = 0; i < n; i++) {
        struct fk_error why;
        if (!path_of(path, dir, steps[i])) break;
        enum fk_status st = ckpt_load(path, p, s, &why);
        if (!st) return FK_OK;
        ++*n_skipped;
        snprintf(skipped, sizeof why.message, "%s", why.message);
    }
    return fail(err, FK_ENOTFOUND, *n_skipped ? "none of the checkpoints in '%s' is valid"
                : "there is no checkpoint in '%s'", dir);
}

bool ckpt_is_one(const char *path)
{
    struct file_map m;
    if (file_map_open(&m, path, NULL)) return false;
    bool is = m.bytes >= HEADER_BYTES && !memcmp(m.data, FK_TRAIN_MAGIC, 8);
    file_map_close(&m);
    return is;
}

size_t ckpt_count(const char *dir)
{
    uint64_t steps[MAX_LISTED];
    return list(dir, steps, MAX_LISTED);
}
