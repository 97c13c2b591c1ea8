/* SPDX-License-Identifier: Apache-2.0
 * gguf_test.c - what lies is refused with a sentence that names it, quickly and before memory is taken;
 * what is valid reads back as it was written. The files come from tools/make_hostile_gguf.py. */
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
#include "src/file/gguf.h"

static const char *corpus;

static const struct {
    const char *file, *sentence; /* NULL: accepted */
} cases[] = {
    {"ok_all_types", NULL},
    {"ok_v2", NULL},
    {"ok_empty", NULL},
    {"ok_aligned_4096", NULL},
    {"ok_names", NULL},
    {"ok_unsorted", NULL},
    {"f1_dim_product", "tensor size overflow: the dimensions of 'w'"},
    {"f1_dims_2_32", "tensor size overflow: the dimensions of 'w'"},
    {"f1_three_dims", "tensor size overflow: the dimensions of 'w'"},
    {"f1_bytes", "tensor size overflow: 'w'"},
    {"f3_n_tensors_max", "n_tensors at byte 8 is 9223372036854775807"},
    {"f3_n_tensors_minus1", "n_tensors at byte 8 is 18446744073709551615"},
    {"f3_n_tensors_2_60", "n_tensors at byte 8 is 1152921504606846976"},
    {"f3_n_tensors_131073", "the limit is 131072"},
    {"f3_n_kv_max", "n_kv at byte 16 is 9223372036854775807"},
    {"f3_n_kv_minus1", "n_kv at byte 16 is 18446744073709551615"},
    {"f3_n_kv_2_60", "n_kv at byte 16 is 1152921504606846976"},
    {"f3_n_kv_131073", "the limit is 65536"},
    {"f3_array_max", "key 'a' at byte 82 has an array of 9223372036854775807 items"},
    {"f3_array_minus1", "has an array of 18446744073709551615 items, but"},
    {"f3_array_2_60", "has an array of 1152921504606846976 items, but"},
    {"f3_array_131073", "has an array of 131073 items, but"},
    {"f3_strings_max", "has an array of 9223372036854775807 items, but"},
    {"f3_strings_minus1", "has an array of 18446744073709551615 items, but"},
    {"f3_strings_2_60", "has an array of 1152921504606846976 items, but"},
    {"f3_strings_131073", "has an array of 131073 items, but"},
    {"f3_string_max", "key 's' at byte 37 has a length of 9223372036854775807, but"},
    {"f3_string_minus1", "has a length of 18446744073709551615, but"},
    {"f3_string_2_60", "has a length of 1152921504606846976, but"},
    {"f3_item_max", "has a length of 9223372036854775807, but"},
    {"f3_item_minus1", "has a length of 18446744073709551615, but"},
    {"f3_item_2_60", "has a length of 1152921504606846976, but"},
    {"f3_key_max", "a key at byte 24 has a length of 9223372036854775807"},
    {"f3_key_minus1", "allowed are 1 to 65535"},
    {"f3_key_2_60", "allowed are 1 to 65535"},
    {"f3_name_max", "a tensor name at byte 69 has a length of 9223372036854775807"},
    {"f3_name_minus1", "allowed are 1 to 1024"},
    {"f3_name_2_60", "allowed are 1 to 1024"},
    {"f4_dim_0", "dimension 1 of tensor 'w' at byte 90 is 0, allowed are 1 to"},
    {"f4_dim_negative", "is 18446744073709551615, allowed are 1 to 2^63 - 1"},
    {"f4_type_4", "is of type 4, which is not supported"},
    {"f4_type_16", "is of type 16, which is not supported"},
    {"f4_type_31", "is of type 31, which is not supported"},
    {"f4_type_99", "is of type 99, which is not supported"},
    {"f4_type_200", "is of type 200, which is not supported"},
    {"f4_type_2147483648", "is of type 2147483648, which is not supported"},
    {"f4_type_4294967295", "is of type 4294967295, which is not supported"},
    {"f4_n_dims_0", "has n_dims 0, allowed are 1 to 4"},
    {"f4_n_dims_5", "has n_dims 5, allowed are 1 to 4"},
    {"f4_n_dims_max", "has n_dims 4294967295, allowed are 1 to 4"},
    {"f4_alignment_0", "general.alignment at byte 53 is 0, allowed are powers of two"},
    {"f4_alignment_3", "is 3, allowed are powers of two from 8"},
    {"f4_alignment_4", "is 4, allowed are powers of two from 8"},
    {"f4_alignment_2147483648", "is 2147483648, allowed are powers of two"},
    {"f4_alignment_type", "general.alignment at byte 53 is of type u64, not u32"},
    {"f4_alignment_string", "is of type string, not u32"},
    {"f4_alignment_array", "is of type array, not u32"},
    {"f4_block", "dimension 0 of tensor 'w' is 33, no multiple of 32, the block of Q8_0"},
    {"f4_value_type", "key 'k' at byte 33 has value type 13, the highest is 12"},
    {"f4_nested_array", "has array item type 9"},
    {"f4_bool_2", "holds a bool of 2, allowed are 0 and 1"},
    {"f5_offset_2_40", "has offset 1099511627776 and 16 bytes"},
    {"f5_offset_wraps", "has offset 18446744073709551584 and 16 bytes"},
    {"f5_size_wraps", "has offset 17293822569102704640 and 1152921504606846976 bytes"},
    {"f5_one_short", "beyond the end of the file at 143"},
    {"f5_misaligned", "is 8, no multiple of the alignment 32"},
    {"f5_overlap", "tensor 'b' starts at byte 192, inside of 'a', which ends at byte 224"},
    {"f5_same_place", "starts at byte 224, inside of"},
    {"twice_key", "key 'k' stands twice, as number 0 and 2"},
    {"twice_tensor", "tensor 'w' stands twice, as number 0 and 1"},
    {"key_empty", "a key at byte 24 has a length of 0"},
    {"name_long", "has a length of 1025, allowed are 1 to 1024"},
    {"big_endian", "a big-endian GGUF file, only little-endian is supported"},
    {"v0", "version at byte 4 is 0, supported are 2 and 3"},
    {"v1", "version at byte 4 is 1, supported are 2 and 3"},
    {"v4", "version at byte 4 is 4, supported are 2 and 3"},
    {"magic", "no GGUF file"},
    {"magic_only", "the version at byte 4 needs 4 bytes"},
    {"f17_split_name", "split.count is 3, but the file is not named as one of a set"},
    {"f17_split_65535", "split.count is 65535, but the file is not named"},
    {"f17_split_type", "split.count is of type string, not an integer"},
    {"f18_name", "tensor 't\\x1b]0;owned\\x07\\x0a\\xe2\\x80\\xae'"},
};

