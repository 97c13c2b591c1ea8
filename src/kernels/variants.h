/* SPDX-License-Identifier: Apache-2.0
 * variants.h - prototypes of every function that kernels.def names, with the type of its slot. */
#ifndef KERNELS_VARIANTS_H
#define KERNELS_VARIANTS_H
#include "src/kernels/kernels.h"

#define KERNEL(slot, needs, function, bound) \
    __typeof__(*((struct kernels *)0)->slot) function;
#define UNPROVEN KERNEL
#include "src/kernels/kernels.def"
#undef KERNEL
#undef UNPROVEN

#endif
