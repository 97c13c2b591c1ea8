/* SPDX-License-Identifier: Apache-2.0
 * dtype.h - element types. The numbers are GGUF's (ggml_type), so a file's type field is checked
 * with dtype_info() and then used as it is; our own types start at 200. */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype {
    DT_F32 = 0, DT_F16 = 1, DT_Q4_0 = 2, DT_Q4_1 = 3, DT_Q5_0 = 6, DT_Q5_1 = 7, DT_Q8_0 = 8,
    DT_Q8_1 = 9, DT_Q2_K = 10, DT_Q3_K = 11, DT_Q4_K = 12, DT_Q5_K = 13, DT_Q6_K = 14, DT_Q8_K = 15,
    DT_IQ4_NL = 20, DT_IQ4_XS = 23, DT_I8 = 24, DT_I16 = 25, DT_I32 = 26, DT_I64 = 27, DT_F64 = 28,
    DT_BF16 = 30,
    DT_F8_E4M3 = 200, /* safetensors only; scales stand beside it */
    DT_PLANES = 201,  /* data is a struct planes (planes.h), not the bytes */
    DT_KV_I4 = 202,   /* keys and values in a cache only (kernels/kv_i4.h); dtype_info knows it not */
    DT_NONE = 255
};

struct dtype_info {
    const char *name;       /* "Q4_K" */
    uint32_t block_weights; /* elements a block holds; 1 for plain types */
    uint32_t block_bytes;
    bool is_weight;         /* a matrix may have this type (op_matmul, op_embed take it) */
};

/* NULL for an unknown number. */
const struct dtype_info *dtype_info(uint32_t type);
const char *dtype_name(uint32_t type); /* "type 77" style text never; "unknown" for unknown */

/* Bytes of a row of n elements, in *bytes. False if n is no multiple of the block or on overflow. */
bool dtype_row_bytes(uint32_t type, uint64_t n, uint64_t *bytes);

/* Scalar conversions, exact (round to nearest even when narrowing). */
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);
static inline float bf16_to_f32(uint16_t h)
{
    union { uint32_t u; float f; } v = {(uint32_t)h << 16};
    return v.f;
}
uint16_t f32_to_bf16(float f);
void f32_to_bf16_row(const float *x, int64_t n, uint16_t *out);
float f8_e4m3_to_f32(uint8_t b); /* the finite variant (E4M3FN): 0x7f and 0xff are NaN */

#endif
