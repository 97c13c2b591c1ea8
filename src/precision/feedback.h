/* SPDX-License-Identifier: Apache-2.0
 * feedback.h - rounding in which later columns make up for the errors of earlier ones, with a state of
 * its own for each width (LDLQ: Chee et al. 2023; nested: joint choice of the leaf for 3 and 4 bits). */
#ifndef PRECISION_FEEDBACK_H
#define PRECISION_FEEDBACK_H
#include "fikr/status.h"
#include "src/precision/tree.h"

#define FEEDBACK_ROWS 32

/* The factors of a matrix of input products: columns by descending importance, and for the k-th of
 * them what the errors of those before it weigh. */
struct feedback {
    int64_t n;
    int32_t *order; /* [n] columns */
    float *diag;    /* [n] importances, by column */
    float *factor;  /* [n][n] */
};
/* Takes h [n * n] over (mem_free). damp: of the mean diagonal, added to it. */
enum fk_status feedback_init(struct feedback *f, float *h, int64_t n, float damp,
                             struct fk_error *err);
void feedback_fini(struct feedback *f);
/* Bytes of scratch that feedback_round takes. */
size_t feedback_scratch_bytes(int64_t n);

/* codes[FEEDBACK_ROWS][n] for w [FEEDBACK_ROWS][n] under scales [FEEDBACK_ROWS][n / 32]. */
void feedback_round(const struct feedback *f, const struct tree *t, const float *w,
                    const float *scales, uint8_t *codes, float *scratch);

#endif
