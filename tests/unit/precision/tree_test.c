/* SPDX-License-Identifier: Apache-2.0
 * tree_test.c - nested tables on weights of known distributions, and the layout of planes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/rng.h"
#include "src/precision/block.h"

#define N_BLOCKS 2048

static double uniform(uint64_t *counter)
{
    return rng_uniform(5, 0, ++*counter) + 0x1p-54;
}

static double normal(uint64_t *r)
{
    return sqrt(-2 * log(uniform(r))) * cos(6.283185307179586 * uniform(r));
}

static double student5(uint64_t *r)
{
    double chi = 0, z = normal(r);
    for (int i = 0; i < 5; i++) {
        double x = normal(r);
        chi += x * x;
    }
    return z / sqrt(chi / 5);
}

/* Relative root mean square error in per cent, by width, scales of 8 bits over 128 blocks a row. */
static void measure(double (*draw)(uint64_t *), int aim, double out[PLANES_N])
{
    struct tree t;
    uint64_t r = 0;
    double power = 0, errors[PLANES_N] = {0};
    tree_init_default(&t, aim);
    for (int row = 0; row < N_BLOCKS / 128; row++) {
        static float w[128 * 32], scales[128];
        int8_t q[128];
        float most = 0;
        for (int i = 0; i < 128 * 32; i++) w[i] = (float)draw(&r);
        for (int b = 0; b < 128; b++) {
            scales[b] = block_scale(&t, w + 32 * b, NULL);
            most = fmaxf(most, fabsf(scales[b]));
        }
        block_round_scales(&t, w, NULL, 128, scales, most / 127, q);
        for (int i = 0; i < 128 * 32; i++) {
            float s = most / 127 * (float)q[i / 32];
            uint8_t code = tree_code(&t, w[i] / s);
            power += (double)(w[i] * w[i]);
            for (int k = 0; k < PLANES_N; k++) {
                double e = (double)(w[i] - s * t.level[k][code]);
                errors[k] += e * e;
            }
        }
    }
    for (int k = 0; k < PLANES_N; k++) out[k] = 100 * sqrt(errors[k] / power);
}

/* The bounds are a little above what the tables reach; a wrong level or class goes beyond them. */
static void check_rmse(double (*draw)(uint64_t *), const double most[PLANES_N])
{
    double got[PLANES_N];
    measure(draw, TREE_ALL, got);
    for (int k = 0; k < PLANES_N; k++) {
        print_message("%d bits: %.3f %% (at most %.3f)\n", planes_bits(k), got[k], most[k]);
        assert_true(got[k] < most[k]);
        assert_true(got[k] > most[k] * 0.85);
    }
}

static void test_rmse_normal(void **state)
{
    (void)state;
    check_rmse(normal, (const double[]){33.5, 16.3, 7.9, 4.3, 2.9, 0.8});
}

static void test_rmse_student(void **state)
{
    (void)state;
    check_rmse(student5, (const double[]){39.5, 19.2, 9.2, 5.0, 3.25, 0.95});
}

/* Codes that are chosen for one width are better at it than those for all, the more the finer it is. */
static void test_aims(void **state)
{
    (void)state;
    static const double most[PLANES_N] = {0.98, 0.99, 0.999, 0.985, 0.8, 0.75};
    double all[PLANES_N], one[PLANES_N];
    measure(student5, TREE_ALL, all);
    for (int i = 0; i < PLANES_N; i++) {
        measure(student5, i, one);
        print_message("%d bits: %.3f %%, aimed at %.3f %%\n", planes_bits(i), all[i], one[i]);
        assert_true(one[i] < most[i] * all[i]);
    }
}

static void test_codes_nest(void **state)
{
    (void)state;
    struct tree t;
    tree_init_default(&t, TREE_ALL);
    for (int n = 1; n < 16; n++)
        for (int i = 1; i <= 2; i++) assert_true(t.level[i][n << 4] >= t.level[i][(n - 1) << 4]);
    /* Finer levels of a leaf ascend. */
    for (int code = 1; code < 256; code++)
        if (code >> 4 == (code - 1) >> 4) assert_true(t.level[5][code] > t.level[5][code - 1]);
    /* Within its leaf a level comes back as its code. (Ranges of neighbouring leaves overlap.) */
    for (int code = 0; code < 256; code++) {
        float u5 = t.level[3][code], u6 = t.level[4][code], u8 = t.level[5][code];
        assert_int_equal(tree_refine(&t, (unsigned)code >> 4, u5, u6, u8), code);
        if (code % 16 == 8) assert_int_equal(tree_leaf(&t, t.level[2][code]), code >> 4);
    }
}

static void test_head_round_trip(void **state)
{
    (void)state;
    struct planes_head h = {.n_cols = 96, .n_rows = 11, .n_mats = 2, .crc = {1, 2, 3, 4, 5, 6},
                            .crc_scales = 7}, back;
    struct tree t;
    uint8_t bytes[PLANES_HEAD_BYTES], bad[PLANES_HEAD_BYTES];
    tree_init_default(&t, TREE_ALL);
    h.tables = t.tables;
    planes_head_write(&h, bytes);
    assert_null(planes_head_read(&back, bytes));
    assert_memory_equal(&back.tables, &h.tables, sizeof h.tables);
    assert_int_equal(back.n_rows, 11);
    assert_memory_equal(back.crc, h.crc, sizeof h.crc);
    static const struct { int at; uint8_t v; } faults[] = {
        {0, 'x'}, {4, 1}, {4, 3}, {5, 4}, {16, 97}, {24, 0}, {39, 1}, {43, 0x7f}, {64, 100}, {92, 127}, {148, 4}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        memcpy(bad, bytes, sizeof bad);
        bad[faults[i].at] = faults[i].v;
        if (faults[i].at == 24) memset(bad + 24, 0, 8);
        if (faults[i].at == 43) bad[42] = 0xff;
        assert_non_null(planes_head_read(&back, bad));
    }
}

static void test_prefix_property(void **state)
{
    (void)state;
    uint8_t codes[PLANES_TILE], got[PLANES_TILE], planes[PLANES_N][64];
    struct planes p = {.n_planes = PLANES_N};
    for (int n = 0; n < PLANES_TILE; n++) codes[n] = (uint8_t)rng_u64(9, 0, (uint64_t)n);
    for (int i = 0; i < PLANES_N; i++) {
        planes_pack_tile(codes, i, planes[i]);
        p.plane[i] = planes[i];
    }
    struct tree t;
    tree_init_default(&t, TREE_ALL);
    for (int i = 0; i < PLANES_N; i++) {
        const uint8_t *kept = p.plane[i];
        planes_unpack_tile(&p, 0, i + 1, got);
        for (int n = 0; n < PLANES_TILE; n++) {
            assert_int_equal(got[n] >> (8 - planes_bits(i)), codes[n] >> (8 - planes_bits(i)));
            assert_int_equal(planes_level(&t.tables, i, got[n]), planes_level(&t.tables, i, codes[n]));
        }
        /* The next width needs this plane and no later one. */
        if (i + 1 < PLANES_N) p.plane[i + 1] = NULL;
        planes_unpack_tile(&p, 0, i + 1, got);
        p.plane[i] = kept;
        if (i + 1 < PLANES_N) p.plane[i + 1] = planes[i + 1];
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rmse_normal), cmocka_unit_test(test_rmse_student),
        cmocka_unit_test(test_aims),
        cmocka_unit_test(test_codes_nest), cmocka_unit_test(test_head_round_trip),
        cmocka_unit_test(test_prefix_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
