/* SPDX-License-Identifier: Apache-2.0
 * soft_planes.c - places, scales and what they round to. Chunks are groups of 8 rows: each has its own
 * sums, so that the bits do not depend on threads. */
#include "src/train/soft_planes.h"
#include <math.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/clones.h"
#include "src/base/fail.h"
#include "src/tensor/dtype.h"

#define REACH 80.0f /* places lie within -REACH to REACH steps of the levels of 2 to 4 bits */
#define BETA1 0.9f
#define BETA2 0.98f

/* A level in steps of those of 4 bits. */
static float level_at(const struct planes *p, int i, unsigned code)
{
    return (float)planes_level(&p->tables, i, (uint8_t)code) * p->tables.unit[i] / p->tables.unit[2];
}

/* The nearest code below a prefix of width `from`, one width after the other. */
static unsigned refine(const struct planes *p, unsigned code, int from, float u)
{
    for (int i = from + 1; i < PLANES_N; i++) {
        unsigned step = 1u << planes_shift(i), n = 1u << (planes_shift(i - 1) - planes_shift(i)), best = code;
        for (unsigned k = 1; k < n; k++)
            if (fabsf(level_at(p, i, code + k * step) - u) < fabsf(level_at(p, i, best) - u))
                best = code + k * step;
        code = best;
    }
    return code;
}

static float place_of(int step)
{
    return ((float)step + 0.5f) * (2 * REACH / SOFT_STEPS) - REACH;
}

/* In range whatever u is, also a NaN. */
static int step_of(float u)
{
    float x = (u + REACH) * (SOFT_STEPS / (2 * REACH));
    return !(x > 0) ? 0 : x >= SOFT_STEPS - 1 ? SOFT_STEPS - 1 : (int)x;
}

static void make_tables(struct soft_planes *s)
{
    unsigned step = 1u << planes_shift(s->aim);
    for (int w = 0; w < PLANES_N; w++)
        for (int k = 0; k < 256; k++) s->level[w][k] = level_at(s->p, w, (unsigned)k);
    const float *level = s->level[s->aim];
    for (int w = 0; w < PLANES_N; w++) {
        unsigned one = 1u << planes_shift(w);
        s->gap[w] = (s->level[w][256 - one] - s->level[w][0]) / (float)(256 / one - 1);
    }
    int seen[256] = {0};
    for (int k = 0; k < SOFT_STEPS; k++) {
        float u = place_of(k);
        unsigned best = 0;
        for (unsigned c = step; c < 256; c += step)
            if (fabsf(level[c] - u) < fabsf(level[best] - u)) best = c;
        s->code_of[k] = (uint8_t)refine(s->p, best, s->aim, u);
        if (!seen[best]++) s->first[best] = (uint16_t)k;
        s->last[best] = (uint16_t)k;
    }
    /* Leaves reach over each other at 6 and 8 bits: a code may be nearest nowhere. Its weights begin where its
     * level lies, in another's cell. */
    for (unsigned c = 0; c < 256; c += step) {
        s->cell[c] = s->code_of[step_of(level[c])] & (uint8_t)(0xffu << planes_shift(s->aim));
        if (seen[c]) s->cell[c] = (uint8_t)c;
        s->first[c] = s->first[s->cell[c]];
        s->last[c] = s->last[s->cell[c]];
    }
}

/* Of weight `at`. */
static unsigned code_at(const struct soft_planes *s, int64_t at)
{
    unsigned code = s->code_of[step_of(s->u[at])], was = s->was[at];
    unsigned began = s->cell[was & (0xffu << planes_shift(s->aim))];
    return (code ^ began) >> planes_shift(s->aim) ? code : was;
}

struct job {
    struct soft_planes *s;
    const float *source;
    float pull;
    const struct soft_step *step;
    float bias1, bias2;
};

static float factor_of(const struct soft_planes *s, int64_t group, int row)
{
    return planes_row_factor(s->p, group, row) * s->unit;
}

/* The rows of a chunk that are no padding; *first: of all matrices. */
static int rows_of(const struct soft_planes *s, int64_t group, int64_t *first)
{
    int64_t row = group % s->p->n_groups * PLANES_ROWS, left = s->p->n_rows - row;
    *first = group / s->p->n_groups * s->p->n_rows + row;
    return left < PLANES_ROWS ? (int)left : PLANES_ROWS;
}

