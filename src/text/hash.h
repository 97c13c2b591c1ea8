/* SPDX-License-Identifier: Apache-2.0
 * hash.h - hashing of short byte strings and of integers for the open-addressed tables of this
 * room. Tables are at most half full, so an honest run of used slots is short: TABLE_MAX_PROBE
 * bounds it, and a file that was made to collide is refused instead of costing quadratic time. */
#ifndef TEXT_HASH_H
#define TEXT_HASH_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TABLE_MAX_PROBE 4096u

static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

static inline uint32_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ n, w;
    while (n >= 8) {
        memcpy(&w, p, 8);
        h = hash_mix(h ^ w);
        p += 8;
        n -= 8;
    }
    if (n >= 4) {
        uint32_t lo, hi; /* overlapping halves cover 4 to 7 bytes; n is in h already */
        memcpy(&lo, p, 4);
        memcpy(&hi, p + n - 4, 4);
        h ^= lo | (uint64_t)hi << 32;
    } else if (n) {
        h ^= (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint8_t)p[n - 1];
    }
    h *= 0x9fb21c651e98df25u;
    return (uint32_t)(h ^ h >> 32);
}

#endif
