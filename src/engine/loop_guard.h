/* SPDX-License-Identifier: Apache-2.0
 * loop_guard.h - notices that a reply repeats itself word for word. */
#ifndef ENGINE_LOOP_GUARD_H
#define ENGINE_LOOP_GUARD_H
#include <stdbool.h>
#include <stdint.h>

#define LOOP_MAX_PERIOD 128
#define LOOP_MIN_REPEATS 3
#define LOOP_MIN_TOKENS 48

struct loop_guard {
    int32_t last[LOOP_MAX_PERIOD]; /* a ring of the latest tokens */
    uint32_t n;                    /* pushed since reset */
    uint16_t same[LOOP_MAX_PERIOD + 1]; /* [p]: how many latest tokens equal the one p before them */
};

void loop_guard_reset(struct loop_guard *g);
/* True if the reply now ends in at least LOOP_MIN_REPEATS exact repeats of a period of at most
 * LOOP_MAX_PERIOD tokens, over at least LOOP_MIN_TOKENS (so within the last 512, more or less). */
bool loop_guard_push(struct loop_guard *g, int32_t token);

#endif
