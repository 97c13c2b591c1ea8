/* SPDX-License-Identifier: Apache-2.0
 * journal_test.c - the log of a run: it survives kills, repeated steps and strangers' lines; and the dev
 * set: fixed, disjoint from training, graded alike in a broken run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fikr/train.h"
#include "src/train/fresh.h"
#include "src/train/journal.h"
#include "tests/unit/train/desk.h"

static void parse(struct journal *j, const char *text)
{
    *j = (struct journal){.has_cpu = true};
    OK(journal_parse(j, text, strlen(text), err));
}

static void repeated_steps_replace_what_was_behind_them(void **state)
{
    struct journal j;
    (void)state;
    parse(&j, "{\"step\":1,\"loss\":5,\"cpu_seconds\":1}\n{\"step\":2,\"loss\":4,\"cpu_seconds\":2}\n"
              "{\"step\":2,\"cpu_seconds\":2,\"eval\":{\"accuracy\":0.5,\"families\":{\"add\":{\"n\":4,\"right\":2}}}}\n"
              "{\"step\":3,\"loss\":3,\"cpu_seconds\":3.5}\n{\"step\":2,\"loss\":4.5,\"cpu_seconds\":3.7}\n");
    assert_int_equal(j.n_points, 2);
    assert_true(j.points[1].loss == 4.5);
    assert_int_equal(j.n_evals, 0);
    assert_true(j.cpu_before == 3.7);
    assert_true(j.has_cpu);
    journal_close(&j);
    parse(&j, "{\"step\":2,\"loss\":4,\"seconds\":7.5}\n{\"step\":2,\"eval\":{\"families\":{}}}\n");
    assert_int_equal(j.n_evals, 1); /* an evaluation stands behind its own step */
    assert_false(j.has_cpu);
    assert_true(j.cpu_before == 7.5);
    journal_close(&j);
}

static void strange_lines_are_left_out(void **state)
{
    struct journal j;
    (void)state;
    parse(&j, "\n{\n[1]\n\"x\"\n{\"step\":\"1\"}\n{\"step\":1,\"loss\":\"high\"}\n\xff\xfe\n{\"step\":2,\"eval\":7}\n"
              "{\"step\":3,\"eval\":{\"families\":{\"add\":{\"n\":-4,\"right\":9}},\"samples\":[1,{\"prompt\":3}]}}\n"
              "{\"step\":4,\"lo");
    assert_int_equal(j.n_points, 1);
    assert_true(j.points[0].loss == 0);
    assert_int_equal(j.n_evals, 2);
    assert_int_equal(j.evals[1].result.family[0].n, 0);
    assert_int_equal(j.evals[1].result.family[0].n_right, 0);
    assert_int_equal(j.evals[1].n_replies, 2);
    assert_string_equal(j.evals[1].replies[1].answer, "");
    journal_close(&j);
}

static void a_cut_line_costs_only_itself(void **state)
{
    struct journal j;
    char *dir = desk_folder();
    const char *path = desk_path(dir, "run.jsonl"), old[] = "{\"step\":1,\"loss\":5}\n{\"step\":2,\"lo";
    struct journal_point p = {.step = 2, .loss = 3, .mean_loss = 3};
    (void)state;
    desk_write(path, old, sizeof old - 1);
    OK(journal_open(&j, path, true, 1, err));
    OK(journal_add_point(&j, &p, "", err));
    journal_close(&j);
    OK(journal_open(&j, path, true, 2, err));
    assert_int_equal(j.n_points, 2);
    assert_true(j.points[1].loss == 3);
    journal_close(&j);
    OK(journal_open(&j, path, true, 1, err)); /* an older checkpoint: step 2 is to come again */
    assert_int_equal(j.n_points, 1);
    journal_close(&j);
    OK(journal_open(&j, path, false, 0, err));
    assert_int_equal(j.n_points, 0);
    journal_close(&j);
    desk_remove(dir);
}

static void points_are_thinned(void **state)
{
    struct journal j;
    char *dir = desk_folder();
    (void)state;
    OK(journal_open(&j, desk_path(dir, "run.jsonl"), false, 0, err));
    for (int i = 1; i <= 70000; i++) {
        struct journal_point p = {.step = i};
        OK(journal_add_point(&j, &p, "", err));
    }
    assert_true(j.n_points > 16000 && j.n_points <= 32768);
    assert_int_equal(j.points[0].step, 1);
    assert_int_equal(j.points[j.n_points - 1].step, 70000);
    for (size_t i = 1; i < j.n_points; i++) assert_true(j.points[i].step > j.points[i - 1].step);
    journal_close(&j);
    desk_remove(dir);
}

struct bench {
    char *dir;
    struct recipe r;
    struct learner l;
};

static void set_up(struct bench *b)
{
    b->dir = desk_folder();
    OK(recipe_parse(&b->r, desk_recipe, strlen(desk_recipe), "desk", err));
    OK(fresh_write(&b->r, NULL, desk_path(b->dir, "a.gguf"), err));
    OK(learner_open(&b->l, desk_path(b->dir, "a.gguf"), 2, 512, err));
}

