/* SPDX-License-Identifier: Apache-2.0
 * puzzles_test.c - the suite asks what it was told to, nothing twice, and grades its own answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "src/eval/suite.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct eval_item *)a)->prompt, ((const struct eval_item *)b)->prompt);
}

static void test_choice(void **state)
{
    struct eval_suite s;
    struct fk_error err = {0};
    struct puzzle_choice c = {.lang = -1, .split = FK_SPLIT_TEST, .n_per_family = 20};
    (void)state;
    assert_int_equal(suite_puzzles(&s, &c, &err), FK_OK);
    assert_true(s.n_groups >= 8 && s.n_groups <= fk_n_families());
    assert_true(s.n_items <= 20 * (size_t)s.n_groups && s.n_items > 15 * (size_t)s.n_groups);
    for (size_t i = 0; i < s.n_items; i++) {
        assert_true(s.items[i].group >= 0 && s.items[i].group < s.n_groups);
        assert_int_not_equal(s.grade(&s, i, "nonsense", 8), FK_VERDICT_RIGHT);
    }
    suite_fini(&s);
    c.family[fk_family_find("add")] = true;
    c.level = 1;
    assert_int_equal(suite_puzzles(&s, &c, &err), FK_OK);
    assert_int_equal(s.n_items, 20);
    assert_int_equal(s.n_groups, 1);
    assert_string_equal(s.group_names[0], "add");
    qsort(s.items, s.n_items, sizeof *s.items, by_text);
    for (size_t i = 1; i < s.n_items; i++)
        assert_string_not_equal(s.items[i - 1].prompt, s.items[i].prompt);
    suite_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_choice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
