/* SPDX-License-Identifier: Apache-2.0
 * pack_test.c - what the loss of a conversation is on, in each style and as a stage may choose. */
#include <string.h>
#include "src/model/model.h"
#include "src/train/fresh.h"
#include "src/train/pack.h"
#include "src/train/words.h"
#include "tests/unit/train/desk.h"

struct shop {
    char *dir;
    struct model *model;
    struct pack pack;
};

static void open_shop(struct shop *s)
{
    struct recipe r;
    OK(recipe_parse(&r, desk_recipe, strlen(desk_recipe), "x.json", err));
    s->dir = desk_folder();
    OK(fresh_write(&r, NULL, desk_path(s->dir, "fresh.gguf"), err));
    OK(model_open(&s->model, desk_path(s->dir, "fresh.gguf"), true, err));
    OK(pack_init(&s->pack, s->model->tokenizer, NULL, 256, 256, err));
}

static void close_shop(struct shop *s)
{
    pack_fini(&s->pack);
    model_close(&s->model);
    desk_remove(s->dir);
}

static int mark(const struct shop *s, enum train_mark m)
{
    return tokenizer_find(s->model->tokenizer, train_marks[m]);
}

/* The first id with a loss of conversation i in a style; that all before have none and all after have
 * one is add_document's. */
static size_t first_target(struct shop *s, enum fk_style style, uint64_t i)
{
    struct fk_mix mix;
    size_t first;
    fk_mix_defaults(&mix);
    for (int f = 0; f < FK_MAX_FAMILIES; f++)
        for (int k = 0; k < FK_N_STYLES; k++) mix.style[f][k] = k == (int)style;
    OK(fk_puzzle_make(NULL, &mix, i, &s->pack.puzzle, err));
    OK(pack_encode(&s->pack, &first, err));
    return first;
}

/* Where a mark stands; it stands once. */
static size_t place(const struct shop *s, enum train_mark m)
{
    size_t at = s->pack.doc.n, n = 0;
    for (size_t i = 0; i < s->pack.doc.n; i++)
        if (s->pack.doc.ids[i] == mark(s, m)) {
            at = i;
            n++;
        }
    assert_int_equal(n, 1);
    return at;
}

static void the_loss_is_on(void **state)
{
    struct shop s;
    (void)state;
    open_shop(&s);
    for (uint64_t i = 0; i < 50; i++) {
        s.pack.choose_thinking = s.pack.loss_on_prompt = false;
        size_t first = first_target(&s, FK_STYLE_STEPWISE, i);
        assert_int_equal(first, place(&s, MARK_THINK) + 1);
        first = first_target(&s, FK_STYLE_DIRECT, i);
        assert_int_equal(first, place(&s, MARK_THINK_END) + 1);
        assert_int_equal(place(&s, MARK_THINK_END), place(&s, MARK_THINK) + 1);
        s.pack.choose_thinking = true;
        first = first_target(&s, FK_STYLE_STEPWISE, i);
        assert_int_equal(first, place(&s, MARK_THINK) + 1);
        first = first_target(&s, FK_STYLE_DIRECT, i);
        assert_int_equal(first, place(&s, MARK_THINK_END));
        s.pack.loss_on_prompt = true;
        assert_int_equal(first_target(&s, FK_STYLE_DIRECT, i), 1);
    }
    close_shop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_loss_is_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
