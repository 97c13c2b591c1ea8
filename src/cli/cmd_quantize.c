/* SPDX-License-Identifier: Apache-2.0
 * cmd_quantize.c - the library's quantizer with a progress bar, and what it says of the result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fikr/quantize.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/cli/models.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/train_link.h"
#include "src/cli/verbs.h"

static const int widths[6] = {2, 3, 4, 5, 6, 8};

#define MAX_TEXT_BYTES ((size_t)256 << 20)

/* "900M", "2.5G": powers of 1000, as bytes are printed. */
static enum fk_status parse_size(const char *s, uint64_t *bytes, struct fk_error *err)
{
    static const char units[] = "kMGT";
    char *end;
    double v = strtod(s, &end);
    for (int i = 0; *end && i < 4; i++) {
        v *= 1000;
        if (*end != units[i]) continue;
        end++;
        break;
    }
    if (end == s || *end || !(v >= 1 && v < 1e18))
        return fail(err, FK_EINVAL, "--size takes a number of bytes such as 900M or 2.5G, not '%s'", s);
    *bytes = (uint64_t)v;
    return FK_OK;
}

/* What was rounded learns from what it was made of, by the same text. */
static enum fk_status distill(const struct args *a, const struct fk_quantize_params *p, const struct train_link *link,
                              struct fk_distill_report *report, struct fk_error *err)
{
    struct fk_distill_params dp = {.minutes = (double)a->distill, .text = p->text, .n_bytes = p->n_bytes,
                                   .n_threads = p->n_threads, .progress = p->progress,
                                   .progress_arg = p->progress_arg, .report = report};
    enum fk_status st = link->distill(a->operands[0], a->operands[1], &dp, err);
    return st == FK_ECANCELLED && report->n_steps ? FK_OK : st; /* the report says how far it came */
}

static enum fk_status run(const struct args *a, struct fk_quantize_params *p, char **text,
                          struct fk_distill_report *report, struct fk_error *err)
{
    size_t n;
    p->n_threads = a->threads;
    p->max_tokens = a->max_tokens;
    p->plan = a->plan;
    p->bpw = (double)a->bpw;
    p->kl = (double)a->max_kl;
    p->imatrix = a->imatrix;
    p->head_bits = opened_head(a);
    if (p->head_bits == FK_HEAD_WHOLE) p->head_bits = 0;
    if (a->strip && strcmp(a->strip, "plan") == 0) {
        p->strip = FK_STRIP_PLAN;
    } else if (a->strip) {
        if (strlen(a->strip) != 1 || *a->strip < '1' || *a->strip > '9')
            return fail(err, FK_EINVAL, "--strip takes bits or plan, not '%s'", a->strip);
        p->strip = *a->strip - '0';
    }
    if (a->size) {
        enum fk_status st = parse_size(a->size, &p->size_bytes, err);
        if (st) return st;
    }
    if (a->calibrate && strcmp(a->calibrate, "none") == 0) {
        p->no_calibration = 1;
    } else if (a->calibrate) {
        enum fk_status st = file_read(a->calibrate, MAX_TEXT_BYTES, text, &n, err);
        if (st) return st;
        p->text = *text;
        p->n_bytes = n;
    }
    const struct train_link *link = NULL;
    if (a->distill > 0) {
        TRY(train_link_open(&link, err));
        TRY(link->distill_ready(a->operands[1], err)); /* before hours of rounding */
    }
    TRY(fk_quantize(a->operands[0], a->operands[1], p, err));
    return link ? distill(a, p, link, report, err) : FK_OK;
}

static void print_distilled(const struct fk_distill_report *r)
{
    if (!r->n_tokens) return;
    fprintf(stderr, "distilled in %lld steps", (long long)r->n_steps);
    if (r->n_resumed) fprintf(stderr, " (%lld of them before it was broken off)", (long long)r->n_resumed);
    fprintf(stderr, " over %s tokens: divergence from the source", term_count((unsigned long long)r->n_learned));
    for (int i = 0; i < r->n_widths; i++) {
        fprintf(stderr, "%s %.4f, before %.4f", i ? ";" : "", r->kl_after[i], r->kl_before[i]);
        if (r->bits[i]) fprintf(stderr, " at %d bits", r->bits[i]);
    }
    fprintf(stderr, ", over %d tokens of the text that it did not learn from%s\n", r->n_tokens,
            r->is_kept ? "" : "; the file was left as it was");
    if (r->is_unsaved)
        fprintf(stderr, "OUT.distill could not be written: had this run been broken off, it would have begun anew\n");
}

