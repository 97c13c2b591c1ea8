/* SPDX-License-Identifier: Apache-2.0
 * params.h - the numbers that training changes: weights, their gradients and the optimizer's two
 * moments, each one arena of f32 in the order of the tensors of a GGUF file.
 *
 * An item's block lies at the same offset in all four. Offsets are multiples of 16 floats, so a
 * block may be taken for an aligned tensor; the floats between blocks are 0 and stay 0. Knows no
 * loss and no optimizer. */
#ifndef TRAIN_PARAMS_H
#define TRAIN_PARAMS_H
#include "src/file/gguf.h"
#include "src/model/model.h"

#define PARAM_ALIGN 16 /* floats */

enum param_kind {
    PARAM_MATRIX,    /* by gradient, with weight decay */
    PARAM_VECTOR,    /* by gradient, without: norms and biases */
    PARAM_ROUTE_BIAS /* by the balance of the experts' load, never by gradient */
};

/* data[mat][row][col], as struct tensor. */
struct param_item {
    char name[64]; /* that of the tensor */
    enum param_kind kind;
    int64_t n_mats, n_rows, n_cols;
    size_t offset, n; /* floats */
};

struct train_params {
    struct param_item *items;
    size_t n_items, n_floats;
    float *w, *grad, *m, *v; /* each [n_floats] */
    size_t n_weights;        /* without the gaps */
};

/* Reads an F32 GGUF file. FK_EUNSUPPORTED where a tensor has another type. */
enum fk_status train_params_open(struct train_params *p, const struct gguf *g, struct fk_error *err);
void train_params_fini(struct train_params *p); /* a zeroed struct is fine */
const struct param_item *train_params_find(const struct train_params *p, const char *name);

/* Lets every weight tensor of a model (opened from the same file) view p's weights, so that a forward
 * pass reads what training changes. p must outlive the model. */
enum fk_status train_params_lend(const struct train_params *p, struct model *m, struct fk_error *err);

/* Calls fn for every distinct weight tensor of a model. Tensors that view one block are called once
 * each. */
typedef enum fk_status (*model_tensor_fn)(void *arg, struct tensor *t, struct fk_error *err);
enum fk_status train_each_tensor(struct model *m, model_tensor_fn fn, void *arg,
                                 struct fk_error *err);

#endif
