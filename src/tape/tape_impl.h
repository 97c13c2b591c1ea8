/* SPDX-License-Identifier: Apache-2.0
 * tape_impl.h - what the files of this room share: the recorded calls, where gradients live, and the
 * list of matrix products that one op's gradient is made of. */
#ifndef TAPE_TAPE_IMPL_H
#define TAPE_TAPE_IMPL_H
#include "src/base/clones.h"
#include "src/base/fail.h"
#include "src/tape/gemm.h"
#include "src/tape/tape.h"

struct param {
    const void *data;
    float *grad;
    uint64_t n;
};

/* Gradient of the activation with this id: rows without gaps. */
struct grad {
    float *data;
    int64_t n_rows, n_cols;
};

struct kept_call {
    struct op_call call;
    struct attention_params attention; /* the forward's own copy is gone by now */
};

struct tape {
    struct op_recorder recorder;
    struct device *device;
    struct kept_call *calls;
    size_t n_calls, cap_calls;
    struct param *params; /* sorted by data before a backward pass */
    size_t n_params, cap_params;
    bool params_sorted, is_bf16;
    struct grad *grads; /* by id */
    size_t cap_grads, n_grads;
    struct arena memory; /* gradients of activations */
    struct arena scratch; /* of one op */
    const struct batch *batch;
    float *rope_cos, *rope_sin; /* [n_rows][n_pairs] of rope_key, in memory */
    const float *rope_key; /* its inv_freq and mscale */
    float rope_mscale;
    float balance;
    double balance_loss;
    enum fk_status status; /* of recording */
    struct fk_error error;
};

/* NULL: frozen. */
float *tape_param_grad(const struct tape *t, const struct tensor *w);

/* The matrices of a weight as floats without gaps: its own memory where it is f32, else a copy in the
 * scratch memory. NULL: *st says why. */
const float *tape_weight(struct tape *t, const struct op_call *call, int i, enum fk_status *st,
                         struct fk_error *err);

/* The gradient of an op's output, NULL when nothing depends on it. */
const float *tape_grad_of(const struct tape *t, const struct tensor *x);

/* The gradient of an op's input, to be added to: zeroed when it is new. NULL: out of memory. */
float *tape_grad_into(struct tape *t, const struct tensor *x, enum fk_status *st,
                      struct fk_error *err);
/* The same where the caller writes all of it: *is_new says that it has to write, not add. */
float *tape_grad_claim(struct tape *t, const struct tensor *x, bool *is_new, enum fk_status *st,
                       struct fk_error *err);

void *tape_scratch(struct tape *t, size_t n, size_t bytes, enum fk_status *st,
                   struct fk_error *err);

/* Products that may run side by side: those of one lane run in the order of adding. */
struct gemm_list {
    struct gemm *gemms;
    int64_t *lane_end;
    int64_t n, n_lanes, cap;
};
enum fk_status gemm_list_init(struct gemm_list *l, struct tape *t, int64_t cap,
                              struct fk_error *err);
void gemm_list_lane(struct gemm_list *l); /* what follows is a new lane */
void gemm_list_add(struct gemm_list *l, const struct gemm *g);
void gemm_list_run(struct gemm_list *l, struct tape *t);

/* Adds lanes that compute g in blocks of rows of C; at most gemm_n_blocks(g->m) products. */
int64_t gemm_n_blocks(int64_t m);
void gemm_list_add_blocks(struct gemm_list *l, const struct gemm *g);

/* Rows [first, end) of a row-wise gradient, on the device's threads; first is a multiple of
 * TAPE_ROWS and there are at most so many. */
#define TAPE_ROWS 64
typedef void (*tape_rows_fn)(void *arg, int64_t first, int64_t end);
void tape_rows(struct tape *t, tape_rows_fn fn, void *arg, int64_t n_rows);

/* grad_norm.c: of h = act(g) u, elementwise; dg and du are written. */
void tape_silu_grad(const float *g, const float *u, const float *dh, int64_t n, float *dg,
                    float *du);
void tape_gelu_grad(const float *g, const float *u, const float *dh, int64_t n, float *dg,
                    float *du);

/* grad_norm.c: h = act(g) u once more. */
void tape_glu_again(enum act act, const float *g, const float *u, int64_t n, float *h);

#define TAPE_GRAD(name)                                                                            \
    enum fk_status tape_##name(struct tape *t, const struct op_call *call, struct fk_error *err)
TAPE_GRAD(embed);
TAPE_GRAD(matmul);
TAPE_GRAD(matmul_heads);
/* grad_bf16.c: of the matrices whose outputs have a gradient; dx as tape_grad_claim gave it. */
enum fk_status tape_matmul_bf16(struct tape *t, const struct op_call *call, float *dx, bool is_new,
                                struct fk_error *err);
TAPE_GRAD(rmsnorm);
TAPE_GRAD(add);
TAPE_GRAD(scale);
TAPE_GRAD(rope);
TAPE_GRAD(concat);
TAPE_GRAD(glu);
TAPE_GRAD(attention);
TAPE_GRAD(route);
TAPE_GRAD(experts);
TAPE_GRAD(take_rows);
TAPE_GRAD(softcap);
TAPE_GRAD(columns);

/* exp(x) within 2 ulp for x in [-87, 88], clamped outside; written so that loops of it vectorise. */
static inline float tape_exp(float x)
{
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float n = x * 1.44269504f;
    n = (n + 12582912.0f) - 12582912.0f; /* to the nearest whole number */
    float r = x - n * 0.693145752f - n * 1.42860677e-6f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    union { int32_t i; float f; } two = {.i = ((int32_t)n + 127) << 23};
    return p * two.f;
}

static inline float tape_sigmoid(float x)
{
    return 1.0f / (1.0f + tape_exp(-x));
}

#endif
