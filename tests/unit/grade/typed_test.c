/* SPDX-License-Identifier: Apache-2.0
 * typed_test.c - what people type: recognised as the puzzle it is, with its right answer, or left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "src/grade/grade.h"

static const struct { const char *prompt, *family, *right; } rows[] = {
    {"2+2", "add", "4"},
    {"2 + 2 = ?", "add", "4"},
    {"48213 + 9977", "add", "58190"},
    {"What is 48213 + 9977?", "add", "58190"},
    {"48,213 + 9,977", "add", "58190"},
    {"what's 5 plus 7", "add", "12"},
    {"ADD 5 AND 7!!", "add", "12"},
    {"٤٨٢١٣ + ٩٩٧٧", "add", "58190"},
    {"ما ناتج جمع ٥ و٧؟", "add", "12"},
    {"كم يساوي 5 + 7؟", "add", "12"},
    {"12-5", "sub", "7"},
    {"5 - 12", "sub", "-7"},
    {"5−12", "sub", "-7"},
    {"subtract 5 from 12", "sub", "7"},
    {"اطرح ٥ من ١٢", "sub", "7"},
    {"12 x 12", "mul", "144"},
    {"12x12", "mul", "144"},
    {"12 × 12", "mul", "144"},
    {"what is 347 times 586?", "mul", "203342"},
    {"اضرب ٣ في ٤", "mul", "12"},
    {"17/5", "div", "3 r 2"},
    {"17 ÷ 5", "div", "3 r 2"},
    {"17 mod 5", "div", "2"},
    {"17 % 5", "div", "2"},
    {"how many times does 5 go into 17?", "div", "3 r 2"},
    {"اقسم ١٧ على ٥", "div", "3 r 2"},
    {"how many times can 5 go into 17?", "div", "3 r 2"},
    {"اقسم العدد ١٧ على العدد ٥", "div", "3 r 2"},
    {"قسمة ١٧ على ٥", "div", "3 r 2"},
    {"كم مرة يدخل ٥ في ١٧؟", "div", "3 r 2"},
    {"(3+4)*5-6", "paren", "29"},
    {"2+3*4", "paren", "14"},
    {"1 + 2 + 3", "paren", "6"},
    {"-5+3", "paren", "-2"},
    {"Use 3, 7, 20 to make 41", "countdown", "7*3+20"},
    {"use 3 7 20 to get 41", "countdown", "7*3+20"},
    {"make 41 from 3, 7 and 20", "countdown", "7*3+20"},
    {"استخدم ٣ و٧ و٢٠ للحصول على ٤١", "countdown", "7*3+20"},
    {"sort 5 3 9", "sort", "3 5 9"},
    {"sort 5,3,9", "sort", "3 5 9"},
    {"Please sort 5, 3 and 9 from largest to smallest.", "sort", "9 5 3"},
    {"رتب ٥ ٣ ٩", "sort", "3 5 9"},
    {"what day of the week is 2024-03-15?", "calendar", "Friday"},
    {"what day was July 4, 1999?", "calendar", "Sunday"},
    {"what day is 10 days after Monday", "calendar", "Thursday"},
    {"ما اليوم بعد 10 أيام من يوم الاثنين؟", "calendar", "الخميس"},
    {"how many days are there from March 3 to May 9?", "calendar", "67"},
    {"gcd 462 105", "gcd", "21"},
    {"gcd(462, 105)", "gcd", "21"},
    {"what comes next: 2, 5, 10, 17", "sequence", "26"},
    {"1 1 2 3 5 8 ?", "sequence", "13"},
    {"3x+5=20", "equation", "x=5"},
    {"solve 7x + 3 = 4x + 18", "equation", "x=5"},
    {"how many r's are in strawberry?", "letters", "3"},
    {"how many r in strawberry", "letters", "3"},
    {"spell hello backwards", "letters", "olleh"},
};

static void recognised(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fk_check c;
        fk_check_reply(rows[i].prompt, strlen(rows[i].prompt), rows[i].right, strlen(rows[i].right), &c);
        if (c.family < 0) fail_msg("'%s' is not recognised", rows[i].prompt);
        if (strcmp(fk_family_name(c.family), rows[i].family) != 0)
            fail_msg("'%s' is taken for %s", rows[i].prompt, fk_family_name(c.family));
        if (strcmp(c.right, rows[i].right) != 0)
            fail_msg("'%s' should give %s, not %s", rows[i].prompt, rows[i].right, c.right);
        assert_int_equal(c.verdict, FK_VERDICT_RIGHT);
    }
}

static void left_alone(void **state)
{
    (void)state;
    static const char *const prompts[] = {
        "hi", "", " ", "?", "2", "5 apples", "what is 5", "2^10", "2**10", "sqrt(16)", "10% of 50",
        "is 17 prime", "what is the capital of France", "17/0", "5 mod 0", "1.5 + 2.5",
        "Natalia sold 48 clips and then 24, how many in all?", "2024 was a good year",
        "sort my life", "use your imagination", "what day is it", "2+", "+", "(2+3", "3x+5", "x=", "0x=5",
        "2+2 and 3+3", "123456789012345678901234567890 + 1", "how many r in", "days from May 9 to March 3",
        "what day is February 30, 2024",
    };
    for (size_t i = 0; i < sizeof prompts / sizeof prompts[0]; i++) {
        struct fk_check c;
        fk_check_reply(prompts[i], strlen(prompts[i]), "4", 1, &c);
        if (c.verdict != FK_VERDICT_NONE)
            fail_msg("'%s' is taken for %s: %s", prompts[i], fk_family_name(c.family), c.right);
    }
}

static void free_replies(void **state)
{
    (void)state;
    static const struct { const char *prompt, *reply; enum fk_verdict verdict; } replies[] = {
        {"2+2", "The answer is 4.", FK_VERDICT_RIGHT},
        {"2+2", "2 + 2 = 4", FK_VERDICT_RIGHT},
        {"2+2", "**4**", FK_VERDICT_RIGHT},
        {"2+2", "٤", FK_VERDICT_RIGHT},
        {"2+2", "4 or 5", FK_VERDICT_WRONG},
        {"2+2", "44", FK_VERDICT_WRONG},
        {"48213 + 9977", "58,190", FK_VERDICT_RIGHT},
        {"17/5", "3 remainder 2", FK_VERDICT_RIGHT},
        {"17/5", "3", FK_VERDICT_WRONG},
        {"sort 5 3 9", "Sorted: 3, 5, 9.", FK_VERDICT_RIGHT},
        {"sort 5 3 9", "3 5", FK_VERDICT_WRONG},
        {"sort 5 3 9", "3 5 9 9", FK_VERDICT_WRONG},
        {"what day is 10 days after Monday", "It is Thursday.", FK_VERDICT_RIGHT},
        {"what day is 10 days after Monday", "thursday", FK_VERDICT_RIGHT},
        {"what day is 10 days after Monday", "Friday", FK_VERDICT_WRONG},
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct fk_check c;
        fk_check_reply(replies[i].prompt, strlen(replies[i].prompt), replies[i].reply,
                       strlen(replies[i].reply), &c);
        if (c.verdict != replies[i].verdict)
            fail_msg("'%s' to '%s': %d", replies[i].reply, replies[i].prompt, (int)c.verdict);
    }
}

/* A prompt without a word is answered in either language, any other in its own. */
static void language_of_outside(void **state)
{
    (void)state;
    static const struct { const char *prompt; enum fk_lang lang; bool english, arabic; } rows_outside[] = {
        {"5^44?", FK_LANG_AR, true, true},
        {"5^44", FK_LANG_EN, true, true},
        {"٥^٤٤", FK_LANG_AR, false, true},
        {"5^44؟", FK_LANG_AR, false, true},
        {"hello", FK_LANG_EN, true, false},
    };
    for (size_t i = 0; i < sizeof rows_outside / sizeof rows_outside[0]; i++) {
        struct grade_puzzle p = {.family = GRADE_OUTSIDE, .kind = (uint8_t)rows_outside[i].lang, .level = 1};
        strcpy(p.text, rows_outside[i].prompt);
        for (enum fk_lang lang = 0; lang < FK_N_LANGS; lang++) {
            struct buf out;
            buf_init(&out, 0, MEM_TEXT);
            assert_true(grade_answer(&p, lang, &out));
            bool want = lang == FK_LANG_EN ? rows_outside[i].english : rows_outside[i].arabic;
            assert_int_equal(grade_verify(&p, lang, out.data, out.n), want);
            buf_fini(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recognised),
        cmocka_unit_test(left_alone),
        cmocka_unit_test(free_replies),
        cmocka_unit_test(language_of_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
