/* SPDX-License-Identifier: Apache-2.0
 * ckpt_test.c - a checkpoint comes back bit for bit; a flipped bit, a cut file and a full disk cost one
 * checkpoint each and are said. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "src/train/ckpt.h"
#include "tests/unit/train/desk.h"

struct bench {
    char *dir;
    struct gguf *g;
    struct train_params p;
    struct ckpt_state s;
};

static int open_bench(void **state)
{
    static struct bench b;
    memset(&b, 0, sizeof b);
    b.dir = desk_folder();
    OK(gguf_open(&b.g, GOLDEN "/deepseek2-v3.gguf", err));
    OK(train_params_open(&b.p, b.g, err));
    for (size_t i = 0; i < b.p.n_floats; i++) b.p.m[i] = (float)i, b.p.v[i] = 1 / (1 + (float)i);
    b.s = (struct ckpt_state){.step = 10, .stage = 1, .stage_step = 3, .cursor = 77, .n_tokens = 1000,
                              .n_targets = 500, .seconds = 1.5, .loss_mean = 2.25};
    memset(b.s.recipe_sha256, 'a', 64);
    strcpy(b.s.machine, "ref, 1 threads, none");
    *state = &b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;
    train_params_fini(&b->p);
    gguf_close(&b->g);
    desk_remove(b->dir);
    return 0;
}

/* Step and first weight are 1000 times the number. */
static void save(struct bench *b, int number, int keep)
{
    b->s.step = (uint64_t)number;
    b->p.w[0] = (float)number * 1000;
    OK(ckpt_save(b->dir, &b->p, &b->s, keep, err));
}

static void comes_back_bit_for_bit(void **state)
{
    struct bench *b = *state;
    struct ckpt_state s;
    size_t bytes = b->p.n_floats * sizeof(float);
    float *w = malloc(bytes);
    save(b, 10, 3);
    memcpy(w, b->p.w, bytes);
    memset(b->p.w, 0, bytes);
    memset(b->p.m, 0, bytes);
    memset(b->p.v, 0, bytes);
    OK(ckpt_load(desk_path(b->dir, "ckpt-00000010.fikr"), &b->p, &s, err));
    assert_memory_equal(b->p.w, w, bytes);
    assert_true(b->p.m[100] == 100 && b->p.v[1] == 0.5f);
    assert_memory_equal(&s, &b->s, sizeof s);
    free(w);
}

static void the_newest_are_kept(void **state)
{
    struct bench *b = *state;
    struct ckpt_state s;
    char why[512];
    int n_skipped;
    for (int i = 1; i <= 12; i++) save(b, i, 3);
    assert_int_equal(desk_count(b->dir, ".fikr"), 3);
    OK(ckpt_load_newest(b->dir, &b->p, &s, &n_skipped, why, err));
    assert_int_equal(s.step, 12);
    assert_int_equal(n_skipped, 0);
}

static void damage(const char *path, long at, size_t cut)
{
    size_t n;
    char *p = desk_read(path, &n);
    if (at >= 0) p[at] ^= 4;
    desk_write(path, p, cut ? cut : n);
    free(p);
}

static void expect_older(struct bench *b, const char *word)
{
    struct ckpt_state s;
    char why[512];
    int n_skipped;
    OK(ckpt_load_newest(b->dir, &b->p, &s, &n_skipped, why, err));
    assert_int_equal(n_skipped, 1);
    assert_int_equal(s.step, 1);
    assert_true(b->p.w[0] == 1000);
    assert_non_null(strstr(why, word));
}

static void a_flipped_bit_costs_one(void **state)
{
    struct bench *b = *state;
    static const long places[] = {33, 100, 230, 5000, -70};
    size_t n;
    save(b, 1, 3);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        save(b, 2, 3);
        const char *path = desk_path(b->dir, "ckpt-00000002.fikr");
        free(desk_read(path, &n));
        damage(path, places[i] < 0 ? (long)n + places[i] : places[i], 0);
        b->p.w[0] = 5;
        expect_older(b, "damaged");
    }
}

static void a_cut_file_costs_one(void **state)
{
    struct bench *b = *state;
    static const size_t lengths[] = {1, 100, 256, 5000};
    save(b, 1, 3);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        save(b, 2, 3);
        damage(desk_path(b->dir, "ckpt-00000002.fikr"), -1, lengths[i]);
        expect_older(b, "checkpoint");
    }
}

/* A limit on the size of files stands for a disk that fills up during the write. */
static void a_full_disk_costs_one(void **state)
{
    struct bench *b = *state;
    struct rlimit old, small;
    struct fk_error full;
    struct ckpt_state s;
    char why[512];
    int n_skipped;
    save(b, 1, 3);
    b->s.step = 2;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum fk_status st = ckpt_save(b->dir, &b->p, &b->s, 3, &full);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(st, FK_EIO);
    assert_int_equal(desk_count(b->dir, ""), 3); /* ".", ".." and the first */
    OK(ckpt_load_newest(b->dir, &b->p, &s, &n_skipped, why, err));
    assert_int_equal(s.step, 1);
    assert_int_equal(n_skipped, 0);
}

static void another_models_is_refused(void **state)
{
    struct bench *b = *state;
    struct ckpt_state s;
    struct fk_error err;
    save(b, 1, 3);
    b->p.items[3].name[0] ^= 1;
    assert_int_equal(ckpt_load(desk_path(b->dir, "ckpt-00000001.fikr"), &b->p, &s, &err), FK_EFORMAT);
    assert_non_null(strstr(err.message, "another model"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)
    const struct CMUnitTest tests[] = {
        TEST(comes_back_bit_for_bit), TEST(the_newest_are_kept), TEST(a_flipped_bit_costs_one),
        TEST(a_cut_file_costs_one), TEST(a_full_disk_costs_one), TEST(another_models_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
