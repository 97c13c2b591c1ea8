/* SPDX-License-Identifier: Apache-2.0
 * hash.h - hashing of short byte strings and of integers for the open-addressed tables of this
 * room. Tables are at most half full, so an honest run of used slots is short: TABLE_MAX_PROBE
 * bounds it, and a file that was made to collide is refused instead of costing quadratic time. */
#ifndef TEXT_HASH_H
#define TEXT_HASH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "src/file/le.h"

#define TABLE_MAX_PROBE 4096u

static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

/* Bytes behind a string that padded functions read, and ignore. */
#define PADDING 8

/* n: 1 to 8 */
static inline uint64_t word_mask(size_t n)
{
    return ~(uint64_t)0 >> (64 - 8 * n);
}

/* The n <= 8 bytes at p and zeros. */
static inline uint64_t last_word(const char *p, size_t n)
{
    const uint8_t *s = (const uint8_t *)p;
    if (n == 8) return le64(s);
    if (n >= 4) return le32(s) | (uint64_t)le32(s + n - 4) << 8 * (n - 4); /* they overlap */
    if (!n) return 0;
    return s[0] | (uint64_t)s[n / 2] << 8 * (n / 2) | (uint64_t)s[n - 1] << 8 * (n - 1);
}

static inline uint32_t hash_end(uint64_t h)
{
    h *= 0x9fb21c651e98df25u;
    return (uint32_t)(h ^ h >> 32);
}

static inline uint32_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ n;
    for (; n > 8; n -= 8, p += 8) h = hash_mix(h ^ le64((const uint8_t *)p));
    return hash_end(h ^ last_word(p, n));
}

/* The same, n > 0, where PADDING bytes behind p may be read: without a branch for each length. */
static inline uint32_t hash_padded(const char *p, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ n;
    for (; n > 8; n -= 8, p += 8) h = hash_mix(h ^ le64((const uint8_t *)p));
    return hash_end(h ^ (le64((const uint8_t *)p) & word_mask(n)));
}

/* memcmp of n > 0 bytes, with the same condition for both. */
static inline bool same_padded(const char *p, const char *q, size_t n)
{
    for (; n > 8; n -= 8, p += 8, q += 8)
        if (le64((const uint8_t *)p) != le64((const uint8_t *)q)) return false;
    return !((le64((const uint8_t *)p) ^ le64((const uint8_t *)q)) & word_mask(n));
}

#endif
