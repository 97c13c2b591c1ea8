/* SPDX-License-Identifier: Apache-2.0
 * feedback.c - see feedback.h.
 *
 * With H = (I + U) D (I + U)', U strictly upper in the order of rounding, the loss e H e' of a row's
 * error e = w - q is sum_k D_k (e_k + sum_{i<k} e_i U_ik)^2; so column k rounds
 *   t_k = w_k + sum_{i<k} e_i U_ik.
 * U comes from a Cholesky factor of H with its order reversed: R'R = PHP, U_ik = R[k'][i'] / R[k'][k']
 * with k' = n-1-k. Rows of R are contiguous, and so are the errors, kept in reversed order. */
#include "src/precision/feedback.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/clones.h"
#include "src/base/fail.h"
#include "src/precision/calibrate.h"

/* Errors of the reads at 3 bits (or 2, if those are the aim), 4, 6, 8 and 5: in this order those that an aim needs
 * follow each other. */
enum state { COARSE, AT_4, AT_6, AT_8, AT_5, STATES };
#define LANES (STATES * FEEDBACK_ROWS)
#define PANEL 64

struct rank {
    float diag;
    int32_t column;
};

static int by_importance(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->diag != y->diag) return x->diag > y->diag ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

CLONES static void subtract_row(float *y, const float *x, float a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] -= a * x[i];
}

/* h = R'R in place, R upper; only the upper half of h is read. False: not positive. */
static bool cholesky(float *h, int64_t n)
{
    for (int64_t k0 = 0; k0 < n; k0 += PANEL) {
        int64_t end = k0 + PANEL < n ? k0 + PANEL : n;
        for (int64_t k = k0; k < end; k++) {
            float *row = h + k * n;
            for (int64_t m = k0; m < k; m++) subtract_row(row + k, h + m * n + k, h[m * n + k], n - k);
            if (!(row[k] > 0)) return false;
            float inverse = 1 / sqrtf(row[k]);
            for (int64_t j = k; j < n; j++) row[j] *= inverse;
        }
        if (end == n) break;
        for (int64_t i = end; i < n; i++)
            for (int64_t m = k0; m < end; m++)
                subtract_row(h + i * n + i, h + m * n + i, h[m * n + i], n - i);
    }
    return true;
}

static void arrange(float *out, const float *h, const int32_t *order, int64_t n, float add)
{
    for (int64_t i = 0; i < n; i++) {
        const float *row = h + (int64_t)order[n - 1 - i] * n;
        for (int64_t j = i; j < n; j++) out[i * n + j] = row[order[n - 1 - j]];
        out[i * n + i] += add;
    }
}

enum fk_status feedback_init(struct feedback *f, float *h, int64_t n, float damp,
                             struct fk_error *err)
{
    struct rank *ranks = mem_array((size_t)n, sizeof *ranks, MEM_MODEL);
    *f = (struct feedback){.n = n};
    f->order = mem_array((size_t)n, sizeof *f->order, MEM_MODEL);
    f->diag = mem_array((size_t)n, sizeof *f->diag, MEM_MODEL);
    f->factor = mem_array((size_t)n * (size_t)n, sizeof *f->factor, MEM_MODEL);
    if (!ranks || !f->order || !f->diag || !f->factor) {
        mem_free(ranks);
        mem_free(h);
        feedback_fini(f);
        return fail_nomem(err, (unsigned long long)n * (unsigned long long)n * 4, "a factor of inputs");
    }
    double mean = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)h[i * n + i] / (double)n;
    if (!(mean > 0)) mean = 1;
    for (int64_t i = 0; i < n; i++) {
        /* An input that was never on still has a price. */
        f->diag[i] = h[i * n + i] + 1e-4f * (float)mean;
        ranks[i] = (struct rank){f->diag[i], (int32_t)i};
    }
    qsort(ranks, (size_t)n, sizeof *ranks, by_importance);
    for (int64_t i = 0; i < n; i++) f->order[i] = ranks[i].column;
    mem_free(ranks);
    float add = damp * (float)mean;
    for (int tries = 0;; tries++, add *= 10) {
        arrange(f->factor, h, f->order, n, add);
        if (cholesky(f->factor, n)) break;
        if (tries < 6) continue;
        mem_free(h);
        feedback_fini(f);
        return fail(err, FK_ENONFINITE, "the calibration's inputs hold NaN or infinity");
    }
    mem_free(h);
    for (int64_t k = 0; k < n; k++) {
        float *row = f->factor + k * n, inverse = 1 / row[k];
        for (int64_t j = k + 1; j < n; j++) row[j] *= inverse;
    }
    return FK_OK;
}

void feedback_fini(struct feedback *f)
{
    mem_free(f->order);
    mem_free(f->diag);
    mem_free(f->factor);
    *f = (struct feedback){0};
}

size_t feedback_scratch_bytes(int64_t n)
{
    return (size_t)n * LANES * sizeof(float);
}

/* The states whose errors decide codes: half the time of rounding goes into carrying them on. */
struct span {
    enum state first, end;
};

static struct span states_of(int aim)
{
    if (aim == TREE_ALL) return (struct span){COARSE, STATES};
    if (aim < 3) return (struct span){COARSE, AT_8 + 1};
    if (aim == 3) return (struct span){AT_6, STATES};
    return (struct span){aim == 4 ? AT_6 : AT_8, AT_8 + 1};
}

