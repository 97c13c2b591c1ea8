/* SPDX-License-Identifier: Apache-2.0
 * ops.c - the life of a forward pass: arenas, sticky status, counters, and what all ops share.
 *
 * Two arenas. All activations of a layer lie in the first; at the layer's end the residual stream
 * is copied to the second and the first is emptied, so every layer reuses the same (cached) memory
 * and a pass needs one layer's worth of it. */
#include "src/device/ops_impl.h"
#include <string.h>
#include "src/base/clock.h"
#include "src/device/op_times.h"

#define BLOCK_BYTES ((size_t)256 << 10)

void ops_init(struct ops *o, struct device *d, size_t arena_cap_bytes)
{
    *o = (struct ops){.device = d, .next_id = 1};
    for (int i = 0; i < 2; i++)
        arena_init(&o->arenas[i], BLOCK_BYTES, arena_cap_bytes, MEM_SCRATCH);
}

void ops_fini(struct ops *o)
{
    for (int i = 0; i < 2; i++) arena_fini(&o->arenas[i]);
}

bool ops_fail(struct ops *o, enum fk_status status)
{
    if (o->status == FK_OK) o->status = status;
    return false;
}

enum fk_status ops_status(const struct ops *o, struct fk_error *err)
{
    if (o->status != FK_OK && err) *err = o->error;
    return o->status;
}

/* The sequences cover rows [0, n_rows) in order and agree with pos. */
static bool batch_is_sound(struct ops *o, const struct batch *b)
{
    if (!OPS_NEED(o, b->n_rows >= 0 && b->n_seqs >= 0, "batch: n_rows is %d, n_seqs %d", b->n_rows,
                  b->n_seqs))
        return false;
    int64_t row = 0;
    for (int i = 0; i < b->n_seqs; i++) {
        const struct batch_seq *s = &b->seqs[i];
        if (!OPS_NEED(o, s->first_row == row && s->n_rows >= 0 && s->n_rows <= b->n_rows - row,
                      "batch: sequence %d has rows %d+%d; the next free row is %lld of %d", i,
                      s->first_row, s->n_rows, (long long)row, b->n_rows))
            return false;
        if (!OPS_NEED(o, s->pos0 >= 0 && s->pos0 <= INT32_MAX - s->n_rows,
                      "batch: sequence %d starts at position %d", i, s->pos0))
            return false;
        for (int r = 0; b->pos && r < s->n_rows; r++)
            if (!OPS_NEED(o, b->pos[row + r] == s->pos0 + r,
                          "batch: row %lld has position %d; its sequence says %d",
                          (long long)row + r, b->pos[row + r], s->pos0 + r))
                return false;
        row += s->n_rows;
    }
    return b->n_seqs == 0 || OPS_NEED(o, row == b->n_rows, "batch: sequences hold %lld of %d rows",
                                      (long long)row, b->n_rows);
}

void ops_begin(struct ops *o, const struct batch *batch)
{
    bool keeps_all = o->recorder && !o->recorder_looks; /* a whole pass, of any number of rows */
    for (int i = 0; i < 2; i++) (keeps_all ? arena_reset_whole : arena_reset)(&o->arenas[i]);
    o->batch = batch;
    o->next_id = 1;
    o->weight_bytes_read = o->kv_bytes_read = o->bytes_timed = 0;
    o->status = FK_OK;
    o->error = (struct fk_error){.status = FK_OK};
    if (batch) batch_is_sound(o, batch);
}

static struct tensor *new_in(struct ops *o, struct arena *a, int64_t n_rows, int64_t n_cols)
{
    size_t row_bytes, bytes, total;
    if (!size_mul((size_t)n_cols, sizeof(float), &row_bytes) ||
        !size_mul((size_t)n_rows, row_bytes, &bytes) || !size_add(bytes, 128, &total)) {
        ops_fail(o, fail(&o->error, FK_ETOOBIG, "an activation of %lld rows of %lld is too large",
                         (long long)n_rows, (long long)n_cols));
        return NULL;
    }
    _Static_assert(sizeof(struct tensor) <= 128, "the head of an activation");
    struct tensor *t = arena_alloc(a, total);
    if (!t) {
        ops_fail(o, fail_nomem(&o->error, total, "activations"));
        return NULL;
    }
    *t = (struct tensor){.dtype = DT_F32, .n_cols = n_cols, .n_rows = n_rows, .n_mats = 1,
                         .row_bytes = row_bytes, .mat_bytes = bytes, .data = (char *)t + 128,
                         .id = o->next_id++};
    return t;
}

