/* SPDX-License-Identifier: Apache-2.0
 * map_test.c - what cannot be mapped is refused without blocking; a file cut under us is survived. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
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
#include "src/base/map.h"

static char dir[] = "/tmp/fikr-map-XXXXXX";
static char path[256];

static void write_file(const char *name, size_t n)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    char page[4096];
    memset(page, 7, sizeof page);
    for (size_t done = 0; done < n;) {
        size_t k = n - done < sizeof page ? n - done : sizeof page;
        assert_int_equal(write(fd, page, k), (ssize_t)k);
        done += k;
    }
    close(fd);
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    struct file_map m;
    struct fk_error e;
    assert_int_equal(file_map_open(&m, dir, &e), FK_EINVAL);
    assert_int_equal(file_map_open(&m, "/dev/zero", &e), FK_EINVAL);
    assert_int_equal(file_map_open(&m, "/nonexistent/x", &e), FK_ENOTFOUND);
    snprintf(path, sizeof path, "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_map_open(&m, path, &e), FK_EINVAL);
    unlink(path);
    snprintf(path, sizeof path, "%s/loop", dir);
    assert_int_equal(symlink(path, path), 0);
    assert_int_equal(file_map_open(&m, path, &e), FK_EINVAL);
    unlink(path);
    write_file("empty", 0);
    assert_int_equal(file_map_open(&m, path, &e), FK_EFORMAT);
    char *text;
    size_t n;
    unlink(path);
    write_file("small", 100);
    assert_int_equal(file_read(path, 99, &text, &n, &e), FK_ETOOBIG);
    assert_int_equal(file_read(path, 100, &text, &n, &e), FK_OK);
    assert_int_equal(n, 100);
    mem_free(text);
    unlink(path);
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (map_handle_fault(info->si_addr)) return;
    signal(sig, SIG_DFL);
    raise(sig);
}

static void survives_a_cut(void **state)
{
    (void)state;
    struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO}, old;
    sigaction(SIGBUS, &sa, &old);
    struct file_map m;
    struct fk_error e;
    write_file("cut", 1 << 20);
    assert_int_equal(file_map_open(&m, path, &e), FK_OK);
    assert_int_equal(m.data[1 << 19], 7);
    assert_false(file_map_failed(&m));
    assert_int_equal(truncate(path, 4096), 0);
    unsigned sum = 0;
    for (size_t i = 0; i < m.bytes; i += 4096) sum += m.data[i];
    assert_int_equal(sum, 7);
    assert_true(file_map_failed(&m));
    file_map_close(&m);
    unlink(path);
    int x = 0;
    assert_false(map_handle_fault(&x));
    sigaction(SIGBUS, &old, NULL);
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(survives_a_cut),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return rc;
}
