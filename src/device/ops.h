/* SPDX-License-Identifier: Apache-2.0
 * ops.h - the plain operations that a model's forward is written in.
 *
 * An op checks shapes, counts the bytes of weights and cache that it reads, calls the device, then
 * the recorder if there is one (the tape of training is such a recorder). Errors are sticky: after
 * the first failure every op returns NULL and does nothing, and NULL inputs are accepted then, so a
 * forward reads like the paper and checks once, at its end (ops_status()).
 *
 * Ops are functional: they return a new activation from the step's arena and never change an input.
 * Activations are f32 [n_rows tokens, n_cols features]. Weights have any dtype with is_weight.
 *
 * Fixed sums: for one ISA, row t of every result depends on row t of the inputs, the weights and
 * the sequence's own cache only, bit for bit: not on the number of rows, the neighbours, the number
 * of threads or how a prompt was cut into chunks. */
#ifndef DEVICE_OPS_H
#define DEVICE_OPS_H
#include <stdbool.h>
#include "fikr/status.h"
#include "src/base/arena.h"
#include "src/device/kv_view.h"
#include "src/tensor/tensor.h"

enum op_kind {
    OP_EMBED,        /* out[t,:] = W[token[t],:] * scale */
    OP_MATMUL,       /* out[i][t,r] = sum_c W_i[r,c] x[t,c] (+ bias_i[r]), i < n_out */
    OP_MATMUL_HEADS, /* out[t, h*R + r] = sum_c W[h][r,c] x[t, h*C + c];  transposed: see op */
    OP_RMSNORM,      /* out = x * rsqrt(mean(x^2) + eps) * w, in groups of w's length along a row */
    OP_ADD,          /* out = a + b */
    OP_SCALE,        /* out = a * s */
    OP_ROPE,         /* rotates the first or last n_rot columns of every head */
    OP_CONCAT,       /* per head: out[t, h] = a[t, h] ++ b[t, h]  (b may have one head for all) */
    OP_GLU,          /* out = act(gate) * up */
    OP_KV_WRITE,     /* stores k and v rows of this batch in the pages of their sequences */
    OP_ATTENTION,    /* softmax(q k' * scale + mask) v over a sequence's pages, causal */
    OP_ROUTE,        /* router logits -> expert ids and weights */
    OP_EXPERTS,      /* sum over chosen experts of weight * down(act(gate x) * up x) */
    OP_TAKE_ROWS,    /* out[i,:] = x[rows[i],:] */
    OP_SOFTCAP,      /* out = cap * tanh(x / cap) */
    OP_COLUMNS,      /* out[t, h] = x[t, h][first .. first + n) */
    OP_N_KINDS
};
const char *op_kind_name(enum op_kind kind); /* "matmul"; never NULL */

enum act { ACT_SILU, ACT_GELU_TANH };

enum rope_style {
    ROPE_INTERLEAVED, /* pairs (2i, 2i+1): llama and deepseek2 as GGUF stores them */
    ROPE_HALVES       /* pairs (i, i + n_rot/2): qwen2, qwen3, gemma3 */
};

/* Angle of pair i at position p: theta_i = p * inv_freq[i]; the result is multiplied by mscale.
 * model/rope.c fills inv_freq once at load (YaRN, llama3 factors, linear scaling all end there). */
struct rope_params {
    enum rope_style style;
    int n_rot;             /* columns of a head that rotate */
    int first;             /* the first of them within a head */
    const float *inv_freq; /* [n_rot/2] */
    float mscale;
};

enum route_gate { ROUTE_SOFTMAX, ROUTE_SIGMOID };
struct route_params {
    enum route_gate gate;
    int n_used;          /* experts a token goes to */
    int n_groups;        /* 0 or 1: no groups */
    int n_groups_used;
    bool group_by_top2;  /* group score: sum of its two best (V3), else its best (V2) */
    bool normalize;      /* weights of the chosen sum to 1 */
    float scale;         /* multiplies the weights */
};

struct attention_params {
    int n_heads, n_kv_heads;
    int k_dim, v_dim;    /* columns of a head of q/k, and of v */
    float scale;
    int window;          /* 0: all; else keys at positions > p - window */
    float softcap;       /* 0: none */
};