static void print_report(const struct fk_quantize_report *r)
{
    if (r->n_tokens) {
        fprintf(stderr, "divergence from the source over %d tokens:", r->n_tokens);
        for (int i = 4; i >= 0; i--)
            fprintf(stderr, " %.4f at %d bits%s", r->kl[i], widths[i], i ? "," : "\n");
    }
    if (!r->plan_bytes) return;
    fprintf(stderr, "plan: %.2f bits a weight, %s a token, divergence %.4f from the %s;", r->plan_bpw,
            term_bytes(r->plan_bytes), r->plan_kl, r->n_tokens ? "source" : "widest");
    const char *comma = "";
    for (int i = 0; i < 6; i++) {
        if (!r->n_at[i]) continue;
        fprintf(stderr, "%s %d weights at %d", comma, r->n_at[i], widths[i]);
        comma = ",";
    }
    fputc('\n', stderr);
}

static bool put_report(json_t *doc, const struct fk_quantize_report *r)
{
    json_t *kl = json_object(), *n = json_object();
    for (int i = 0; i < 6; i++) {
        char key[4];
        snprintf(key, sizeof key, "%d", widths[i]);
        if (!json_put(kl, key, r->n_tokens ? json_num(r->kl[i]) : json_null()) ||
            !json_put(n, key, json_integer(r->n_at[i]))) {
            json_decref(kl);
            json_decref(n);
            return false;
        }
    }
    if (!r->plan_bytes) {
        json_decref(n);
        n = NULL;
    }
    return json_put(doc, "kl", kl) && json_put(doc, "kl_tokens", json_integer(r->n_tokens)) &&
           (!n || (json_put(doc, "plan_weights", n) && json_put(doc, "plan_bpw", json_num(r->plan_bpw)) &&
                   json_put(doc, "plan_bytes", json_count(r->plan_bytes)) &&
                   json_put(doc, "plan_kl", json_num(r->plan_kl))));
}

static json_t *of_widths(const double *x, int n)
{
    json_t *a = json_array();
    for (int i = 0; i < n && a; i++)
        if (json_array_append_new(a, json_num(x[i]))) {
            json_decref(a);
            a = NULL;
        }
    return a;
}

static bool put_distilled(json_t *doc, const struct fk_distill_report *r)
{
    double bits[3] = {r->bits[0], r->bits[1], r->bits[2]};
    return !r->n_tokens || (json_put(doc, "distill_steps", json_integer(r->n_steps)) &&
                            json_put(doc, "distill_tokens", json_integer(r->n_learned)) &&
                            json_put(doc, "distill_bits", of_widths(bits, r->n_widths)) &&
                            json_put(doc, "distill_kl_before", of_widths(r->kl_before, r->n_widths)) &&
                            json_put(doc, "distill_kl_after", of_widths(r->kl_after, r->n_widths)) &&
                            json_put(doc, "distill_resumed", json_integer(r->n_resumed)) &&
                            json_put(doc, "distill_unsaved", json_boolean(r->is_unsaved)) &&
                            json_put(doc, "distill_kept", json_boolean(r->is_kept)));
}

static void say(void *bar, const char *sentence)
{
    bar_fini(bar);
    fprintf(stderr, "fikr: %s\n", sentence);
}

int cmd_quantize(const struct args *a)
{
    struct fk_quantize_params p;
    struct fk_error err = {0};
    struct bar bar;
    char *text = NULL;
    struct fk_quantize_report report = {{0}, 0, {0}, 0, 0, 0, 0};
    struct fk_distill_report distilled = {0};
    fk_quantize_default_params(&p);
    p.report = &report;
    bar_init(&bar);
    p.progress = bar_update;
    p.progress_arg = &bar;
    p.notice = say;
    enum fk_status st = run(a, &p, &text, &distilled, &err);
    bar_fini(&bar);
    mem_free(text);
    if (st) return term_complain(&err);
    if (!a->json) print_report(&report);
    if (!a->json) print_distilled(&distilled);
    int rc = signals_interrupted() ? 130 : 0; /* out of a distillation, whose gain was kept */
    if (!a->json) return rc;
    json_t *doc = json_object();
    if (!json_put(doc, "in", json_cstr(a->operands[0])) ||
        !json_put(doc, "out", json_cstr(a->operands[1])) || !put_report(doc, &report) ||
        !put_distilled(doc, &distilled)) {
        json_decref(doc);
        doc = NULL;
    }
    return json_emit(doc, rc);
}
