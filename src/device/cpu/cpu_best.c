/* SPDX-License-Identifier: Apache-2.0
 * cpu_best.c - the second stage of op_matmul_best: of every token the groups of 8 rows with the largest
 * results are multiplied again, at all bits there are. */
#include "src/base/select.h"
#include "src/device/cpu/cpu.h"

struct best_job {
    struct cpu *cpu;
    const struct op_call *call;
    const struct encoded *x;
    float *room; /* of a worker: the largest result of every group, twice */
    int64_t n_groups;
};

static int rows_of(const struct best_job *j, int64_t group)
{
    int64_t left = j->call->w[0]->n_rows - group * PLANES_ROWS;
    return left < PLANES_ROWS ? (int)left : PLANES_ROWS;
}

static void best_of_token(void *arg, int64_t t, int worker)
{
    const struct best_job *j = arg;
    const struct tensor *w = j->call->w[0];
    float *y = tensor_row_f32(j->call->out[0], t);
    float *most = j->room + (size_t)worker * 2 * (size_t)j->n_groups, *order = most + j->n_groups;
    for (int64_t g = 0; g < j->n_groups; g++) {
        const float *v = y + g * PLANES_ROWS;
        float m = v[0];
        for (int r = 1; r < rows_of(j, g); r++) m = v[r] > m ? v[r] : m;
        most[g] = order[g] = m;
    }
    const float cut = kth_largest(order, j->n_groups, j->call->n_best);
    int64_t equal = j->call->n_best; /* groups at the cut that are still taken: the first ones */
    for (int64_t g = 0; g < j->n_groups; g++) equal -= most[g] > cut;
    for (int64_t g = 0; g < j->n_groups; g++) {
        if (!(most[g] >= cut) || (!(most[g] > cut) && equal-- <= 0)) continue;
        cpu_mul_planes(j->cpu, w, 0, g * PLANES_ROWS, rows_of(j, g), j->call->bits,
                       j->x->data + (size_t)t * j->x->row_bytes, j->x->row_bytes, 1, y + g * PLANES_ROWS,
                       (size_t)w->n_rows);
    }
}

enum fk_status cpu_best(struct cpu *c, const struct op_call *call, const struct encoded *x,
                        struct fk_error *err)
{
    const struct planes *p = call->w[0]->data;
    struct best_job j = {.cpu = c, .call = call, .x = x, .n_groups = p->n_groups};
    enum fk_status st = FK_OK;
    j.room = cpu_scratch(c, 2 * (size_t)c->base.n_threads * (size_t)p->n_groups, sizeof *j.room, &st, err);
    if (st != FK_OK) return st;
    int64_t n = call->in[0]->n_rows;
    cpu_run(c, best_of_token, &j, n, n * p->n_rows);
    return FK_OK;
}
