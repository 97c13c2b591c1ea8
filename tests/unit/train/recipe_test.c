/* SPDX-License-Identifier: Apache-2.0
 * recipe_test.c - recipes are read strictly; schedules; the update rule against its formula. */
#include <dirent.h>
#include <math.h>
#include <string.h>
#include "src/train/optim.h"
#include "tests/unit/train/desk.h"

static enum fk_status parse(struct recipe *r, const char *text, struct fk_error *err)
{
    return recipe_parse(r, text, strlen(text), "x.json", err);
}

static void reads_what_is_said(void **state)
{
    struct recipe r;
    (void)state;
    OK(parse(&r, desk_recipe, err));
    assert_string_equal(r.name, "desk");
    assert_int_equal(r.model.n_embd, 64);
    assert_int_equal(r.model.n_shared_experts, 1); /* by default */
    assert_int_equal(r.n_stages, 2);
    assert_int_equal(recipe_n_steps(&r), 12);
    int add = fk_family_find("add"), sub = fk_family_find("sub");
    assert_int_equal(r.stages[1].mix.family[add], 1);
    assert_int_equal(r.stages[1].mix.family[sub], 0);
    assert_int_equal(r.stages[1].mix.level[add][0], 1);
    assert_int_equal(r.stages[1].mix.level[add][1], 0);
    assert_true(r.stages[0].mix.seed != r.stages[1].mix.seed);
}

static void refuses_with_a_sentence(void **state)
{
#define STAGE "\"stages\": [{\"steps\": 5, \"warmup\": 0}]"
    static const struct { const char *text, *word; } bad[] = {
        {"{", "line 1"},
        {"[]", "not an object"},
        {"{\"sede\": 1, " STAGE "}", "sede"},
        {"{\"seed\": 1.5, " STAGE "}", "whole number"},
        {"{\"seed\": 1, \"seed\": 2, " STAGE "}", "duplicate"},
        {"{\"model\": {\"embed\": 64}, " STAGE "}", "embed"},
        {"{\"model\": {\"embd\": 100}, " STAGE "}", "multiple of 32"},
        {"{\"model\": {\"embd\": 1e99}, " STAGE "}", "whole number"},
        {"{\"model\": {\"vocab\": 5000}, " STAGE "}", "from 320 to 512"},
        {"{\"model\": {\"experts_used\": 9}, " STAGE "}", "experts_used"},
        {"{\"optimizer\": {\"beta1\": 2}, " STAGE "}", "beta1"},
        {"{\"stages\": []}", "stages"},
        {"{}", "stages"},
        {"{\"stages\": [{\"name\": \"a\"}]}", "no 'steps'"},
        {"{\"stages\": [{\"steps\": 5}]}", "exceed"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"families\": {\"ad\": 1}}]}", "family 'ad'"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"levels\": [1, 2]}]}", "5 weights"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"styles\": [0, 0, 0]}]}", "all 0"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"langs\": [-1, 2]}]}", "no weight"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"grpo\": {\"variant\": \"ppo\"}}]}", "none of grpo, dr_grpo and dapo"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"rejection\": {\"keep\": 1}}]}", "none of shortest and random"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"rejection\": {\"group\": 4}}]}", "rejection has no key 'group'"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"rejection\": {}, \"grpo\": {}}]}", "both"},
        {"{\"stages\": [{\"steps\": 5, \"warmup\": 0, \"rejection\": {\"prompts\": 2, \"updates\": 3}}]}", "exceed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct recipe r;
        struct fk_error err = {0};
        if (parse(&r, bad[i].text, &err) != FK_EFORMAT) fail_msg("accepted: %s", bad[i].text);
        if (!strstr(err.message, bad[i].word)) fail_msg("%s: %s", bad[i].text, err.message);
    }
}

/* What ships parses, and its stages ask for puzzles that exist. */
static void the_recipes_that_ship(void **state)
{
    int n = 0;
    DIR *d = opendir(RECIPES);
    (void)state;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        struct recipe r;
        struct fk_puzzle z = {0};
        if (!strstr(e->d_name, ".json")) continue;
        OK(recipe_read(&r, desk_path(RECIPES, e->d_name), err));
        for (size_t s = 0; s < r.n_stages && !r.lora.is_on; s++) /* adapters learn from word problems */
            for (uint64_t i = 0; i < 100; i++) OK(fk_puzzle_make(NULL, &r.stages[s].mix, i, &z, err));
        fk_puzzle_free(&z);
        n++;
    }
    closedir(d);
    assert_true(n > 0);
}

