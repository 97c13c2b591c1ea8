/* SPDX-License-Identifier: Apache-2.0
 * soft_planes.h - a weight in planes (tensor/planes.h) as numbers that learn: every weight a place u in
 * units of its block's scale, every block a scale q, and the floats that rounding them gives, which a
 * forward pass reads.
 *
 *   w[r,c] = row[r] * unit * round(q[r,c/32]) * level(width, code(u[r,c]))
 *
 * A place says which code is nearest at the width that the weight is planned for or, where it is planned for none,
 * at 4 bits: then it learns for all widths. What lies below that in a code is as the file has it until the code
 * changes, so that unlearned weights are the file's at every width.
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
    int aim;                 /* index of the width at which codes are chosen */
    int width;               /* and of the one that w was last rounded to */
    float unit;              /* of 4 bits: level 1 at scale 1 and row factor 1 */
    void *w;                 /* [n_mats * n_rows][n_cols], f32 or bf16: as rounded */
    bool is_bf16;
    float *grad;             /* the same shape: added to by a backward pass */
    float *u, *m, *v;        /* the same shape: places, and moments of their gradient */
    float *q, *qm, *qv;      /* [n_mats * n_rows][n_blocks] */
    uint8_t *was;            /* [n_mats * n_rows][n_cols]: the file's codes */
    uint8_t code_of[SOFT_STEPS]; /* by place */
    float level[PLANES_N][256]; /* by width and code, in steps of 4-bit levels (-64 to 63) */
    float gap[PLANES_N];     /* of a width, from a level to the next in the mean */
    uint8_t cell[256];       /* of a code at `aim` (lower bits zero) the one in whose cell its weights begin */
    uint16_t first[256], last[256]; /* places of that cell */
};

/* source: [n_mats * n_rows][n_cols], what was rounded; is_bf16: what w is to be. Every place begins in the cell of its code, `pull`
 * (0 to 1) of the way from the middle towards where the source lies. */
enum fk_status soft_planes_init(struct soft_planes *s, const struct planes *p, const char *name,
                                const float *source, float pull, bool is_bf16, struct device *d,
                                struct fk_error *err);
void soft_planes_fini(struct soft_planes *s); /* a zeroed struct is fine */

/* Fills w, as read at the width of that index. */
void soft_planes_round(struct soft_planes *s, int width, struct device *d);

struct soft_step {
    double lr, lr_scale; /* of places, in mean distances of levels; of scales, in their units, at 3 bits: at other
                          * widths as much less as levels are nearer to each other */
    int64_t t;           /* updates from 1 on */
};
/* One update by the gradient at the width of the last rounding, by Adam (Kingma and Ba 2015); zeroes the gradient. */
void soft_planes_update(struct soft_planes *s, const struct soft_step *step, struct device *d);

/* The codes of tile `tile` and its 8 scales, as they would go into a file. */
void soft_planes_tile(const struct soft_planes *s, int64_t tile, uint8_t codes[PLANES_TILE], int8_t scales[8]);

#endif
