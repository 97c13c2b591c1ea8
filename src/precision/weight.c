/* SPDX-License-Identifier: Apache-2.0
 * weight.c - one tensor into codes and scales, in blocks of 32 rows on all threads:
 *   tables fitted to a sample    scales by weighted search    row factors    codes, with feedback where
 *   the inputs are known */
#include <math.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/crc32c.h"
#include "src/base/fail.h"
#include "src/precision/block.h"
#include "src/precision/quantize.h"

#define SAMPLE_BLOCKS 24 /* of 32 rows, that tables are fitted to */
#define FIT_ROUNDS 2

struct scratch {
    float *w, *scales, *errors;
    uint8_t *codes;
};

struct weight_job {
    struct plane_weight *w;
    const struct feedback *f;
    struct weight_kernels wk;
    struct tree tree;
    float *scales; /* [padded rows][blocks] as searched */
    float unit;    /* the largest row factor */
    int64_t chunks_per_mat, padded_rows;
    struct scratch *scratch; /* by worker */
};

static int64_t n_blocks(const struct weight_job *j)
{
    return (int64_t)j->w->n_cols / PLANES_COLS;
}

/* Rows of a chunk as floats, zeros beyond the matrix. Returns the first padded row of all matrices. */
static int64_t read_rows(const struct weight_job *j, int64_t chunk, float *out)
{
    const struct plane_weight *w = j->w;
    int64_t mat = chunk / j->chunks_per_mat, row = chunk % j->chunks_per_mat * FEEDBACK_ROWS;
    uint64_t row_bytes = w->src->bytes / (w->n_rows * w->n_mats);
    for (int64_t r = 0; r < FEEDBACK_ROWS; r++, out += w->n_cols) {
        if ((uint64_t)(row + r) < w->n_rows)
            j->wk.dequant(w->src->data + ((uint64_t)mat * w->n_rows + (uint64_t)(row + r)) * row_bytes,
                          (int64_t)w->n_cols, out);
        else
            memset(out, 0, w->n_cols * sizeof *out);
    }
    return mat * j->padded_rows + row;
}

/* Rows of the chunk that have a place. */
static int64_t rows_of(const struct weight_job *j, int64_t chunk)
{
    int64_t left = j->padded_rows - chunk % j->chunks_per_mat * FEEDBACK_ROWS;
    return left < FEEDBACK_ROWS ? left : FEEDBACK_ROWS;
}

static void scale_chunk(void *arg, int64_t chunk, int worker)
{
    const struct weight_job *j = arg;
    float *w = j->scratch[worker].w;
    int64_t row = read_rows(j, chunk, w), n = n_blocks(j);
    for (int64_t r = 0; r < rows_of(j, chunk); r++)
        for (int64_t b = 0; b < n; b++)
            j->scales[(row + r) * n + b] =
                block_scale(&j->tree, w + r * (int64_t)j->w->n_cols + b * PLANES_COLS,
                            j->f ? j->f->diag + b * PLANES_COLS : NULL);
}

struct sums {
    double g[16], gu[16];
};

static void add_sample(const struct weight_job *j, const float *w, struct sums *s)
{
    for (int64_t i = 0; i < FEEDBACK_ROWS * n_blocks(j); i++) {
        const float *x = w + i * PLANES_COLS;
        const float *h = j->f ? j->f->diag + i % n_blocks(j) * PLANES_COLS : NULL;
        float scale = block_scale(&j->tree, x, h);
        if (!scale) continue;
        for (int c = 0; c < PLANES_COLS; c++) {
            float u = x[c] / scale;
            double g = (double)(scale * scale) * (double)(h ? h[c] : 1);
            unsigned leaf = tree_leaf(&j->tree, u);
            s->g[leaf] += g;
            s->gu[leaf] += g * (double)u;
        }
    }
}

/* The level that stands for leaves [first, first + n): their weighted mean, where they have weights. */
static float mean_level(const struct sums *s, int first, int n, double total, float old)
{
    double g = 0, gu = 0;
    for (int i = first; i < first + n; i++) {
        g += s->g[i];
        gu += s->gu[i];
    }
    double prior = 1e-4 * total;
    return (float)((gu + prior * (double)old) / (g + prior));
}

