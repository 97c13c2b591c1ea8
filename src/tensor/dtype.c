/* SPDX-License-Identifier: Apache-2.0
 * dtype.c - the table of element types and exact scalar conversions. */
#include "src/tensor/dtype.h"
#include "src/base/clones.h"
#include <string.h>

static const struct {
    uint32_t type;
    struct dtype_info info;
} table[] = {
    {DT_F32, {"F32", 1, 4, true}},          {DT_F16, {"F16", 1, 2, true}},
    {DT_Q4_0, {"Q4_0", 32, 18, true}},      {DT_Q4_1, {"Q4_1", 32, 20, true}},
    {DT_Q5_0, {"Q5_0", 32, 22, true}},      {DT_Q5_1, {"Q5_1", 32, 24, true}},
    {DT_Q8_0, {"Q8_0", 32, 34, true}},      {DT_Q8_1, {"Q8_1", 32, 36, false}},
    {DT_Q2_K, {"Q2_K", 256, 84, true}},     {DT_Q3_K, {"Q3_K", 256, 110, true}},
    {DT_Q4_K, {"Q4_K", 256, 144, true}},    {DT_Q5_K, {"Q5_K", 256, 176, true}},
    {DT_Q6_K, {"Q6_K", 256, 210, true}},    {DT_Q8_K, {"Q8_K", 256, 292, false}},
    {DT_IQ4_NL, {"IQ4_NL", 32, 18, true}},  {DT_IQ4_XS, {"IQ4_XS", 256, 136, true}},
    {DT_I8, {"I8", 1, 1, false}},           {DT_I16, {"I16", 1, 2, false}},
    {DT_I32, {"I32", 1, 4, false}},         {DT_I64, {"I64", 1, 8, false}},
    {DT_F64, {"F64", 1, 8, false}},         {DT_BF16, {"BF16", 1, 2, true}},
    {DT_F8_E4M3, {"F8_E4M3", 1, 1, false}}, {DT_PLANES, {"planes", 32, 33, true}},
};

const struct dtype_info *dtype_info(uint32_t type)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].type == type) return &table[i].info;
    return NULL;
}

const char *dtype_name(uint32_t type)
{
    const struct dtype_info *info = dtype_info(type);
    return info ? info->name : "unknown";
}

bool dtype_row_bytes(uint32_t type, uint64_t n, uint64_t *bytes)
{
    const struct dtype_info *info = dtype_info(type);
    if (!info || n % info->block_weights) return false;
    uint64_t r;
    if (__builtin_mul_overflow(n / info->block_weights, (uint64_t)info->block_bytes, &r))
        return false;
    *bytes = r;
    return true;
}

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, frac = h & 0x3ff;
    if (exp == 31) return float_of(sign | 0x7f800000u | frac << 13);
    if (exp) return float_of(sign | (exp + 112) << 23 | frac << 13);
    /* zero and subnormals: frac * 2^-24 is exact */
    return float_of(sign | bits_of((float)frac * 0x1p-24f));
}

uint16_t f32_to_f16(float f)
{
    uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x47800000u) return (uint16_t)(sign | 0x7c00); /* 65536 and more, infinity */
    if (a < 0x38800000u) {
        /* below 2^-14: adding 0.5 leaves round(|f| * 2^24) in the low bits, nearest even */
        return (uint16_t)(sign | (bits_of(float_of(a) + 0.5f) - 0x3f000000u));
    }
    uint32_t odd = a >> 13 & 1;
    return (uint16_t)(sign | (a - 0x38000000u + 0xfff + odd) >> 13);
}

uint16_t f32_to_bf16(float f)
{
    uint32_t u = bits_of(f);
    if ((u & 0x7fffffff) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40); /* stays a NaN */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

CLONES void f32_to_bf16_row(const float *x, int64_t n, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, x + i, sizeof u);
        uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16, nan = u >> 16 | 0x40;
        out[i] = (uint16_t)((u & 0x7fffffff) > 0x7f800000u ? nan : rounded);
    }
}

float f8_e4m3_to_f32(uint8_t b)
{
    uint32_t sign = (uint32_t)(b & 0x80) << 24, exp = b >> 3 & 15, frac = b & 7;
    if (exp == 15 && frac == 7) return float_of(sign | 0x7fc00000u);
    if (exp) return float_of(sign | (exp + 120) << 23 | frac << 20);
    return float_of(sign | bits_of((float)frac * 0x1p-9f));
}
