/* SPDX-License-Identifier: Apache-2.0
 * safetensors_test.c - files that lie are refused with a sentence that says how; folders with an index
 * are joined; what is written reads back. Cases come from tools/make_hostile_safetensors.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/map.h"
#include "src/file/json_scan.h"
#include "src/file/safetensors.h"

static const char *corpus;
static char dir[] = "/tmp/fikr-st-XXXXXX";

static const struct {
    const char *file, *sentence; /* NULL: accepted */
} cases[] = {
    {"ok_one", NULL},
    {"ok_types", NULL},
    {"ok_spaces", NULL},
    {"ok_empty", NULL},
    {"f13_length_0", "the header's length at byte 0 is 0, allowed are 2"},
    {"f13_length_2_63", "at byte 0 is 9223372036854775808, allowed are 2 to"},
    {"f13_length_minus_1", "at byte 0 is 18446744073709551615, allowed are 2 to"},
    {"f13_length_plus_1", "the header's length at byte 0 is 70, allowed are 2 to 69"},
    {"f13_length_100mb", "at byte 0 is 100000000, allowed are 2 to"},
    {"f13_shape_wraps", "tensor size overflow: the shape of 'w'"},
    {"f13_bytes_wrap", "tensor size overflow: 'w' has 2305843009213693953 elements of 64 bits"},
    {"f13_end_before_begin", "'w' has data_offsets [8, 0], allowed are 0 to 8 in order"},
    {"f13_end_beyond", "'w' has data_offsets [0, 16], allowed are 0 to 8 in order"},
    {"f13_negative_shape", "expected a dimension from 0 to"},
    {"f13_negative_offset", "expected two data_offsets from 0"},
    {"f13_float_offset", "expected two data_offsets from 0"},
    {"f13_huge_offset", "expected two data_offsets from 0"},
    {"f13_depth_10k", "expected ',' or '}' in a tensor's entry"},
    {"f13_depth_shape", "expected a dimension from 0 to"},
    {"f13_gap", "'b' has data_offsets from 6, the one before ends at 4"},
    {"f13_overlap", "'b' has data_offsets from 2, the one before ends at 4"},
    {"f13_first_gap", "'a' has data_offsets from 4, the one before ends at 0"},
    {"f13_tail", "the last tensor's data_offsets end at 8, the file's data at 9"},
    {"f13_size_differs", "'w' has 8 bytes by its data_offsets, but 12 by its shape and dtype"},
    {"f13_twice", "tensor 'w' stands twice"},
    {"f13_key_twice", "expected dtype, shape and data_offsets, each once"},
    {"f13_key_missing", "expected dtype, shape and data_offsets before '}'"},
    {"f13_key_unknown", "expected dtype, shape and data_offsets, each once"},
    {"f13_dtype", "is of type 'Q4', which is not supported"},
    {"f13_dims_9", "has more than 8 dimensions"},
    {"f13_name_empty", "has 0 bytes, allowed are 1 to 1024"},
    {"f13_name_escape", "with escapes"},
    {"f13_name_bytes", "expected ',' or '}' after a tensor's entry"},
    {"f13_name_nul", "expected ',' or '}' after a tensor's entry"},
    {"f13_array", "expected '{'"},
    {"f13_tail_text", "expected only spaces after the object"},
    {"f13_metadata", "expected a string in __metadata__"},
    {"f13_cut", "the header's length at byte 0 is 61, allowed are 2 to 32"},
    {"f13_short", "3 bytes, a safetensors file has at least 10"},
};

static void says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512], *data;
        size_t n;
        struct safetensors *st = NULL;
        struct fk_error err = {.message = ""};
        snprintf(path, sizeof path, "%s/%s.safetensors", corpus, cases[i].file);
        assert_int_equal(file_read(path, 1 << 20, &data, &n, &err), FK_OK);
        enum fk_status status = safetensors_parse(&st, data, n, path, &err);
        if (!cases[i].sentence) {
            if (status != FK_OK) fail_msg("%s: %s", cases[i].file, err.message);
        } else {
            if (status == FK_OK) fail_msg("%s is accepted", cases[i].file);
            assert_null(st);
            assert_int_equal(fk_exit_code(status), 2);
            if (!strstr(err.message, cases[i].sentence))
                fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].file, err.message, cases[i].sentence);
            assert_memory_equal(err.message, path, strlen(path));
        }
        safetensors_close(&st);
        mem_free(data);
    }
}

static void at(char *path, size_t n, const char *name)
{
    snprintf(path, n, "%s/%s", dir, name);
}

static void put(const char *name, const void *p, size_t n)
{
    char path[512];
    struct fk_error err;
    at(path, sizeof path, name);
    assert_int_equal(out_file_put(path, p, n, &err), FK_OK);
}

static void drop(const char *name)
{
    char path[512];
    at(path, sizeof path, name);
    unlink(path);
}

