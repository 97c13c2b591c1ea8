/* SPDX-License-Identifier: Apache-2.0
 * kernels.h - the inner loops: pure functions, no malloc, no threads, no I/O, cannot fail.
 *
 * kernels.def lists them, one line each; kernels_select() fills this table from it. ref/ is the
 * meaning of a slot, x86/ and arm/ are its speed.
 *
 * Fixed sums: what a kernel writes for weight row r and activation row t depends on those two rows
 * only, bit for bit, not on n_rows, n_x or where a call begins. Two variants (ISAs) may differ
 * within the bound that kernels.def states. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "src/tensor/dtype.h"
#include "src/tensor/planes.h"

/* How a mul kernel wants its activations. */
enum act_format {
    ACT_F32,  /* float[k] */
    ACT_BF16, /* uint16_t[k] */
    ACT_Q8,   /* blocks of 32, k % 32 == 0:   int8_t q[k]; float d[k/32]; float s[k/32];
                 int32_t sum[k/32]
                 x = d*q;  |q| <= 127;  d = max|x|/127;  sum = sum(q) of the block;  s = d*sum */
    ACT_Q8K,  /* blocks of 256, k % 256 == 0: int8_t q[k]; float d[k/256]; int16_t sum16[k/16];
                 int16_t sum32[k/32]
                 x = d*q;  sum16, sum32 = sums of q over 16 and over 32 */
    ACT_N_FORMATS
};
/* Bytes of one activation row, a multiple of 64; the parts follow each other, each padded to a
 * multiple of 64 bytes. The int8 formats: q = round to even of x * (127 / max); a block whose max
 * is below 2^-100 is zero; one with a NaN or an infinity has d = NaN, so that the NaN reaches y. */
size_t act_row_bytes(enum act_format f, int64_t k);
static inline size_t act_pad(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}
/* Where the parts of a row begin. */
static inline size_t act_q8_d(int64_t k) { return act_pad((size_t)k); }
static inline size_t act_q8_s(int64_t k) { return act_q8_d(k) + act_pad((size_t)k / 8); }
static inline size_t act_q8_sum(int64_t k) { return act_q8_s(k) + act_pad((size_t)k / 8); }
static inline size_t act_q8k_d(int64_t k) { return act_pad((size_t)k); }
static inline size_t act_q8k_sum16(int64_t k) { return act_q8k_d(k) + act_pad((size_t)k / 64); }
static inline size_t act_q8k_sum32(int64_t k)
{
    return act_q8k_sum16(k) + act_pad((size_t)k / 8);
}

/* Encodes one row. */
typedef void (*kernel_act_fn)(const float *x, int64_t k, void *out);

/* y[t*y_stride + r] = sum_c W[r,c] x[t,c]      r < n_rows, t < n_x
 * W: n_rows rows of k weights, w_row_bytes apart (unaligned); x: n_x encoded rows, x_row_bytes
 * apart (64-byte aligned). n_x == 1 is decode and streams W once; larger n_x decode W once per
 * tile. */
typedef void (*kernel_mul_fn)(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,
                              const void *x, size_t x_row_bytes, int64_t n_x, float *y,
                              size_t y_stride);

/* The same for planes (tensor/planes.h), read at the width in the slot's name; x is ACT_Q8 of n_cols
 * columns. group: the first of the groups of 8 rows, counted over all matrices; n_rows rows from its
 * first on, of one matrix; y is at its first row. Only planes up to the width are read. */
typedef void (*kernel_planes_fn)(const struct planes *p, int64_t group, int64_t n_rows,
                                 const void *x, size_t x_row_bytes, int64_t n_x, float *y,
                                 size_t y_stride);
/* Row `row` of matrix `mat` read at `bits` (0: the file's plan) as floats [n_cols]. */
void planes_dequant_row(const struct planes *p, int64_t mat, int64_t row, int bits, float *out);

/* One row of k weights to floats. */
typedef void (*kernel_dequant_fn)(const void *w, int64_t k, float *out);

