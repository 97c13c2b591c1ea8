/* SPDX-License-Identifier: Apache-2.0
 * run_test.c - a whole small run: the vocabulary, the loss goes down, an interrupted run ends with the
 * bits of an unbroken one, and what comes out is a model that the engine opens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fikr/train.h"
#include "src/model/model.h"
#include "src/train/ckpt.h"
#include "src/train/fresh.h"
#include "src/train/pack.h"
#include "tests/unit/train/desk.h"

struct seen {
    double first, last;
    int n_notes, n_steps, stop_after;
    char notes[4096];
};

static int watch(void *arg, const struct fk_train_event *e)
{
    struct seen *s = arg;
    if (e->kind == FK_TRAIN_NOTE) {
        s->n_notes++;
        strncat(s->notes, e->text, sizeof s->notes - strlen(s->notes) - 1);
    }
    if (e->kind != FK_TRAIN_STEP) return 0;
    if (!s->n_steps++) s->first = e->loss;
    s->last = e->loss;
    return s->n_steps == s->stop_after;
}

static enum fk_status train(const char *dir, int resume, int n_threads, struct seen *s,
                            struct fk_error *err)
{
    struct fk_train_params p;
    desk_write(desk_path(dir, "recipe.json"), desk_recipe, strlen(desk_recipe));
    fk_train_default_params(&p);
    p.recipe = desk_path(dir, "recipe.json");
    p.out_dir = dir;
    p.resume = resume;
    p.n_threads = n_threads;
    p.event = watch;
    p.event_arg = s;
    return fk_train(&p, err);
}

static void the_vocabulary_is_sound(void **state)
{
    struct recipe r;
    struct model *m;
    struct token_vec v = {0};
    char *dir = desk_folder(), *again = desk_folder();
    (void)state;
    OK(recipe_parse(&r, desk_recipe, strlen(desk_recipe), "desk", err));
    OK(fresh_write(&r, NULL, desk_path(dir, "a.gguf"), err));
    OK(fresh_write(&r, NULL, desk_path(again, "a.gguf"), err));
    desk_expect_same(dir, again, "a.gguf");
    OK(model_open(&m, desk_path(dir, "a.gguf"), true, err));
    const struct tokenizer *t = m->tokenizer;
    static const struct { const char *text; size_t n; } cases[] = {
        {"48213", 5}, {"٤٥", 2}, {"م", 1}, {"7+8", 3}, {"3كم", 3}, {"\xff\x01", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        v.n = 0;
        OK(tokenizer_encode(t, cases[i].text, strlen(cases[i].text), NULL, &v, err));
        if (i != 4 ? v.n != cases[i].n : v.n < 2) fail_msg("%s: %zu tokens", cases[i].text, v.n);
    }
    for (int i = 0; i < N_MARKS; i++) assert_int_equal(tokenizer_find(t, train_marks[i]), MARK_ID(i));
    assert_true(tokenizer_is_end(t, MARK_ID(MARK_END)));
    /* What a user types is never a mark. */
    v.n = 0;
    OK(tokenizer_encode(t, "<think>", 7, NULL, &v, err));
    assert_true(v.n > 1);
    /* No token holds a digit and anything else. */
    for (int32_t id = 0; id < tokenizer_n_vocab(t); id++) {
        const char *p;
        size_t n;
        if (!tokenizer_token_bytes(t, id, &p, &n) || n < 2 || tokenizer_is_control(t, id)) continue;
        for (size_t i = 0; i < n; i++)
            if (p[i] >= '0' && p[i] <= '9' && memcmp(p, "<|unused", 8)) fail_msg("%.*s", (int)n, p);
    }
    mem_free(v.ids);
    model_close(&m);
    desk_remove(dir);
    desk_remove(again);
}

