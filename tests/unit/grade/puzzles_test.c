/* SPDX-License-Identifier: Apache-2.0
 * puzzles_test.c - every family, level, style and language: the answer verifies and another does not,
 * the prompt is recognised as the same puzzle, the splits share nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "src/grade/family.h"

static void one_mix(struct fk_mix *mix, int family, int level, int style, int lang, int split)
{
    memset(mix, 0, sizeof *mix);
    mix->family[family] = 1;
    mix->level[family][level - 1] = 1;
    mix->style[family][style] = 1;
    mix->lang[lang] = 1;
    mix->split = (enum fk_split)split;
    mix->seed = 7;
}

/* Changes the answer into another of the same shape. */
static void spoil(const struct buf *answer, char *out, size_t max)
{
    assert_true(answer->n + 1 < max);
    memcpy(out, answer->data, answer->n + 1);
    for (size_t i = answer->n; i-- > 0;) {
        if (out[i] < '0' || out[i] > '9') continue;
        out[i] = out[i] == '9' ? '8' : (char)(out[i] + 1);
        return;
    }
    out[0] = (char)(out[0] ^ 1);
}

static void check_item(const struct grade_item *item)
{
    char wrong[256];
    const struct grade_puzzle *p = &item->puzzle;
    const struct buf *a = &item->answer;
    if (!grade_verify(p, item->lang, a->data, a->n))
        fail_msg("'%s' is no right answer to '%s'", a->data, item->prompt.data);
    if (!grade_verify_loosely(p, item->lang, a->data, a->n))
        fail_msg("'%s' is loosely no right answer to '%s'", a->data, item->prompt.data);
    spoil(a, wrong, sizeof wrong);
    if (grade_verify(p, item->lang, wrong, strlen(wrong)))
        fail_msg("'%s' is a right answer to '%s', as '%s' is", wrong, item->prompt.data, a->data);
    if (item->style == FK_STYLE_DIRECT) assert_int_equal(item->thinking.n, 0);
    else assert_true(item->thinking.n > 0);
    if (p->family == GRADE_OUTSIDE) return;
    struct grade_puzzle back;
    enum fk_lang lang;
    if (!grade_parse(item->prompt.data, item->prompt.n, &back, &lang))
        fail_msg("'%s' is not recognised", item->prompt.data);
    if (back.family != p->family || back.kind != p->kind || grade_hash(&back) != grade_hash(p))
        fail_msg("'%s' is recognised as another puzzle (%s)", item->prompt.data,
                 grade_family_name(back.family));
    enum fk_split split = grade_split(p);
    enum fk_split want = item->split == FK_SPLIT_UNSEEN ? FK_SPLIT_TEST : item->split;
    if (want != FK_SPLIT_LONGER) assert_int_equal(split, want);
}

static void all_kinds(void **state)
{
    (void)state;
    struct grade_item item;
    struct fk_error err;
    grade_item_init(&item);
    for (int family = 0; family < GRADE_N_FAMILIES; family++) {
        if (!family_of(family)) continue;
        for (int level = 1; level <= FK_N_LEVELS; level++)
            for (int style = 0; style < FK_N_STYLES; style++)
                for (int lang = 0; lang < FK_N_LANGS; lang++)
                    for (int split = 0; split < FK_N_SPLITS; split++)
                        for (uint64_t i = 0; i < 20; i++) {
                            struct fk_mix mix;
                            one_mix(&mix, family, level, style, lang, split);
                            if (grade_make(NULL, &mix, i, &item, &err) != FK_OK)
                                fail_msg("%s", err.message);
                            check_item(&item);
                        }
    }
    grade_item_fini(&item);
}

/* Of 60 puzzles in a style, how many look like `shown`. */
static int count_shown(int family, int style, enum fk_style shown)
{
    struct grade_item item;
    struct fk_error err;
    int n = 0;
    grade_item_init(&item);
    for (uint64_t i = 0; i < 60; i++) {
        struct fk_mix mix;
        one_mix(&mix, family, 3, style, (int)i % 2, FK_SPLIT_TRAIN);
        assert_int_equal(grade_make(NULL, &mix, i, &item, &err), FK_OK);
        n += grade_shown_style(family, item.thinking.data, item.thinking.n) == shown;
    }
    grade_item_fini(&item);
    return n;
}

static void styles_show(void **state)
{
    static const int always_checks[] = {GRADE_ADD, GRADE_SUB, GRADE_SORT, GRADE_EQUATION};
    static const char *const texts[] = {"no", "3+4=8 no\n3+4=7", "7 ok", "1\n7 ok\n7"};
    (void)state;
    for (int family = 0; family < GRADE_OUTSIDE; family++) {
        if (!family_of(family)) continue;
        assert_int_equal(count_shown(family, FK_STYLE_DIRECT, FK_STYLE_DIRECT), 60);
        assert_int_equal(count_shown(family, FK_STYLE_STEPWISE, FK_STYLE_STEPWISE), 60);
    }
    for (size_t i = 0; i < sizeof always_checks / sizeof *always_checks; i++)
        assert_int_equal(count_shown(always_checks[i], FK_STYLE_SEARCH, FK_STYLE_SEARCH), 60);
    int n = count_shown(GRADE_COUNTDOWN, FK_STYLE_SEARCH, FK_STYLE_SEARCH);
    assert_true(n > 10 && n < 60);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(grade_shown_style(GRADE_ADD, texts[i], strlen(texts[i])), FK_STYLE_SEARCH);
    assert_int_equal(grade_shown_style(GRADE_ADD, " \n", 2), FK_STYLE_DIRECT);
    assert_int_equal(grade_shown_style(GRADE_ADD, "none, okay", 10), FK_STYLE_STEPWISE);
    assert_int_equal(grade_shown_style(GRADE_LETTERS, "o no ino", 8), FK_STYLE_STEPWISE);
    assert_int_equal(grade_shown_style(GRADE_COUNTDOWN, "7 ok", 4), FK_STYLE_STEPWISE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds),
        cmocka_unit_test(styles_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
