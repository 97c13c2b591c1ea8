/* SPDX-License-Identifier: Apache-2.0
 * kv_view_test.c - sizes, alignment and limits of a cache page. */
#include <limits.h>
#include <string.h>
#include "src/kernels/kv_i4.h"
#include "tests/unit/device/lab.h"

static void sizes_add_up(void **state)
{
    (void)state;
    const enum dtype types[] = {DT_F32, DT_F16, DT_I8, DT_KV_I4};
    for (int t = 0; t < 4; t++)
        for (int page = t >= 2 ? 16 : 1; page <= 256; page *= 2)
            for (int dim = 1; dim < 200; dim += 13) {
                struct kv_layout l;
                assert_true(kv_layout_init(&l, types[t], 3, 5, dim, dim + 1, false, page));
                size_t bits = (size_t)32 >> t;
                assert_true(8 * l.k_row_bytes >= (size_t)dim * bits);
                assert_true(8 * l.v_row_bytes >= (size_t)(dim + 1) * bits);
                assert_int_equal(l.k_row_bytes % 8 + l.v_row_bytes % 8, 0);
                if (t < 3) assert_int_equal(l.k_row_bytes % 16 + l.v_row_bytes % 16, 0);
                assert_int_equal(l.k_head_bytes % 64 + l.v_head_bytes % 64, 0);
                size_t scales = t >= 2 ? 4 * (size_t)((dim + 64) / 64 * page) : 0;
                assert_true(l.v_head_bytes >= l.v_row_bytes * (size_t)page + scales);
                assert_int_equal(l.layer_bytes, 5 * (l.k_head_bytes + l.v_head_bytes));
                assert_int_equal(l.page_bytes, 3 * l.layer_bytes);
                /* the last value of the last layer ends inside the page */
                uint8_t *base = (uint8_t *)64, *last = kv_v_head(&l, base, 2, 4);
                assert_true((size_t)(last - base) + l.v_head_bytes == l.page_bytes);
            }
}

/* Every cell of a head has a byte of its own, or half a byte. */
static void cells_do_not_overlap(void **state)
{
    (void)state;
    const int dims[] = {1, 16, 40, 64, 75, 96, 128, 200, 576};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (int page = 16; page <= 256; page *= 4)
            for (int keys = 0; keys < 2; keys++) {
                static uint8_t seen[256 * 576], halves[256 * 288][2];
                int cols = kv_i8_cols(dims[i]);
                memset(seen, 0, sizeof seen);
                memset(halves, 0, sizeof halves);
                for (int slot = 0; slot < page; slot++)
                    for (int c = 0; c < dims[i]; c++) {
                        size_t at = keys ? kv_i8_key(cols, slot, c) : kv_i8_value(cols, page, slot, c);
                        assert_true(at < (size_t)(cols * page) && !seen[at]);
                        seen[at] = 1;
                        struct kv_i4_place p = keys ? kv_i4_key(cols, slot, c)
                                                    : kv_i4_value(cols, page, slot, c);
                        assert_true(2 * p.byte < (size_t)(cols * page) && !halves[p.byte][p.is_high]);
                        halves[p.byte][p.is_high] = 1;
                    }
            }
}

static void latents_have_no_values(void **state)
{
    (void)state;
    struct kv_layout l;
    assert_true(kv_layout_init(&l, DT_I8, 2, 1, 576, 512, true, 16));
    assert_int_equal(l.v_head_bytes, 0);
    assert_int_equal(l.layer_bytes, 16 * 576 + 16 * 9 * 4);
    assert_int_equal(l.k_rotation, 64); /* of the 512 columns that are values and of the 64 behind them */
    assert_true(kv_layout_init(&l, DT_I8, 2, 1, 192, 128, false, 16));
    assert_int_equal(l.k_rotation, 64);
    assert_int_equal(l.v_rotation, 128);
    assert_false(kv_layout_init(&l, DT_I8, 2, 1, 512, 576, true, 16)); /* v longer than k */
}

static void refuses_nonsense(void **state)
{
    (void)state;
    struct kv_layout l = {.page_tokens = 77};
    assert_false(kv_layout_init(&l, DT_Q8_0, 1, 1, 8, 8, false, 16));
    assert_false(kv_layout_init(&l, DT_F16, 0, 1, 8, 8, false, 16));
    assert_false(kv_layout_init(&l, DT_F16, 1, -1, 8, 8, false, 16));
    assert_false(kv_layout_init(&l, DT_F16, 1, 1, 0, 8, false, 16));
    assert_false(kv_layout_init(&l, DT_F16, 1, 1, 8, INT_MAX, false, 16));
    assert_false(kv_layout_init(&l, DT_F16, 1, 1, 8, 8, false, 24));
    assert_false(kv_layout_init(&l, DT_F16, 1, 1, 8, 8, false, 512));
    assert_false(kv_layout_init(&l, DT_I8, 1, 1, 8, 8, false, 8)); /* less than a block of keys */
    assert_false(kv_layout_init(&l, DT_F16, INT_MAX, INT_MAX, INT_MAX, INT_MAX, false, 256));
    assert_int_equal(l.page_tokens, 77); /* untouched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_add_up), cmocka_unit_test(cells_do_not_overlap),
        cmocka_unit_test(latents_have_no_values),
        cmocka_unit_test(refuses_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
