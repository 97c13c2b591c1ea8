/* SPDX-License-Identifier: Apache-2.0
 * replay.c - runs a fuzzer over the files of its corpus, without libFuzzer, so that `make check`
 * replays what fuzzing found. Each input runs once as it is and then with the first, second, ...
 * allocation failing (at most MAX_POINTS of them); heap memory must be back where it was each time.
 *
 *   fuzz_gguf tests/fuzz/corpus/gguf [more files or folders] */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include "src/base/alloc.h"
#include "src/base/map.h"
#include "tests/fuzz/fuzz.h"

#define MAX_POINTS 200

static unsigned long n_inputs, n_failures;

static int run_once(const char *path, const uint8_t *data, size_t n, int64_t fail_at)
{
    struct mem_stats before, after;
    mem_get_stats(&before);
    mem_inject(fail_at, false);
    LLVMFuzzerTestOneInput(data, n);
    uint64_t injected = mem_inject(-1, false);
    mem_get_stats(&after);
    n_failures += injected;
    if (after.live_bytes != before.live_bytes) {
        fprintf(stderr, "%s: leaves %llu bytes on the heap (allocation %lld fails)\n", path,
                (unsigned long long)(after.live_bytes - before.live_bytes), (long long)fail_at);
        exit(1);
    }
    return injected > 0;
}

static void replay_file(const char *path)
{
    char *text = NULL;
    size_t n = 0;
    struct fk_error err;
    if (file_read(path, 64u << 20, &text, &n, &err) != FK_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    uint8_t *exact = malloc(n + (n == 0)); /* its end is the input's end: sanitizers see overreads */
    if (!exact) exit(1);
    if (n) memcpy(exact, text, n);
    mem_free(text);
    n_inputs++;
    run_once(path, exact, n, -1);
    for (int64_t k = 0; k < MAX_POINTS && run_once(path, exact, n, k); k++) continue;
    free(exact);
}

static void replay_folder(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0) {
        perror(path);
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        char full[4096];
        snprintf(full, sizeof full, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.') replay_file(full);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) replay_folder(argv[i]);
        else replay_file(argv[i]);
    }
    printf("%lu inputs, %lu injected allocation failures\n", n_inputs, n_failures);
    return n_inputs == 0;
}
