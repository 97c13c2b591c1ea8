/* SPDX-License-Identifier: Apache-2.0
 * select.c - fills the table of kernels from kernels.def, and says which of them serve a weight
 * type and in which form they want activations. */
#include <string.h>
#include "src/kernels/variants.h"

size_t act_row_bytes(enum act_format f, int64_t k)
{
    switch (f) {
    case ACT_F32:
        return act_pad((size_t)k * 4);
    case ACT_BF16:
        return act_pad((size_t)k * 2);
    case ACT_Q8:
        return act_q8_sum(k) + act_pad((size_t)k / 8);
    case ACT_Q8K:
        return act_q8k_sum32(k) + act_pad((size_t)k / 16);
    case ACT_N_FORMATS:
        break;
    }
    return 0;
}

void kernels_select(struct kernels *k, uint32_t flags, bool allow_unproven)
{
    memset(k, 0, sizeof *k);
    (void)allow_unproven; /* an architecture may have no such line */
#define KERNEL(slot, needs, function, bound) \
    if (((needs) & ~flags) == 0) k->slot = function;
#define UNPROVEN(slot, needs, function, bound) \
    if (((needs) & ~flags) == 0 && allow_unproven) k->slot = function;
#include "src/kernels/kernels.def"
#undef KERNEL
#undef UNPROVEN
    k->bf16_acts = flags & CPU_AVX512BF16;
}

static void dequant_f32(const void *w, int64_t k, float *out)
{
    memcpy(out, w, (size_t)k * sizeof(float));
}

kernel_planes_fn kernels_for_planes(const struct kernels *k, int i_width)
{
    const kernel_planes_fn by_width[PLANES_N] = {k->mul_planes2, k->mul_planes3, k->mul_planes4,
                                                 k->mul_planes5, k->mul_planes6, k->mul_planes8};
    return by_width[i_width];
}

bool kernels_for_weight(const struct kernels *k, enum dtype t, struct weight_kernels *out)
{
    switch (t) {
#define TYPE(dtype, act, name)                                                                     \
    case dtype:                                                                                    \
        *out = (struct weight_kernels){act, k->mul_##name, k->dequant_##name};                     \
        return true;
    case DT_F32:
        *out = (struct weight_kernels){ACT_F32, k->mul_f32, dequant_f32};
        return true;
    case DT_PLANES: /* mul and dequant take more than a pointer: see kernels_for_planes */
        *out = (struct weight_kernels){ACT_Q8, NULL, NULL};
        return true;
        TYPE(DT_F16, ACT_F32, f16)
    case DT_BF16:
        *out = (struct weight_kernels){k->bf16_acts ? ACT_BF16 : ACT_F32,
                                       k->bf16_acts ? k->mul_bf16_bf16 : k->mul_bf16,
                                       k->dequant_bf16};
        return true;
        TYPE(DT_Q4_0, ACT_Q8, q4_0)
        TYPE(DT_Q4_1, ACT_Q8, q4_1)
        TYPE(DT_Q5_0, ACT_Q8, q5_0)
        TYPE(DT_Q5_1, ACT_Q8, q5_1)
        TYPE(DT_Q8_0, ACT_Q8, q8_0)
        TYPE(DT_IQ4_NL, ACT_Q8, iq4_nl)
        TYPE(DT_Q2_K, ACT_Q8K, q2_k)
        TYPE(DT_Q3_K, ACT_Q8K, q3_k)
        TYPE(DT_Q4_K, ACT_Q8K, q4_k)
        TYPE(DT_Q5_K, ACT_Q8K, q5_k)
        TYPE(DT_Q6_K, ACT_Q8K, q6_k)
        TYPE(DT_IQ4_XS, ACT_Q8K, iq4_xs)
#undef TYPE
    default:
        return false;
    }
}