static void init_group(void *arg, int64_t group, int worker)
{
    const struct job *j = arg;
    struct soft_planes *s = j->s;
    const struct planes *p = s->p;
    int64_t first;
    int n = rows_of(s, group, &first);
    (void)worker;
    for (int64_t b = 0; b < p->n_blocks; b++) {
        uint8_t codes[PLANES_TILE];
        int64_t tile = group * p->n_blocks + b;
        planes_unpack_tile(p, tile, p->n_planes, codes);
        for (int r = 0; r < n; r++) {
            int8_t q = p->scales[tile * PLANES_ROWS + r];
            float step = factor_of(s, group, r) * (float)q;
            s->q[(first + r) * p->n_blocks + b] = q;
            for (int c = 0; c < PLANES_COLS; c++) {
                int64_t at = (first + r) * p->n_cols + b * PLANES_COLS + c;
                unsigned code = codes[r * PLANES_COLS + c] & (0xffu << planes_shift(s->aim));
                s->was[at] = codes[r * PLANES_COLS + c];
                float middle = s->level[s->aim][code], x = step ? j->source[at] / step : middle;
                float low = place_of(s->first[code]), high = place_of(s->last[code]);
                x = x < low ? low : x > high ? high : x;
                s->u[at] = middle + j->pull * (x - middle);
            }
        }
    }
}

static int aim_of(const struct planes *p)
{
    int read = planes_read_index(p, 0, 0);
    return p->plan || p->first || read < 2 ? read : 2;
}

static int64_t n_groups(const struct soft_planes *s)
{
    return s->p->n_groups * s->p->n_mats;
}

enum fk_status soft_planes_init(struct soft_planes *s, const struct planes *p, const char *name,
                                const float *source, float pull, bool is_bf16, struct device *d,
                                struct fk_error *err)
{
    size_t rows = (size_t)(p->n_mats * p->n_rows), n = rows * (size_t)p->n_cols;
    size_t n_blocks = rows * (size_t)p->n_blocks;
    *s = (struct soft_planes){.p = p, .name = name, .aim = aim_of(p), .is_bf16 = is_bf16};
    s->unit = p->tables.unit[2];
    float **all[] = {&s->grad, &s->u, &s->m, &s->v, &s->q, &s->qm, &s->qv};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        *all[i] = mem_calloc(i < 4 ? n : n_blocks, sizeof(float), MEM_TRAIN);
        if (!*all[i]) return fail_nomem(err, n * sizeof(float), name);
    }
    s->w = mem_calloc(n, is_bf16 ? sizeof(uint16_t) : sizeof(float), MEM_TRAIN);
    s->was = mem_calloc(n, 1, MEM_TRAIN);
    if (!s->w || !s->was) return fail_nomem(err, n * sizeof(float), name);
    make_tables(s);
    struct job j = {.s = s, .source = source, .pull = pull};
    device_parallel(d, init_group, &j, n_groups(s));
    soft_planes_round(s, planes_read_index(p, 0, 0), d);
    return FK_OK;
}

void soft_planes_fini(struct soft_planes *s)
{
    mem_free(s->w);
    mem_free(s->was);
    mem_free(s->grad);
    mem_free(s->u);
    mem_free(s->m);
    mem_free(s->v);
    mem_free(s->q);
    mem_free(s->qm);
    mem_free(s->qv);
    *s = (struct soft_planes){0};
}

static float scale_of(const struct soft_planes *s, int64_t i)
{
    float q = roundf(s->q[i]);
    return !(q > -127) ? -127 : q > 127 ? 127 : q;
}

static void round_group(void *arg, int64_t group, int worker)
{
    const struct job *j = arg;
    struct soft_planes *s = j->s;
    const struct planes *p = s->p;
    int64_t first;
    int n = rows_of(s, group, &first);
    (void)worker;
    float block[PLANES_COLS];
    for (int r = 0; r < n; r++) {
        float factor = factor_of(s, group, r);
        for (int64_t b = 0; b < p->n_blocks; b++) {
            float step = factor * scale_of(s, (first + r) * p->n_blocks + b);
            int64_t at = (first + r) * p->n_cols + b * PLANES_COLS;
            float *w = s->is_bf16 ? block : (float *)s->w + at;
            for (int c = 0; c < PLANES_COLS; c++) w[c] = step * s->level[s->width][code_at(s, at + c)];
            if (s->is_bf16) f32_to_bf16_row(block, PLANES_COLS, (uint16_t *)s->w + at);
        }
    }
}

