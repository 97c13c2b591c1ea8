/* SPDX-License-Identifier: Apache-2.0
 * crc32c.h - CRC-32C (Castagnoli), as iSCSI and ext4 use it. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/* Of n more bytes; begin with crc 0. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