static char *load(const char *file, size_t *n)
{
    char path[512], *data = NULL;
    struct fk_error err;
    snprintf(path, sizeof path, "%s/%s.gguf", corpus, file);
    assert_int_equal(file_read(path, 1 << 20, &data, n, &err), FK_OK);
    return data;
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512];
        struct gguf *g = NULL;
        struct fk_error err = {.message = ""};
        snprintf(path, sizeof path, "%s/%s.gguf", corpus, cases[i].file);
        double start = clock_cpu_seconds();
        uint64_t rss = clock_rss_bytes();
        enum fk_status st = gguf_open(&g, path, &err);
        if (!cases[i].sentence) {
            if (st != FK_OK) fail_msg("%s: %s", cases[i].file, err.message);
            gguf_close(&g);
            continue;
        }
        assert_true(clock_cpu_seconds() - start < 1.0);
        assert_true(clock_rss_bytes() < rss + (64u << 20));
        if (st == FK_OK) fail_msg("%s is accepted", cases[i].file);
        assert_null(g);
        assert_int_equal(fk_exit_code(st), 2);
        if (!strstr(err.message, cases[i].sentence))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].file, err.message, cases[i].sentence);
        if (strncmp(err.message, path, strlen(path)) != 0)
            fail_msg("%s: the sentence does not begin with the file: %s", cases[i].file, err.message);
    }
}

