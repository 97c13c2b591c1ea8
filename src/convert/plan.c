/* SPDX-License-Identifier: Apache-2.0
 * plan.c - streams the tensors of a plan: takes rows from maps, turns them to floats where anything
 * about them changes, and encodes them. Rows that only move are copied as bytes. */
#include "src/convert/plan.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/convert.h"
#include "src/file/le.h"
#include "src/tensor/blocks.h"

void plan_init(struct plan *p)
{
    *p = (struct plan){0};
    arena_init(&p->memory, 1 << 16, 0, MEM_FILE);
    kernels_select(&p->kernels, cpu_detect(), false);
}

void plan_fini(struct plan *p)
{
    arena_fini(&p->memory);
    mem_free(p->tensors);
    mem_free(p->row);
    mem_free(p->head);
    mem_free(p->bytes);
    mem_free(p->low);
}

struct plan_tensor *plan_add(struct plan *p, const char *name)
{
    char *copy = arena_strndup(&p->memory, name, strlen(name));
    if (!copy) return NULL;
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 256;
        struct plan_tensor *t = mem_realloc(p->tensors, cap * sizeof *t, MEM_FILE);
        if (!t) return NULL;
        p->tensors = t;
        p->cap = cap;
    }
    struct plan_tensor *t = &p->tensors[p->n++];
    *t = (struct plan_tensor){.name = copy, .plan = p};
    return t;
}

enum fk_status plan_set_rows(struct plan *p, struct plan_tensor *t, const struct plan_source *src,
                             size_t n_src, struct fk_error *err)
{
    struct plan_source *copy = arena_array(&p->memory, n_src, sizeof *copy);
    if (!copy) return fail_nomem(err, n_src * sizeof *copy, t->name);
    memcpy(copy, src, n_src * sizeof *copy);
    t->op = PLAN_ROWS;
    t->src = copy;
    t->n_src = n_src;
    t->rows_per_source = t->group = t->stride = src[0].n_rows;
    t->first = 0;
    return FK_OK;
}

static int by_rank(const void *a, const void *b)
{
    const struct plan_tensor *x = a, *y = b;
    if (x->rank_in_file != y->rank_in_file) return x->rank_in_file < y->rank_in_file ? -1 : 1;
    return strcmp(x->name, y->name);
}

