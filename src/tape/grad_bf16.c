/* SPDX-License-Identifier: Apache-2.0
 * grad_bf16.c - the gradient of matmul with bf16 operands and f32 sums, for tape_set_bf16:
 *
 *   dx += dy W = dy (W')'      dW += dy' x = dy' (x')'
 *
 * Both are the device's own matmul of rows by rows once W, x and dy are turned over, so that there is no
 * second kernel. Rows of W are taken a slice at a time: what is turned over stays in the caches. */
#include <string.h>
#include "src/tape/tape_impl.h"
#include "src/tensor/dtype.h"

#define SLICE 2048 /* rows of a weight */
#define TILE 16
#define LINE 64
#define STRIP 64 /* rows of a chunk: whole tiles, whole cache lines of the result */

/* Exactly one of f and h; likewise of the results. to: [n_cols][to_stride]. */
struct turn {
    const float *f;
    const uint16_t *h;
    int64_t stride, n_rows, n_cols;
    uint16_t *to_h;
    float *to_f;
    int64_t to_stride;
};

#define INLINE static inline __attribute__((always_inline))

typedef uint16_t halves __attribute__((vector_size(2 * TILE)));
typedef uint32_t words __attribute__((vector_size(4 * TILE)));

INLINE void to_bf16(halves *h, const float *x)
{
    words u;
    memcpy(&u, x, sizeof u);
    words rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16, nan = u >> 16 | 0x40;
    words is_nan = (words)((u & 0x7fffffff) > 0x7f800000u);
    *h = __builtin_convertvector((rounded & ~is_nan) | (nan & is_nan), halves);
}

#ifdef __clang__
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (halves){__VA_ARGS__})
#endif

