/* SPDX-License-Identifier: Apache-2.0
 * words_test.c - files of word problems, good and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "src/base/alloc.h"
#include "src/eval/suite.h"

static char dir[] = "/tmp/fikr-words-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    char path[256];
    (void)state;
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/gsm8k", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/svamp", dir);
    return mkdir(path, 0700);
}

static int tear_down(void **state)
{
    static const char *const names[] = {"gsm8k/test.jsonl", "gsm8k", "svamp/SVAMP.json", "svamp", ""};
    char path[256];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        remove(path);
    }
    return 0;
}

static void test_good(void **state)
{
    struct eval_suite s;
    struct fk_error err = {0};
    (void)state;
    write_file("gsm8k/test.jsonl",
               "{\"question\": \"How many?\", \"answer\": \"2 * 9 = <<2*9=18>>18\\n#### 1,018\"}\n"
               "{\"question\": \"And?\", \"answer\": \"#### -3\"}\n");
    assert_int_equal(suite_words(&s, "gsm8k", dir, 0, &err), FK_OK);
    assert_int_equal(s.n_items, 2);
    assert_string_equal(s.items[0].prompt, "How many?");
    const char *reply = "First 7, then 1018.";
    assert_int_equal(s.grade(&s, 0, reply, strlen(reply)), FK_VERDICT_RIGHT);
    assert_int_equal(s.grade(&s, 1, reply, strlen(reply)), FK_VERDICT_WRONG);
    suite_fini(&s);
    assert_int_equal(suite_words(&s, "gsm8k", dir, 1, &err), FK_OK);
    assert_int_equal(s.n_items, 1);
    suite_fini(&s);
    write_file("svamp/SVAMP.json", "[{\"Body\": \"A pack costs 76 dollars\", \"Question\": \"How much?\","
               " \"Answer\": 51.0}, {\"Body\": \"Two.\", \"Question\": \"Q?\", \"Answer\": 0.5}]");
    assert_int_equal(suite_words(&s, "svamp", dir, 0, &err), FK_OK);
    assert_string_equal(s.items[0].prompt, "A pack costs 76 dollars. How much?");
    assert_string_equal(s.items[1].prompt, "Two. Q?");
    assert_int_equal(s.grade(&s, 0, "$51", 3), FK_VERDICT_RIGHT);
    assert_int_equal(s.grade(&s, 1, "1/2", 3), FK_VERDICT_RIGHT);
    suite_fini(&s);
}

static void test_hostile(void **state)
{
    static const char *const gsm[] = {"", "nothing", "{\"question\": 5, \"answer\": \"#### 1\"}",
                                      "{\"question\": \"x\", \"answer\": \"no mark\"}", "[1,2]"};
    static const char *const svamp[] = {"", "{}", "[]", "[5]", "[{\"Body\": \"a\"}]",
                                        "[{\"Body\": \"a\", \"Question\": \"b\", \"Answer\": \"c\"}]"};
    struct eval_suite s;
    (void)state;
    for (size_t i = 0; i < sizeof gsm / sizeof *gsm; i++) {
        struct fk_error err = {0};
        write_file("gsm8k/test.jsonl", gsm[i]);
        assert_int_not_equal(suite_words(&s, "gsm8k", dir, 0, &err), FK_OK);
        assert_true(err.message[0]);
    }
    for (size_t i = 0; i < sizeof svamp / sizeof *svamp; i++) {
        struct fk_error err = {0};
        write_file("svamp/SVAMP.json", svamp[i]);
        assert_int_not_equal(suite_words(&s, "svamp", dir, 0, &err), FK_OK);
        assert_true(err.message[0]);
    }
}

static void test_no_memory(void **state)
{
    struct eval_suite s;
    (void)state;
    write_file("gsm8k/test.jsonl", "{\"question\": \"a\", \"answer\": \"#### 1\"}\n");
    for (int i = 0; i < 1000; i++) {
        struct fk_error err = {0};
        mem_inject(i, true);
        enum fk_status st = suite_words(&s, "gsm8k", dir, 0, &err);
        bool injected = mem_inject(-1, false) > 0;
        if (!st) suite_fini(&s);
        if (!injected) return;
        assert_int_equal(st, FK_ENOMEM);
    }
    fail_msg("it never succeeds");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_hostile),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
