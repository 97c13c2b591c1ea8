/* SPDX-License-Identifier: Apache-2.0
 * sets.h - word problems with worked solutions as conversations to train on: GSM8K's training split as
 * it is written, and MAWPS' training templates with fresh numbers. Which problem an index gives is a
 * pure function of seed and index. */
#ifndef TRAIN_SETS_H
#define TRAIN_SETS_H
#include "fikr/grade.h"

enum set_kind { SET_GSM8K, SET_MAWPS, N_SETS };
extern const char *const set_names[N_SETS]; /* as recipes write them */

struct sets; /* immutable once open */

/* data_dir holds gsm8k/train.jsonl and mawps/mawps_templates.jsonl; only sets with needed[set] are
 * read. */
enum fk_status sets_open(struct sets **out, const char *data_dir, const bool needed[N_SETS],
                         struct fk_error *err);
void sets_close(struct sets *s); /* NULL is fine */

/* Problem number `index` of the sets by weight: prompt, thinking (the worked solution), answer (the
 * number alone). family is -1: no puzzle. Filled and freed as fk_puzzle_make and fk_puzzle_free do. */
enum fk_status sets_make(const struct sets *s, const uint32_t weights[N_SETS], uint64_t seed,
                         uint64_t index, struct fk_puzzle *out, struct fk_error *err);

/* fk_puzzle_grade, or for a word problem whether the last number of the reply is the answer. */
enum fk_verdict sets_grade(const struct fk_puzzle *p, const char *reply, size_t n);

#endif