/* Attention of n_q query rows over one span of keys of one kv head. A span is KERNEL_SPAN positions
 * that begin at a multiple of that, in pages of page_tokens slots each (a power of two, at most a
 * span). Query j sees the keys [first[j], end[j]) of the span, first < end; both ascend with j.
 *   s[i] = softcap(scale * q.k_i);  m = max s;  l = sum exp(s - m);
 *   acc[v_dim] = sum exp(s - m) v_i
 * softcap 0: none. Row j of q starts q_bytes behind row j - 1, of acc at acc + j*v_dim.
 * f32, f16: q is float [k_dim], keys and values are rows k_row_bytes and v_row_bytes apart; those that no
 * query sees are not read.
 * i8, i4: q, keys, values and scales as kv_i8.h and kv_i4.h have them; v_in_k: the values are the first v_dim columns of
 * the keys, in their order. Slots of the span may be read whether a query sees them or not, but count
 * for nothing. A weight exp(s - m) times its value's scale may be rounded to 16 bits, the largest of
 * a query and group of columns being 32767. */
#define KERNEL_MAX_Q 16
#define KERNEL_SPAN 256
struct attend_page {
    const uint8_t *k, *v; /* slot 0 */
    const float *k_scales, *v_scales; /* i8, i4; [groups][page_tokens] */
};
struct attend_args {
    const void *q;
    size_t q_bytes;
    int n_q, k_dim, v_dim, page_tokens;
    bool v_in_k;
    const int *first, *end;          /* [n_q] */
    const struct attend_page *pages; /* those that the queries see must be there */
    /* Hints: keys or values are not in the cache yet; all pages of the span that is read next. */
    bool fetch_k, fetch_v;
    const struct attend_page *next;
    size_t k_row_bytes, v_row_bytes; /* f32, f16 */
    float scale, softcap;
    float *m, *l, *acc;
};
typedef void (*kernel_attend_fn)(const struct attend_args *a);

struct kernels {
    /* BF16 weights meet ACT_BF16 (mul_bf16_bf16), not ACT_F32 (mul_bf16). Numbers below 2^-126 may
     * then count as zero. */
    bool bf16_acts;
    kernel_act_fn act_bf16, act_q8, act_q8k;
    kernel_mul_fn mul_f32, mul_f16, mul_bf16, mul_bf16_bf16, mul_q4_0, mul_q4_1, mul_q5_0, mul_q5_1, mul_q8_0,
        mul_q2_k, mul_q3_k, mul_q4_k, mul_q5_k, mul_q6_k, mul_iq4_nl, mul_iq4_xs;
    kernel_planes_fn mul_planes2, mul_planes3, mul_planes4, mul_planes5, mul_planes6, mul_planes8;
    kernel_dequant_fn dequant_f16, dequant_bf16, dequant_q4_0, dequant_q4_1, dequant_q5_0,
        dequant_q5_1, dequant_q8_0, dequant_q2_k, dequant_q3_k, dequant_q4_k, dequant_q5_k,
        dequant_q6_k, dequant_iq4_nl, dequant_iq4_xs;
    kernel_attend_fn attend_f32, attend_f16, attend_i8, attend_i4;

