/* SPDX-License-Identifier: Apache-2.0
 * hostile_test.c - what nobody means well: megabytes of digits, towers of powers and of brackets, bytes
 * that are no UTF-8. The answer is "none" or "wrong", soon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "src/grade/expr.h"
#include "src/grade/grade.h"

/* CPU time, far above the 50 ms that are promised, so that only a slow algorithm can fail. */
#define MAX_CPU_SECONDS 0.5

static char *repeat(const char *piece, size_t bytes)
{
    size_t k = strlen(piece);
    char *s = malloc(bytes + 1);
    assert_non_null(s);
    for (size_t i = 0; i < bytes; i++) s[i] = piece[i % k];
    s[bytes] = 0;
    return s;
}

static enum fk_verdict check(const char *prompt, size_t n_prompt, const char *reply, size_t n_reply)
{
    struct fk_check out;
    clock_t begin = clock();
    fk_check_reply(prompt, n_prompt, reply, n_reply, &out);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    assert_true(seconds < MAX_CPU_SECONDS);
    return out.verdict;
}

static const char *const pieces[] = {
    "9", "9^", "9**", "(", ")", "()", "1+", "-", "1,", "2 ", "\xff", "\xd9", "\xf0\x9f\x98\x80", "a", "x",
    "1/0", "0.", "sort 1 ", "and ", "please ", "\n", "=", "[", "{a}", "%s", "\xd9\xa9", "use 1 2 3 to make 4 ",
};

static void as_prompts_and_replies(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 100, 1000, 2048, 2049, 100000, 10000000};
    static const char *const prompts[] = {
        "2+2", "Use 3, 7, 20 to make 41", "sort 5 3 9", "17/5", "(3+4)*5",
        "what day is 2024-03-15", "use 1 2 3 4 5 to make 99999",
    };
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            char *s = repeat(pieces[i], sizes[k]);
            check(s, sizes[k], "4", 1);
            if (sizes[k] > 2048) assert_int_equal(check(s, sizes[k], s, sizes[k]), FK_VERDICT_NONE);
            for (size_t j = 0; j < sizeof prompts / sizeof prompts[0]; j++)
                assert_int_equal(check(prompts[j], strlen(prompts[j]), s, sizes[k]), FK_VERDICT_WRONG);
            free(s);
        }
    }
}

static void deep_expressions(void **state)
{
    (void)state;
    int64_t num, den;
    char *open = repeat("(", 1000000);
    assert_false(expr_value(open, &num, &den));
    free(open);
    assert_false(expr_value("9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9", &num, &den));
    assert_false(expr_value("1/(2-2)", &num, &den));
    assert_false(expr_value("1+", &num, &den));
    assert_false(expr_value("1 2", &num, &den));
    assert_false(expr_value("(1", &num, &den));
    assert_false(expr_value("1)", &num, &den));
    assert_false(expr_value("()", &num, &den));
    assert_false(expr_value("", &num, &den));
    assert_false(expr_value("2--3*", &num, &den));
    assert_true(expr_value("((((((((((7))))))))))", &num, &den) && num == 7 && den == 1);
    assert_true(expr_value("8/3*3", &num, &den) && num == 8 && den == 1);
    assert_true(expr_value("-2*(3-7)", &num, &den) && num == 8 && den == 1);
    assert_true(expr_value("2-3-4", &num, &den) && num == -5);
    assert_true(expr_value("1/2-1/3", &num, &den) && num == 1 && den == 6);
}

/* A wrong countdown answer that only looks right. */
static void countdown_cheats(void **state)
{
    (void)state;
    static const struct { const char *reply; enum fk_verdict verdict; } rows[] = {
        {"20+7*3", FK_VERDICT_RIGHT},
        {"7*3+20", FK_VERDICT_RIGHT},
        {"20 + 3*7 = 41", FK_VERDICT_RIGHT},
        {"The way is: (3*7)+20", FK_VERDICT_RIGHT},
        {"20+7*3 = 42", FK_VERDICT_WRONG},
        {"41", FK_VERDICT_WRONG},
        {"20+21", FK_VERDICT_WRONG},
        {"20+20+1", FK_VERDICT_WRONG},
        {"20+7*3*1", FK_VERDICT_WRONG},
        {"20+7*3+0", FK_VERDICT_WRONG},
        {"207*3", FK_VERDICT_WRONG},
        {"none", FK_VERDICT_WRONG},
        {"20+7*3 or 5", FK_VERDICT_WRONG},
        {"", FK_VERDICT_WRONG},
        {"I cannot. Type /model smollm2.", FK_VERDICT_REFUSED},
    };
    static const char prompt[] = "Use 3, 7, 20 to make 41";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (check(prompt, strlen(prompt), rows[i].reply, strlen(rows[i].reply)) != rows[i].verdict)
            fail_msg("'%s'", rows[i].reply);
    static const char never[] = "use 1 1 1 to make 77";
    assert_int_equal(check(never, strlen(never), "none", 4), FK_VERDICT_RIGHT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_prompts_and_replies),
        cmocka_unit_test(deep_expressions),
        cmocka_unit_test(countdown_cheats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