/* out[lane] = sum_i a[i] e[i][lane] of the states from first to end, which are constants where this is called. */
static inline __attribute__((always_inline)) void gather_states(const float *e, const float *a, int64_t n,
                                                                int first, int end, float *out)
{
    float sum[LANES] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int l = first * FEEDBACK_ROWS; l < end * FEEDBACK_ROWS; l++) sum[l] += a[i] * e[i * LANES + l];
    for (int l = first * FEEDBACK_ROWS; l < end * FEEDBACK_ROWS; l++) out[l] = sum[l];
}

CLONES static void gather(const float *e, const float *a, int64_t n, struct span s, float *out)
{
    if (s.first == COARSE && s.end == STATES) gather_states(e, a, n, COARSE, STATES, out);
    else if (s.first == COARSE) gather_states(e, a, n, COARSE, AT_8 + 1, out);
    else if (s.end == STATES) gather_states(e, a, n, AT_6, STATES, out);
    else if (s.first == AT_6) gather_states(e, a, n, AT_6, AT_8 + 1, out);
    else gather_states(e, a, n, AT_8, AT_8 + 1, out);
}

/* The leaf of every row, by the targets of the coarse read, 4 and 8 bits in units of the scale. */
CLONES static void choose_leaves(const struct tree *t, float u[STATES][FEEDBACK_ROWS],
                                 int32_t leaf[FEEDBACK_ROWS])
{
    float best[FEEDBACK_ROWS];
    for (int r = 0; r < FEEDBACK_ROWS; r++) best[r] = 3e38f;
    for (int n = 0; n < 16; n++) {
        float l = t->level[t->coarse][n << 4], l4 = t->level[2][n << 4];
        float middle = (t->edge[n] + t->edge[n + 1]) / 2, half = t->wide * (t->edge[n + 1] - middle);
        for (int r = 0; r < FEEDBACK_ROWS; r++) {
            float a = u[COARSE][r] - l, b = u[AT_4][r] - l4, c = u[AT_8][r] - middle;
            float out = (c < 0 ? -c : c) - half;
            out = out > 0 ? out : 0;
            float cost = t->lambda * a * a + t->lambda4 * b * b + t->overflow * out * out;
            leaf[r] = cost < best[r] ? n : leaf[r];
            best[r] = cost < best[r] ? cost : best[r];
        }
    }
}

/* The leaf with the 6-bit level that is nearest to u, or with the 5-bit one where those are the aim: what serves
 * reads at 5, 6 or 8 bits alone. */
CLONES static void nearest_leaves(const struct tree *t, const float u[FEEDBACK_ROWS],
                                  int32_t leaf[FEEDBACK_ROWS])
{
    const int width = t->aim == 3 ? 3 : 4, step = t->aim == 3 ? 8 : 4;
    float best[FEEDBACK_ROWS];
    for (int r = 0; r < FEEDBACK_ROWS; r++) best[r] = 3e38f;
    for (int n = 0; n < 256; n += step) {
        float l = t->level[width][n];
        for (int r = 0; r < FEEDBACK_ROWS; r++) {
            float e = u[r] - l, cost = e * e;
            leaf[r] = cost < best[r] ? n >> 4 : leaf[r];
            best[r] = cost < best[r] ? cost : best[r];
        }
    }
}

static void round_column(const struct feedback *f, const struct tree *t, int32_t column,
                         const float *w, const float *scales, const float *back, uint8_t *codes,
                         float *errors)
{
    const int width[STATES] = {t->coarse, 2, 4, 5, 3};
    const struct span used = states_of(t->aim);
    const int fine = t->aim == 5 ? AT_8 : AT_6; /* the state that the 6-bit level follows */
    float u[STATES][FEEDBACK_ROWS] = {{0}}, scale[FEEDBACK_ROWS];
    int32_t leaf[FEEDBACK_ROWS] = {0};
    for (int r = 0; r < FEEDBACK_ROWS; r++) {
        scale[r] = scales[r * (f->n / PLANES_COLS) + column / PLANES_COLS];
        float inverse = scale[r] ? 1 / scale[r] : 0, x = w[r * f->n + column];
        for (int s = used.first; s < (int)used.end; s++) u[s][r] = (x + back[s * FEEDBACK_ROWS + r]) * inverse;
    }
    if (t->aim > 2) nearest_leaves(t, u[t->aim == 3 ? AT_5 : fine], leaf);
    else choose_leaves(t, u, leaf);
    for (int r = 0; r < FEEDBACK_ROWS; r++) {
        uint8_t code = tree_refine(t, (unsigned)leaf[r], u[AT_5][r], u[fine][r], u[AT_8][r]);
        codes[r * f->n + column] = code;
        for (int s = used.first; s < (int)used.end; s++)
            errors[s * FEEDBACK_ROWS + r] = w[r * f->n + column] - scale[r] * t->level[width[s]][code];
    }
}

void feedback_round(const struct feedback *f, const struct tree *t, const float *w,
                    const float *scales, uint8_t *codes, float *scratch)
{
    float back[LANES];
    for (int64_t k = 0; k < f->n; k++) {
        int64_t at = f->n - 1 - k;
        gather(scratch + (at + 1) * LANES, f->factor + at * f->n + at + 1, f->n - 1 - at,
               states_of(t->aim), back);
        round_column(f, t, f->order[k], w, scales, back, codes, scratch + at * LANES);
    }
}