static void packs_whole_documents(void **state)
{
    struct recipe r;
    struct model *m;
    struct pack p;
    uint64_t cursor = 0;
    char *dir = desk_folder();
    (void)state;
    OK(recipe_parse(&r, desk_recipe, strlen(desk_recipe), "desk", err));
    OK(fresh_write(&r, NULL, desk_path(dir, "a.gguf"), err));
    OK(model_open(&m, desk_path(dir, "a.gguf"), true, err));
    OK(pack_init(&p, m->tokenizer, NULL, 512, 256, err));
    for (int round = 0; round < 20; round++) {
        uint64_t before = cursor;
        int64_t left_out = p.n_too_long;
        OK(pack_fill(&p, &r.stages[0].mix, &cursor, err));
        assert_int_equal((int64_t)(cursor - before), p.n_docs + p.n_too_long - left_out);
        assert_true(p.n_docs > 1 && p.n_tokens <= 512);
        for (int d = 0; d < p.n_docs; d++) {
            const struct pass_doc *doc = &p.docs[d];
            int first = 0, open = 0;
            while (first < doc->n && !doc->is_target[first]) first++;
            while (open < doc->n && doc->tokens[open] != MARK_ID(MARK_THINK)) open++;
            assert_int_equal(doc->tokens[0], MARK_ID(MARK_USER));
            assert_int_equal(doc->tokens[doc->n - 1], MARK_ID(MARK_END));
            bool direct = doc->tokens[open + 1] == MARK_ID(MARK_THINK_END);
            assert_int_equal(first, open + 1 + direct);
            for (int i = first; i < doc->n; i++) assert_true(doc->is_target[i]);
        }
    }
    pack_fini(&p);
    model_close(&m);
    desk_remove(dir);
}

static void a_broken_run_ends_with_the_same_bits(void **state)
{
    struct seen whole = {0}, part = {.stop_after = 6}, rest = {0};
    struct fk_error why = {0};
    char *a = desk_folder(), *b = desk_folder();
    (void)state;
    OK(train(a, 0, 1, &whole, err));
    assert_int_equal(whole.n_steps, 12);
    assert_true(whole.first > 5 && whole.last < whole.first - 0.3);
    assert_int_equal(train(b, 0, 1, &part, &why), FK_ECANCELLED);
    assert_int_equal(train(b, 1, 1, &rest, &why), FK_OK);
    assert_int_equal(rest.n_steps, 6);
    desk_expect_same(a, b, "model.gguf");
    /* As after a kill: the newest checkpoint is older than the last step made. */
    assert_int_equal(unlink(desk_path(b, "ckpt-00000012.fikr")), 0);
    rest = (struct seen){0};
    assert_int_equal(train(b, 1, 1, &rest, &why), FK_OK);
    assert_int_equal(rest.n_steps, 4);
    desk_expect_same(a, b, "model.gguf");
    desk_remove(a);
    desk_remove(b);
}

static void threads_do_not_change_the_bits(void **state)
{
    struct seen s = {0};
    char *a = desk_folder(), *b = desk_folder();
    (void)state;
    OK(train(a, 0, 1, &s, err));
    OK(train(b, 0, 3, &s, err));
    desk_expect_same(a, b, "model.gguf");
    desk_remove(a);
    desk_remove(b);
}

static void a_damaged_checkpoint_is_said(void **state)
{
    struct seen s = {.stop_after = 9}, rest = {0};
    struct fk_error why;
    size_t n;
    char *dir = desk_folder();
    (void)state;
    assert_int_equal(train(dir, 0, 1, &s, &why), FK_ECANCELLED);
    const char *path = desk_path(dir, "ckpt-00000009.fikr");
    char *p = desk_read(path, &n);
    p[n / 2] ^= 1;
    desk_write(path, p, n);
    free(p);
    OK(train(dir, 1, 1, &rest, err));
    assert_int_equal(rest.n_steps, 4);
    assert_non_null(strstr(rest.notes, "skipped 1 damaged"));
    desk_remove(dir);
}

static void what_comes_out_is_a_model(void **state)
{
    struct seen s = {0};
    struct model *m;
    char *dir = desk_folder();
    (void)state;
    OK(train(dir, 0, 2, &s, err));
    OK(model_open(&m, desk_path(dir, "model.gguf"), true, err));
    assert_string_equal(m->config.name, "desk");
    assert_int_equal(m->layers[1].gate_exps->dtype, DT_F16);
    assert_int_equal(m->layers[1].router->dtype, DT_F32);
    model_close(&m);
    assert_true(ckpt_is_one(desk_path(dir, "ckpt-00000012.fikr")));
    assert_false(ckpt_is_one(desk_path(dir, "model.gguf")));
    OK(fk_train_export(desk_path(dir, "ckpt-00000012.fikr"), desk_path(dir, "b.gguf"), err));
    char *b = desk_folder();
    rename(desk_path(dir, "b.gguf"), desk_path(b, "model.gguf"));
    desk_expect_same(dir, b, "model.gguf");
    desk_remove(dir);
    desk_remove(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vocabulary_is_sound),
        cmocka_unit_test(packs_whole_documents),
        cmocka_unit_test(a_broken_run_ends_with_the_same_bits),
        cmocka_unit_test(threads_do_not_change_the_bits),
        cmocka_unit_test(a_damaged_checkpoint_is_said),
        cmocka_unit_test(what_comes_out_is_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