    /* (m,l,acc) <- merged with (m2,l2,acc2): the online softmax step, pages in order. */
    void (*attend_merge)(float *m, float *l, float *acc, float m2, float l2, const float *acc2,
                         int64_t n);
    /* out[i] = x[i] * rsqrt(mean(x^2) + eps) * w[i]; w NULL: ones */
    void (*rmsnorm)(const float *x, const float *w, int64_t n, float eps, float *out);
    void (*add)(const float *a, const float *b, int64_t n, float *out);
    void (*scale)(const float *a, float s, int64_t n, float *out);
    void (*axpy)(float a, const float *x, int64_t n, float *y); /* y += a x */
    void (*glu_silu)(const float *gate, const float *up, int64_t n, float *out);
    void (*glu_gelu)(const float *gate, const float *up, int64_t n, float *out); /* tanh form */
    /* One head: pairs rotate by (cos[i], sin[i]), i < n_pairs; x and out may be the same.
     * interleaved: pairs (2i, 2i+1); halves: (i, i + n_pairs). */
    void (*rope_interleaved)(const float *x, const float *cos, const float *sin, int64_t n_pairs,
                             float *out);
    void (*rope_halves)(const float *x, const float *cos, const float *sin, int64_t n_pairs,
                        float *out);
    /* Keys and values on their way into the cache, and queries that meet int8 keys (kv_i8.h, kv_i4.h).
     * to_i8, to_i16: out = round to even of x * (127 / max), (32767 / max), scale = max / 127, / 32767
     * for every group of 64; zero and NaN as in act_row_bytes. to_i4: at most 7, scale = m / -8 where m is the
     * first x of the group with the largest |x|, out = round to even of x * (-8 / m). */
    void (*to_f16)(const float *x, int64_t n, uint16_t *out);
    void (*to_i8)(const float *x, int64_t n, int8_t *out, float *scales);
    void (*to_i4)(const float *x, int64_t n, int8_t *out, float *scales);
    void (*to_i16)(const float *x, int64_t n, int16_t *out, float *scales);
    /* Every `block` (a power of two) columns times the Walsh-Hadamard matrix over sqrt(block), which is
     * its own inverse; n is a multiple of block; x and out may be the same. */
    void (*rotate)(const float *x, int64_t n, int64_t block, float *out);
    /* Sum over all bytes, 64-bit words: the bench's plain read. */
    uint64_t (*read_bytes)(const void *p, size_t n);
    /* At least n products PEAK_W * PEAK_X of bytes, added up on registers alone by the instructions
     * that quantized weights are multiplied with: the limit of prefill. Returns how many;
     * *sum: theirs, modulo 2^32. */
    uint64_t (*peak_i8)(uint64_t n, uint32_t *sum);
};
enum { PEAK_W = 3, PEAK_X = -5 };

/* What a CPU can do; bundles that people can name. A variant needs all bits of its line. */
enum cpu_flag {
    CPU_AVX2 = 1 << 0,       /* AVX2, FMA, F16C, BMI2 */
    CPU_AVX512 = 1 << 1,     /* F, BW, VL, DQ, CD */
    CPU_VNNI = 1 << 2,       /* AVX512 VNNI (and VBMI) */
    CPU_AVX512BF16 = 1 << 3,
    CPU_AMX = 1 << 7,        /* AMX-TILE, -INT8 and -BF16, and the system lets this process use them */
    CPU_NEON = 1 << 4,       /* AArch64 baseline */
    CPU_DOTPROD = 1 << 5,
    CPU_I8MM = 1 << 6,
    CPU_AHEAD = 1 << 8,      /* no instruction: an Intel, whose loops stream faster when they ask early
                                (x86/stream.h); no name, and no mask takes it away */
};
uint32_t cpu_detect(void);
/* Masks downwards: "ref", "avx2", "avx512", "avx512vnni", "avx512bf16", "amx", "neon", "dotprod",
 * "i8mm".
 * False for an unknown name. A name above what the CPU has gives what it has. */
bool cpu_mask_by_name(const char *name, uint32_t detected, uint32_t *flags);
const char *cpu_flags_name(uint32_t flags);

/* Pure: the same flags give the same table. Variants that kernels.def marks UNPROVEN are taken only
 * if allow_unproven (FIKR_CPU named them). */
void kernels_select(struct kernels *k, uint32_t flags, bool allow_unproven);

/* By weight type: what activations it wants, its mul and dequant. False: no such weight type. */
struct weight_kernels {
    enum act_format act;
    kernel_mul_fn mul;
    kernel_dequant_fn dequant; /* F32: a copy */
};
kernel_planes_fn kernels_for_planes(const struct kernels *k, int i_width);
bool kernels_for_weight(const struct kernels *k, enum dtype t, struct weight_kernels *out);

#endif
