/* SPDX-License-Identifier: Apache-2.0
 * calibrate.h - what the weights of a model see: it runs over a text, and the products of the inputs of
 * its matrices are summed. A tap is one input, shared by the matrices that read it (q k v; gate up). */
#ifndef PRECISION_CALIBRATE_H
#define PRECISION_CALIBRATE_H
#include "src/model/model.h"

struct calibration;

/* Keeps m and d. At most max_tokens of the text are used. FK_EINVAL if it has none. */
enum fk_status calibration_create(struct calibration **out, const struct model *m, struct device *d,
                                  const char *text, size_t n_bytes, size_t max_tokens,
                                  struct fk_error *err);
void calibration_destroy(struct calibration **c);

size_t calibration_n_tokens(const struct calibration *c);
int calibration_n_taps(const struct calibration *c);
/* Columns of a tap. */
int64_t calibration_size(const struct calibration *c, int tap);
/* The tap of the weight with this name in the file; -1: a forward does not read it with a matmul. */
int calibration_tap(const struct calibration *c, const char *weight);

/* Runs over the text and gives out[i] = sum of x x' of tap first + i, [size * size], for i < n. */
enum fk_status calibration_collect(struct calibration *c, int first, int n, float *const *out,
                                   fk_progress_fn progress, void *progress_arg,
                                   struct fk_error *err);

/* h[n * n] += x' x of n_rows rows, or -= if minus: every element at or right of the diagonal. */
void syrk_upper(float *h, int64_t n, const float *x, size_t x_stride, int64_t n_rows, int minus);

#endif
