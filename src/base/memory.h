/* SPDX-License-Identifier: Apache-2.0
 * memory.h - how much memory the system can still give. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H
#include <stdint.h>

/* Bytes that could be had without swapping, cached files counted as free, within the limit of this
 * process's control group. */
uint64_t memory_available(void);

#endif
