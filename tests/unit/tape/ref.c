/* SPDX-License-Identifier: Apache-2.0
 * ref.c - see ref.h. */
#include "tests/unit/tape/ref.h"
#include <math.h>

void ref_matmul(const double *x, const double *w, const double *b, int t, int k, int n, double *y)
{
    for (int i = 0; i < t; i++)
        for (int r = 0; r < n; r++) {
            double s = b ? b[r] : 0;
            for (int c = 0; c < k; c++) s += w[r * k + c] * x[i * k + c];
            y[i * n + r] = s;
        }
}

void ref_heads(const double *x, const double *w, int t, int heads, int rows, int cols,
               int transposed, int shared, double *y)
{
    int n_in = transposed ? rows : cols, n_out = transposed ? cols : rows;
    int x_cols = shared ? n_in : heads * n_in;
    for (int i = 0; i < t; i++)
        for (int h = 0; h < heads; h++)
            for (int o = 0; o < n_out; o++) {
                double s = 0;
                for (int c = 0; c < n_in; c++) {
                    int r = transposed ? c : o, k = transposed ? o : c;
                    s += w[(h * rows + r) * cols + k] * x[i * x_cols + (shared ? 0 : h * n_in) + c];
                }
                y[(i * heads + h) * n_out + o] = s;
            }
}

void ref_rmsnorm(const double *x, const double *w, int t, int groups, int n, double eps, double *y)
{
    for (int i = 0; i < t * groups; i++) {
        double s = 0;
        for (int c = 0; c < n; c++) s += x[i * n + c] * x[i * n + c];
        for (int c = 0; c < n; c++)
            y[i * n + c] = x[i * n + c] / sqrt(s / n + eps) * (w ? w[c] : 1);
    }
}

void ref_rope(const double *x, const struct rope_params *p, const int32_t *pos, int t, int heads,
              int dim, double *y)
{
    int n = p->n_rot / 2;
    for (int i = 0; i < t * heads; i++) {
        const double *a = x + i * dim;
        double *b = y + i * dim;
        for (int c = 0; c < dim; c++) b[c] = a[c];
        for (int j = 0; j < n; j++) {
            double angle = pos[i / heads] * (double)p->inv_freq[j];
            int k = p->first + (p->style == ROPE_HALVES ? j : 2 * j);
            int l = p->style == ROPE_HALVES ? k + n : k + 1;
            b[k] = (double)p->mscale * (a[k] * cos(angle) - a[l] * sin(angle));
            b[l] = (double)p->mscale * (a[k] * sin(angle) + a[l] * cos(angle));
        }
    }
}

void ref_glu(enum act act, const double *g, const double *u, int n, double *y)
{
    for (int i = 0; i < n; i++) {
        double x = g[i];
        double a = act == ACT_SILU ? x / (1 + exp(-x))
            : 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
        y[i] = a * u[i];
    }
}

void ref_attention(const struct attention_params *p, const double *q, const double *k,
                   const double *v, int first, int n, double *y)
{
    double s[256];
    for (int i = first; i < first + n; i++)
        for (int h = 0; h < p->n_heads; h++) {
            int hk = h / (p->n_heads / p->n_kv_heads);
            int lo = p->window && i - first >= p->window ? i - p->window + 1 : first;
            double max = -1e300, sum = 0;
            for (int j = lo; j <= i; j++) {
                double d = 0;
                for (int c = 0; c < p->k_dim; c++)
                    d += q[(i * p->n_heads + h) * p->k_dim + c] *
                         k[(j * p->n_kv_heads + hk) * p->k_dim + c];
                d *= (double)p->scale;
                if (p->softcap > 0) d = (double)p->softcap * tanh(d / (double)p->softcap);
                s[j - lo] = d;
                if (d > max) max = d;
            }
            for (int j = lo; j <= i; j++) sum += s[j - lo] = exp(s[j - lo] - max);
            for (int c = 0; c < p->v_dim; c++) {
                double o = 0;
                for (int j = lo; j <= i; j++)
                    o += s[j - lo] / sum * v[(j * p->n_kv_heads + hk) * p->v_dim + c];
                y[(i * p->n_heads + h) * p->v_dim + c] = o;
            }
        }
}

void ref_route(const struct route_params *p, const double *logits, int n, const int32_t *ids,
               double *w)
{
    double max = -1e300, all = 0, sum = 0;
    for (int i = 0; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (int i = 0; i < n; i++) all += exp(logits[i] - max);
    for (int s = 0; s < p->n_used; s++) {
        double l = logits[ids[s]];
        w[s] = p->gate == ROUTE_SIGMOID ? 1 / (1 + exp(-l)) : exp(l - max) / all;
        sum += w[s];
    }
    for (int s = 0; s < p->n_used; s++) w[s] *= (double)p->scale / (p->normalize ? sum : 1);
}
