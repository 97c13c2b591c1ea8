/* SPDX-License-Identifier: Apache-2.0
 * plan.h - the tensors of a file to be written, each with where its rows come from. Building a plan
 * reads no weights; filling streams them row by row, so memory stays small whatever the model. */
#ifndef CONVERT_PLAN_H
#define CONVERT_PLAN_H
#include "src/base/arena.h"
#include "src/file/out_file.h"
#include "src/kernels/kernels.h"
#include "src/tensor/tensor.h"

/* Rows of numbers in a map. F8_E4M3: w = value * scales[row / block_rows][col / block_cols]. */
struct plan_source {
    const uint8_t *data;
    enum dtype dtype;
    uint64_t n_cols, n_rows; /* rows of all matrices together */
    uint64_t row_bytes;
    const uint8_t *scales;   /* f32, NULL: none */
    uint64_t n_scale_cols;
    uint32_t block_rows, block_cols;
};

enum plan_op {
    PLAN_ROWS,   /* rows are taken from the sources, one source after the other */
    PLAN_K_B,    /* k_b[h][j][i] = kv_b[h * (nope + v) + i][j]          i < nope, j < rank */
    PLAN_KV_B,   /* back: src[0] is k_b, src[1] v_b */
    PLAN_VALUES  /* computed numbers */
};

enum plan_order {
    ROWS_AS_THEY_ARE,
    ROWS_TO_PAIRS,  /* within a head: row 2 i + k is row k * half + i  (rotary halves to pairs) */
    ROWS_TO_HALVES  /* and back */
};

struct plan_tensor {
    const char *name;
    enum dtype dtype;
    int n_dims;
    uint64_t shape[4]; /* shape[0] runs fastest */
    enum plan_op op;
    const struct plan_source *src;
    size_t n_src;
    /* PLAN_ROWS. Row r is local row q = r % rows_per_source of source r / rows_per_source, and that is
     * its row (q / group) * stride + first + q % group. */
    uint64_t rows_per_source, group, stride, first;
    enum plan_order order;
    uint64_t head_rows; /* rows of a head for `order` */
    float add;          /* to every number */
    const uint32_t *row_order, *col_order; /* what stands at i comes from there; NULL: as it is */
    const struct tensor_adapter *adapter; /* PLAN_ROWS of one source as they are: added to it, or NULL */
    uint64_t nope, v_dim, rank; /* PLAN_K_B, PLAN_KV_B */
    const float *values;
    struct plan *plan;
    int rank_in_file;   /* for sorting: tensors are written in this order */
};

struct plan {
    struct arena memory; /* names, sources, values */
    struct plan_tensor *tensors;
    size_t n, cap;
    struct kernels kernels;
    bool (*is_cut)(const void *source); /* asked after each tensor: were the maps cut under us? */
    const void *source;
    float *row;          /* scratch of plan_fill, n_row numbers */
    float *head;
    uint8_t *bytes;
    float *low; /* the adapter at hand: A whole, then a row of B */
    size_t row_cap, head_cap, bytes_cap, low_cap;
};

void plan_init(struct plan *p);
void plan_fini(struct plan *p);
/* A new tensor with `name` copied; the caller fills the rest in. NULL: no memory. Pointers to tensors
 * are valid until the next call. */
struct plan_tensor *plan_add(struct plan *p, const char *name);
/* One source that gives all rows as they are. */
enum fk_status plan_set_rows(struct plan *p, struct plan_tensor *t, const struct plan_source *src,
                             size_t n_src, struct fk_error *err);
/* Stable order by rank_in_file. No memory: the order stays. */
void plan_sort(struct plan *p);
/* Chooses what `want` (or, for DT_NONE, the source's own type) becomes for this tensor. */
enum dtype plan_dtype(const struct plan_tensor *t, enum dtype want);
/* For gguf_add_tensor and struct st_out: arg is a struct plan_tensor. */
enum fk_status plan_fill(void *arg, struct out_file *f, struct fk_error *err);

#endif