void soft_planes_round(struct soft_planes *s, int width, struct device *d)
{
    s->width = width;
    struct job j = {.s = s};
    device_parallel(d, round_group, &j, n_groups(s));
}

/* One Adam step of n numbers whose gradient is g * by. */
CLONES static void adam(float *x, float *m, float *v, const float *g, float by, float lr, float bias1,
                        float bias2, int n)
{
    for (int i = 0; i < n; i++) {
        float d = g[i] * by;
        m[i] = BETA1 * m[i] + (1 - BETA1) * d;
        v[i] = BETA2 * v[i] + (1 - BETA2) * d * d;
        x[i] -= lr * (m[i] * bias1) / (sqrtf(v[i] * bias2) + 1e-12f);
    }
}

/* sum of g w over a block */
CLONES static float block_dot_bf16(const float *g, const uint16_t *w)
{
    float part[8] = {0}, sum = 0;
    for (int c = 0; c < PLANES_COLS; c += 8)
        for (int l = 0; l < 8; l++) {
            uint32_t u = (uint32_t)w[c + l] << 16;
            float x;
            memcpy(&x, &u, sizeof x);
            part[l] += g[c + l] * x;
        }
    for (int l = 0; l < 8; l++) sum += part[l];
    return sum;
}

/* Of the loss by the scale of a block, whose weights are q times the rest. */
static float scale_slope(const struct soft_planes *s, int64_t at, float factor, float q)
{
    float sum = 0;
    if (s->is_bf16 && q != 0) return block_dot_bf16(s->grad + at, (const uint16_t *)s->w + at) / q;
    for (int c = 0; c < PLANES_COLS; c++) sum += s->grad[at + c] * factor * s->level[s->width][code_at(s, at + c)];
    return sum;
}

static void update_group(void *arg, int64_t group, int worker)
{
    const struct job *j = arg;
    struct soft_planes *s = j->s;
    const struct planes *p = s->p;
    float lr = (float)j->step->lr * s->gap[s->aim];
    float lr_scale = (float)j->step->lr_scale * s->gap[s->width] / s->gap[1];
    int64_t first;
    int n = rows_of(s, group, &first);
    (void)worker;
    for (int r = 0; r < n; r++) {
        float factor = factor_of(s, group, r);
        for (int64_t b = 0; b < p->n_blocks; b++) {
            int64_t k = (first + r) * p->n_blocks + b, at = (first + r) * p->n_cols + b * PLANES_COLS;
            float q = scale_of(s, k), step = factor * q, dq = scale_slope(s, at, factor, q);
            if (lr > 0)
                adam(s->u + at, s->m + at, s->v + at, s->grad + at, step, lr, j->bias1, j->bias2,
                     PLANES_COLS);
            if (lr_scale > 0)
                adam(s->q + k, s->qm + k, s->qv + k, &dq, 1, lr_scale, j->bias1, j->bias2, 1);
        }
    }
    memset(s->grad + first * p->n_cols, 0, (size_t)(n * p->n_cols) * sizeof(float));
}

void soft_planes_update(struct soft_planes *s, const struct soft_step *step, struct device *d)
{
    struct job j = {.s = s, .step = step};
    j.bias1 = (float)(1 / (1 - pow((double)BETA1, (double)step->t)));
    j.bias2 = (float)(1 / (1 - pow((double)BETA2, (double)step->t)));
    device_parallel(d, update_group, &j, n_groups(s));
}

void soft_planes_tile(const struct soft_planes *s, int64_t tile, uint8_t codes[PLANES_TILE], int8_t scales[8])
{
    const struct planes *p = s->p;
    int64_t group = tile / p->n_blocks, b = tile % p->n_blocks, first;
    int n = rows_of(s, group, &first);
    memset(codes, 0, PLANES_TILE);
    memset(scales, 0, PLANES_ROWS);
    for (int r = 0; r < n; r++) {
        scales[r] = (int8_t)scale_of(s, (first + r) * p->n_blocks + b);
        for (int c = 0; c < PLANES_COLS; c++)
            codes[r * PLANES_COLS + c] = (uint8_t)code_at(s, (first + r) * p->n_cols + b * PLANES_COLS + c);
    }
}
