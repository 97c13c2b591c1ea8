/* SPDX-License-Identifier: Apache-2.0
 * rng.h - random numbers as a pure function of (seed, stream, counter): nothing to save but the
 * counter, and a token sampled at position p is the same whatever was computed around it. */
#ifndef BASE_RNG_H
#define BASE_RNG_H
#include <stdint.h>

/* 64 well-mixed bits (two rounds of a splitmix finaliser over the three keys). */
uint64_t rng_u64(uint64_t seed, uint64_t stream, uint64_t counter);
/* Uniform in [0, 1) with 53 bits. */
double rng_uniform(uint64_t seed, uint64_t stream, uint64_t counter);

#endif
