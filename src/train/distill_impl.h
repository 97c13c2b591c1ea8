/* SPDX-License-Identifier: Apache-2.0
 * distill_impl.h - what the files of distillation share. */
#ifndef TRAIN_DISTILL_IMPL_H
#define TRAIN_DISTILL_IMPL_H
#include "fikr/train.h"
#include "src/model/model.h"
#include "src/tape/pass.h"
#include "src/train/distill_text.h"
#include "src/train/soft_planes.h"

/* A vector in F32 (norm, bias) that learns; moments beside it. */
struct soft_vector {
    const char *name;
    int64_t n;
    float *x, *grad, *m, *v;
};

struct distill {
    const struct fk_distill_params *p;
    const char *path;            /* of the file in planes */
    struct device *device;
    struct model *teacher, *student, *file; /* the source, the source with soft weights, what is taught */
    struct soft_planes *planes;
    struct soft_vector *vectors;
    uint16_t **copies;           /* of the teacher's matrices */
    size_t n_planes, n_vectors, n_copies;
    bool is_bf16;                /* products of both have bf16 operands */
    struct pass *teach, *learn;
    struct distill_text text;
    uint8_t targets[DISTILL_PIECE]; /* ones */
    int rows;                    /* tokens of a pass */
    double rate_vector;
    char key[64];                /* of the state that is kept: distill_state.c */
    int bits[3], n_widths;       /* that are learned for in turn; 0 bits: what each weight is planned for */
};

/* Writes what was learned over d->path, whole or not at all. */
enum fk_status distill_write(const struct distill *d, struct fk_error *err);

/* OUT.distill. Load: *seconds that were spent before, 0 where there is no state of this run. */
enum fk_status distill_state_load(struct distill *d, struct fk_distill_report *r, double *seconds, struct fk_error *err);
enum fk_status distill_state_save(struct distill *d, const struct fk_distill_report *r, double seconds, struct fk_error *err);
void distill_state_remove(const struct distill *d);

#endif
