/* SPDX-License-Identifier: Apache-2.0
 * gguf_write_test.c - what is written reads back; what fails on the way leaves the target as it was. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>
#include <cmocka.h>
#include "src/base/alloc.h"
#include "src/file/gguf_write.h"

static char dir[] = "/tmp/fikr-gw-XXXXXX";
static char path[256];

struct pattern { size_t n; uint8_t seed; };

static enum fk_status fill_pattern(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct pattern *p = arg;
    uint8_t line[100];
    for (size_t done = 0; done < p->n;) {
        size_t k = p->n - done < sizeof line ? p->n - done : sizeof line;
        for (size_t i = 0; i < k; i++) line[i] = (uint8_t)(p->seed + done + i);
        enum fk_status st = out_file_write(f, line, k, err);
        if (st != FK_OK) return st;
        done += k;
    }
    return FK_OK;
}

static int n_entries(void)
{
    DIR *d = opendir(dir);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static enum fk_status make(struct gguf_writer **w, uint32_t alignment, struct pattern p[3],
                           struct fk_error *err)
{
    static const struct gguf_str words[] = {{"one", 3}, {"", 0}, {"three", 5}};
    static const int32_t ids[] = {7, -1};
    enum fk_status st = gguf_writer_create(w, alignment, err);
    if (st != FK_OK) return st;
    gguf_put_str(*w, "general.architecture", "llama");
    gguf_put_u32(*w, "u", 5);
    gguf_put_f32(*w, "f", 1e-5f);
    gguf_put_bool(*w, "b", true);
    gguf_put_strings(*w, "words", words, 3);
    gguf_put_array(*w, "ids", GGUF_I32, ids, 2);
    st = gguf_add_tensor(*w, "a.weight", DT_Q8_0, 3, (uint64_t[]){64, 3, 2}, fill_pattern, &p[0], err);
    if (st == FK_OK)
        st = gguf_add_tensor(*w, "b", DT_F32, 1, (uint64_t[]){5}, fill_pattern, &p[1], err);
    if (st == FK_OK)
        st = gguf_add_tensor(*w, "c", DT_I8, 2, (uint64_t[]){3, 1000000}, fill_pattern, &p[2], err);
    return st;
}

static void reads_back(void **state)
{
    (void)state;
    struct pattern p[3] = {{408, 1}, {20, 2}, {3000000, 3}};
    for (uint32_t alignment = 8; alignment <= 4096; alignment *= 2) {
        struct gguf_writer *w;
        struct gguf *g;
        struct fk_error err;
        int64_t v = 0;
        double f = 0;
        struct gguf_str s;
        assert_int_equal(make(&w, alignment, p, &err), FK_OK);
        assert_int_equal(gguf_writer_write(w, path, NULL, NULL, &err), FK_OK);
        gguf_writer_destroy(&w);
        if (gguf_open(&g, path, &err) != FK_OK) fail_msg("%s", err.message);
        assert_int_equal(gguf_n_tensors(g), 3);
        assert_int_equal(gguf_get_int(g, "u", true, 0, 9, &v, &err), FK_OK);
        assert_int_equal(v, 5);
        assert_int_equal(gguf_get_f64(g, "f", true, 0, 1, &f, &err), FK_OK);
        assert_true((float)f == 1e-5f);
        assert_true(gguf_item_str(g, gguf_find(g, "words"), 2, &s));
        assert_memory_equal(s.p, "three", s.n);
        assert_true(gguf_item_int(gguf_find(g, "ids"), 1, &v));
        assert_int_equal(v, -1);
        for (size_t i = 0; i < 3; i++) {
            const struct gguf_tensor *t = gguf_tensor_at(g, i);
            assert_int_equal(t->bytes, p[i].n);
            assert_int_equal(t->offset % alignment, 0);
            for (size_t k = 0; k < t->bytes; k++)
                if (t->data[k] != (uint8_t)(p[i].seed + k)) fail_msg("tensor %zu differs at %zu", i, k);
        }
        gguf_close(&g);
    }
    assert_int_equal(n_entries(), 1);
    unlink(path);
}

static void refuses_mistakes(void **state)
{
    (void)state;
    struct pattern p[3] = {{408, 1}, {20, 2}, {3000000, 3}};
    struct gguf_writer *w;
    struct fk_error err;
    assert_int_equal(gguf_writer_create(&w, 12, &err), FK_EINVAL);
    assert_int_equal(make(&w, 32, p, &err), FK_OK);
    assert_int_equal(gguf_add_tensor(w, "x", DT_Q8_0, 1, (uint64_t[]){33}, fill_pattern, p, &err), FK_EINVAL);
    assert_int_equal(gguf_add_tensor(w, "x", DT_F32, 2, (uint64_t[]){1, 0}, fill_pattern, p, &err), FK_EINVAL);
    assert_true(gguf_has_key(w, "u"));
    assert_false(gguf_has_key(w, "v"));
    gguf_put_u32(w, "u", 6);
    assert_int_equal(gguf_writer_write(w, path, NULL, NULL, &err), FK_ESTATE);
    assert_non_null(strstr(err.message, "key u was put twice"));
    gguf_writer_destroy(&w);
    p[1].n = 24;
    assert_int_equal(make(&w, 32, p, &err), FK_OK);
    assert_int_equal(gguf_writer_write(w, path, NULL, NULL, &err), FK_ESTATE);
    assert_non_null(strstr(err.message, "tensor 'b' got 24 bytes instead of 20"));
    gguf_writer_destroy(&w);
    assert_int_equal(n_entries(), 0);
}

static int stop(void *arg, const char *what, unsigned long long done, unsigned long long total)
{
    (void)what;
    assert_true(done <= total);
    return ++*(int *)arg == 2;
}

/* A run that is cancelled, or finds no room, leaves the old file and nothing else. */
static void leaves_the_target(void **state)
{
    (void)state;
    struct pattern p[3] = {{408, 1}, {20, 2}, {3000000, 3}};
    struct gguf_writer *w;
    struct fk_error err;
    int n_calls = 0;
    assert_int_equal(out_file_put(path, "old", 3, &err), FK_OK);
    assert_int_equal(make(&w, 32, p, &err), FK_OK);
    assert_int_equal(gguf_writer_write(w, path, stop, &n_calls, &err), FK_ECANCELLED);
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 2000000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    enum fk_status st = gguf_writer_write(w, path, NULL, NULL, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(st, FK_EIO);
    gguf_writer_destroy(&w);
    assert_int_equal(n_entries(), 1);
    char text[8] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text, f), 3);
    fclose(f);
    assert_string_equal(text, "old");
    unlink(path);
}

static void survives_failed_allocations(void **state)
{
    (void)state;
    struct pattern p[3] = {{408, 1}, {20, 2}, {3000000, 3}};
    struct mem_stats before, after;
    mem_get_stats(&before);
    uint64_t injected = 1;
    for (int k = 0; injected; k++) {
        struct gguf_writer *w = NULL;
        struct fk_error err;
        mem_inject(k, false);
        enum fk_status st = make(&w, 32, p, &err);
        if (st == FK_OK) st = gguf_writer_write(w, path, NULL, NULL, &err);
        injected = mem_inject(-1, false);
        assert_int_equal(st == FK_OK, !injected);
        gguf_writer_destroy(&w);
        mem_get_stats(&after);
        assert_int_equal(after.live_bytes, before.live_bytes);
        assert_int_equal(n_entries(), st == FK_OK);
    }
    unlink(path);
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/out.gguf", dir);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back),
        cmocka_unit_test(refuses_mistakes),
        cmocka_unit_test(leaves_the_target),
        cmocka_unit_test(survives_failed_allocations),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return rc;
}