static void fit_tree(struct weight_job *j, int64_t n_chunks)
{
    int aim = j->w->plan ? planes_index(j->w->plan) : TREE_ALL;
    tree_init_default(&j->tree, aim);
    int64_t step = n_chunks > SAMPLE_BLOCKS ? n_chunks / SAMPLE_BLOCKS : 1;
    for (int round = 0; round < FIT_ROUNDS; round++) {
        struct sums s = {{0}, {0}};
        double total = 0;
        float l2[4], l3[8], l4[16];
        for (int64_t chunk = 0; chunk < n_chunks; chunk += step) {
            read_rows(j, chunk, j->scratch[0].w);
            add_sample(j, j->scratch[0].w, &s);
        }
        for (int n = 0; n < 16; n++) total += s.g[n];
        if (!(total > 0)) return;
        for (int n = 0; n < 16; n++) l4[n] = mean_level(&s, n, 1, total, j->tree.level[2][n << 4]);
        for (int n = 0; n < 8; n++) l3[n] = mean_level(&s, 2 * n, 2, total, j->tree.level[1][n << 5]);
        for (int n = 0; n < 4; n++) l2[n] = mean_level(&s, 4 * n, 4, total, j->tree.level[0][n << 6]);
        /* The outermost level stays where it is: what moves is the shape. */
        float keep = 63.0f / 61 / l4[15];
        if (!(keep > 0.8f && keep < 1.25f)) return;
        for (int n = 0; n < 16; n++) {
            l4[n] *= keep;
            if (n < 8) l3[n] *= keep;
            if (n < 4) l2[n] *= keep;
        }
        for (int n = 1; n < 16; n++)
            if (!(l4[n] > l4[n - 1])) return;
        tree_init(&j->tree, l2, l3, l4, aim);
    }
}

/* The factor of every padded row, of which the largest becomes the unit; as f16 into the side part. */
static void set_rows(struct weight_job *j)
{
    int64_t n = n_blocks(j), n_rows = (int64_t)j->w->sizes.n_groups * PLANES_ROWS;
    j->unit = 0;
    for (int64_t i = 0; i < n_rows * n; i++) j->unit = fmaxf(j->unit, fabsf(j->scales[i]) / 127);
    for (int64_t r = 0; r < n_rows; r++) {
        float most = 0;
        for (int64_t b = 0; b < n; b++) most = fmaxf(most, fabsf(j->scales[r * n + b]) / 127);
        uint16_t h = f32_to_f16(j->unit > 0 ? most / j->unit : 0);
        uint8_t *out = j->w->side + j->w->sizes.rows_at + 2 * r;
        out[0] = (uint8_t)h;
        out[1] = (uint8_t)(h >> 8);
    }
}

static float row_factor(const struct weight_job *j, int64_t row)
{
    const uint8_t *p = j->w->side + j->w->sizes.rows_at + 2 * row;
    return j->unit * f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* Codes without feedback: every weight to its nearest. */
static void round_rows(const struct weight_job *j, const struct scratch *s)
{
    int64_t n = (int64_t)j->w->n_cols;
    for (int64_t i = 0; i < FEEDBACK_ROWS * n; i++) {
        float scale = s->scales[i / PLANES_COLS];
        s->codes[i] = tree_code(&j->tree, scale ? s->w[i] / scale : 0);
    }
}

static void code_chunk(void *arg, int64_t chunk, int worker)
{
    const struct weight_job *j = arg;
    const struct scratch *s = &j->scratch[worker];
    int64_t row = read_rows(j, chunk, s->w), n = n_blocks(j), cols = (int64_t)j->w->n_cols;
    int64_t n_rows = rows_of(j, chunk);
    int8_t *out = (int8_t *)j->w->side + j->w->sizes.scales_at;
    for (int64_t r = 0; r < FEEDBACK_ROWS; r++) {
        int8_t *q = (int8_t *)s->codes; /* free until the codes come */
        float factor = r < n_rows ? row_factor(j, row + r) : 0;
        memset(q, 0, (size_t)n);
        if (r < n_rows)
            block_round_scales(&j->tree, s->w + r * cols, j->f ? j->f->diag : NULL, n,
                               j->scales + (row + r) * n, factor, q);
        for (int64_t b = 0; b < n; b++) {
            s->scales[r * n + b] = factor * (float)q[b];
            if (r < n_rows)
                out[((row + r) / PLANES_ROWS * n + b) * PLANES_ROWS + r % PLANES_ROWS] = q[b];
        }
    }
    if (j->f) feedback_round(j->f, &j->tree, s->w, s->scales, s->codes, s->errors);
    else round_rows(j, s);
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t b = 0; b < n; b++)
            memcpy(j->w->codes + (((row + r) / PLANES_ROWS * n + b) * PLANES_ROWS + r % PLANES_ROWS) *
                                     PLANES_COLS,
                   s->codes + r * cols + b * PLANES_COLS, PLANES_COLS);
}

