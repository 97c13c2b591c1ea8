/* SPDX-License-Identifier: Apache-2.0
 * template_cli.c - renders a template file with JSON variables from stdin, for the oracle scripts.
 *
 *   template_cli TEMPLATE [-t] < vars.json     -t prints trust marks instead of the text
 *   template_cli -b < jobs                     one job a line: {"template": text, "vars": {...}};
 *                                              one JSON line out: {"text": ..} or {"error": ..} */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/text/template.h"

enum { NOW = 1722470400 }; /* 2024-08-01 00:00:00 UTC */

static const char *const trusted[] = {"bos_token", "eos_token", "pad_token", "unk_token", NULL};

static enum fk_status render(const char *text, size_t n, const json_t *vars, struct buf *out,
                             struct buf *trust, struct fk_error *err)
{
    struct chat_template *t;
    enum fk_status status = template_parse(&t, text, n, err);
    if (status) return status;
    status = template_render(t, vars, trusted, NOW, NULL, out, trust, err);
    template_destroy(&t);
    return status;
}

static int batch(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    while ((got = getline(&line, &cap, stdin)) > 0) {
        json_t *job = json_loadb(line, (size_t)got, JSON_ALLOW_NUL, NULL);
        json_t *text = json_object_get(job, "template"), *vars = json_object_get(job, "vars");
        if (!json_is_string(text) || !json_is_object(vars)) {
            fprintf(stderr, "template_cli: a line is no job\n");
            return 2;
        }
        struct buf out, trust;
        struct fk_error err = {FK_OK, ""};
        buf_init(&out, 0, MEM_TEXT);
        buf_init(&trust, 0, MEM_TEXT);
        json_t *answer =
            render(json_string_value(text), json_string_length(text), vars, &out, &trust, &err)
                ? json_pack("{s:s}", "error", err.message)
                : json_pack("{s:s%}", "text", out.data ? out.data : "", out.n);
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(answer);
        json_decref(job);
        buf_fini(&out);
        buf_fini(&trust);
    }
    free(line);
    return 0;
}

static int single(const char *path, bool show_trust)
{
    char file[1 << 16];
    struct buf text, out, trust;
    struct fk_error err = {FK_OK, ""};
    buf_init(&text, 0, MEM_TEXT);
    buf_init(&out, 0, MEM_TEXT);
    buf_init(&trust, 0, MEM_TEXT);
    FILE *f = fopen(path, "rb");
    for (size_t n; f && (n = fread(file, 1, sizeof file, f)) > 0;) buf_append(&text, file, n);
    if (f) fclose(f);
    json_t *vars = json_loadf(stdin, 0, NULL);
    if (!f || !vars) {
        fprintf(stderr, "template_cli: no template file or no JSON on stdin\n");
        return 2;
    }
    enum fk_status status = render(text.data ? text.data : "", text.n, vars, &out, &trust, &err);
    if (status) fprintf(stderr, "template_cli: %s\n", err.message);
    for (size_t i = 0; !status && i < out.n; i++)
        putchar(show_trust ? '0' + trust.data[i] : out.data[i]);
    json_decref(vars);
    buf_fini(&text);
    buf_fini(&out);
    buf_fini(&trust);
    return status ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "-b")) return batch();
    if (argc == 2) return single(argv[1], false);
    if (argc == 3 && !strcmp(argv[2], "-t")) return single(argv[1], true);
    fprintf(stderr, "usage: template_cli TEMPLATE [-t] | -b\n");
    return 2;
}
