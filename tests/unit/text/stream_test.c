/* SPDX-License-Identifier: Apache-2.0
 * stream_test.c - tags and stop strings in every cut: rows R14 and R15 of hostile streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/base/utf8.h"
#include "src/text/stream.h"

struct result {
    struct buf part[2];
    bool stopped;
};

static void take(struct stream *s, bool flush, const char *p, size_t n, struct result *r)
{
    for (;;) {
        struct buf out;
        enum stream_part part = STREAM_CONTENT;
        buf_init(&out, 0, MEM_MISC);
        bool more = flush ? stream_flush(s, &out, &part) : stream_push(s, p, n, &out, &part);
        n = 0;
        if (more) {
            assert_true(out.n > 0);
            assert_true(utf8_is_valid(out.data, out.n));
            buf_append(&r->part[part], out.data, out.n);
        } else {
            assert_int_equal(out.n, 0);
        }
        buf_fini(&out);
        if (!more) return;
    }
}

/* Runs text through a stream, cut by the bits of `cuts` (0: at once; 1: byte by byte). */
static void run(const struct stream_params *p, const char *text, size_t n, uint64_t cuts,
                struct result *r)
{
    struct stream *s = stream_create(p);
    buf_init(&r->part[0], 0, MEM_MISC);
    buf_init(&r->part[1], 0, MEM_MISC);
    buf_puts(&r->part[0], "");
    buf_puts(&r->part[1], "");
    size_t from = 0;
    for (size_t i = 1; i <= n; i++) {
        bool cut = cuts == 1 || (cuts && rng_u64(cuts, 0, i) % 3 == 0);
        if (i < n && !cut) continue;
        take(s, false, text + from, i - from, r);
        from = i;
    }
    take(s, true, NULL, 0, r);
    r->stopped = stream_stopped(s);
    assert_false(stream_failed(s));
    stream_destroy(&s);
}

static void done(struct result *r)
{
    buf_fini(&r->part[0]);
    buf_fini(&r->part[1]);
}

static void known_streams(void **state)
{
    (void)state;
    static const char *const stops[] = {"STOP", "\n\n"};
    static const struct {
        const char *text, *reasoning, *content;
        bool split, starts_in, with_stops, stopped;
    } rows[] = {
        {"<think>\na b\n</think>\n\nhi", "a b\n", "hi", true, false, false, false},
        {"\n <think>x</think>y", "x", "y", true, false, false, false},
        {"x</think>y", "x", "y", true, true, false, false},
        {"\n\n</think>\n\ny", "", "y", true, true, false, false},
        {"never closed", "never closed", "", true, true, false, false},
        {"hi <think>no</think>", "", "hi <think>no</think>", true, false, false, false},
        {"<think>a<think>b</think>c</think>d", "a<think>b", "c</think>d", true, false, false, false},
        {"<think>a</think>b", "", "<think>a</think>b", false, false, false, false},
        {"<thin", "", "<thin", true, false, false, false},
        {"a < b </think", "a < b </think", "", true, true, false, false},
        {"one STOP two", "", "one ", true, false, true, true},
        {"<think>p\n\nSTOP q</think>r STO", "p\n\nSTOP q", "r STO", true, false, true, false},
        {"a\n\nb", "", "a", true, false, true, true},
        {"caf\xc3", "", "caf\xef\xbf\xbd", true, false, false, false},
        {"\xe2</think>\xf0\x9f\x98\x80", "\xef\xbf\xbd", "\xf0\x9f\x98\x80", true, true, false, false},
        {"", "", "", true, false, false, false},
        {"  ", "", "  ", true, false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stream_params p = {.split_thinking = rows[i].split,
                                  .starts_in_thinking = rows[i].starts_in,
                                  .stop = stops,
                                  .n_stop = rows[i].with_stops ? 2 : 0};
        for (uint64_t cuts = 0; cuts < 20; cuts++) {
            struct result r;
            run(&p, rows[i].text, strlen(rows[i].text), cuts, &r);
            assert_string_equal(r.part[STREAM_REASONING].data, rows[i].reasoning);
            assert_string_equal(r.part[STREAM_CONTENT].data, rows[i].content);
            assert_int_equal(r.stopped, rows[i].stopped);
            done(&r);
        }
    }
}

static void cuts_never_matter(void **state)
{
    (void)state;
    static const char *const pieces[] = {"<think>", "</think>", "<", "/", "think>", "\n", "\n\n", " ",
                                         "word", "\xd9\x81\xd9\x83\xd8\xb1", "\xf0\x9f\x98\x80", "\xf0\x9f",
                                         "\x80", "\xff", "END", "E", "EN", "</thi", "\xe2\x97\x81"};
    static const char *const stops[] = {"END", "\xf0\x9f\x98\x80"};
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        char text[256] = "";
        size_t n = 0;
        for (uint64_t i = 0; i < rng_u64(seed, 1, 0) % 14; i++) {
            const char *piece = pieces[rng_u64(seed, 2, i) % (sizeof pieces / sizeof pieces[0])];
            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
        }
        struct stream_params p = {.split_thinking = seed % 5 != 0,
                                  .starts_in_thinking = seed % 3 == 0,
                                  .close_tag = seed % 7 == 0 ? "\xe2\x97\x81/t" : NULL,
                                  .stop = stops,
                                  .n_stop = seed % 4 == 0 ? 2 : 0};
        struct result whole;
        run(&p, text, n, 0, &whole);
        for (uint64_t cuts = 1; cuts < 8; cuts++) {
            struct result r;
            run(&p, text, n, cuts, &r);
            assert_string_equal(r.part[0].data, whole.part[0].data);
            assert_string_equal(r.part[1].data, whole.part[1].data);
            assert_int_equal(r.stopped, whole.stopped);
            done(&r);
        }
        done(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_streams),
        cmocka_unit_test(cuts_never_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
