/* SPDX-License-Identifier: Apache-2.0
 * cpu_route.c - router logits to experts, as the published DeepSeek-V2/V3 and Qwen3-MoE code does:
 * gate values by softmax or sigmoid; the choice by gate + bias, first among groups, then among the
 * experts of the chosen groups (all others are out); weights are the gate values of the chosen
 * without bias, normalised if asked, times scale.
 *
 * Ties go to the lowest index. A NaN score counts as minus infinity in the choice, so ids are always
 * distinct and in range; all weights are NaN then, so that the model's check finds it. */
#include <math.h>
#include "src/device/cpu/cpu.h"
#include "src/base/fail.h"

struct route_scratch {
    float *gate, *score; /* [n_experts] each, of one worker */
};

static void fill_gate(const struct route_params *p, const float *logits, int n, float *gate)
{
    if (p->gate == ROUTE_SIGMOID) {
        for (int i = 0; i < n; i++) gate[i] = 1.0f / (1.0f + expf(-logits[i]));
        return;
    }
    float max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        if (logits[i] > max) max = logits[i];
    for (int i = 0; i < n; i++) sum += gate[i] = expf(logits[i] - max);
    for (int i = 0; i < n; i++) gate[i] /= sum;
}

/* Index of the largest; taken ones are -2 infinities low: marked by NaN, which never compares. */
static int take_best(float *score, int n)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (score[i] == score[i] && (best < 0 || score[i] > score[best])) best = i;
    if (best >= 0) score[best] = NAN;
    return best;
}

static float group_score(const struct route_params *p, const float *score, int n)
{
    float first = -INFINITY, second = -INFINITY;
    for (int i = 0; i < n; i++) {
        if (score[i] > first) {
            second = first;
            first = score[i];
        } else if (score[i] > second) {
            second = score[i];
        }
    }
    return p->group_by_top2 ? first + second : first;
}

/* Leaves the scores of the best groups; NaN in all others. `group` holds one float per group. */
static void keep_best_groups(const struct route_params *p, float *score, int n, float *group)
{
    int size = n / p->n_groups;
    for (int g = 0; g < p->n_groups; g++) {
        group[g] = group_score(p, score + g * size, size);
        if (group[g] != group[g]) group[g] = -INFINITY; /* inf - inf */
    }
    for (int i = 0; i < p->n_groups_used; i++) take_best(group, p->n_groups);
    for (int g = 0; g < p->n_groups; g++)
        if (group[g] == group[g]) /* not taken */
            for (int i = 0; i < size; i++) score[g * size + i] = NAN;
}

static void route_row(const struct op_call *call, const float *logits, int n, float *gate,
                      float *score, int32_t *ids, float *weights)
{
    const struct route_params *p = call->route;
    const float *bias = call->bias[0] ? call->bias[0]->data : NULL;
    fill_gate(p, logits, n, gate);
    float poison = 0; /* NaN once a score is not finite */
    for (int i = 0; i < n; i++) {
        score[i] = bias ? gate[i] + bias[i] : gate[i];
        poison += score[i] * 0.0f;
        if (score[i] != score[i]) score[i] = -INFINITY;
    }
    if (p->n_groups > 1) keep_best_groups(p, score, n, score + n);
    float sum = 0;
    for (int s = 0; s < p->n_used; s++) {
        ids[s] = take_best(score, n);
        weights[s] = gate[ids[s]];
        sum += weights[s];
    }
    float factor = p->scale + poison, divisor = p->normalize ? sum + 1e-20f : 1.0f;
    for (int s = 0; s < p->n_used; s++) weights[s] = weights[s] / divisor * factor;
}

struct route_job {
    const struct op_call *call;
    float *scratch; /* [n_threads][3 n_experts] */
    int64_t n_chunks;
};

static void route_chunk(void *arg, int64_t chunk, int worker)
{
    const struct route_job *j = arg;
    const struct tensor *logits = j->call->in[0];
    int n = (int)logits->n_cols;
    float *gate = j->scratch + (size_t)worker * 3 * (size_t)n;
    int64_t end = logits->n_rows * (chunk + 1) / j->n_chunks;
    for (int64_t t = logits->n_rows * chunk / j->n_chunks; t < end; t++)
        route_row(j->call, tensor_row_f32(logits, t), n, gate, gate + n,
                  (int32_t *)(void *)tensor_row_f32(j->call->out[0], t),
                  tensor_row_f32(j->call->out[1], t));
}

CPU_OP(route)
{
    struct cpu *c = (struct cpu *)d;
    int64_t n_rows = call->in[0]->n_rows, n = call->in[0]->n_cols, most = 4 * (int64_t)d->n_threads;
    struct route_job j = {.call = call, .n_chunks = n_rows < most ? n_rows : most};
    enum fk_status st = FK_OK;
    if (!n_rows) return FK_OK;
    arena_reset(&c->scratch);
    j.scratch = cpu_scratch(c, (size_t)d->n_threads * 3 * (size_t)n, sizeof(float), &st, err);
    if (!j.scratch) return st;
    cpu_run(c, route_chunk, &j, j.n_chunks, n_rows * n * (4 + call->route->n_used));
    return FK_OK;
}