/* Arguments of an op in one shape for all, so that devices, fall-backs and recorders are tables. */
#define OP_MAX_IN 8
#define OP_MAX_OUT 4
#define OP_MAX_EXPERTS 4096
struct op_call {
    enum op_kind kind;
    const struct tensor *in[OP_MAX_IN];
    const struct tensor *w[OP_MAX_OUT];    /* weights */
    const struct tensor *bias[OP_MAX_OUT]; /* f32 vectors or NULL */
    struct tensor *out[OP_MAX_OUT];
    int n_out;
    const struct batch *batch;             /* OP_EMBED, OP_ROPE, OP_KV_WRITE, OP_ATTENTION */
    const int32_t *rows;                   /* OP_TAKE_ROWS */
    int i_layer;
    bool transposed;                       /* OP_MATMUL_HEADS */
    float scalar;                          /* eps, scale, cap */
    int n_heads;
    int64_t first;                         /* OP_COLUMNS */
    bool b_shared;                         /* OP_CONCAT */
    enum act act;
    const struct rope_params *rope;
    const struct route_params *route;
    const struct attention_params *attention;
    int bits;                              /* what plane weights are read at; 0: as their file plans */
    int first_bits, n_best;                /* OP_MATMUL: see op_matmul_best */
};

struct device;
struct op_times;
/* A stretch of weights to be read. */
struct device_span {
    const uint8_t *data;
    size_t bytes;
};

/* Work on the host beside the ops: chunk i of a job, on worker 0 to n_threads - 1. */
typedef void (*device_chunk_fn)(void *arg, int64_t chunk, int worker);

struct device_ops {
    const char *name;
    /* NULL: absent; the call falls back to the CPU device and says so once. */
    enum fk_status (*op[OP_N_KINDS])(struct device *d, const struct op_call *call,
                                     struct fk_error *err);
    /* Plainly reads all spans with all threads, a span being one thread's: what the bandwidth is
     * measured with. Returns seconds. May be absent. */
    double (*read_spans)(struct device *d, const struct device_span *spans, size_t n);
    /* Products of int8 a second that all threads do together for about `seconds` when they do
     * nothing else: what a prefill is compared with. May be absent. */
    double (*int8_rate)(struct device *d, double seconds);
    /* Rows [first, first + n_rows) of a weight as floats [n_rows, n_cols], as the products read them
     * (planes at `bits`). From any number of threads at once. May be absent. */
    void (*weight_rows)(const struct device *d, const struct tensor *w, int64_t mat, int64_t first,
                        int64_t n_rows, int bits, float *out);
    /* Runs chunks on the device's host threads, the caller among them. May be absent. */
    void (*parallel)(struct device *d, device_chunk_fn fn, void *arg, int64_t n_chunks);
    void (*destroy)(struct device *d);
};

struct device_params {
    int n_threads;        /* 0: all usable cores */
    const char *cpu_mask; /* NULL: FIKR_CPU from the environment, else everything the CPU has */
    bool fetch_experts;   /* they lie in a file that memory cannot hold: ask for the chosen ones at once */
};
enum fk_status device_cpu_create(struct device **out, const struct device_params *p,
                                 struct fk_error *err);
void device_destroy(struct device **d);
const struct device_ops *device_get_ops(const struct device *d);
int device_n_threads(const struct device *d);
/* Calls fn once for every chunk in [0, n_chunks), on the device's threads where it lends them.
 * Never from within an op or another chunk. */
void device_parallel(struct device *d, device_chunk_fn fn, void *arg, int64_t n_chunks);
/* Matrices [mat, mat + n_mats) of a weight as floats without gaps, on the device's threads.
 * FK_EUNSUPPORTED where the device does not read weights of this type. */
enum fk_status device_read_weight(struct device *d, const struct tensor *w, int64_t mat, int64_t n_mats,
                                  int bits, float *out, struct fk_error *err);
bool device_multiplies_bf16(const struct device *d); /* faster than f32 */
const char *device_isa(const struct device *d); /* "avx2", "avx512vnni", ... as chosen */
/* One sentence once an op had to fall back to the CPU, else NULL. Valid until destroy. */
const char *device_note(const struct device *d);

struct op_recorder {
    void *arg;
    void (*record)(void *arg, const struct op_call *call);
};

