/* SPDX-License-Identifier: Apache-2.0
 * variants.h - prototypes of every function that kernels.def names, with the type of its slot, and
 * the two words that keep vectors in registers: INLINE for pieces of a kernel, UNROLL before loops
 * of constant length over arrays of vectors (what stays a loop puts its array in memory). */
#ifndef KERNELS_VARIANTS_H
#define KERNELS_VARIANTS_H
#include "src/kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define KERNEL(slot, needs, function, bound) \
    __typeof__(*((struct kernels *)0)->slot) function;
#define UNPROVEN KERNEL
#include "src/kernels/kernels.def"
#undef KERNEL
#undef UNPROVEN

#endif
