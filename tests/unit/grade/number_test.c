/* SPDX-License-Identifier: Apache-2.0
 * number_test.c - the last number of a reply, as people write numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "fikr/grade.h"
#include "src/grade/number.h"

static void reads(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t num, den; } rows[] = {
        {"72", 72, 1},
        {"The answer is 1,234.50 dollars.", 2469, 2},
        {"#### 18", 18, 1},
        {"$3", 3, 1},
        {"so 2/3 of it", 2, 3},
        {"1 1/2 cups", 3, 2},
        {"45%", 45, 1},
        {"a loss of -$4.", -4, 1},
        {"10-3", 3, 1},
        {"= -3", -3, 1},
        {"3,4", 4, 1},
        {"12,34", 34, 1},
        {"1,000,000", 1000000, 1},
        {"0.500", 1, 2},
        {"5.", 5, 1},
        {"4/0", 0, 1},
        {"7 of 2", 2, 1},
        {"6/4", 3, 2},
        {"2 5", 5, 1},
        {"18.0000000000000000000000", 18, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct number v;
        if (!number_find_last(rows[i].text, strlen(rows[i].text), &v)) fail_msg("%s", rows[i].text);
        if (v.num != rows[i].num || v.den != rows[i].den)
            fail_msg("'%s' is %lld/%lld", rows[i].text, (long long)v.num, (long long)v.den);
    }
    struct number v;
    assert_false(number_find_last("no number", 9, &v));
    assert_false(number_find_last("", 0, &v));
    assert_false(number_find_last("99999999999999999999", 20, &v));
}

static void grades(void **state)
{
    (void)state;
    static const struct { const char *reply, *right; enum fk_verdict verdict; } rows[] = {
        {"5 + 7 = 12. So she has $12.00", "12", FK_VERDICT_RIGHT},
        {"1/2", "0.5", FK_VERDICT_RIGHT},
        {"12 or 13", "12", FK_VERDICT_WRONG},
        {"none", "12", FK_VERDICT_WRONG},
        {"12", "none", FK_VERDICT_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(fk_check_number(rows[i].reply, strlen(rows[i].reply), rows[i].right,
                                         strlen(rows[i].right)), rows[i].verdict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(grades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
