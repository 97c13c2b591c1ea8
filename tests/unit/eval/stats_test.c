/* SPDX-License-Identifier: Apache-2.0
 * stats_test.c - intervals and pass@k against values worked out by hand and published ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "src/eval/stats.h"

static void near(double a, double b)
{
    if (fabs(a - b) > 5e-5) fail_msg("%.6f is not %.6f", a, b);
}

static void test_wilson(void **state)
{
    (void)state;
    struct interval w = interval_wilson(0, 0);
    near(w.low, 0);
    near(w.high, 1);
    w = interval_wilson(0, 10); /* z^2 / (n + z^2) */
    near(w.low, 0);
    near(w.high, 0.277533);
    w = interval_wilson(10, 10);
    near(w.low, 1 - 0.277533);
    near(w.high, 1);
    w = interval_wilson(950, 1000);
    near(w.low, 0.934686);
    near(w.high, 0.961870);
}

static void test_pass_at_k(void **state)
{
    (void)state;
    near(stats_pass_at_k(16, 0, 16), 0);
    near(stats_pass_at_k(16, 1, 16), 1);
    near(stats_pass_at_k(16, 4, 1), 0.25);
    near(stats_pass_at_k(4, 2, 2), 1 - 1.0 / 6); /* C(2,2) / C(4,2) */
    near(stats_pass_at_k(1, 1, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wilson), cmocka_unit_test(test_pass_at_k)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