/* 16 x 16 numbers change places in four rounds: each puts rows i and i + 8 together, number by number. */
INLINE void transpose(halves x[TILE])
{
    for (int round = 0; round < 4; round++) {
        halves z[TILE];
        for (int i = 0; i < TILE / 2; i++) {
            z[2 * i] = PICK(x[i], x[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            z[2 * i + 1] = PICK(x[i], x[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(x, z, sizeof z);
    }
}

/* Exactly one of f and h. */
CLONES static void turn_halves(const float *f, const uint16_t *h, int64_t stride, uint16_t *to, int64_t to_stride)
{
    halves x[TILE];
    for (int i = 0; i < TILE; i++) {
        if (f)
            to_bf16(&x[i], f + i * stride);
        else
            memcpy(&x[i], h + i * stride, sizeof x[i]);
    }
    transpose(x);
    for (int i = 0; i < TILE; i++) memcpy(to + i * to_stride, &x[i], sizeof x[i]);
}

static void turn_tile(const struct turn *t, int64_t r, int64_t c, int n_rows, int n_cols)
{
    int64_t from = r * t->stride + c, to = c * t->to_stride + r;
    if (n_rows == TILE && n_cols == TILE && t->to_h) {
        turn_halves(t->f ? t->f + from : NULL, t->h ? t->h + from : NULL, t->stride, t->to_h + to, t->to_stride);
        return;
    }
    for (int k = 0; k < n_cols; k++)
        for (int i = 0; i < n_rows; i++) {
            int64_t at = from + i * t->stride + k, put = to + k * t->to_stride + i;
            if (t->to_f)
                t->to_f[put] = t->f[at];
            else
                t->to_h[put] = t->f ? f32_to_bf16(t->f[at]) : t->h[at];
        }
}

static void turn_chunk(void *arg, int64_t chunk, int worker)
{
    const struct turn *t = arg;
    int64_t end = (chunk + 1) * STRIP < t->n_rows ? (chunk + 1) * STRIP : t->n_rows;
    (void)worker;
    for (int64_t c = 0; c < t->n_cols; c += TILE)
        for (int64_t r = chunk * STRIP; r < end; r += TILE)
            turn_tile(t, r, c, end - r < TILE ? (int)(end - r) : TILE, t->n_cols - c < TILE ? (int)(t->n_cols - c) : TILE);
}

static void turn_over(struct tape *t, struct turn *j)
{
    device_parallel(t->device, turn_chunk, j, (j->n_rows + STRIP - 1) / STRIP);
}

struct sum {
    float *to;
    const float *from;
    int64_t n;
};

#define SUM_CHUNK 65536

CLONES static void add_floats(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

static void sum_chunk(void *arg, int64_t chunk, int worker)
{
    const struct sum *s = arg;
    int64_t at = chunk * SUM_CHUNK, n = s->n - at < SUM_CHUNK ? s->n - at : SUM_CHUNK;
    (void)worker;
    add_floats(s->to + at, s->from + at, n);
}

/* to [x->n_rows, w->n_rows] += x w', or is written where it is new. */
static enum fk_status add_product(struct tape *t, const struct tensor *x, const struct tensor *w, float *to,
                                  bool is_new, float *room, struct fk_error *err)
{
    struct tensor y = {.dtype = DT_F32, .n_cols = w->n_rows, .n_rows = x->n_rows, .n_mats = 1, .data = is_new ? to : room,
                       .row_bytes = (size_t)w->n_rows * sizeof(float)};
    struct op_call call = {.kind = OP_MATMUL, .in = {x}, .w = {w}, .out = {&y}, .n_out = 1};
    TRY(device_get_ops(t->device)->op[OP_MATMUL](t->device, &call, err));
    if (is_new) return FK_OK;
    struct sum s = {to, room, y.n_rows * y.n_cols};
    device_parallel(t->device, sum_chunk, &s, (s.n + SUM_CHUNK - 1) / SUM_CHUNK);
    return FK_OK;
}

/* Numbers of `bytes` from a turned row to the next: a line more than they fill, or rows a power of two apart would
 * all want the same few places of the first-level cache. */
static int64_t stride_of(int64_t n, size_t bytes)
{
    return (int64_t)(((size_t)n * bytes + 2 * LINE - 1) / LINE * LINE / bytes);
}

static struct tensor rows_bf16(const uint16_t *data, int64_t n_rows, int64_t n_cols)
{
    size_t row = (size_t)stride_of(n_cols, sizeof *data) * sizeof *data;
    return (struct tensor){.dtype = DT_BF16, .n_cols = n_cols, .n_rows = n_rows, .n_mats = 1, .data = (void *)data,
                           .row_bytes = row, .mat_bytes = row * (size_t)n_rows};
}

static struct tensor rows_f32(const float *data, int64_t n_rows, int64_t n_cols, int64_t stride)
{
    return (struct tensor){.dtype = DT_F32, .n_cols = n_cols, .n_rows = n_rows, .n_mats = 1, .data = (void *)data,
                           .row_bytes = (size_t)stride * sizeof *data,
                           .mat_bytes = (size_t)(n_rows * stride) * sizeof *data};
}

/* What one matmul's gradient turns over, in scratch memory. */
struct room {
    uint16_t *w;  /* [n_in][SLICE], as all that is turned with a line between rows: stride_of */
    float *dy;    /* [SLICE][n_tokens] */
    float *sums;  /* [n_tokens][n_in] or [SLICE][n_in] */
    uint16_t *x;  /* [n_in][n_tokens]; NULL: no weight learns */
};

/* Rows [r, r + n) of W, which is mat in floats or, where that is NULL, bf16 itself. */
static enum fk_status add_slice(struct tape *t, const struct op_call *call, int i, const float *mat, int64_t r,
                                int64_t n, const struct room *m, float *dx, bool is_new, struct fk_error *err)
{
    const struct tensor *x = call->in[0], *w = call->w[i];
    const float *dy = tape_grad_of(t, call->out[i]) + r;
    float *dw = tape_param_grad(t, w);
    struct turn turn = {.stride = w->n_cols, .n_rows = n, .n_cols = w->n_cols, .to_h = m->w,
                        .to_stride = stride_of(n, sizeof *m->w)};
    if (mat)
        turn.f = mat + r * w->n_cols;
    else
        turn.h = (const uint16_t *)w->data + r * w->n_cols;
    turn_over(t, &turn);
    struct tensor wt = rows_bf16(m->w, w->n_cols, n), in = rows_f32(dy, x->n_rows, n, w->n_rows);
    TRY(add_product(t, &in, &wt, dx, is_new, m->sums, err));
    if (!dw) return FK_OK;
    turn = (struct turn){.f = dy, .stride = w->n_rows, .n_rows = x->n_rows, .n_cols = n, .to_f = m->dy,
                         .to_stride = stride_of(x->n_rows, sizeof *m->dy)};
    turn_over(t, &turn);
    struct tensor xt = rows_bf16(m->x, x->n_cols, x->n_rows), dyt = rows_f32(m->dy, n, x->n_rows, turn.to_stride);
    return add_product(t, &dyt, &xt, dw + r * w->n_cols, false, m->sums, err);
}

enum fk_status tape_matmul_bf16(struct tape *t, const struct op_call *call, float *dx, bool is_new,
                                struct fk_error *err)
{
    const struct tensor *x = call->in[0];
    size_t n_in = (size_t)x->n_cols, n_tokens = (size_t)x->n_rows;
    size_t w_stride = (size_t)stride_of(SLICE, sizeof(uint16_t)), x_stride = (size_t)stride_of(x->n_rows, sizeof(uint16_t));
    size_t dy_stride = (size_t)stride_of(x->n_rows, sizeof(float));
    enum fk_status st = FK_OK;
    bool learns = false;
    for (int i = 0; i < call->n_out; i++)
        learns = learns || (tape_grad_of(t, call->out[i]) && tape_param_grad(t, call->w[i]));
    struct room m = {
        .w = tape_scratch(t, n_in * w_stride, sizeof *m.w, &st, err),
        .sums = tape_scratch(t, n_in * (n_tokens > SLICE ? n_tokens : SLICE), sizeof *m.sums, &st, err),
        .dy = learns ? tape_scratch(t, SLICE * dy_stride, sizeof *m.dy, &st, err) : NULL,
        .x = learns ? tape_scratch(t, n_in * x_stride, sizeof *m.x, &st, err) : NULL};
    if (st != FK_OK) return st;
    if (learns) {
        struct turn turn = {.f = x->data, .stride = (int64_t)(x->row_bytes / sizeof(float)), .n_rows = x->n_rows,
                            .n_cols = x->n_cols, .to_h = m.x, .to_stride = stride_of(x->n_rows, sizeof *m.x)};
        turn_over(t, &turn);
    }
    for (int i = 0; i < call->n_out; i++) {
        if (!tape_grad_of(t, call->out[i])) continue;
        const struct tensor *w = call->w[i];
        bool is_bf16 = w->dtype == DT_BF16 && w->row_bytes == (size_t)w->n_cols * sizeof(uint16_t);
        const float *mat = is_bf16 ? NULL : tape_weight(t, call, i, &st, err);
        if (st != FK_OK) return st;
        for (int64_t r = 0; r < w->n_rows; r += SLICE, is_new = false) {
            int64_t left = w->n_rows - r;
            TRY(add_slice(t, call, i, mat, r, left < SLICE ? left : SLICE, &m, dx, is_new, err));
        }
    }
    return FK_OK;
}
