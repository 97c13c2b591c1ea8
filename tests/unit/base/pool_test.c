/* SPDX-License-Identifier: Apache-2.0
 * pool_test.c - every chunk runs once, sleeping workers wake, and random numbers are a function. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include "src/base/alloc.h"
#include "src/base/pool.h"
#include "src/base/rng.h"

#define N 1000
static _Atomic int hits[N];

static void hit(void *arg, int64_t chunk, int worker)
{
    assert_in_range(worker, 0, *(int *)arg - 1);
    atomic_fetch_add(&hits[chunk], 1);
}

static void every_chunk_once(void **state)
{
    (void)state;
    for (int n_threads = 1; n_threads <= 5; n_threads++) {
        struct pool *p;
        assert_int_equal(pool_create(&p, n_threads, NULL), FK_OK);
        for (int round = 0; round < 300; round++) {
            int n = round % 3 == 0 ? 1 : round % 3 == 1 ? n_threads : N;
            for (int i = 0; i < N; i++) hits[i] = 0;
            pool_run(p, hit, &n_threads, n);
            for (int i = 0; i < N; i++) assert_int_equal(hits[i], i < n);
            if (round % 100 == 50) usleep(2000); /* long enough for the workers to sleep */
        }
        pool_run(p, hit, &n_threads, 0);
        pool_destroy(&p);
        assert_null(p);
    }
}

static _Atomic unsigned n_idle[3], n_wrong;

/* On any thread, where no assertion may fail. */
static void idle(void *arg, int worker, unsigned turn)
{
    (void)turn;
    if (arg != &hits || worker < 0 || worker > 2) atomic_fetch_add(&n_wrong, 1);
    else atomic_fetch_add(&n_idle[worker], 1);
}

static void slow_last(void *arg, int64_t chunk, int worker)
{
    (void)arg, (void)worker;
    if (chunk == 2) usleep(2000);
}

static void waits_with_something_to_do(void **state)
{
    (void)state;
    struct pool *p;
    assert_int_equal(pool_create(&p, 3, NULL), FK_OK);
    pool_set_idle(p, idle, &hits);
    for (int i = 0; i < 20000 && !(n_idle[0] && n_idle[1] && n_idle[2]); i++) pool_run(p, slow_last, NULL, 3);
    for (int i = 0; i < 3; i++) assert_true(n_idle[i]);
    assert_int_equal(n_wrong, 0);
    pool_destroy(&p);
}

static void first_chunks(void **state)
{
    (void)state;
    assert_int_equal(pool_first_chunk(10, 0, 4), 0);
    assert_int_equal(pool_first_chunk(10, 3, 4), 7);
    assert_int_equal(pool_first_chunk(10, 4, 4), 10);
    assert_int_equal(pool_first_chunk(0, 3, 4), 0);
}

static void refuses_nonsense(void **state)
{
    (void)state;
    struct pool *p;
    struct fk_error e;
    assert_int_equal(pool_create(&p, 0, &e), FK_EINVAL);
    assert_int_equal(pool_create(&p, 100000, &e), FK_EINVAL);
    mem_inject(0, false);
    assert_int_equal(pool_create(&p, 2, &e), FK_ENOMEM);
    mem_inject(1, false);
    assert_int_equal(pool_create(&p, 2, &e), FK_ENOMEM);
    mem_inject(-1, false);
    assert_null(p);
}

static void random_numbers(void **state)
{
    (void)state;
    double sum = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        double u = rng_uniform(7, 1, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(sum > 49500 && sum < 50500);
    assert_int_equal(rng_u64(1, 2, 3), rng_u64(1, 2, 3));
    assert_int_not_equal(rng_u64(1, 2, 3), rng_u64(1, 3, 2));
    assert_int_not_equal(rng_u64(1, 2, 3), rng_u64(2, 2, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chunk_once),
        cmocka_unit_test(waits_with_something_to_do), cmocka_unit_test(first_chunks),
        cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