static void put_head(const struct weight_job *j)
{
    const struct plane_weight *w = j->w;
    struct planes_head h = {.n_cols = w->n_cols, .n_rows = w->n_rows, .n_mats = w->n_mats,
                            .plan = w->plan, .first = w->first, .tables = j->tree.tables};
    memcpy(h.loss, w->loss, sizeof h.loss);
    for (int i = 0; i < PLANES_N; i++) {
        h.tables.unit[i] *= j->unit;
        for (uint64_t tile = 0; tile < w->sizes.n_tiles; tile++) {
            uint8_t plane[64];
            planes_pack_tile(w->codes + tile * PLANES_TILE, i, plane);
            h.crc[i] = crc32c(h.crc[i], plane, planes_tile_bytes(i));
        }
    }
    h.crc_scales = crc32c(0, w->side + w->sizes.rows_at, w->sizes.side_bytes - w->sizes.rows_at);
    planes_head_write(&h, w->side);
}

static bool reserve(struct weight_job *j, int n_workers)
{
    size_t n = (size_t)j->w->n_cols, rows = FEEDBACK_ROWS;
    j->scratch = mem_calloc((size_t)n_workers, sizeof *j->scratch, MEM_MODEL);
    j->scales = mem_array((size_t)j->w->sizes.n_groups * PLANES_ROWS, n / PLANES_COLS * sizeof(float),
                          MEM_MODEL);
    if (!j->scratch || !j->scales) return false;
    for (int i = 0; i < n_workers; i++) {
        struct scratch *s = &j->scratch[i];
        s->w = mem_array(rows * n, sizeof(float), MEM_MODEL);
        s->scales = mem_array(rows * (n / PLANES_COLS), sizeof(float), MEM_MODEL);
        s->codes = mem_alloc(rows * n, MEM_MODEL);
        s->errors = j->f ? mem_alloc(feedback_scratch_bytes((int64_t)n), MEM_MODEL) : NULL;
        if (!s->w || !s->scales || !s->codes || (j->f && !s->errors)) return false;
    }
    return true;
}

static void release(struct weight_job *j, int n_workers)
{
    for (int i = 0; j->scratch && i < n_workers; i++) {
        mem_free(j->scratch[i].w);
        mem_free(j->scratch[i].scales);
        mem_free(j->scratch[i].codes);
        mem_free(j->scratch[i].errors);
    }
    mem_free(j->scratch);
    mem_free(j->scales);
}

enum fk_status plane_weight_quantize(struct plane_weight *w, const struct feedback *f,
                                     const struct kernels *k, struct pool *pool,
                                     struct fk_error *err)
{
    struct weight_job j = {.w = w, .f = f};
    if (!kernels_for_weight(k, w->src->dtype, &j.wk) || !j.wk.dequant)
        return fail(err, FK_EUNSUPPORTED, "tensor '%s' of type %s cannot be read", w->name,
                    dtype_name(w->src->dtype));
    j.padded_rows = (int64_t)(w->sizes.n_groups / w->n_mats) * PLANES_ROWS;
    j.chunks_per_mat = (j.padded_rows + FEEDBACK_ROWS - 1) / FEEDBACK_ROWS;
    int64_t n_chunks = j.chunks_per_mat * (int64_t)w->n_mats;
    enum fk_status st = FK_OK;
    if (!reserve(&j, pool_n_threads(pool))) {
        st = fail_nomem(err, w->n_cols * FEEDBACK_ROWS * 24, w->name);
    } else {
        fit_tree(&j, n_chunks);
        pool_run(pool, scale_chunk, &j, n_chunks);
        set_rows(&j);
        if (j.unit - j.unit == 0) {
            pool_run(pool, code_chunk, &j, n_chunks);
            put_head(&j);
        } else {
            st = fail(err, FK_ENONFINITE, "tensor '%s' holds NaN or infinity", w->name);
        }
    }
    release(&j, pool_n_threads(pool));
    return st;
}
