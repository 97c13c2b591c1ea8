/* SPDX-License-Identifier: Apache-2.0
 * block.h - the scales of a row: searched by weighted error, refitted by least squares, then rounded
 * to a byte a block times a factor a row. */
#ifndef PRECISION_BLOCK_H
#define PRECISION_BLOCK_H
#include "src/precision/tree.h"

/* The scale of 32 weights w under importances h (NULL: all alike): least sum of
 * h times a leaf's cost, or of h e^2 at the width that t aims at. The sign makes the largest weight positive. 0 for zeros. */
float block_scale(const struct tree *t, const float *w, const float *h);

/* Rounds scales[n_blocks] to whole multiples of `factor`, choosing among the neighbours by the same
 * error. */
void block_round_scales(const struct tree *t, const float *w, const float *h, int64_t n_blocks,
                        const float *scales, float factor, int8_t *out);

#endif
