/* SPDX-License-Identifier: Apache-2.0
 * desk.c - files and folders for the tests of training. */
#include "tests/unit/train/desk.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const desk_recipe =
    "{\"name\": \"desk\", \"seed\": 7, \"checkpoint_steps\": 4, \"vocab_sample\": 400, \"log_steps\": 1,"
    " \"eval_steps\": 6, \"eval_count\": 2, \"final_count\": 3, \"eval_max_new\": 24, \"samples\": 3,"
    " \"model\": {\"vocab\": 400, \"context\": 256, \"embd\": 64, \"layers\": 3, \"dense_layers\": 1,"
    " \"ff\": 64, \"heads\": 2, \"q_rank\": 32, \"kv_rank\": 32, \"experts\": 4, \"ff_expert\": 32},"
    " \"stages\": [{\"name\": \"first\", \"steps\": 8, \"batch_tokens\": 512, \"warmup\": 2,"
    " \"families\": {\"add\": 1, \"sub\": 1}},"
    " {\"name\": \"second\", \"steps\": 4, \"batch_tokens\": 256, \"warmup\": 0, \"decay\": 2,"
    " \"families\": {\"add\": 1}, \"levels\": [1, 0, 0, 0, 0], \"styles\": [1, 0, 0]}]}";

char *desk_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = malloc(512);
    assert_non_null(dir);
    snprintf(dir, 512, "%s/fikr-train-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
    return dir;
}

void desk_remove(char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) unlink(desk_path(dir, e->d_name));
    if (d) closedir(d);
    assert_int_equal(rmdir(dir), 0);
    free(dir);
}

const char *desk_path(const char *dir, const char *name)
{
    static char paths[8][1024];
    static int at;
    char *p = paths[at++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

void desk_write(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

char *desk_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, *n, f), *n);
    fclose(f);
    p[*n] = 0;
    return p;
}

int desk_count(const char *dir, const char *suffix)
{
    DIR *d = opendir(dir);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t k = strlen(e->d_name), s = strlen(suffix);
        n += k >= s && !strcmp(e->d_name + k - s, suffix);
    }
    if (d) closedir(d);
    return n;
}

void desk_expect_same(const char *a, const char *b, const char *name)
{
    size_t n_a, n_b;
    char *x = desk_read(desk_path(a, name), &n_a), *y = desk_read(desk_path(b, name), &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(x, y, n_a);
    free(x);
    free(y);
}
