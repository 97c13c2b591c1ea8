/* SPDX-License-Identifier: Apache-2.0
 * muon_test.c - Muon against its formula in double precision, matrix by matrix; what it leaves to AdamW;
 * and a run with it that is broken off. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "fikr/train.h"
#include "src/train/optim.h"
#include "tests/unit/train/desk.h"

#define MAX 64
static double X[MAX][MAX], A[MAX][MAX], B[MAX][MAX], Y[MAX][MAX];

/* X[n,k], n <= k, of norm 1, becomes what five rounds make of it. */
static void orthogonalise(int n, int k)
{
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                A[i][j] = 0;
                for (int l = 0; l < k; l++) A[i][j] += X[i][l] * X[j][l];
            }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                B[i][j] = -4.7750 * A[i][j];
                for (int l = 0; l < n; l++) B[i][j] += 2.0315 * A[i][l] * A[l][j];
            }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < k; j++) {
                Y[i][j] = 3.4445 * X[i][j];
                for (int l = 0; l < n; l++) Y[i][j] += B[i][l] * X[l][j];
            }
        memcpy(X, Y, sizeof X);
    }
}

/* One update of one matrix: w, m [rows, cols]. */
static void reference(double *w, double *m, const float *g, int rows, int cols, double scale)
{
    int n = rows < cols ? rows : cols, k = rows < cols ? cols : rows;
    double norm = 0;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            double x = (double)g[r * cols + c] * scale, *at = &m[r * cols + c];
            *at = 0.95 * *at + x;
            double u = x + 0.95 * *at;
            norm += u * u;
            *(rows <= cols ? &X[r][c] : &X[c][r]) = u;
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++) X[i][j] /= sqrt(norm);
    orthogonalise(n, k);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            w[r * cols + c] = w[r * cols + c] * (1 - 0.02 * 0.1) -
                              0.02 * 0.2 * sqrt(k) * (rows <= cols ? X[r][c] : X[c][r]);
}

static void updates_by_the_formula(void **state)
{
    static const struct { int mats, rows, cols; } shapes[] = {{1, 24, 40}, {1, 48, 16}, {3, 32, 32}, {2, 17, 5}};
    static float w[4096], g[4096], m[4096], v[4096];
    static double rw[4096], rm[4096];
    (void)state;
    for (size_t s = 0; s < 4; s++) {
        int one = shapes[s].rows * shapes[s].cols, n = shapes[s].mats * one;
        struct param_item it = {.name = "blk.0.ffn_up_exps.weight", .kind = PARAM_MATRIX, .n_mats = shapes[s].mats,
                                .n_rows = shapes[s].rows, .n_cols = shapes[s].cols, .n = (size_t)n};
        struct train_params p = {.items = &it, .n_items = 1, .n_floats = (size_t)n, .w = w, .grad = g,
                                 .m = m, .v = v};
        struct recipe_optim o = {.kind = OPTIM_MUON, .momentum = 0.95, .weight_decay = 0.1};
        struct muon *muon;
        OK(muon_create(&muon, &p, err));
        memset(m, 0, sizeof m);
        memset(rm, 0, sizeof rm);
        double moved = 0, apart = 0;
        for (int i = 0; i < n; i++) rw[i] = w[i] = sinf((float)(i + 1));
        for (int t = 1; t <= 4; t++) {
            for (int i = 0; i < n; i++) g[i] = cosf((float)(i * i % 977) + 0.7f * (float)(i * t));
            for (int k = 0; k < shapes[s].mats; k++)
                reference(rw + k * one, rm + k * one, g + k * one, shapes[s].rows, shapes[s].cols, 0.3);
            optim_step(&p, &o, muon, 0.02, 0.3, t);
            for (int i = 0; i < n; i++) assert_true(g[i] == 0 && v[i] == 0);
        }
        for (int i = 0; i < n; i++) {
            moved += pow(rw[i] - (double)sinf((float)(i + 1)), 2);
            apart += pow(rw[i] - (double)w[i], 2);
        }
        if (!(sqrt(apart / moved) < 1e-4)) fail_msg("shape %zu: apart by %g", s, sqrt(apart / moved));
        muon_destroy(&muon);
    }
}

static void leaves_the_rest_to_adamw(void **state)
{
    static const struct { const char *name; enum param_kind kind; int rows, cols; bool takes; } items[] = {
        {"token_embd.weight", PARAM_MATRIX, 8, 8, false}, {"output.weight", PARAM_MATRIX, 8, 8, false},
        {"blk.1.ffn_gate_inp.weight", PARAM_MATRIX, 8, 8, false},
        {"blk.1.attn_norm.weight", PARAM_VECTOR, 1, 8, false},
        {"blk.1.exp_probs_b.bias", PARAM_ROUTE_BIAS, 1, 8, false},
        {"blk.1.ffn_gate_exps.weight", PARAM_MATRIX, 8, 8, true},
        {"blk.1.attn_q_a.weight", PARAM_MATRIX, 8, 8, true}};
    struct recipe_optim o = {.kind = OPTIM_MUON, .momentum = 0.95, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8};
    (void)state;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        struct param_item it = {.kind = items[i].kind, .n_mats = 1, .n_rows = items[i].rows,
                                .n_cols = items[i].cols, .n = (size_t)(items[i].rows * items[i].cols)};
        float w[2][64] = {{0}}, g[2][64], m[2][64] = {{0}}, v[2][64] = {{0}};
        strcpy(it.name, items[i].name);
        assert_int_equal(muon_takes(&it), items[i].takes);
        for (int k = 0; k < 2; k++) {
            struct train_params p = {.items = &it, .n_items = 1, .n_floats = it.n, .w = w[k], .grad = g[k],
                                     .m = m[k], .v = v[k]};
            struct muon *muon = NULL;
            for (int j = 0; j < 64; j++) g[k][j] = sinf((float)j);
            if (k) OK(muon_create(&muon, &p, err));
            optim_step(&p, &o, muon, 0.01, 1, 1);
            muon_destroy(&muon);
        }
        assert_int_equal(memcmp(w[0], w[1], sizeof w[0]) != 0, items[i].takes);
    }
}

static void train(const char *dir, int resume, int n_threads, int64_t max_steps, enum fk_status wanted)
{
    struct fk_train_params p;
    struct fk_error err = {0};
    char *text = malloc(strlen(desk_recipe) + 64);
    assert_non_null(text);
    strcpy(text, "{\"optimizer\": {\"kind\": \"muon\"}, ");
    strcat(text, desk_recipe + 1);
    desk_write(desk_path(dir, "recipe.json"), text, strlen(text));
    free(text);
    fk_train_default_params(&p);
    p.recipe = desk_path(dir, "recipe.json");
    p.out_dir = dir;
    p.resume = resume;
    p.n_threads = n_threads;
    p.max_steps = max_steps;
    if (fk_train(&p, &err) != wanted) fail_msg("%s", err.message);
}

static void a_broken_run_ends_with_the_same_bits(void **state)
{
    char *whole = desk_folder(), *part = desk_folder();
    size_t n_a, n_b;
    (void)state;
    train(whole, 0, 3, 0, FK_OK);
    train(part, 0, 1, 5, FK_ECANCELLED);
    train(part, 1, 1, 0, FK_OK);
    char *a = desk_read(desk_path(whole, "model.gguf"), &n_a);
    char *b = desk_read(desk_path(part, "model.gguf"), &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    free(a);
    free(b);
    desk_remove(whole);
    desk_remove(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_by_the_formula),
        cmocka_unit_test(leaves_the_rest_to_adamw),
        cmocka_unit_test(a_broken_run_ends_with_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
