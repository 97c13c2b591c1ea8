/* SPDX-License-Identifier: Apache-2.0
 * grad_attention.c - the gradient of causal softmax attention over whole sequences.
 *
 *   S = scale Q K'  (softcapped, masked)    P = softmax(S)    O = P V
 *   dV = P' dO    dP = dO V'    dS = P * (dP - rowsum(dO * O))    dQ = scale dS K    dK = scale dS' Q
 *
 * One job is one kv head of one sequence with all its query heads, so nothing is added by two
 * threads; it works in blocks of BLOCK query rows, whose keys end at the block's last position. P is
 * computed again: keeping it would take n^2 floats a head. */
#include <math.h>
#include <string.h>
#include "src/tape/tape_impl.h"

#define BLOCK 64

struct attention_job {
    const struct op_call *call;
    const struct tensor *k, *v;
    const float *dout;
    float *dq, *dk, *dv;
    float *scratch; /* [n_threads][2 * BLOCK * longest] */
    size_t scratch_floats;
};

/* Keys and values were written by the last kv_write of this layer before the call. */
static const struct op_call *find_write(const struct tape *t, const struct op_call *call)
{
    for (size_t i = t->n_calls; i-- > 0;) {
        const struct op_call *c = &t->calls[i].call;
        if (c->kind == OP_KV_WRITE && c->i_layer == call->i_layer && c->batch == call->batch)
            return c;
    }
    return NULL;
}

/* Softmax of one row over keys [lo, hi); zero elsewhere. */
CLONES static void softmax_row(float *s, int64_t lo, int64_t hi, int64_t n, float cap)
{
    float max = -INFINITY, sum = 0;
    if (cap > 0)
        for (int64_t i = lo; i < hi; i++) s[i] = cap * tanhf(s[i] / cap);
    for (int64_t i = lo; i < hi; i++) max = s[i] > max ? s[i] : max;
    for (int64_t i = lo; i < hi; i++) s[i] = tape_exp(s[i] - max);
    for (int64_t i = lo; i < hi; i++) sum += s[i];
    float inv = 1 / sum;
    for (int64_t i = lo; i < hi; i++) s[i] *= inv;
    for (int64_t i = 0; i < lo; i++) s[i] = 0;
    for (int64_t i = hi; i < n; i++) s[i] = 0;
}

/* ds <- p * (dp - dot); dp lies in ds. */
CLONES static void score_grad(const float *restrict p, float dot, int64_t n,
                                   float *restrict ds)
{
    for (int64_t i = 0; i < n; i++) ds[i] = p[i] * (ds[i] - dot);
}

static float dot_of(const float *a, const float *b, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Softcap's own factor, from S before the cap: computed again since P is all that is left. */
static void uncap(const struct attention_params *p, const float *q, int64_t q_stride,
                  const float *k, int64_t k_stride, int64_t n_rows, int64_t n_keys, float *ds)
{
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t i = 0; i < n_keys; i++) {
            float s = p->scale * dot_of(q + r * q_stride, k + i * k_stride, p->k_dim);
            float u = tanhf(s / p->softcap);
            ds[r * n_keys + i] *= 1 - u * u;
        }
}

