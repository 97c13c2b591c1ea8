/* SPDX-License-Identifier: Apache-2.0
 * gold.h - golden files and a model driven step by step over pages of its own: no engine. */
#ifndef GOLDEN_GOLD_H
#define GOLDEN_GOLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* a macro of cmocka; base/fail.h has a function of that name */
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))
#include "src/model/model.h"

struct gold {
    uint32_t n_ids, n_vocab, n_prompt, n_greedy;
    int32_t *ids, *greedy;
    float *logits, *gap;
    char *data; /* owns all of them */
};

/* NAME of tests/golden/NAME.gold; fails the test if it is not as tools/make_goldens.py writes it. */
void gold_read(struct gold *g, const char *name);
void gold_free(struct gold *g);
/* Path of tests/golden/NAME; valid until the next call. */
const char *gold_path(const char *name);

#define RIG_MAX_TOKENS 512
struct rig {
    struct model *model;
    struct device *device;
    struct ops ops;
    struct kv_layout kv;
    void *pages[RIG_MAX_TOKENS];
    int n_pages, pos;
};

void rig_open(struct rig *r, const char *path, int n_threads, enum dtype kv, enum mla_form form);
void rig_close(struct rig *r);
void rig_rewind(struct rig *r); /* to an empty sequence, pages filled with garbage */
/* Appends n tokens in one step; logits of the last n_out of them. */
enum fk_status rig_step(struct rig *r, const int32_t *ids, int n, int n_out, const float **logits,
                        struct fk_error *err);
/* Appends n tokens in chunks; all logits to out [n, n_vocab]. */
void rig_eval(struct rig *r, const int32_t *ids, int n, int chunk, float *out);

int best_of(const float *x, int n);
#endif
