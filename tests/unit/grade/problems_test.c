/* SPDX-License-Identifier: Apache-2.0
 * problems_test.c - word problems with fresh numbers: equations, splits, malformed files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "src/grade/problems.h"

static void equations(void **state)
{
    (void)state;
    static const int64_t v[3] = {8, 2, 3};
    static const struct { const char *text; int64_t value; } rows[] = {
        {"- number0 number1", 6}, {"+ number0 * number1 number2", 14}, {"* + number0 number1 number2", 30},
        {"/ number0 number1", 4}, {"* number0 100.0", 800}, {"number2", 3},
    };
    int64_t value;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(problems_value(rows[i].text, v, 3, NULL, &value));
        assert_int_equal(value, rows[i].value);
    }
    static const char *const bad[] = {
        "", "-", "- number0", "- number0 number1 number2", "number3", "number", "- number1 number0",
        "/ number0 number2", "/ number0 0", "^ number0 number1", "x", "1.5", ".", "- number0 number0",
        "* * * 999999999 999999999 999999999 9",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (problems_value(bad[i], v, 3, NULL, &value)) fail_msg("'%s' is %lld", bad[i], (long long)value);
}

static enum fk_status open_text(const char *text, const char *split, struct problems **out,
                                struct fk_error *err)
{
    char path[] = "/tmp/fikr-problems-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    enum fk_status st = problems_open(path, split, out, err);
    unlink(path);
    return st;
}

#define LINE(split, numbers, equation)                                                              \
    "{\"split\": \"" split "\", \"question\": \"Ann has number0 pens and gives number1 away . How " \
    "many are left ?\", \"numbers\": " numbers ", \"equation\": \"" equation "\"}\n"

static void files(void **state)
{
    (void)state;
    struct problems *p;
    struct fk_error err;
    struct buf prompt, thinking, answer;
    buf_init(&prompt, 0, MEM_TEXT);
    buf_init(&thinking, 0, MEM_TEXT);
    buf_init(&answer, 0, MEM_TEXT);
    static const char text[] = LINE("train", "[18, 2]", "- number0 number1")
                               LINE("test", "[18, 2]", "- number0 number1")
                               LINE("train", "[1.5, 2]", "- number0 number1");
    assert_int_equal(open_text(text, "train", &p, &err), FK_OK);
    assert_int_equal(problems_count(p), 1);
    for (uint64_t i = 0; i < 200; i++) {
        int a, b, c;
        char expected[64];
        buf_clear(&prompt);
        buf_clear(&thinking);
        buf_clear(&answer);
        assert_int_equal(problems_make(p, 5, i, &prompt, &thinking, &answer, &err), FK_OK);
        assert_int_equal(sscanf(prompt.data, "Ann has %d pens and gives %d away", &a, &b), 2);
        assert_true(a >= 10 && a <= 99 && b >= 1 && b <= 9);
        c = a - b;
        snprintf(expected, sizeof expected, "%d-%d=%d\n", a, b, c);
        assert_string_equal(thinking.data, expected);
        snprintf(expected, sizeof expected, "%d", c);
        assert_string_equal(answer.data, expected);
    }
    problems_close(p);
    assert_int_equal(open_text("{}\n", "train", &p, &err), FK_EFORMAT);
    assert_int_equal(open_text("[1]\nx", "train", &p, &err), FK_EFORMAT);
    assert_int_equal(problems_open("/nonexistent/x", "train", &p, &err), FK_ENOTFOUND);
    buf_fini(&prompt);
    buf_fini(&thinking);
    buf_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equations),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
