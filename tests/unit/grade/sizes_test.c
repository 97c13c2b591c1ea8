/* SPDX-License-Identifier: Apache-2.0
 * sizes_test.c - each family has a thousand and more different puzzles in TEST and in DEV, none of them
 * in TRAIN, and thirty and more wordings, about a fifth of which are held out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "src/grade/family.h"

#define WANTED 1000
#define SLOTS 65536

/* A set of hashes. */
struct set {
    uint64_t h[SLOTS];
    int n;
};

static bool add(struct set *s, uint64_t h)
{
    size_t i = (size_t)(h >> 13) % SLOTS;
    if (h == 0) h = 1;
    for (; s->h[i]; i = (i + 1) % SLOTS)
        if (s->h[i] == h) return false;
    s->h[i] = h;
    s->n++;
    return true;
}

static bool has(const struct set *s, uint64_t h)
{
    size_t i = (size_t)(h >> 13) % SLOTS;
    for (; s->h[i]; i = (i + 1) % SLOTS)
        if (s->h[i] == h) return true;
    return false;
}

static void fill(struct set *s, int family, enum fk_split split)
{
    struct dice dice = dice_make(3, (uint64_t)family * 8 + split);
    struct grade_puzzle p;
    for (int tries = 0; tries < 20 * WANTED && s->n < WANTED; tries++)
        if (grade_draw((enum grade_family)family, tries % FK_N_LEVELS + 1, split, &dice, &p))
            add(s, grade_hash(&p));
    if (s->n < WANTED)
        fail_msg("%s has only %d puzzles in split %d", grade_family_name(family), s->n, (int)split);
}

static void sets(void **state)
{
    (void)state;
    struct set *held = malloc(sizeof *held);
    assert_non_null(held);
    for (int family = 0; family < GRADE_N_FAMILIES; family++) {
        if (!family_of(family) || !family_of(family)->draw) continue;
        memset(held, 0, sizeof *held);
        fill(held, family, FK_SPLIT_TEST);
        held->n = 0;
        fill(held, family, FK_SPLIT_DEV);
        struct dice dice = dice_make(4, (uint64_t)family);
        struct grade_puzzle p;
        for (int i = 0; i < 5000; i++) {
            assert_true(grade_draw((enum grade_family)family, i % FK_N_LEVELS + 1, FK_SPLIT_TRAIN, &dice,
                                   &p));
            assert_false(has(held, grade_hash(&p)));
        }
    }
    free(held);
}

static void wordings(void **state)
{
    (void)state;
    for (int family = 0; family < GRADE_N_FAMILIES; family++) {
        if (!family_of(family) || !family_of(family)->draw) continue;
        for (int lang = 0; lang < FK_N_LANGS; lang++) {
            int n = grade_n_wordings((enum grade_family)family, (enum fk_lang)lang), held = 0;
            for (int i = 0; i < n; i++)
                held += grade_wording_held_out((enum grade_family)family, (enum fk_lang)lang, i);
            if (n < (lang == FK_LANG_EN ? 30 : 20))
                fail_msg("%s has only %d wordings in language %d", grade_family_name(family), n, lang);
            if (held < 2 || held * 20 < n || held * 3 > n)
                fail_msg("%s holds out %d of %d wordings in language %d", grade_family_name(family), held,
                         n, lang);
        }
    }
}

/* The same number gives the same conversation, whatever was made before; another one differs. */
static void pure(void **state)
{
    (void)state;
    struct fk_mix mix;
    struct fk_error err;
    struct fk_puzzle a = {0}, b = {0};
    fk_mix_defaults(&mix);
    int same = 0;
    for (uint64_t i = 0; i < 300; i++) {
        assert_int_equal(fk_puzzle_make(NULL, &mix, i, &a, &err), FK_OK);
        assert_int_equal(fk_puzzle_make(NULL, &mix, 1000 - i, &b, &err), FK_OK);
        assert_int_equal(fk_puzzle_make(NULL, &mix, i, &b, &err), FK_OK);
        assert_string_equal(a.prompt, b.prompt);
        assert_string_equal(a.thinking, b.thinking);
        assert_string_equal(a.answer, b.answer);
        assert_int_equal(fk_puzzle_make(NULL, &mix, i + 1, &b, &err), FK_OK);
        same += !strcmp(a.prompt, b.prompt);
    }
    assert_true(same < 10);
    fk_puzzle_free(&a);
    fk_puzzle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets),
        cmocka_unit_test(wordings),
        cmocka_unit_test(pure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