static void rises_stays_and_falls(void **state)
{
    struct recipe_stage s = {.n_steps = 100, .lr = 2, .lr_end = 0.1, .n_warmup = 10, .n_decay = 40};
    (void)state;
    assert_true(recipe_lr(&s, 0) > 0 && recipe_lr(&s, 0) < 0.2);
    for (int i = 1; i < 10; i++) assert_true(recipe_lr(&s, i) > recipe_lr(&s, i - 1));
    for (int i = 10; i < 60; i++) assert_true(recipe_lr(&s, i) == 2);
    for (int i = 60; i < 100; i++) assert_true(recipe_lr(&s, i) < recipe_lr(&s, i - 1));
    assert_true(recipe_lr(&s, 99) > 0.2 && recipe_lr(&s, 99) < 0.25);
}

#define N 100
static void updates_by_the_formula(void **state)
{
    static float w[2 * N], g[2 * N], m[2 * N], v[2 * N];
    struct param_item items[] = {{.name = "a", .kind = PARAM_MATRIX, .n = N},
                                 {.name = "b", .kind = PARAM_VECTOR, .offset = N, .n = N}};
    struct train_params p = {.items = items, .n_items = 2, .n_floats = 2 * N, .w = w, .grad = g,
                             .m = m, .v = v};
    struct recipe_optim o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.5};
    double rw[2 * N], rm[2 * N] = {0}, rv[2 * N] = {0};
    (void)state;
    for (int i = 0; i < 2 * N; i++) rw[i] = w[i] = sinf((float)i);
    for (int t = 1; t <= 20; t++) {
        for (int i = 0; i < 2 * N; i++) {
            g[i] = cosf((float)(i * t));
            double x = (double)g[i] * 0.3, decay = i < N ? 0.5 : 0;
            rm[i] = 0.9 * rm[i] + 0.1 * x;
            rv[i] = 0.95 * rv[i] + 0.05 * x * x;
            rw[i] -= 0.01 * (rm[i] / (1 - pow(0.9, t)) / (sqrt(rv[i] / (1 - pow(0.95, t))) + 1e-8) +
                             decay * rw[i]);
        }
        optim_adamw(&p, &o, 0.01, 0.3, t);
        for (int i = 0; i < 2 * N; i++) assert_true(g[i] == 0);
    }
    for (int i = 0; i < 2 * N; i++) assert_true(fabs(rw[i] - (double)w[i]) < 1e-5);
}

static void finds_the_bottom_of_a_bowl(void **state)
{
    static float w[N], g[N], m[N], v[N];
    struct param_item item = {.name = "a", .kind = PARAM_MATRIX, .n = N};
    struct train_params p = {.items = &item, .n_items = 1, .n_floats = N, .w = w, .grad = g, .m = m,
                             .v = v};
    struct recipe_optim o = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
    (void)state;
    for (int t = 1; t <= 2000; t++) {
        for (int i = 0; i < N; i++) g[i] = (float)(i + 1) * (w[i] - (float)i);
        optim_adamw(&p, &o, t < 1500 ? 0.2 : 0.02, 1, t);
    }
    for (int i = 0; i < N; i++) assert_true(fabsf(w[i] - (float)i) < 0.05f);
}

static void leaves_routing_biases_to_the_load(void **state)
{
    float w[4] = {1, 2, 3, 4}, g[4] = {1, 1, 1, 1}, m[4] = {0}, v[4] = {0};
    struct param_item item = {.name = "blk.1.exp_probs_b.bias", .kind = PARAM_ROUTE_BIAS, .n = 4};
    struct train_params p = {.items = &item, .n_items = 1, .n_floats = 4, .w = w, .grad = g, .m = m,
                             .v = v};
    struct recipe_optim o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.5};
    const int64_t load[4] = {10, 30, 20, 20};
    (void)state;
    assert_true(fabs(optim_grad_norm(&p) - 2) < 1e-12);
    optim_adamw(&p, &o, 0.1, 1, 1);
    assert_true(w[0] == 1 && w[3] == 4 && g[0] == 0);
    optim_route_bias(w, load, 4, 0.5);
    assert_true(w[0] == 1.5f && w[1] == 1.5f && w[2] == 3 && w[3] == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_said),
        cmocka_unit_test(refuses_with_a_sentence),
        cmocka_unit_test(the_recipes_that_ship),
        cmocka_unit_test(rises_stays_and_falls),
        cmocka_unit_test(updates_by_the_formula),
        cmocka_unit_test(finds_the_bottom_of_a_bowl),
        cmocka_unit_test(leaves_routing_biases_to_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