/* One block of query rows [first, end) of head h; rows count from the sequence's first. */
static void attend_block(const struct attention_job *j, const struct batch_seq *s, int64_t h,
                         int64_t first, int64_t end, float *scratch)
{
    const struct attention_params *p = j->call->attention;
    const struct tensor *q = j->call->in[0], *out = j->call->out[0];
    int64_t hk = h / (p->n_heads / p->n_kv_heads), row = s->first_row + first, m = end - first;
    int64_t nq = q->n_cols, nk = j->k->n_cols, nv = j->v->n_cols, no = out->n_cols;
    int64_t lo = p->window && first >= p->window ? first - p->window + 1 : 0, n = end - lo;
    int64_t key0 = s->first_row + lo;
    int64_t q_stride = (int64_t)(q->row_bytes / sizeof(float));
    int64_t k_stride = (int64_t)(j->k->row_bytes / sizeof(float));
    int64_t v_stride = (int64_t)(j->v->row_bytes / sizeof(float));
    const float *qh = tensor_row_f32(q, row) + h * p->k_dim;
    const float *kh = tensor_row_f32(j->k, key0) + hk * p->k_dim;
    const float *vh = tensor_row_f32(j->v, key0) + hk * p->v_dim;
    const float *doh = j->dout + row * no + h * p->v_dim;
    float *prob = scratch, *ds = scratch + BLOCK * n;
    tape_gemm(&(struct gemm){.tb = true, .m = m, .n = n, .k = p->k_dim, .alpha = p->scale, .a = qh,
              .lda = q_stride, .b = kh, .ldb = k_stride, .c = prob, .ldc = n});
    for (int64_t r = 0; r < m; r++) {
        int64_t pos = first + r, from = p->window && pos >= p->window ? pos - p->window + 1 : 0;
        softmax_row(prob + r * n, from - lo, pos + 1 - lo, n, p->softcap);
    }
    tape_gemm(&(struct gemm){.ta = true, .m = n, .n = p->v_dim, .k = m, .alpha = 1, .a = prob,
              .lda = n, .b = doh, .ldb = no, .beta = 1, .c = j->dv + key0 * nv + hk * p->v_dim,
              .ldc = nv});
    tape_gemm(&(struct gemm){.tb = true, .m = m, .n = n, .k = p->v_dim, .alpha = 1, .a = doh,
              .lda = no, .b = vh, .ldb = v_stride, .c = ds, .ldc = n});
    for (int64_t r = 0; r < m; r++)
        score_grad(prob + r * n, dot_of(doh + r * no, tensor_row_f32(out, row + r) + h * p->v_dim,
                   p->v_dim), n, ds + r * n);
    if (p->softcap > 0) uncap(p, qh, q_stride, kh, k_stride, m, n, ds);
    tape_gemm(&(struct gemm){.m = m, .n = p->k_dim, .k = n, .alpha = p->scale, .a = ds, .lda = n,
              .b = kh, .ldb = k_stride, .beta = 1, .c = j->dq + row * nq + h * p->k_dim,
              .ldc = nq});
    tape_gemm(&(struct gemm){.ta = true, .m = n, .n = p->k_dim, .k = m, .alpha = p->scale, .a = ds,
              .lda = n, .b = qh, .ldb = q_stride, .beta = 1,
              .c = j->dk + key0 * nk + hk * p->k_dim, .ldc = nk});
}

static void attention_chunk(void *arg, int64_t chunk, int worker)
{
    const struct attention_job *j = arg;
    const struct attention_params *p = j->call->attention;
    const struct batch_seq *s = &j->call->batch->seqs[chunk / p->n_kv_heads];
    int64_t hk = chunk % p->n_kv_heads, group = p->n_heads / p->n_kv_heads;
    float *scratch = j->scratch + (size_t)worker * j->scratch_floats;
    for (int64_t h = hk * group; h < (hk + 1) * group; h++)
        for (int64_t first = 0; first < s->n_rows; first += BLOCK)
            attend_block(j, s, h, first, first + BLOCK < s->n_rows ? first + BLOCK : s->n_rows,
                         scratch);
}

TAPE_GRAD(attention)
{
    const struct op_call *write = find_write(t, call);
    const struct batch *b = call->batch;
    if (!write || !write->in[1])
        return fail(err, FK_EUNSUPPORTED, "attention of layer %d: no keys and values on the tape "
                    "(training takes the expanded form of MLA)", call->i_layer);
    enum fk_status st = FK_OK;
    struct attention_job j = {.call = call, .k = write->in[0], .v = write->in[1],
                              .dout = tape_grad_of(t, call->out[0])};
    int64_t longest = 0;
    for (int i = 0; i < b->n_seqs; i++)
        if (b->seqs[i].n_rows > longest) longest = b->seqs[i].n_rows;
    j.dq = tape_grad_into(t, call->in[0], &st, err);
    j.dk = tape_grad_into(t, j.k, &st, err);
    j.dv = tape_grad_into(t, j.v, &st, err);
    j.scratch_floats = 2 * BLOCK * (size_t)longest;
    j.scratch = tape_scratch(t, (size_t)device_n_threads(t->device) * j.scratch_floats,
                             sizeof(float), &st, err);
    if (st != FK_OK) return st;
    device_parallel(t->device, attention_chunk, &j,
                    (int64_t)b->n_seqs * call->attention->n_kv_heads);
    return FK_OK;
}
