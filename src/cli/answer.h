/* SPDX-License-Identifier: Apache-2.0
 * answer.h - one reply of the model: prompt, stream to the screen or a pipe, what became of it. */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H
#include <stdbool.h>
#include <stdio.h>
#include "fikr/session.h"
#include "src/base/buf.h"
#include "src/cli/args.h"

struct answer {
    FILE *to;            /* where text goes as it comes; NULL: nowhere */
    bool tags;           /* thinking stands inside <think> tags; else only its style differs */
    struct buf content, reasoning;
    enum fk_finish finish;
    struct fk_session_stats stats;
};

void answer_init(struct answer *r, FILE *to, bool tags);
void answer_fini(struct answer *r);
/* Runs to the end of the reply. An interrupt is no failure here: finish tells. What had come before
 * a failure is in the buffers and on the screen. */
enum fk_status answer_run(struct answer *r, fk_session *s, const int32_t *ids, size_t n_ids,
                         int opens_thinking, struct fk_error *err);

const char *answer_finish_name(enum fk_finish f); /* "stop", "length", ... */

/* The session's parameters: as the options say, where they say nothing as m's file recommends. */
void answer_params(const struct args *a, const fk_model *m, struct fk_session_params *p);

#endif
