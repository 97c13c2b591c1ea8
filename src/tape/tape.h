/* SPDX-License-Identifier: Apache-2.0
 * tape.h - gradients of a forward pass: a recorder that keeps the ops and plays them backward.
 *
 *   ops.recorder = tape_recorder(t);     the same model/ code as in inference
 *   ops_begin(&ops, &batch); tape_begin(t, &batch);
 *   struct tensor *logits = model->forward(model, &ops);
 *   tape_backward(t, logits, dlogits, &err);       adds to the gradient of every parameter
 *
 * Parameters are f32 or bf16 weights that the caller registers with an f32 gradient of the same shape; a weight
 * that was not registered is frozen, and may be of any type: the gradient passes through the floats that
 * it stands for, though the forward may have rounded its activations. Sequences begin at position 0 (a training batch holds whole
 * documents), so keys and values are those of the batch itself and the cache need not be read.
 *
 * Sums have a fixed order for one BLAS kernel, whatever the number of threads: work is split in
 * blocks whose sizes depend on shapes only, and every BLAS call runs on one thread.
 *
 * Here are no optimizers, no losses but the router's own, and no files. */
#ifndef TAPE_TAPE_H
#define TAPE_TAPE_H
#include "src/device/ops.h"

struct tape;

enum fk_status tape_create(struct tape **out, struct device *device, struct fk_error *err);
void tape_destroy(struct tape **t);

/* w: f32 or bf16, rows without gaps. grad: as many floats, the caller's, to which tape_backward adds. Views
 * of the same memory (a matrix seen flat) share it. */
enum fk_status tape_add_param(struct tape *t, const struct tensor *w, float *grad,
                              struct fk_error *err);

struct op_recorder *tape_recorder(struct tape *t);

/* Forgets the last pass. batch must outlive the pass. */
void tape_begin(struct tape *t, const struct batch *batch);

/* Gradients of matmul with operands rounded to bf16 and sums in f32, some twice as fast where the device
 * multiplies bf16 (device_multiplies_bf16); the rest, attention and experts, stays f32. */
void tape_set_bf16(struct tape *t, bool is_bf16);

/* The sequence balance loss of DeepSeek-V3 (equations 17-20), for every router that was recorded:
 *   sum over sequences of  n_rows(seq) * coefficient * sum_i f_i P_i
 * tape_backward adds its gradient, and its value to what tape_balance_loss gives. 0: none. */
void tape_set_balance(struct tape *t, float coefficient);
double tape_balance_loss(const struct tape *t);

/* Plays the pass backward from out, whose gradient is dout [n_rows, n_cols]. Once per pass. */
enum fk_status tape_backward(struct tape *t, const struct tensor *out, const float *dout,
                             struct fk_error *err);

/* Every router of the pass in order: ids [n_rows, n_used] of the experts it chose; its bias (NULL:
 * none) names the layer. */
typedef void (*tape_route_fn)(void *arg, const struct tensor *ids, const struct tensor *bias,
                              int64_t n_experts);
void tape_each_route(const struct tape *t, tape_route_fn fn, void *arg);

#endif
