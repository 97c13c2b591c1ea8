/* SPDX-License-Identifier: Apache-2.0
 * alloc_test.c - counters, caps, injected failures, arenas and buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#undef fail /* a macro of cmocka; base/fail.h has a function of that name */
#include "src/base/alloc.h"
#include "src/base/arena.h"
#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/base/sha256.h"

static uint64_t live(void)
{
    struct mem_stats s;
    mem_get_stats(&s);
    return s.live_bytes;
}

static void counts_live_bytes(void **state)
{
    (void)state;
    uint64_t before = live();
    char *p = mem_alloc(100, MEM_KV);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    assert_int_equal(live() - before, 100);
    p = mem_realloc(p, 1000, MEM_KV);
    assert_int_equal(live() - before, 1000);
    mem_free(p);
    mem_free(NULL);
    assert_int_equal(live(), before);
    assert_null(mem_calloc(SIZE_MAX / 2, 3, MEM_MISC));
    assert_null(mem_alloc(SIZE_MAX, MEM_MISC));
    assert_int_equal(live(), before);
}

static void cap_refuses(void **state)
{
    (void)state;
    mem_set_cap(live() + 1000);
    assert_null(mem_alloc(1001, MEM_MISC));
    void *p = mem_alloc(1000, MEM_MISC);
    assert_non_null(p);
    assert_null(mem_map(1, MEM_MISC));
    mem_free(p);
    mem_set_cap(0);
}

static void injection_fails_the_nth(void **state)
{
    (void)state;
    mem_inject(2, false);
    void *a = mem_alloc(1, MEM_MISC), *b = mem_alloc(1, MEM_MISC);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(mem_alloc(1, MEM_MISC));
    void *c = mem_alloc(1, MEM_MISC);
    assert_non_null(c);
    assert_int_equal(mem_inject(0, true), 1);
    assert_null(mem_alloc(1, MEM_MISC));
    assert_null(mem_alloc(1, MEM_MISC));
    assert_int_equal(mem_inject(-1, false), 2);
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

static void arena_reuses_memory(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 12, 1 << 20, MEM_SCRATCH);
    for (int round = 0; round < 3; round++) {
        struct mem_stats s0, s1;
        mem_get_stats(&s0);
        char *p = arena_alloc(&a, 3000), *q = arena_alloc(&a, 3000), *big = arena_alloc(&a, 100000);
        assert_non_null(p);
        assert_non_null(q);
        assert_non_null(big);
        memset(big, 1, 100000);
        struct arena_mark mark = arena_get_mark(&a);
        void *x = arena_alloc(&a, 64);
        arena_rewind(&a, mark);
        assert_ptr_equal(arena_alloc(&a, 64), x);
        mem_get_stats(&s1);
        if (round) assert_int_equal(s1.n_calls, s0.n_calls);
        arena_reset(&a);
    }
    assert_null(arena_alloc(&a, 2 << 20)); /* above the cap */
    arena_fini(&a);
}

/* Passes of a little more each time, in arrays larger than a block: memory is that of the largest pass. */
static void arena_becomes_whole(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 12, 0, MEM_SCRATCH);
    for (size_t n = 10000; n < 10000 + 30 * 64; n += 64) {
        struct mem_stats s0, s1;
        for (int again = 0; again < 2; again++) {
            arena_reset_whole(&a);
            mem_get_stats(&s0);
            for (int i = 0; i < 20; i++) {
                char *p = arena_alloc(&a, n);
                assert_non_null(p);
                memset(p, i, n);
            }
            mem_get_stats(&s1);
        }
        assert_int_equal(s1.n_calls, s0.n_calls);
        assert_true(a.total_bytes <= 20 * (n + 64));
    }
    mem_inject(0, true); /* no memory for the whole: nothing is lost but the blocks */
    assert_null(arena_alloc(&a, 1 << 20));
    arena_reset_whole(&a);
    mem_inject(-1, false);
    assert_non_null(arena_alloc(&a, 1 << 20));
    arena_fini(&a);
}

static void buffer_keeps_its_cap(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10, MEM_MISC);
    assert_true(buf_puts(&b, "12345"));
    assert_false(buf_puts(&b, "678901"));
    assert_true(b.failed);
    assert_string_equal(b.data, "12345");
    buf_clear(&b);
    assert_true(buf_printf(&b, "%d", 42));
    char *s = buf_take(&b);
    assert_string_equal(s, "42");
    mem_free(s);
}

static void sentences_are_printable(void **state)
{
    (void)state;
    struct fk_error e;
    assert_int_equal(fail(&e, FK_EFORMAT, "name '%s'", "a\033[2J\xff\xe2\x80\xae z\xc3\xa9"), FK_EFORMAT);
    assert_string_equal(e.message, "name 'a\\x1b[2J\\xff\\xe2\\x80\\xae z\xc3\xa9'");
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    fail(&e, FK_EIO, "%s", big);
    assert_true(strlen(e.message) < sizeof e.message);
    assert_int_equal(fk_exit_code(FK_ENOMEM), 3);
    assert_int_equal(fk_exit_code(FK_ECANCELLED), 130);
}

static void sha256_of_known_texts(void **state)
{
    (void)state;
    static const struct { size_t n; const char *hex; } rows[] = {
        /* n times the letter a; made with sha256sum */
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {1000, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"},
    };
    char text[1000], hex[65];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sha256 s;
        sha256_init(&s);
        for (size_t at = 0, k; at < rows[i].n; at += k) {
            k = rows[i].n - at < 13 ? rows[i].n - at : 13;
            sha256_update(&s, text + at, k);
        }
        sha256_hex(&s, hex);
        assert_string_equal(hex, rows[i].hex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_live_bytes),    cmocka_unit_test(cap_refuses),
        cmocka_unit_test(injection_fails_the_nth), cmocka_unit_test(arena_reuses_memory),
        cmocka_unit_test(arena_becomes_whole),
        cmocka_unit_test(buffer_keeps_its_cap), cmocka_unit_test(sentences_are_printable),
        cmocka_unit_test(sha256_of_known_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
