/* SPDX-License-Identifier: Apache-2.0
 * utf8_test.c - strict decoding, every scalar value there and back, escapes; and f16/bf16/f8. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "src/base/utf8.h"
#include "src/tensor/dtype.h"

static void all_scalars_round_trip(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x110000; cp++) {
        char s[4];
        size_t len, n = utf8_encode(cp, s);
        if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
            assert_int_equal(n, 0);
            continue;
        }
        assert_int_equal(utf8_decode(s, n, &len), cp);
        assert_int_equal(len, n);
        for (size_t k = 1; k < n; k++) {
            assert_int_equal(utf8_decode(s, k, &len), UTF8_BAD);
            assert_int_equal(len, k);
            assert_int_equal(utf8_cut_tail(s, k), k);
        }
        assert_int_equal(utf8_cut_tail(s, n), 0);
    }
}

static void bad_sequences(void **state)
{
    (void)state;
    static const struct { const char *s; size_t n, len; } rows[] = {
        {"\xc0\x80", 2, 1},         /* overlong NUL */
        {"\xe0\x80\x80", 3, 1},     /* overlong */
        {"\xed\xa0\x80", 3, 1},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, 1}, /* above U+10FFFF */
        {"\xf5\x80", 2, 1},
        {"\x80", 1, 1},
        {"\xe2\x82" "a", 3, 2},     /* cut in the middle */
        {"\xf0\x9f\x98" "a", 4, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len;
        assert_int_equal(utf8_decode(rows[i].s, rows[i].n, &len), UTF8_BAD);
        assert_int_equal(len, rows[i].len);
        assert_false(utf8_is_valid(rows[i].s, rows[i].n));
    }
    assert_int_equal(utf8_cut_tail("\x80\x80\x80\x80", 4), 0);
    assert_int_equal(utf8_cut_tail("a\xf5", 2), 0);
}

static void escapes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0, MEM_MISC);
    const char *in = "a\033]0;x\007\n\xd9\x81\xd9\x83\xd8\xb1 \xe2\x80\xae\xff\xf3\xa0\x80\x81";
    assert_true(utf8_escape_terminal(&b, in, strlen(in), true));
    assert_string_equal(b.data, "a\\x1b]0;x\\x07\n\xd9\x81\xd9\x83\xd8\xb1 \\u{202e}\\xff\\u{e0001}");
    buf_clear(&b);
    assert_true(utf8_sanitize(&b, "x\xf0\x9fy", 4));
    assert_string_equal(b.data, "x\xef\xbf\xbdy");
    buf_fini(&b);
}

static void half_precision(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = f16_to_f32((uint16_t)h);
        if (isnan(f)) {
            assert_true(isnan(f16_to_f32(f32_to_f16(f))));
            continue;
        }
        assert_int_equal(f32_to_f16(f), h);
        /* half way to the next one rounds to even */
        if ((h & 0x7fff) < 0x7bff) {
            float mid = (f + f16_to_f32((uint16_t)(h + 1))) / 2;
            assert_int_equal(f32_to_f16(mid) & 1, 0);
        }
        float b = bf16_to_f32((uint16_t)h);
        if (!isnan(b)) assert_int_equal(f32_to_bf16(b), h);
    }
    assert_int_equal(f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(f32_to_f16(65519.0f), 0x7bff);
    assert_true(f8_e4m3_to_f32(0x7e) == 448.0f);
    assert_true(f8_e4m3_to_f32(0x01) == 0x1p-9f);
    assert_true(f8_e4m3_to_f32(0xb8) == -1.0f);
    assert_true(isnan(f8_e4m3_to_f32(0xff)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_scalars_round_trip),
        cmocka_unit_test(bad_sequences),
        cmocka_unit_test(escapes),
        cmocka_unit_test(half_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
