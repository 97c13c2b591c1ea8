/* SPDX-License-Identifier: Apache-2.0
 * logits.h - what has to look at every logit of a vocabulary. Fixed order of adding: all CPUs get the
 * same bits. */
#ifndef ENGINE_LOGITS_H
#define ENGINE_LOGITS_H
#include <stdint.h>

#define LOGITS_BLOCK 64

/* out[b] = the largest of x[64 b ..]; returns the largest of all n > 0. */
float logits_block_max(const float *x, int n, float *out);
float logits_max(const float *x, int n);

/* The first i with x[i] == value; n - 1 if there is none. */
int32_t logits_first_of(const float *x, int n, float value);

/* out[i] = e^((x[id[i]] - max) * scale), the exponent being at most 0; within 3e-7 relative. */
void logits_exp_of(const float *x, const int32_t *ids, int n, float max, float scale, float *out);

/* sum of e^((x[i] - max) * scale) */
double logits_sum_exp(const float *x, int n, float max, float scale);

/* x <- softmax(x), max being the largest */
void logits_softmax(float *x, int n, float max);

/* log softmax(x)[id] */
float logits_logprob(const float *x, int n, int32_t id);

#endif
