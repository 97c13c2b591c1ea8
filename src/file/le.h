/* SPDX-License-Identifier: Apache-2.0
 * le.h - little-endian numbers in unaligned bytes, on any host. */
#ifndef FILE_LE_H
#define FILE_LE_H
#include <stdint.h>
#include <string.h>

static inline uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t le64(const uint8_t *p)
{
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

static inline float le_f32(const uint8_t *p)
{
    uint32_t u = le32(p);
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline double le_f64(const uint8_t *p)
{
    uint64_t u = le64(p);
    double f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline void put_le(uint8_t *p, uint64_t v, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++) p[i] = (uint8_t)(v >> (8 * i));
}

#endif