void plan_sort(struct plan *p)
{
    if (p->n) qsort(p->tensors, p->n, sizeof *p->tensors, by_rank);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

/* As published converters do: vectors, norms, routers and what is no weight stay f32. */
enum dtype plan_dtype(const struct plan_tensor *t, enum dtype want)
{
    if (t->op == PLAN_VALUES || t->n_dims <= 1 || ends_with(t->name, "_norm.weight") ||
        ends_with(t->name, "ffn_gate_inp.weight") || !ends_with(t->name, ".weight"))
        return DT_F32;
    if (want == DT_NONE) {
        enum dtype own = t->src[0].dtype;
        want = own == DT_F8_E4M3 ? DT_BF16 : own == DT_F64 ? DT_F32 : own;
        if (t->op != PLAN_ROWS && want != DT_F32 && want != DT_F16 && want != DT_BF16) want = DT_BF16;
    }
    return t->shape[0] % dtype_info(want)->block_weights ? DT_F16 : want;
}

static bool reserve(void **p, size_t *cap, uint64_t n, size_t each)
{
    size_t bytes;
    if (n <= *cap) return true;
    if (!size_mul((size_t)n, each, &bytes)) return false;
    void *q = mem_realloc(*p, bytes, MEM_FILE);
    if (!q) return false;
    *p = q;
    *cap = (size_t)n;
    return true;
}

static void read_f8(const struct plan_source *s, uint64_t row, float *out)
{
    const uint8_t *w = s->data + row * s->row_bytes;
    const uint8_t *scales = s->scales ? s->scales + row / s->block_rows * s->n_scale_cols * 4 : NULL;
    for (uint64_t i = 0; i < s->n_cols; i++) {
        float v = f8_e4m3_to_f32(w[i]);
        out[i] = scales ? v * le_f32(scales + i / s->block_cols * 4) : v;
    }
}

static void read_row(const struct plan *p, const struct plan_source *s, uint64_t row, float *out)
{
    const uint8_t *w = s->data + row * s->row_bytes;
    struct weight_kernels k;
    if (s->dtype == DT_F8_E4M3) {
        read_f8(s, row, out);
    } else if (s->dtype == DT_F64) {
        for (uint64_t i = 0; i < s->n_cols; i++) out[i] = (float)le_f64(w + 8 * i);
    } else if (kernels_for_weight(&p->kernels, s->dtype, &k)) {
        k.dequant(w, (int64_t)s->n_cols, out);
    } else {
        memset(out, 0, s->n_cols * sizeof *out); /* not reached: plans hold readable types only */
    }
}

static void encode_q8_0(const float *x, uint64_t n, uint8_t *out)
{
    for (uint64_t b = 0; b < n / 32; b++, x += 32, out += sizeof(struct block_q8_0)) {
        float max = 0;
        for (int i = 0; i < 32; i++) max = fmaxf(max, fabsf(x[i]));
        float d = max / 127, inverse = d ? 1 / d : 0;
        put_le(out, f32_to_f16(d), 2);
        for (int i = 0; i < 32; i++) out[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
    }
}

static enum fk_status encode(const struct plan_tensor *t, const float *x, uint64_t n, uint8_t *out,
                             struct fk_error *err)
{
    if (t->dtype == DT_F32) {
        memcpy(out, x, n * sizeof *x);
        return FK_OK;
    }
    float max = 0;
    for (uint64_t i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        if (a > max && isfinite(a)) max = a;
    }
    /* What rounds to infinity: values from 65520, scales of 127 times that. */
    if ((t->dtype == DT_F16 && max >= 65520) || (t->dtype == DT_Q8_0 && max >= 65520.0f * 127))
        return fail(err, FK_EUNSUPPORTED, "tensor '%s' holds %g, more than %s can; bf16 or f32 can",
                    t->name, (double)max, dtype_name(t->dtype));
    if (t->dtype == DT_F16)
        for (uint64_t i = 0; i < n; i++) put_le(out + 2 * i, f32_to_f16(x[i]), 2);
    else if (t->dtype == DT_BF16)
        for (uint64_t i = 0; i < n; i++) put_le(out + 2 * i, f32_to_bf16(x[i]), 2);
    else
        encode_q8_0(x, n, out);
    return FK_OK;
}

static enum fk_status put_floats(const struct plan_tensor *t, const float *x, uint64_t n,
                                 struct out_file *f, struct fk_error *err)
{
    uint64_t bytes;
    struct plan *p = t->plan;
    if (!dtype_row_bytes(t->dtype, n, &bytes) ||
        !reserve((void **)&p->bytes, &p->bytes_cap, bytes, 1))
        return fail_nomem(err, n, t->name);
    TRY(encode(t, x, n, p->bytes, err));
    return out_file_write(f, p->bytes, (size_t)bytes, err);
}

static uint64_t source_row(const struct plan_tensor *t, uint64_t q)
{
    if (t->order != ROWS_AS_THEY_ARE) {
        uint64_t head = q / t->head_rows, i = q % t->head_rows, half = t->head_rows / 2;
        i = t->order == ROWS_TO_PAIRS ? i % 2 * half + i / 2 : i % half * 2 + i / half;
        q = head * t->head_rows + i;
    }
    if (t->row_order) q = t->row_order[q];
    return q / t->group * t->stride + t->first + q % t->group;
}

static enum fk_status fill_rows(const struct plan_tensor *t, struct out_file *f, struct fk_error *err)
{
    struct plan *p = t->plan;
    uint64_t n_cols = t->src[0].n_cols;
    if (!reserve((void **)&p->row, &p->row_cap, n_cols, sizeof *p->row))
        return fail_nomem(err, n_cols * 4, t->name);
    if (t->col_order && !reserve((void **)&p->head, &p->head_cap, n_cols, sizeof *p->head))
        return fail_nomem(err, n_cols * 4, t->name);
    if (t->adapter) TRY(merge_begin(t, err));
    for (size_t i = 0; i < t->n_src; i++) {
        const struct plan_source *s = &t->src[i];
        bool raw = s->dtype == t->dtype && t->add == 0 && !t->row_order && !t->col_order &&
                   !t->adapter;
        uint64_t run = t->order == ROWS_AS_THEY_ARE ? t->group : 1;
        for (uint64_t q = 0; q < t->rows_per_source; q += raw ? run : 1) {
            uint64_t row = source_row(t, q);
            if (raw) {
                TRY(out_file_write(f, s->data + row * s->row_bytes, (size_t)(run * s->row_bytes), err));
                continue;
            }
            read_row(p, s, row, p->row);
            if (t->adapter) merge_row(t, row, p->row);
            if (t->add != 0)
                for (uint64_t c = 0; c < n_cols; c++) p->row[c] += t->add;
            if (t->col_order)
                for (uint64_t c = 0; c < n_cols; c++) p->head[c] = p->row[t->col_order[c]];
            TRY(put_floats(t, t->col_order ? p->head : p->row, n_cols, f, err));
        }
    }
    return FK_OK;
}

/* k_b [n_heads][rank][nope] out of kv_b [n_heads * (nope + v)][rank]. */
static enum fk_status fill_k_b(const struct plan_tensor *t, struct out_file *f, struct fk_error *err)
{
    struct plan *p = t->plan;
    const struct plan_source *s = t->src;
    uint64_t nope = t->nope, rank = t->rank, n_heads = s->n_rows / (nope + t->v_dim);
    if (!reserve((void **)&p->row, &p->row_cap, nope, sizeof *p->row) ||
        !reserve((void **)&p->head, &p->head_cap, nope * rank, sizeof *p->head))
        return fail_nomem(err, nope * rank * 4, t->name);
    for (uint64_t h = 0; h < n_heads; h++) {
        for (uint64_t i = 0; i < nope; i++)
            read_row(p, s, h * (nope + t->v_dim) + i, p->head + i * rank);
        for (uint64_t j = 0; j < rank; j++) {
            for (uint64_t i = 0; i < nope; i++) p->row[i] = p->head[i * rank + j];
            TRY(put_floats(t, p->row, nope, f, err));
        }
    }
    return FK_OK;
}

static enum fk_status fill_kv_b(const struct plan_tensor *t, struct out_file *f, struct fk_error *err)
{
    struct plan *p = t->plan;
    uint64_t nope = t->nope, rank = t->rank, v_dim = t->v_dim, n_heads = t->src[0].n_rows / rank;
    if (!reserve((void **)&p->row, &p->row_cap, rank, sizeof *p->row) ||
        !reserve((void **)&p->head, &p->head_cap, nope * rank, sizeof *p->head))
        return fail_nomem(err, nope * rank * 4, t->name);
    for (uint64_t h = 0; h < n_heads; h++) {
        for (uint64_t j = 0; j < rank; j++)
            read_row(p, &t->src[0], h * rank + j, p->head + j * nope);
        for (uint64_t i = 0; i < nope; i++) {
            for (uint64_t j = 0; j < rank; j++) p->row[j] = p->head[j * nope + i];
            TRY(put_floats(t, p->row, rank, f, err));
        }
        for (uint64_t i = 0; i < v_dim; i++) {
            read_row(p, &t->src[1], h * v_dim + i, p->row);
            TRY(put_floats(t, p->row, rank, f, err));
        }
    }
    return FK_OK;
}

static enum fk_status fill(const struct plan_tensor *t, struct out_file *f, struct fk_error *err)
{
    switch (t->op) {
    case PLAN_K_B:
        return fill_k_b(t, f, err);
    case PLAN_KV_B:
        return fill_kv_b(t, f, err);
    case PLAN_VALUES:
        return put_floats(t, t->values, t->shape[0], f, err);
    case PLAN_ROWS:
        break;
    }
    return fill_rows(t, f, err);
}

enum fk_status plan_fill(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct plan_tensor *t = arg;
    TRY(fill(t, f, err));
    if (t->plan->is_cut && t->plan->is_cut(t->plan->source))
        return fail(err, FK_EGONE, "tensor '%s': its file was cut while it was read", t->name);
    return FK_OK;
}
