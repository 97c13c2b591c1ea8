/* SPDX-License-Identifier: Apache-2.0
 * verbs.h - the verbs, one cmd_*.c each. Each gives the program's exit code. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H
#include "src/cli/args.h"

int cmd_run(const struct args *a);
int cmd_inspect(const struct args *a);
int cmd_fit(const struct args *a);
int cmd_tokenize(const struct args *a);
int cmd_logits(const struct args *a);
int cmd_perplexity(const struct args *a);
int cmd_bench(const struct args *a);
int cmd_convert(const struct args *a);
int cmd_eval(const struct args *a);
int cmd_quantize(const struct args *a);
int cmd_pull(const struct args *a);
int cmd_puzzles(const struct args *a);
int cmd_train(const struct args *a);

#endif
