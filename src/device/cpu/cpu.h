/* SPDX-License-Identifier: Apache-2.0
 * cpu.h - the CPU device: kernels chosen at creation, a thread pool, scratch that keeps its memory.
 *
 * Rules that make sums fixed: threads split rows of results, never a sum; a float kernel whose tail
 * could round differently from its body is always called on whole rows. */
#ifndef DEVICE_CPU_CPU_H
#define DEVICE_CPU_CPU_H
#include "src/base/pool.h"
#include "src/device/device.h"
#include "src/kernels/kernels.h"

#define ROPE_TABLES 4

/* cos and sin of one step's positions for one rope_params; compared by content, so a table is never
 * stale whatever its owner does with the memory behind the pointers. */
struct rope_table {
    const struct rope_params *key;
    int n_rows, n_pairs;
    float mscale;
    int32_t *pos;    /* [n_rows], then the rest, in one block */
    float *inv_freq; /* [n_pairs] */
    float *cos, *sin; /* [n_rows][n_pairs] */
    void *block;
    size_t block_bytes;
    uint64_t last_used;
};

struct cpu_ahead; /* cpu_ahead.c */

struct cpu {
    struct device base; /* first: a struct device * is a struct cpu * */
    struct pool *pool;
    struct kernels k;
    bool fetch_experts;
    struct cpu_ahead *ahead;
    struct arena scratch; /* emptied at the start of every op that uses it */
    struct rope_table ropes[ROPE_TABLES];
    uint64_t rope_clock;
};

/* Work below this many element steps is done by the caller: a barrier costs about as much. */
#define CPU_SERIAL_WORK 16384

/* pool_run, or a plain loop if `work` (element steps of all chunks together) is small. */
void cpu_run(struct cpu *c, pool_fn fn, void *arg, int64_t n_chunks, int64_t work);

/* Calls row(c, call, t) for every t < n_rows, split over the threads where that pays. */
typedef void (*cpu_row_fn)(struct cpu *c, const struct op_call *call, int64_t t);
void cpu_run_rows(struct cpu *c, const struct op_call *call, cpu_row_fn row, int64_t n_rows,
                  int64_t work_per_row);

/* From scratch; NULL and FK_ENOMEM in *st when it cannot grow. */
void *cpu_scratch(struct cpu *c, size_t n, size_t bytes, enum fk_status *st, struct fk_error *err);

/* Encoded activations: part p of row t (columns [p*k, (p+1)*k)) lies at
 * data + (p * n_rows + t) * row_bytes. */
struct encoded {
    const uint8_t *data;
    size_t row_bytes;
};
enum fk_status cpu_encode(struct cpu *c, enum act_format f, const struct tensor *x, int64_t k,
                          int64_t n_parts, struct encoded *out, struct fk_error *err);
kernel_act_fn cpu_act_fn(const struct cpu *c, enum act_format f); /* NULL for ACT_F32: a copy */

enum fk_status cpu_weight_kernels(const struct cpu *c, const struct tensor *w,
                                  struct weight_kernels *out, struct fk_error *err);

/* y[t*y_stride + r] = W[r,:] x[t,:], tokens blocked so that their rows stay in the L2 cache. */
void cpu_mul(const struct weight_kernels *wk, const uint8_t *w, size_t w_row_bytes, int64_t n_rows,
             int64_t k, const uint8_t *x, size_t x_row_bytes, int64_t n_x, float *y,
             size_t y_stride);

/* The same for plane weights: rows [row, row + n_rows) of matrix `mat`, row a multiple of 8, read at
 * `bits` (0: the file's plan). */
void cpu_mul_planes(const struct cpu *c, const struct tensor *w, int64_t mat, int64_t row,
                    int64_t n_rows, int bits, const uint8_t *x, size_t x_row_bytes, int64_t n_x,
                    float *y, size_t y_stride);

/* The second stage of a call with n_best; x: its encoded tokens. */
enum fk_status cpu_best(struct cpu *c, const struct op_call *call, const struct encoded *x,
                        struct fk_error *err);

/* How n_rows weight rows (of row_bytes, for n_x tokens each) split into chunks, given the bytes of
 * all rows that share the job. */
int64_t cpu_rows_per_chunk(const struct cpu *c, uint64_t total_bytes, uint64_t row_bytes,
                           int64_t n_x);

/* What threads fetch while they wait (cpu_ahead.c). A place is the first byte of weights that a chunk
 * reads; NULL: nothing is fetched. */
typedef const uint8_t *(*cpu_place_fn)(const void *arg, int64_t chunk);
enum fk_status cpu_ahead_create(struct cpu *c, struct fk_error *err);
void cpu_ahead_destroy(struct cpu *c);
/* An op that reads weights is about to run: what followed it in the last step is what to fetch from now on.
 * key tells it from the others of a step; place (NULL: changes from step to step) is remembered for the op
 * before it. */
void cpu_ahead_here(struct cpu *c, const void *key, cpu_place_fn place, const void *arg, int64_t n_chunks);
/* What to fetch is known: the chunks of the next job. */
void cpu_ahead_next(struct cpu *c, cpu_place_fn place, const void *arg, int64_t n_chunks);
/* The op has run: the caller, who is going on to other things, asks for its first lines of the next. */
void cpu_ahead_fetch(struct cpu *c);

#define CPU_OP(name)                                                                               \
    enum fk_status cpu_##name(struct device *d, const struct op_call *call, struct fk_error *err)
CPU_OP(embed);
CPU_OP(matmul);
CPU_OP(matmul_heads);
CPU_OP(rmsnorm);
CPU_OP(add);
CPU_OP(scale);
CPU_OP(rope);
CPU_OP(concat);
CPU_OP(glu);
CPU_OP(kv_write);
CPU_OP(attention);
CPU_OP(route);
CPU_OP(experts);
CPU_OP(take_rows);
CPU_OP(softcap);
CPU_OP(columns);

/* device_ops.weight_rows */
void cpu_weight_rows(const struct device *d, const struct tensor *w, int64_t mat, int64_t first,
                     int64_t n_rows, int bits, float *out);

void cpu_rope_fini(struct cpu *c);

#endif
