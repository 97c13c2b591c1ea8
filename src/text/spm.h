/* SPDX-License-Identifier: Apache-2.0
 * spm.h - SentencePiece BPE: the pair whose whole has the best score is joined first. Internal. */
#ifndef TEXT_SPM_H
#define TEXT_SPM_H
#include "src/text/merge.h"
#include "src/text/tokenizer.h"
#include "src/text/vocab.h"

/* Appends the ids of text, in which spaces stand for U+2581. False: out of memory. */
bool spm_encode(const struct vocab *v, struct merger *m, const char *text, size_t n,
                struct token_vec *out);

#endif
