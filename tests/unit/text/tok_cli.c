/* SPDX-License-Identifier: Apache-2.0
 * tok_cli.c - a bare tokenizer for scripts: tok_cli VOCAB.gguf [--trusted] reads frames from stdin
 * (u32 length, bytes) and writes for each u32 n_ids, n_ids x i32, u32 n_bytes, the decoded bytes.
 * With --time it reads stdin as one text and prints how long building and encoding took. Not a test
 * by itself; tools/oracle_tokenizers.py drives it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/clock.h"
#include "src/base/map.h"
#include "src/text/tokenizer.h"

static int fail_with(const struct fk_error *err)
{
    fprintf(stderr, "tok_cli: %s\n", err->message);
    return 2;
}

static int put_u32(size_t n)
{
    uint32_t u = (uint32_t)n;
    return fwrite(&u, 4, 1, stdout) == 1;
}

static int run_frames(const struct tokenizer *t, int trusted, struct fk_error *err)
{
    uint32_t n;
    struct token_vec ids = {0};
    struct buf in, marks, out;
    buf_init(&in, 0, MEM_MISC);
    buf_init(&marks, 0, MEM_MISC);
    buf_init(&out, 0, MEM_MISC);
    int rc = 0;
    while (!rc && fread(&n, 4, 1, stdin) == 1) {
        struct detokenizer d;
        buf_clear(&in);
        buf_clear(&marks);
        buf_clear(&out);
        ids.n = 0;
        if (!buf_reserve(&in, (size_t)n + 1) || !buf_reserve(&marks, (size_t)n + 1)) return 3;
        if (n && fread(in.data, n, 1, stdin) != 1) return 2;
        memset(marks.data, 1, n);
        if (tokenizer_encode(t, in.data, n, trusted ? (uint8_t *)marks.data : NULL, &ids, err))
            rc = fail_with(err);
        detokenizer_init(&d, t, true);
        for (size_t i = 0; i < ids.n; i++) detokenizer_push(&d, ids.ids[i], &out);
        put_u32(ids.n);
        fwrite(ids.ids, sizeof *ids.ids, ids.n, stdout);
        put_u32(out.n);
        if (out.n) fwrite(out.data, 1, out.n, stdout);
    }
    fflush(stdout);
    buf_fini(&in);
    buf_fini(&marks);
    buf_fini(&out);
    mem_free(ids.ids);
    return rc;
}

static double now(void)
{
    return clock_seconds();
}

static int run_timed(const struct tokenizer *t, double built, struct fk_error *err)
{
    char chunk[65536];
    struct token_vec ids = {0};
    struct buf in;
    size_t n;
    buf_init(&in, 0, MEM_MISC);
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) buf_append(&in, chunk, n);
    double start = now(), cpu = clock_cpu_seconds();
    if (tokenizer_encode(t, in.data, in.n, NULL, &ids, err)) return fail_with(err);
    printf("build %.1f ms, %zu bytes to %zu ids in %.1f ms, cpu %.1f ms\n", built * 1e3, in.n,
           ids.n, (now() - start) * 1e3, (clock_cpu_seconds() - cpu) * 1e3);
    buf_fini(&in);
    mem_free(ids.ids);
    return 0;
}

int main(int argc, char **argv)
{
    struct fk_error err = {0};
    struct gguf *g = NULL;
    struct tokenizer *t = NULL;
    if (argc < 2) return 2;
    const char *mode = argc > 2 ? argv[2] : "";
    if (gguf_open(&g, argv[1], &err)) return fail_with(&err);
    double start = now();
    if (tokenizer_from_gguf(&t, g, &err)) {
        gguf_close(&g);
        return fail_with(&err);
    }
    double built = now() - start;
    gguf_close(&g);
    int rc = strcmp(mode, "--time") ? run_frames(t, !strcmp(mode, "--trusted"), &err)
                                    : run_timed(t, built, &err);
    tokenizer_destroy(&t);
    return rc;
}
