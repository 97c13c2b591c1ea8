/* SPDX-License-Identifier: Apache-2.0
 * cmd_quantize.c - the library's quantizer with a progress bar, and what it says of the result. */
#include <stdio.h>
#include <string.h>

#include "fikr/quantize.h"
#include "src/base/alloc.h"
#include "src/base/map.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

#define MAX_TEXT_BYTES ((size_t)256 << 20)

static enum fk_status run(const struct args *a, struct fk_quantize_params *p, char **text,
                          struct fk_error *err)
{
    size_t n;
    p->n_threads = a->threads;
    p->max_tokens = a->max_tokens;
    p->plan = a->plan;
    if (a->calibrate && strcmp(a->calibrate, "none") == 0) {
        p->no_calibration = 1;
    } else if (a->calibrate) {
        enum fk_status st = file_read(a->calibrate, MAX_TEXT_BYTES, text, &n, err);
        if (st) return st;
        p->text = *text;
        p->n_bytes = n;
    }
    return fk_quantize(a->operands[0], a->operands[1], p, err);
}

int cmd_quantize(const struct args *a)
{
    struct fk_quantize_params p;
    struct fk_error err = {0};
    struct bar bar;
    char *text = NULL;
    fk_quantize_default_params(&p);
    bar_init(&bar);
    p.progress = bar_update;
    p.progress_arg = &bar;
    enum fk_status st = run(a, &p, &text, &err);
    bar_fini(&bar);
    mem_free(text);
    if (st) return term_complain(&err);
    if (!a->json) return 0;
    json_t *doc = json_object();
    if (!json_put(doc, "in", json_cstr(a->operands[0])) ||
        !json_put(doc, "out", json_cstr(a->operands[1]))) {
        json_decref(doc);
        doc = NULL;
    }
    return json_emit(doc, 0);
}
