/* SPDX-License-Identifier: Apache-2.0
 * desk.h - what the tests of training share: a small recipe, folders that go away, bytes of files. */
#ifndef TESTS_TRAIN_DESK_H
#define TESTS_TRAIN_DESK_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "src/train/recipe.h"

#define OK(expr)                                                                                   \
    do {                                                                                           \
        struct fk_error ok_err_ = {0}, *err = &ok_err_;                                            \
        if ((expr) != FK_OK) fail_msg("%s", ok_err_.message);                                      \
    } while (0)

/* 0.2 M weights, 12 steps in two stages, checkpoints every 4. */
extern const char *const desk_recipe;

/* A new folder under $TMPDIR; desk_remove deletes it with its files. */
char *desk_folder(void);
void desk_remove(char *dir);
/* A ring of a few. */
const char *desk_path(const char *dir, const char *name);
void desk_write(const char *path, const void *p, size_t n);
char *desk_read(const char *path, size_t *n); /* free() */
/* Fails unless file `name` has the same bytes in both folders. */
void desk_expect_same(const char *a, const char *b, const char *name);
int desk_count(const char *dir, const char *suffix);

#endif
