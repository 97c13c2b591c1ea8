/* SPDX-License-Identifier: Apache-2.0
 * one.h - the parts of mul kernels that serve one token, where they have a file of their own: called
 * like the kernel, with n_x 1. */
#ifndef KERNELS_X86_ONE_H
#define KERNELS_X86_ONE_H
#include "src/kernels/variants.h"

#define ONE(name, isa) __typeof__(*((struct kernels *)0)->mul_f32) one_##name##_##isa;
ONE(q2_k, avx2)
ONE(q3_k, avx2)
ONE(q4_k, avx2)
ONE(q5_k, avx2)
ONE(q6_k, avx2)
ONE(iq4_xs, avx2)
#undef ONE

#endif