struct tensor *ops_new(struct ops *o, int64_t n_rows, int64_t n_cols)
{
    return new_in(o, &o->arenas[0], n_rows, n_cols);
}

struct tensor *ops_layer_end(struct ops *o, struct tensor *x)
{
    if (ops_dead(o) || !ops_is_act(o, "layer_end", "x", x)) return NULL;
    if (o->recorder && !o->recorder_looks) return x;
    /* x may be the older residual stream itself (a layer that did nothing); then y lies where x lay
     * and rows move down or not at all. */
    struct tensor from = *x;
    arena_reset(&o->arenas[1]);
    struct tensor *y = new_in(o, &o->arenas[1], from.n_rows, from.n_cols);
    if (!y) return NULL;
    for (int64_t t = 0; t < from.n_rows; t++)
        memmove(tensor_row_f32(y, t), tensor_row_f32(&from, t), y->row_bytes);
    arena_reset(&o->arenas[0]);
    return y;
}

bool ops_run(struct ops *o, const struct op_call *call)
{
    double begun = o->times ? clock_seconds() : 0;
    enum fk_status st = device_run(o->device, call, &o->error);
    if (o->times) {
        uint64_t bytes = o->weight_bytes_read + o->kv_bytes_read;
        op_times_add(o->times, call, clock_seconds() - begun, bytes - o->bytes_timed);
        o->bytes_timed = bytes;
    }
    if (st != FK_OK) return ops_fail(o, st);
    if (o->recorder) o->recorder->record(o->recorder->arg, call);
    return true;
}

const char *ops_name(const struct tensor *t)
{
    return t->name ? t->name : "(unnamed)";
}

bool ops_is_act(struct ops *o, const char *op, const char *what, const struct tensor *t)
{
    return OPS_NEED(o, t, "%s: no %s", op, what) &&
           OPS_NEED(o, t->dtype == DT_F32 && t->n_mats == 1 && t->data,
                    "%s: %s is no f32 activation", op, what);
}

bool ops_is_weight(struct ops *o, const char *op, const struct tensor *w, int64_t n_cols)
{
    uint64_t bytes;
    if (!OPS_NEED(o, w && w->data, "%s: no weight", op)) return false;
    const struct dtype_info *info = dtype_info(w->dtype);
    return OPS_NEED(o, info && info->is_weight, "%s: weight %s has type %s", op, ops_name(w),
                    dtype_name(w->dtype)) &&
           OPS_NEED(o, w->n_cols >= 1 && w->n_rows >= 1 && w->n_mats >= 1,
                    "%s: weight %s is empty", op, ops_name(w)) &&
           OPS_NEED(o, w->n_cols == n_cols, "%s: weight %s has %lld columns, the input %lld", op,
                    ops_name(w), (long long)w->n_cols, (long long)n_cols) &&
           OPS_NEED(o, dtype_row_bytes(w->dtype, (uint64_t)n_cols, &bytes) && bytes <= w->row_bytes,
                    "%s: weight %s: a row of %lld does not fit %zu bytes", op, ops_name(w),
                    (long long)n_cols, w->row_bytes);
}

bool ops_is_vector(struct ops *o, const char *op, const char *what, const struct tensor *t,
                   int64_t n)
{
    return OPS_NEED(o, t->dtype == DT_F32 && t->n_cols == n && t->n_rows == 1 && t->data,
                    "%s: %s %s must be %lld floats, not %s of %lld x %lld", op, what, ops_name(t),
                    (long long)n, dtype_name(t->dtype), (long long)t->n_cols,
                    (long long)t->n_rows);
}