/* F5: a valid file cut at every byte. */
static void refuses_every_cut(void **state)
{
    (void)state;
    size_t n;
    char *whole = load("ok_all_types", &n);
    for (size_t cut = 0; cut < n; cut++) {
        char *part = malloc(cut + 1);
        struct gguf *g = NULL;
        struct fk_error err;
        assert_non_null(part);
        memcpy(part, whole, cut);
        if (gguf_parse(&g, part, cut, "cut", &err) == FK_OK) fail_msg("accepted after %zu bytes", cut);
        free(part);
    }
    mem_free(whole);
}

static void expect_text(const struct gguf *g, const char *key, const char *want)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    assert_non_null(kv);
    char *text = gguf_value_text(g, kv);
    assert_string_equal(text, want);
    mem_free(text);
}

static void reads_values(void **state)
{
    (void)state;
    size_t n;
    char *data = load("ok_all_types", &n);
    struct gguf *g;
    struct fk_error err;
    assert_int_equal(gguf_parse(&g, data, n, "x", &err), FK_OK);
    expect_text(g, "general.architecture", "llama");
    expect_text(g, "u8", "200");
    expect_text(g, "i8", "-5");
    expect_text(g, "u16", "65535");
    expect_text(g, "i16", "-32768");
    expect_text(g, "u32", "4294967295");
    expect_text(g, "i32", "-7");
    expect_text(g, "f32", "1e-06");
    expect_text(g, "f64", "0.1");
    expect_text(g, "yes", "true");
    expect_text(g, "u64", "18446744073709551615");
    expect_text(g, "i64", "-9223372036854775808");
    expect_text(g, "tokens", "[19] , token1, token2token2, , token4, token5token5, , token7, ...");
    expect_text(g, "scores", "[3] 0.5, -1.25, 3");
    expect_text(g, "flags", "[2] true, false");
    expect_text(g, "none", "[0]");
    const struct gguf_kv *tokens = gguf_find(g, "tokens");
    struct gguf_str s;
    for (int i = 18; i >= 0; i--) {
        char want[64] = "";
        for (int k = 0; k < i % 3; k++) snprintf(want + strlen(want), 32, "token%d", i);
        assert_true(gguf_item_str(g, tokens, (uint64_t)i, &s));
        assert_int_equal(s.n, strlen(want));
        assert_memory_equal(s.p, want, s.n);
    }
    assert_false(gguf_item_str(g, tokens, 19, &s));
    int64_t v = 77;
    double f;
    bool b = false;
    assert_int_equal(gguf_get_int(g, "absent", false, 0, 1, &v, &err), FK_OK);
    assert_int_equal(v, 77);
    assert_int_equal(gguf_get_int(g, "absent", true, 0, 1, &v, &err), FK_EFORMAT);
    assert_string_equal(err.message, "x: the key absent is missing");
    assert_int_equal(gguf_get_int(g, "u8", true, 0, 199, &v, &err), FK_EFORMAT);
    assert_string_equal(err.message, "x: u8 is 200, allowed are 0 to 199");
    assert_int_equal(gguf_get_int(g, "u64", true, 0, 199, &v, &err), FK_EFORMAT);
    assert_int_equal(gguf_get_int(g, "f32", true, 0, 199, &v, &err), FK_EFORMAT);
    assert_string_equal(err.message, "x: the key f32 is of type f32, not an integer");
    assert_int_equal(gguf_get_int(g, "types", true, 0, 199, &v, &err), FK_EFORMAT);
    assert_int_equal(gguf_get_f64(g, "i32", true, -10, 0, &f, &err), FK_OK);
    assert_true(f == -7.0);
    assert_int_equal(gguf_get_bool(g, "yes", true, &b, &err), FK_OK);
    assert_true(b);
    assert_int_equal(gguf_get_bool(g, "u8", true, &b, &err), FK_EFORMAT);
    assert_int_equal(gguf_get_str(g, "yes", true, &s, &err), FK_EFORMAT);
    const struct gguf_tensor *t = gguf_find_tensor(g, "b.weight");
    assert_non_null(t);
    assert_int_equal(t->dtype, DT_Q8_0);
    assert_int_equal(t->n_dims, 3);
    assert_int_equal(t->bytes, 68);
    assert_ptr_equal(t->data, data + t->offset);
    assert_int_equal(t->data[0], 32);
    assert_null(gguf_find_tensor(g, "c.weight"));
    gguf_close(&g);
    assert_null(g);
    mem_free(data);
}

