/* SPDX-License-Identifier: Apache-2.0
 * loop_guard.c - counts, for every period, how long the reply has had it. 128 comparisons a token,
 * no memory of its own.
 *
 * A reply of period p over its last L tokens has L - p tokens in a row that equal the one p before.
 * The longest look-back is 3 * 128 = 384 tokens. */
#include "src/engine/loop_guard.h"
#include <string.h>

void loop_guard_reset(struct loop_guard *g)
{
    memset(g, 0, sizeof *g);
}

bool loop_guard_push(struct loop_guard *g, int32_t token)
{
    bool looping = false;
    uint32_t n_back = g->n < LOOP_MAX_PERIOD ? g->n : LOOP_MAX_PERIOD;
    for (uint32_t p = 1; p <= n_back; p++) {
        if (g->last[(g->n - p) % LOOP_MAX_PERIOD] != token) {
            g->same[p] = 0;
            continue;
        }
        if (g->same[p] < UINT16_MAX) g->same[p]++;
        uint32_t span = g->same[p] + p;
        looping |= span >= LOOP_MIN_REPEATS * p && span >= LOOP_MIN_TOKENS;
    }
    g->last[g->n++ % LOOP_MAX_PERIOD] = token;
    return looping;
}