static void the_dev_set_is_fixed_and_not_trained_on(void **state)
{
    struct bench b;
    struct devset *d, *other;
    struct dev_result first, second, few;
    (void)state;
    set_up(&b);
    b.r.n_samples = 9;
    OK(devset_create(&d, &b.r, 5, &b.l, NULL, 2, err));
    assert_int_equal(devset_n_samples(d), 9); /* two families of five */
    for (int i = 0; i < 9; i++) {
        const struct fk_puzzle *p = devset_sample(d, i)->puzzle;
        assert_int_equal(p->split, FK_SPLIT_DEV);
        for (int k = 0; k < i; k++) assert_true(devset_sample(d, k)->puzzle->hash != p->hash);
    }
    /* Another seed, other weights of the families: the same questions. */
    b.r.stages[0].mix.seed = b.r.stages[1].mix.seed = 99;
    b.r.stages[0].mix.family[0] = 17;
    OK(devset_create(&other, &b.r, 7, &b.l, NULL, 1, err));
    for (int i = 0; i < 9; i++)
        assert_string_equal(devset_sample(d, i)->puzzle->prompt, devset_sample(other, i)->puzzle->prompt);
    OK(devset_run(d, 5, NULL, NULL, &first, err));
    OK(devset_run(other, 5, NULL, NULL, &second, err));
    assert_int_equal(first.family[0].n, 5);
    assert_int_equal(first.family[1].n, 5);
    assert_int_equal(first.family[2].n, 0);
    assert_memory_equal(first.family, second.family, sizeof first.family);
    assert_true(first.family[0].n_reply > 5);
    OK(devset_run(d, 1, NULL, NULL, &few, err));
    assert_int_equal(few.family[0].n, 1);
    devset_destroy(&d);
    devset_destroy(&other);
    learner_close(&b.l);
    desk_remove(b.dir);
}

static int stop_at_once(void *arg, int n_done, int n)
{
    (void)arg;
    return n_done > 0 && n > 0;
}

static void an_evaluation_changes_no_weight_and_can_be_stopped(void **state)
{
    struct bench b;
    struct devset *d;
    struct dev_result out;
    struct fk_error why;
    (void)state;
    set_up(&b);
    size_t bytes = b.l.params.n_floats * sizeof(float);
    float *before = malloc(bytes);
    assert_non_null(before);
    memcpy(before, b.l.params.w, bytes);
    OK(devset_create(&d, &b.r, 2, &b.l, NULL, 1, err));
    OK(devset_run(d, 2, NULL, NULL, &out, err));
    assert_memory_equal(before, b.l.params.w, bytes);
    assert_int_equal(devset_run(d, 2, stop_at_once, NULL, &out, &why), FK_ECANCELLED);
    free(before);
    devset_destroy(&d);
    learner_close(&b.l);
    desk_remove(b.dir);
}

static int stop_at_eight(void *arg, const struct fk_train_event *e)
{
    (void)arg;
    return e->kind == FK_TRAIN_STEP && e->step == 8;
}

static void train(const char *dir, int resume, fk_train_event_fn event, enum fk_status wanted)
{
    struct fk_train_params p;
    struct fk_error err = {0};
    desk_write(desk_path(dir, "recipe.json"), desk_recipe, strlen(desk_recipe));
    fk_train_default_params(&p);
    p.recipe = desk_path(dir, "recipe.json");
    p.out_dir = dir;
    p.resume = resume;
    p.n_threads = 1;
    p.event = event;
    assert_int_equal(fk_train(&p, &err), wanted);
}

static void load(struct journal *j, const char *dir)
{
    size_t n;
    char *text = desk_read(desk_path(dir, "run.jsonl"), &n);
    *j = (struct journal){.has_cpu = true};
    OK(journal_parse(j, text, n, err));
    free(text);
}

static void a_broken_run_has_the_same_curves(void **state)
{
    struct journal a, b;
    char *whole = desk_folder(), *part = desk_folder();
    (void)state;
    train(whole, 0, NULL, FK_OK);
    train(part, 0, stop_at_eight, FK_ECANCELLED);
    train(part, 1, NULL, FK_OK);
    load(&a, whole);
    load(&b, part);
    assert_true(a.has_cpu && a.cpu_before > 0);
    assert_int_equal(a.n_points, 12);
    assert_int_equal(b.n_points, 12);
    for (int i = 0; i < 12; i++) assert_true(a.points[i].loss == b.points[i].loss);
    /* Step 6, the end of the first stage (8), the end. The last looks at more puzzles. */
    assert_int_equal(a.n_evals, 3);
    assert_int_equal(a.evals[0].step, 6);
    assert_int_equal(a.evals[1].step, 8);
    assert_int_equal(a.evals[2].step, 12);
    assert_int_equal(a.evals[1].result.family[0].n, 2);
    assert_int_equal(a.evals[2].result.family[0].n, 3);
    assert_int_equal(a.evals[2].n_replies, 3);
    assert_int_equal(b.n_evals, 3);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(a.evals[i].result.family, b.evals[i].result.family,
                            sizeof a.evals[i].result.family);
        assert_string_equal(a.evals[i].replies[1].thinking, b.evals[i].replies[1].thinking);
    }
    journal_close(&a);
    journal_close(&b);
    desk_remove(whole);
    desk_remove(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_steps_replace_what_was_behind_them),
        cmocka_unit_test(strange_lines_are_left_out),
        cmocka_unit_test(a_cut_line_costs_only_itself),
        cmocka_unit_test(points_are_thinned),
        cmocka_unit_test(the_dev_set_is_fixed_and_not_trained_on),
        cmocka_unit_test(an_evaluation_changes_no_weight_and_can_be_stopped),
        cmocka_unit_test(a_broken_run_has_the_same_curves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