struct ops {
    struct device *device;
    struct arena arenas[2];       /* activations of a layer; the residual stream between layers */
    uint32_t next_id;
    struct op_recorder *recorder; /* NULL in inference; with one, nothing is reused */
    bool recorder_looks;          /* it keeps no tensor: memory is reused all the same */
    struct op_times *times;       /* NULL: calls are not timed; borrowed */
    uint64_t bytes_timed;         /* read bytes that times has seen */
    const struct batch *batch;
    int bits;                     /* set by the owner: see op_call */
    int head_bits;                /* of the output head's first stage, set by the owner; 0: as the file plans; -1: it has one stage */
    uint64_t weight_bytes_read, kv_bytes_read; /* since ops_begin */
    /* Multiply-adds of quantized weights, which meet activations as int8; of experts those that a
     * token chose. Since ops_init. */
    uint64_t int8_products;
    enum fk_status status;
    struct fk_error error;
};

void ops_init(struct ops *o, struct device *d, size_t arena_cap_bytes);
void ops_fini(struct ops *o);
/* Starts a pass over batch: arenas are emptied, counters and status cleared. The sequences must
 * cover the batch's rows in order, without gaps (or there are none). */
void ops_begin(struct ops *o, const struct batch *batch);
/* Ends a layer: x (the residual stream) is copied to the second arena and all other activations,
 * older residual streams too, are gone. With a recorder it returns x as it is. */
struct tensor *ops_layer_end(struct ops *o, struct tensor *x);
enum fk_status ops_status(const struct ops *o, struct fk_error *err);

/* A view of columns [first, first+n) of every head of x (n_heads equal parts); no op, no copy for
 * n_heads 1; otherwise copies. Recorded as what it is by id. */
struct tensor *op_columns(struct ops *o, const struct tensor *x, int n_heads, int64_t first,
                          int64_t n);

struct tensor *op_embed(struct ops *o, const struct tensor *w, float scale);
struct tensor *op_matmul(struct ops *o, const struct tensor *w, const struct tensor *bias,
                         const struct tensor *x);
/* Several matrices that read the same x (q k v; gate up): x is quantized once, one barrier. A weight
 * that carries an adapter gives W x + scale B (A x). */
void op_matmul_many(struct ops *o, int n, const struct tensor *const w[],
                    const struct tensor *const bias[], const struct tensor *x,
                    struct tensor *out[]);
/* W x of planes in two stages: all rows at first_bits, then of every token those n_best groups of 8 rows
 * that hold its largest results at all bits there are. A plain op_matmul where first_bits is no narrower, where w
 * has no planes or an adapter, and where it has no more groups. */
struct tensor *op_matmul_best(struct ops *o, const struct tensor *w, const struct tensor *x, int first_bits,
                              int n_best);
/* w has n_mats = n_heads.  plain:      out[t, h*R + r] = sum_c w[h][r,c] x[t, h*C + c]
 *                          transposed: out[t, h*C + c] = sum_r w[h][r,c] x[t, h*R + r];
 *                          x of R columns is then shared by all heads */
struct tensor *op_matmul_heads(struct ops *o, const struct tensor *w, bool transposed,
                               const struct tensor *x);
struct tensor *op_rmsnorm(struct ops *o, const struct tensor *w, float eps, const struct tensor *x);
struct tensor *op_add(struct ops *o, const struct tensor *a, const struct tensor *b);
struct tensor *op_scale(struct ops *o, const struct tensor *a, float s);
struct tensor *op_softcap(struct ops *o, const struct tensor *a, float cap);
struct tensor *op_rope(struct ops *o, const struct rope_params *p, int n_heads,
                       const struct tensor *x);
struct tensor *op_concat(struct ops *o, int n_heads, const struct tensor *a,
                         const struct tensor *b, bool b_shared);
struct tensor *op_glu(struct ops *o, enum act act, const struct tensor *gate,
                      const struct tensor *up);
void op_kv_write(struct ops *o, int i_layer, const struct tensor *k, const struct tensor *v);
struct tensor *op_attention(struct ops *o, int i_layer, const struct attention_params *p,
                            const struct tensor *q);
/* logits [n, n_experts] -> ids (i32 in an f32-sized tensor, [n, n_used]) and weights [n, n_used].
 * bias [n_experts] (or NULL) steers the choice only. */
void op_route(struct ops *o, const struct route_params *p, const struct tensor *logits,
              const struct tensor *bias, struct tensor **ids, struct tensor **weights);
/* gate, up: [n_experts][ff, d]; down: [n_experts][d, ff]. */
struct tensor *op_experts(struct ops *o, enum act act, const struct tensor *gate,
                          const struct tensor *up, const struct tensor *down,
                          const struct tensor *x, const struct tensor *ids,
                          const struct tensor *weights);
struct tensor *op_take_rows(struct ops *o, const struct tensor *x, const int32_t *rows, int n);

#endif
