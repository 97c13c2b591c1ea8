/* SPDX-License-Identifier: Apache-2.0
 * soft_planes.h - a weight in planes (tensor/planes.h) as numbers that learn: every weight a place u in
 * units of its block's scale, every block a scale q, and the floats that rounding them gives, which a
 * forward pass reads.
 *
 *   w[r,c] = row[r] * unit * round(q[r,c/32]) * level(code(u[r,c]))
 *
 * Gradients go straight through both roundings: dL/du = dL/dw * dw/dlevel, dL/dq = sum dL/dw * dw/dq.
 * Tables and row factors stay as the file has them. */
#ifndef TRAIN_SOFT_PLANES_H
#define TRAIN_SOFT_PLANES_H
#include "src/device/ops.h"
#include "src/tensor/planes.h"

#define SOFT_STEPS 16384 /* of the table of codes */

struct soft_planes {
    const struct planes *p;  /* borrowed: what the file holds */
    const char *name;        /* borrowed */
    int width;               /* index of the width that it is read at, and learns for */
    float unit;              /* of the width: level 1 at scale 1 and row factor 1 */
    void *w;                 /* [n_mats * n_rows][n_cols], f32 or bf16: as rounded */
    bool is_bf16;
    float *grad;             /* the same shape: added to by a backward pass */
    float *u, *m, *v;        /* the same shape: places, and moments of their gradient */
    float *q, *qm, *qv;      /* [n_mats * n_rows][n_blocks] */
    uint8_t code_of[SOFT_STEPS]; /* by place */
    float level[256];        /* by code, at the width, in steps of 4-bit levels (-64 to 63) */
    float gap;               /* from a level to the next in the mean */
    uint16_t first[256], last[256]; /* places that have the code at the width (its lower bits zero) */
};

/* source: [n_mats * n_rows][n_cols], what was rounded; is_bf16: what w is to be. Every place begins in the cell of its code, `pull`
 * (0 to 1) of the way from the middle towards where the source lies. */
enum fk_status soft_planes_init(struct soft_planes *s, const struct planes *p, const char *name,
                                const float *source, float pull, bool is_bf16, struct device *d,
                                struct fk_error *err);
void soft_planes_fini(struct soft_planes *s); /* a zeroed struct is fine */

/* Fills w. */
void soft_planes_round(struct soft_planes *s, struct device *d);

struct soft_step {
    double lr, lr_scale; /* of places, in mean distances of levels; of scales, in their units */
    int64_t t;           /* updates from 1 on */
};
/* One update by Adam (Kingma and Ba 2015); zeroes the gradient. */
void soft_planes_update(struct soft_planes *s, const struct soft_step *step, struct device *d);

/* The codes of tile `tile` and its 8 scales, as they would go into a file. */
void soft_planes_tile(const struct soft_planes *s, int64_t tile, uint8_t codes[PLANES_TILE], int8_t scales[8]);

#endif
