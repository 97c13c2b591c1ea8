/* SPDX-License-Identifier: Apache-2.0
 * grad_norm.c - gradients of rmsnorm and of the gated activation. */
#include <math.h>
#include <string.h>
#include "src/tape/tape_impl.h"

/* y = x r w, r = (mean x^2 + eps)^-1/2:   dx = r (w dy) - x r^3 mean(w dy x)    dw = sum x r dy */
struct norm_job {
    const struct op_call *call;
    const float *dy, *w;
    float *dx, *dw; /* dw: [n_chunks][n], one partial a chunk, added up in order */
    int64_t n, groups;
};

CLONES static void norm_group(const float *restrict x, const float *restrict dy,
                                   const float *restrict w, int64_t n, float eps,
                                   float *restrict dx, float *restrict dw)
{
    float sums[16] = {0}, dots[16] = {0};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int l = 0; l < 16; l++) {
            float wi = w ? w[i + l] : 1;
            sums[l] += x[i + l] * x[i + l];
            dots[l] += x[i + l] * (wi * dy[i + l]);
        }
    for (; i < n; i++) {
        sums[0] += x[i] * x[i];
        dots[0] += x[i] * ((w ? w[i] : 1) * dy[i]);
    }
    float sum = 0, dot = 0;
    for (int l = 0; l < 16; l++) {
        sum += sums[l];
        dot += dots[l];
    }
    float r = 1.0f / sqrtf(sum / (float)n + eps), k = r * r * r * dot / (float)n;
    if (w)
        for (i = 0; i < n; i++) dx[i] += r * (w[i] * dy[i]) - k * x[i];
    else
        for (i = 0; i < n; i++) dx[i] += r * dy[i] - k * x[i];
    if (dw)
        for (i = 0; i < n; i++) dw[i] += x[i] * r * dy[i];
}

static void norm_rows(void *arg, int64_t first, int64_t end)
{
    const struct norm_job *j = arg;
    int64_t cols = j->n * j->groups;
    float *dw = j->dw ? j->dw + first / TAPE_ROWS * j->n : NULL;
    if (dw) memset(dw, 0, (size_t)j->n * sizeof(float));
    for (int64_t r = first; r < end; r++)
        for (int64_t g = 0; g < j->groups; g++)
            norm_group(tensor_row_f32(j->call->in[0], r) + g * j->n, j->dy + r * cols + g * j->n,
                       j->w, j->n, j->call->scalar, j->dx + r * cols + g * j->n, dw);
}

TAPE_GRAD(rmsnorm)
{
    const struct tensor *x = call->in[0], *w = call->w[0];
    enum fk_status st = FK_OK;
    float *dw = w ? tape_param_grad(t, w) : NULL;
    int64_t n = w ? w->n_cols : x->n_cols, n_chunks = (x->n_rows + TAPE_ROWS - 1) / TAPE_ROWS;
    struct norm_job j = {.call = call, .dy = tape_grad_of(t, call->out[0]), .n = n,
                         .w = w ? w->data : NULL, .groups = x->n_cols / n};
    j.dx = tape_grad_into(t, x, &st, err);
    if (dw) j.dw = tape_scratch(t, (size_t)(n_chunks * n), sizeof(float), &st, err);
    if (st != FK_OK) return st;
    tape_rows(t, norm_rows, &j, x->n_rows);
    for (int64_t c = 0; dw && c < n_chunks; c++)
        for (int64_t i = 0; i < n; i++) dw[i] += j.dw[c * n + i];
    return FK_OK;
}

/* h = act(g) u */
struct glu_job {
    const struct op_call *call;
    const float *dy;
    float *dg, *du;
};

CLONES void tape_silu_grad(const float *restrict g, const float *restrict u,
                                const float *restrict dh, int64_t n, float *restrict dg,
                                float *restrict du)
{
    for (int64_t i = 0; i < n; i++) {
        float s = tape_sigmoid(g[i]), a = g[i] * s;
        du[i] = dh[i] * a;
        dg[i] = dh[i] * u[i] * (s + a * (1 - s));
    }
}

CLONES void tape_gelu_grad(const float *restrict g, const float *restrict u,
                                const float *restrict dh, int64_t n, float *restrict dg,
                                float *restrict du)
{
    for (int64_t i = 0; i < n; i++) {
        float x = g[i], x2 = x * x, z = 0.79788456f * (x + 0.044715f * x * x2);
        float th = 2 * tape_sigmoid(2 * z) - 1, dz = 0.79788456f * (1 + 3 * 0.044715f * x2);
        du[i] = dh[i] * 0.5f * x * (1 + th);
        dg[i] = dh[i] * u[i] * (0.5f * (1 + th) + 0.5f * x * (1 - th * th) * dz);
    }
}

CLONES void tape_glu_again(enum act act, const float *restrict g, const float *restrict u,
                                int64_t n, float *restrict h)
{
    if (act == ACT_SILU)
        for (int64_t i = 0; i < n; i++) h[i] = g[i] * tape_sigmoid(g[i]) * u[i];
    else
        for (int64_t i = 0; i < n; i++) {
            float x = g[i], z = 0.79788456f * (x + 0.044715f * x * x * x);
            h[i] = x * tape_sigmoid(2 * z) * u[i];
        }
}

static void glu_rows(void *arg, int64_t first, int64_t end)
{
    const struct glu_job *j = arg;
    int64_t n = j->call->in[0]->n_cols;
    for (int64_t r = first; r < end; r++)
        (j->call->act == ACT_SILU ? tape_silu_grad : tape_gelu_grad)(
            tensor_row_f32(j->call->in[0], r), tensor_row_f32(j->call->in[1], r), j->dy + r * n, n,
            j->dg + r * n, j->du + r * n);
}

/* Gate and up come from matmuls and are read by nothing else, so their gradients are new here; where
 * a forward does read one twice, the other gradient is added afterwards. */
TAPE_GRAD(glu)
{
    const struct tensor *g = call->in[0], *u = call->in[1];
    bool g_new, u_new;
    enum fk_status st = FK_OK;
    size_t n = (size_t)(g->n_rows * g->n_cols);
    struct glu_job j = {.call = call, .dy = tape_grad_of(t, call->out[0])};
    float *dg = tape_grad_claim(t, g, &g_new, &st, err), *du = tape_grad_claim(t, u, &u_new, &st, err);
    j.dg = g_new ? dg : tape_scratch(t, n, sizeof(float), &st, err);
    j.du = u_new ? du : tape_scratch(t, n, sizeof(float), &st, err);
    if (st != FK_OK) return st;
    tape_rows(t, glu_rows, &j, g->n_rows);
    for (size_t i = 0; !g_new && i < n; i++) dg[i] += j.dg[i];
    for (size_t i = 0; !u_new && i < n; i++) du[i] += j.du[i];
    return FK_OK;
}
