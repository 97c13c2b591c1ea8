/* SPDX-License-Identifier: Apache-2.0
 * desk.h - what the engine tests share: a tiny golden model with an engine on it. */
#ifndef TEST_ENGINE_DESK_H
#define TEST_ENGINE_DESK_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* a macro of cmocka; base/fail.h has a function of that name */
#include "src/engine/session.h"

#define DESK_END 1 /* the end token of the golden vocabularies */

/* Fails the test with the sentence. */
void desk_fail(const struct fk_error *err);

struct desk {
    struct model *model;
    fk_engine *engine;
};

/* name: a file of tests/golden, "llama.gguf". params NULL: pages of 16, f32, two threads. */
void desk_open(struct desk *d, const char *name, const struct fk_engine_params *params);
void desk_close(struct desk *d); /* asserts that no page is lost */
struct fk_engine_params desk_params(void);

/* Greedy, no loop guard, the end token banned by a bias. */
struct fk_session_params desk_greedy(void);
fk_session *desk_session(struct desk *d, const struct fk_session_params *params);

/* n reproducible ids of 2 to 121: in every golden vocabulary and no special token. */
void desk_ids(int32_t *ids, int n, uint64_t seed);
void desk_prompt(fk_session *s, const int32_t *ids, int n);
/* Generates until the reply ends or n tokens came; returns how many, the finish in *finish. */
int desk_generate(fk_session *s, int32_t *out, int n, enum fk_finish *finish);

#endif