static char dir[] = "/tmp/fikr-gguf-XXXXXX";

static void put(const char *name, const void *p, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static enum fk_status open_at(const char *name, struct gguf **g, struct fk_error *err)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return gguf_open(g, path, err);
}

/* One file of a split set in out: tensor `name` of four floats, keys split.*. */
static size_t shard(uint8_t *out, int no, int count, int n_tensors, const char *name)
{
    uint8_t *p = out;
#define PUT(v, n) do { uint64_t v_ = (uint64_t)(v); memcpy(p, &v_, n); p += n; } while (0)
#define STR(s) do { PUT(strlen(s), 8); memcpy(p, s, strlen(s)); p += strlen(s); } while (0)
    memcpy(p, "GGUF", 4);
    p += 4;
    PUT(3, 4);
    PUT(1, 8);
    PUT(3, 8);
    STR("split.no");
    PUT(GGUF_U16, 4);
    PUT(no, 2);
    STR("split.count");
    PUT(GGUF_U16, 4);
    PUT(count, 2);
    STR("split.tensors.count");
    PUT(GGUF_I32, 4);
    PUT(n_tensors, 4);
    STR(name);
    PUT(1, 4);
    PUT(4, 8);
    PUT(DT_F32, 4);
    PUT(0, 8);
    while ((p - out) % 32) *p++ = 0;
    memset(p, no + 1, 16);
    return (size_t)(p + 16 - out);
#undef PUT
#undef STR
}

static void put_shards(int total, const char *second_name)
{
    uint8_t bytes[1024];
    put("m-00001-of-00003.gguf", bytes, shard(bytes, 0, 3, total, "a"));
    put("m-00002-of-00003.gguf", bytes, shard(bytes, 1, 3, total, second_name));
    put("m-00003-of-00003.gguf", bytes, shard(bytes, 2, 3, total, "c"));
}

static void refuse_set(const char *name, const char *sentence)
{
    struct gguf *g = NULL;
    struct fk_error err = {.message = ""};
    assert_int_not_equal(open_at(name, &g, &err), FK_OK);
    assert_null(g);
    if (!strstr(err.message, sentence)) fail_msg("\"%s\" lacks \"%s\"", err.message, sentence);
}

