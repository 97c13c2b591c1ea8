/* SPDX-License-Identifier: Apache-2.0
 * loop_guard_test.c - loops of every period are seen at the right token; benign lists are not. */
#include "tests/unit/engine/desk.h"
#include "src/base/rng.h"

/* Random tokens, then period p again and again; returns after how many tokens of it the guard spoke. */
static int spoken_after(int p, int limit)
{
    struct loop_guard g;
    loop_guard_reset(&g);
    for (int i = 0; i < 700; i++)
        assert_false(loop_guard_push(&g, 100000 + (int32_t)(rng_u64(1, (uint64_t)p, (uint64_t)i) % 9999)));
    for (int i = 0; i < limit; i++)
        if (loop_guard_push(&g, i % p)) return i + 1;
    return -1;
}

static void loops_are_seen(void **state)
{
    (void)state;
    for (int p = 1; p <= LOOP_MAX_PERIOD; p++) {
        int want = 3 * p > LOOP_MIN_TOKENS ? 3 * p : LOOP_MIN_TOKENS;
        assert_int_equal(spoken_after(p, 2000), want);
    }
    assert_int_equal(spoken_after(LOOP_MAX_PERIOD + 1, 2000), -1);
}

static void a_reset_forgets(void **state)
{
    (void)state;
    struct loop_guard g;
    loop_guard_reset(&g);
    for (int i = 0; i < LOOP_MIN_TOKENS - 1; i++) assert_false(loop_guard_push(&g, 5));
    loop_guard_reset(&g);
    for (int i = 0; i < LOOP_MIN_TOKENS - 1; i++) assert_false(loop_guard_push(&g, 5));
    assert_true(loop_guard_push(&g, 5));
}

/* "1. red\n2. red\n3. red\n": the same words, the number changes. */
static void a_numbered_list_is_no_loop(void **state)
{
    (void)state;
    struct loop_guard g;
    loop_guard_reset(&g);
    for (int i = 0; i < 2000; i++) {
        assert_false(loop_guard_push(&g, 1000 + i));
        for (int j = 0; j < 6; j++) assert_false(loop_guard_push(&g, 50 + j));
    }
}

/* A table of 40 tokens a row that counts its rows, and noise over three words. */
static void a_table_and_noise_are_no_loop(void **state)
{
    (void)state;
    struct loop_guard g;
    loop_guard_reset(&g);
    for (int row = 0; row < 500; row++)
        for (int j = 0; j < 40; j++) assert_false(loop_guard_push(&g, j == 20 ? 900 + row : j));
    loop_guard_reset(&g);
    for (int i = 0; i < 100000; i++)
        assert_false(loop_guard_push(&g, (int32_t)(rng_u64(3, 4, (uint64_t)i) % 3)));
}

/* Two repeats and a bit are not yet three. */
static void two_repeats_are_no_loop(void **state)
{
    (void)state;
    struct loop_guard g;
    loop_guard_reset(&g);
    for (int i = 0; i < 3 * 100 - 1; i++) assert_false(loop_guard_push(&g, i % 100));
    assert_false(loop_guard_push(&g, 12345));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_are_seen),
        cmocka_unit_test(a_reset_forgets),
        cmocka_unit_test(a_numbered_list_is_no_loop),
        cmocka_unit_test(a_table_and_noise_are_no_loop),
        cmocka_unit_test(two_repeats_are_no_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
