/* SPDX-License-Identifier: Apache-2.0
 * grad_route.c - gradients of the router. The choice of experts has none, nor has the bias that
 * steers it (DeepSeek-V3, section 2.1.2); the weights of the chosen have.
 *
 *   w_s = scale g_s / sum_j g_j          (normalised; j over the chosen)
 *   dg_s = scale (dw_s - sum_j dw_j g_j / sum) / sum
 *   sigmoid: dl = dg g (1 - g)           softmax: dl_i = g_i (dg_i - sum_j dg_j g_j)
 *
 * The sequence balance loss (equations 17-20), T rows of N experts, K of them used:
 *   f_i = N / (K T) sum_t 1[i chosen]    s'_it = s_it / sum_j s_jt    P_i = 1/T sum_t s'_it
 *   loss = sum_i f_i P_i                 d loss / d s_it = (f_i - sum_j f_j s'_jt) / (T sum_j s_jt) */
#include <math.h>
#include <string.h>
#include "src/tape/tape_impl.h"

static void gates(enum route_gate gate, const float *l, int64_t n, float *g)
{
    float max = -INFINITY, sum = 0;
    if (gate == ROUTE_SIGMOID) {
        for (int64_t i = 0; i < n; i++) g[i] = 1.0f / (1.0f + expf(-l[i]));
        return;
    }
    for (int64_t i = 0; i < n; i++) max = l[i] > max ? l[i] : max;
    for (int64_t i = 0; i < n; i++) sum += g[i] = expf(l[i] - max);
    for (int64_t i = 0; i < n; i++) g[i] /= sum;
}

/* dl += the gate's transpose of dg */
static void add_gate_grad(enum route_gate gate, const float *g, const float *dg, int64_t n,
                          float *dl)
{
    float dot = 0;
    if (gate == ROUTE_SIGMOID) {
        for (int64_t i = 0; i < n; i++) dl[i] += dg[i] * g[i] * (1 - g[i]);
        return;
    }
    for (int64_t i = 0; i < n; i++) dot += dg[i] * g[i];
    for (int64_t i = 0; i < n; i++) dl[i] += g[i] * (dg[i] - dot);
}

static void choice_grad(const struct route_params *p, const int32_t *ids, const float *dw,
                        const float *g, float *dg)
{
    float sum = 0, dot = 0;
    for (int s = 0; s < p->n_used; s++) {
        sum += g[ids[s]];
        dot += dw[s] * g[ids[s]];
    }
    sum += 1e-20f;
    for (int s = 0; s < p->n_used; s++)
        dg[ids[s]] += p->normalize ? p->scale * (dw[s] - dot / sum) / sum : p->scale * dw[s];
}

static const int32_t *ids_of(const struct op_call *call, int64_t row)
{
    return (const int32_t *)(const void *)tensor_row_f32(call->out[0], row);
}

/* f [n] and P [n] of one sequence; gives sum_i f_i P_i. */
static double sequence_balance(const struct op_call *call, const struct batch_seq *s, float *g,
                               double *f, double *mean)
{
    int64_t n = call->in[0]->n_cols;
    int used = call->route->n_used;
    double loss = 0;
    for (int64_t i = 0; i < n; i++) f[i] = mean[i] = 0;
    for (int64_t r = s->first_row; r < s->first_row + s->n_rows; r++) {
        double sum = 0;
        gates(call->route->gate, tensor_row_f32(call->in[0], r), n, g);
        for (int64_t i = 0; i < n; i++) sum += (double)g[i];
        for (int64_t i = 0; i < n; i++) mean[i] += (double)g[i] / sum / s->n_rows;
        for (int k = 0; k < used; k++) f[ids_of(call, r)[k]] += (double)n / used / s->n_rows;
    }
    for (int64_t i = 0; i < n; i++) loss += f[i] * mean[i];
    return loss;
}

/* Adds coefficient * d(loss)/ds of one row to dg; T = 1 after the factor n_rows(seq) of the loss. */
static void balance_grad(float coefficient, const double *f, const float *g, int64_t n, float *dg)
{
    double sum = 0, dot = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)g[i];
    for (int64_t i = 0; i < n; i++) dot += f[i] * (double)g[i] / sum;
    for (int64_t i = 0; i < n; i++) dg[i] += (float)((double)coefficient * (f[i] - dot) / sum);
}

TAPE_GRAD(route)
{
    const struct tensor *logits = call->in[0];
    const float *dw = tape_grad_of(t, call->out[1]);
    int64_t n = logits->n_cols;
    enum fk_status st = FK_OK;
    float *dl = tape_grad_into(t, logits, &st, err);
    float *g = tape_scratch(t, (size_t)n, sizeof *g, &st, err);
    float *dg = tape_scratch(t, (size_t)n, sizeof *dg, &st, err);
    double *f = tape_scratch(t, (size_t)n, 2 * sizeof *f, &st, err);
    if (st != FK_OK) return st;
    bool is_balanced = t->balance != 0 && call->in[0]->n_rows == t->batch->n_rows;
    int n_seqs = t->batch->n_seqs;
    struct batch_seq all = {.n_rows = (int)logits->n_rows};
    for (int i = 0; i < (is_balanced ? n_seqs : 1); i++) {
        const struct batch_seq *s = is_balanced ? &t->batch->seqs[i] : &all;
        if (is_balanced && s->n_rows)
            t->balance_loss += (double)t->balance * s->n_rows *
                               sequence_balance(call, s, g, f, f + n);
        for (int64_t r = s->first_row; r < s->first_row + s->n_rows; r++) {
            gates(call->route->gate, tensor_row_f32(logits, r), n, g);
            memset(dg, 0, (size_t)n * sizeof *dg);
            if (dw) choice_grad(call->route, ids_of(call, r), dw + r * call->route->n_used, g, dg);
            if (is_balanced) balance_grad(t->balance, f, g, n, dg);
            add_gate_grad(call->route->gate, g, dg, n, dl + r * n);
        }
    }
    return FK_OK;
}