/* F17 */
static void joins_split_sets(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct gguf *g;
    struct fk_error err;
    put_shards(3, "b");
    for (int from = 1; from <= 3; from++) {
        char name[64];
        snprintf(name, sizeof name, "m-%05d-of-00003.gguf", from);
        assert_int_equal(open_at(name, &g, &err), FK_OK);
        assert_int_equal(gguf_n_tensors(g), 3);
        const struct gguf_tensor *t = gguf_find_tensor(g, "b");
        assert_int_equal(t->i_file, 1);
        assert_int_equal(t->data[0], 2);
        gguf_close(&g);
    }
    put("m-00002-of-00003.gguf", bytes, shard(bytes, 2, 3, 3, "b"));
    refuse_set("m-00001-of-00003.gguf", "m-00002-of-00003.gguf: split.no is 2 and split.count 3, but by");
    put("m-00002-of-00003.gguf", bytes, shard(bytes, 1, 4, 3, "b"));
    refuse_set("m-00001-of-00003.gguf", "m-00002-of-00003.gguf: split.no is 1 and split.count 4, but by");
    put_shards(3, "a");
    refuse_set("m-00001-of-00003.gguf", "m-00002-of-00003.gguf: tensor 'a' stands twice");
    put_shards(4, "b");
    refuse_set("m-00001-of-00003.gguf", "split.tensors.count is 4, but the 3 files have 3 tensors");
    char path[512];
    snprintf(path, sizeof path, "%s/m-00003-of-00003.gguf", dir);
    unlink(path);
    refuse_set("m-00001-of-00003.gguf", "m-00003-of-00003.gguf: No such file");
    refuse_set("m-00004-of-00003.gguf", "by its name it is file 4 of 3");
    refuse_set("m-00001-of-65535.gguf", "at most 512");
    size_t n;
    char *plain = load("ok_v2", &n);
    put("m-00002-of-00003.gguf", plain, n);
    refuse_set("m-00001-of-00003.gguf", "m-00002-of-00003.gguf: split.no is -1");
    mem_free(plain);
    for (int i = 1; i <= 2; i++) {
        snprintf(path, sizeof path, "%s/m-%05d-of-00003.gguf", dir, i);
        unlink(path);
    }
}

/* F14: 16 TB of nothing behind a plausible head. */
static void refuses_a_sparse_giant(void **state)
{
    (void)state;
    uint8_t head[24] = "GGUF\3";
    memset(head + 8, 0xff, 3);  /* 16,777,215 tensors */
    put("giant.gguf", head, sizeof head);
    char path[512];
    snprintf(path, sizeof path, "%s/giant.gguf", dir);
    off_t size = (off_t)16 << 40;
    while (truncate(path, size) != 0 && size > 1 << 30) size /= 2;
    uint64_t rss = clock_rss_bytes();
    double start = clock_cpu_seconds();
    refuse_set("giant.gguf", "n_tensors at byte 8 is 16777215");
    memset(head + 8, 0, 8);
    head[9] = 0xff;  /* tensors with empty names */
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fwrite(head, 1, sizeof head, f), sizeof head);
    fclose(f);
    refuse_set("giant.gguf", "a tensor name at byte 24 has a length of 0");
    assert_true(clock_cpu_seconds() - start < 1.0);
    assert_true(clock_rss_bytes() < rss + (64u << 20));
    unlink(path);
}

/* (12): metadata without end costs bounded time and memory. */
static void bounds_the_header(void **state)
{
    (void)state;
    uint8_t head[57] = "GGUF\3";
    head[16] = 1;
    head[24] = 1;
    head[32] = 'k';
    head[33] = GGUF_ARRAY;
    head[37] = GGUF_STRING;
    head[41] = 0;
    head[44] = 4; /* 2^26 empty strings: 512 MiB of lengths */
    put("long.gguf", head, 49);
    char path[512];
    snprintf(path, sizeof path, "%s/long.gguf", dir);
    assert_int_equal(truncate(path, (off_t)1 << 30), 0);
    uint64_t rss = clock_rss_bytes();
    refuse_set("long.gguf", "beyond the limit of 41943040 bytes");
    assert_true(clock_rss_bytes() < rss + (64u << 20));
    unlink(path);
}

int main(int argc, char **argv)
{
    corpus = argc > 1 ? argv[1] : "tests/fuzz/corpus/gguf";
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),  cmocka_unit_test(refuses_every_cut),
        cmocka_unit_test(reads_values),        cmocka_unit_test(joins_split_sets),
        cmocka_unit_test(refuses_a_sparse_giant), cmocka_unit_test(bounds_the_header),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return rc;
}
