/* SPDX-License-Identifier: Apache-2.0
 * peak.c - how many products of bytes a core can do: the meaning of the slot, not a speed. */
#include "src/kernels/variants.h"

uint64_t peak_i8_ref(uint64_t n, uint32_t *sum)
{
    volatile uint8_t w = PEAK_W;
    volatile int8_t x = PEAK_X;
    *sum = 0;
    for (uint64_t i = 0; i < n; i++)
        *sum += (uint32_t)(w * x);
    return n;
}