/* F13: 100,000 tensors, and a long header: bounded time and memory. */
static void bounds_the_header(void **state)
{
    (void)state;
    struct buf b;
    struct fk_error err = {.message = ""};
    struct safetensors *st = NULL;
    buf_init(&b, 0, MEM_FILE);
    buf_append(&b, "\0\0\0\0\0\0\0\0{", 9);
    for (int i = 0; i < 100000; i++)
        buf_printf(&b, "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "", i);
    buf_putc(&b, '}');
    uint64_t n = b.n - 8;
    memcpy(b.data, &n, 8);
    uint64_t rss = clock_rss_bytes();
    double start = clock_cpu_seconds(); /* wall time would count what else runs */
    assert_int_equal(safetensors_parse(&st, b.data, b.n, "many", &err), FK_EFORMAT);
    assert_non_null(strstr(err.message, "has tensor 65537, the limit is 65536"));
    assert_true(clock_cpu_seconds() - start < 1.0);
    assert_true(clock_rss_bytes() < rss + (64u << 20));
    buf_fini(&b);
}

static enum fk_status fill_bytes(void *arg, struct out_file *f, struct fk_error *err)
{
    return out_file_write(f, arg, 8, err);
}

static void write_one(const char *name, const char *tensor, const char *data)
{
    char path[512];
    struct fk_error err;
    struct st_out t = {tensor, DT_F32, 1, {2}, fill_bytes, (void *)(uintptr_t)data};
    at(path, sizeof path, name);
    assert_int_equal(safetensors_write(path, &t, 1, NULL, NULL, &err), FK_OK);
}

static void refuse_folder(const char *sentence)
{
    struct safetensors *st = NULL;
    struct fk_error err = {.message = ""};
    assert_int_not_equal(safetensors_open(&st, dir, &err), FK_OK);
    assert_null(st);
    if (!strstr(err.message, sentence)) fail_msg("\"%s\" lacks \"%s\"", err.message, sentence);
}

static void put_index(const char *text)
{
    put("model.safetensors.index.json", text, strlen(text));
}

static void joins_folders(void **state)
{
    (void)state;
    struct safetensors *st;
    struct fk_error err;
    refuse_folder("model.safetensors: No such file");
    write_one("a.safetensors", "one", "11112222");
    write_one("b.safetensors", "two", "33334444");
    put_index("{\"metadata\": {\"total_size\": 16, \"x\": [1, {\"y\": null}]}, \"weight_map\":"
              "{\"one\": \"a.safetensors\", \"two\": \"b.safetensors\"}}");
    assert_int_equal(safetensors_open(&st, dir, &err), FK_OK);
    assert_int_equal(safetensors_n(st), 2);
    const struct st_tensor *t = safetensors_find(st, "two");
    assert_memory_equal(t->data, "33334444", 8);
    assert_int_equal(t->i_file, 1);
    assert_false(safetensors_failed(st));
    safetensors_close(&st);
    put_index("{\"weight_map\":{\"one\":\"a.safetensors\",\"two\":\"a.safetensors\"}}");
    refuse_folder("tensor 'two' is not in 'a.safetensors' as weight_map says");
    put_index("{\"weight_map\":{\"one\":\"../a.safetensors\"}}");
    refuse_folder("expected a tensor name and a plain file name");
    put_index("{\"weight_map\":{\"one\":\"a.safetensors\",\"three\":\"c.safetensors\"}}");
    refuse_folder("c.safetensors: No such file");
    put_index("{\"weight_map\":{}}");
    refuse_folder("no weight_map that names a file");
    write_one("b.safetensors", "one", "33334444");
    put_index("{\"weight_map\":{\"one\":\"a.safetensors\",\"x\":\"b.safetensors\"}}");
    refuse_folder("tensor 'one' stands twice");
    drop("model.safetensors.index.json");
    write_one("model.safetensors", "w", "abcdefgh");
    assert_int_equal(safetensors_open(&st, dir, &err), FK_OK);
    assert_memory_equal(safetensors_find(st, "w")->data, "abcdefgh", 8);
    assert_int_equal(safetensors_find(st, "w")->offset % 64, 0);
    safetensors_close(&st);
    drop("model.safetensors");
    drop("a.safetensors");
    drop("b.safetensors");
}

static void walks_json(void **state)
{
    (void)state;
    static const char *const good[] = {"1", "-1.5e3", "\"a\\u00e9\\n\"", "[]", "{}", "[[],{}, [1,2]]",
                                       "{\"a\":{\"b\":[null,true,false]}, \"c\":\"\"}"};
    static const char *const wrong[] = {"", "[", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "{1:2}", "nul",
                                        "\"a", "\"\\x\"", "\"\\u12\"", "[1 2]", "}", "+1"};
    struct gguf_str text;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct json_scan s = {good[i], strlen(good[i]), 0};
        if (!json_scan_value(&s, &text) || text.n != s.n) fail_msg("refuses %s", good[i]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct json_scan s = {wrong[i], strlen(wrong[i]), 0};
        if (json_scan_value(&s, &text)) fail_msg("accepts %s", wrong[i]);
    }
    char deep[201];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    struct json_scan s = {deep, 200, 0};
    assert_false(json_scan_value(&s, &text));
    s = (struct json_scan){deep + 40, 120, 0};
    assert_true(json_scan_value(&s, &text));
    struct buf b;
    buf_init(&b, 0, MEM_FILE);
    static const char escaped[] = "a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00";
    assert_true(json_scan_unescape(&b, (struct gguf_str){escaped, strlen(escaped)}));
    assert_string_equal(b.data, "a\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
    assert_false(json_scan_unescape(&b, (struct gguf_str){"\\ud83dx", 7}));
    buf_fini(&b);
}

int main(int argc, char **argv)
{
    corpus = argc > 1 ? argv[1] : "tests/fuzz/corpus/safetensors";
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(bounds_the_header),
        cmocka_unit_test(joins_folders),
        cmocka_unit_test(walks_json),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return rc;
}
