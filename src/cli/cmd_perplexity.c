/* SPDX-License-Identifier: Apache-2.0
 * cmd_perplexity.c - how well a model predicts a text, by llama.cpp's protocol:
 * (1) the text is tokenised once, as a whole; (2) windows of n_ctx tokens, the last short one is
 * dropped; (3) where the model adds a BOS it replaces a window's first token; (4) positions n_ctx/2
 * to n_ctx-2 each predict the token after them; (5) ppl = exp(mean negative log likelihood). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "fikr/session.h"
#include "fikr/tokenizer.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/cli/models.h"
#include "src/cli/ppl.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

struct judge {
    const struct args *args;
    const fk_model *model;
    fk_session *session;
    size_t n_ctx, n_vocab, n_windows, n_rows, first; /* rows: predictions of a window */
    int32_t *ids;       /* of the whole text */
    size_t n_ids;
    float *logits;      /* [n_rows, n_vocab] of one window */
    float *log_p;       /* [n_vocab] */
    unsigned char *record;
    struct output save;
    struct base_reader base;
    double sum, sum_squares, kl_sum, seconds;
    double *window_sums; /* [n_windows], of negative log likelihoods */
    float *kl;          /* [n_windows * n_rows] */
    size_t n_tokens, n_agree;
};

static enum fk_status read_text(struct judge *j, struct fk_error *err)
{
    char *text = NULL;
    size_t n = 0;
    TRY(file_read(j->args->file, (size_t)1 << 30, &text, &n, err));
    enum fk_status st = fk_tokenize(j->model, text, n, FK_TOKENIZE_BOS, &j->ids, &j->n_ids, err);
    mem_free(text);
    if (st) return st;
    j->n_windows = j->n_ids / j->n_ctx;
    if (!j->n_windows)
        return fail(err, FK_EINVAL, "%s has %zu tokens; a window takes %zu", j->args->file, j->n_ids,
                    j->n_ctx);
    if (j->args->windows && (size_t)j->args->windows < j->n_windows)
        j->n_windows = (size_t)j->args->windows;
    if (j->n_windows > UINT32_MAX)
        return fail(err, FK_ETOOBIG, "%s has %zu windows; at most %u are allowed", j->args->file,
                    j->n_windows, UINT32_MAX);
    return FK_OK;
}

/* (3) */
static void place_bos(struct judge *j)
{
    int32_t bos = fk_token_bos(j->model);
    if (!fk_adds_bos(j->model) || bos < 0) return;
    for (size_t w = 0; w < j->n_windows; w++) j->ids[w * j->n_ctx] = bos;
}

static enum fk_status check_space(const char *path, uint64_t bytes, struct fk_error *err)
{
    char dir[4096];
    struct statvfs fs;
    size_t n = strlen(path);
    if (n >= sizeof dir) return FK_OK; /* opening it will say so */
    memcpy(dir, path, n + 1);
    char *slash = strrchr(dir, '/');
    if (slash) slash[1] = 0;
    if (statvfs(slash ? dir : ".", &fs)) return FK_OK;
    uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (bytes > available)
        return fail(err, FK_EIO, "%s would take %s and %s are free; --windows N judges less", path,
                    term_bytes(bytes), term_bytes(available));
    return FK_OK;
}

static enum fk_status prepare(struct judge *j, struct fk_error *err)
{
    const struct args *a = j->args;
    size_t n, bytes;
    struct base_header h = {(uint32_t)j->n_vocab, (uint32_t)j->n_ctx, (uint32_t)j->n_windows,
                            base_hash(j->ids, j->n_windows * j->n_ctx)};
    if (!size_mul(j->n_rows, j->n_vocab, &n) || !size_mul(n, sizeof(float), &bytes))
        return fail(err, FK_ETOOBIG, "a window of %zu tokens is too long", j->n_ctx);
    j->logits = mem_alloc(bytes, MEM_CLI);
    j->log_p = mem_array(j->n_vocab, sizeof *j->log_p, MEM_CLI);
    j->record = mem_alloc(base_record_bytes(&h), MEM_CLI);
    j->window_sums = mem_array(j->n_windows, sizeof *j->window_sums, MEM_CLI);
    if (a->kl_base) j->kl = mem_array(j->n_windows * j->n_rows, sizeof *j->kl, MEM_CLI);
    if (!j->logits || !j->log_p || !j->record || !j->window_sums || (a->kl_base && !j->kl))
        return fail_nomem(err, bytes, "the logits of a window");
    if (a->kl_base) TRY(base_open(&j->base, a->kl_base, &h, err));
    if (a->save_logits) {
        TRY(check_space(a->save_logits, base_file_bytes(&h), err));
        TRY(output_open(&j->save, a->save_logits, err));
        TRY(base_write_header(&j->save, &h, err));
    }
    return FK_OK;
}

static enum fk_status judge_row(struct judge *j, const float *row, int32_t next, size_t position,
                                struct fk_error *err)
{
    int32_t best = ppl_log_softmax(row, j->n_vocab, j->log_p);
    if (best < 0)
        return fail(err, FK_ENONFINITE, "a logit at token %zu of the text is not finite", position);
    double nll = -(double)j->log_p[next];
    j->sum += nll;
    j->sum_squares += nll * nll;
    if (j->save.fd >= 0) {
        struct base_header h = {.n_vocab = (uint32_t)j->n_vocab};
        TRY(base_write(&j->save, &h, j->log_p, best, j->record, err));
    }
    if (j->kl) {
        TRY(base_next(&j->base, err));
        double kl = ppl_kl(j->base.log_p, j->log_p, j->n_vocab);
        j->kl[j->n_tokens] = (float)kl;
        j->kl_sum += kl;
        j->n_agree += best == j->base.argmax;
    }
    j->n_tokens++;
    return FK_OK;
}

static enum fk_status judge_windows(struct judge *j, struct fk_error *err)
{
    struct bar bar;
    enum fk_status st = FK_OK;
    double begun = clock_seconds();
    bar_init(&bar);
    for (size_t w = 0; w < j->n_windows && !st; w++) {
        const int32_t *ids = j->ids + w * j->n_ctx;
        if (bar_update(&bar, "perplexity", w, j->n_windows)) {
            st = fail(err, FK_ECANCELLED, "interrupted after %zu of %zu windows", w, j->n_windows);
            break;
        }
        const double before = j->sum;
        st = fk_session_eval(j->session, ids, j->n_ctx - 1, j->first, 0, j->logits, err);
        for (size_t i = 0; i < j->n_rows && !st; i++)
            st = judge_row(j, j->logits + i * j->n_vocab, ids[j->first + i + 1],
                           w * j->n_ctx + j->first + i, err);
        j->window_sums[w] = j->sum - before;
    }
    bar_fini(&bar);
    j->seconds = clock_seconds() - begun;
    return st;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The mean of each window, for comparisons window by window: what two runs share cancels out. */
static json_t *windows_nll(const struct judge *j)
{
    json_t *list = json_array();
    for (size_t w = 0; list && w < j->n_windows; w++)
        if (json_array_append_new(list, json_num(j->window_sums[w] / (double)j->n_rows))) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static int report(struct judge *j)
{
    double n = (double)j->n_tokens, nll = j->sum / n, ppl = exp(nll);
    double variance = j->sum_squares / n - nll * nll;
    double error = n > 1 && variance > 0 ? ppl * sqrt(variance / (n - 1)) : 0;
    double kl_mean = 0, kl_error = 0, kl_p99 = 0, agree = 0;
    if (j->kl) {
        for (size_t i = 0; i < j->n_tokens; i++) {
            double d = (double)j->kl[i] - j->kl_sum / n;
            kl_error += d * d;
        }
        kl_error = n > 1 ? sqrt(kl_error / (n * (n - 1))) : 0;
        qsort(j->kl, j->n_tokens, sizeof *j->kl, by_size);
        kl_mean = j->kl_sum / n;
        kl_p99 = (double)j->kl[(size_t)(0.99 * (n - 1) + 0.5)];
        agree = (double)j->n_agree / n;
    }
    if (!j->args->json) {
        printf("ppl %.4f +- %.4f (nll %.6f, %zu tokens in %zu windows of %zu, %.1f s)\n", ppl, error,
               nll, j->n_tokens, j->n_windows, j->n_ctx, j->seconds);
        if (j->kl)
            printf("kl_mean %.6f +- %.6f, kl_p99 %.6f, top1_agreement %.4f\n", kl_mean, kl_error,
                   kl_p99, agree);
        return term_finish(0);
    }
    json_t *o = json_object();
    bool ok = json_put(o, "ppl", json_num(ppl)) && json_put(o, "nll", json_num(nll)) &&
              json_put(o, "tokens", json_count(j->n_tokens)) &&
              json_put(o, "ppl_error", json_num(error)) &&
              json_put(o, "windows", json_count(j->n_windows)) &&
              json_put(o, "ctx", json_count(j->n_ctx)) &&
              json_put(o, "seconds", json_num(j->seconds)) &&
              json_put(o, "windows_nll", windows_nll(j)) &&
              (!j->kl || (json_put(o, "kl_mean", json_num(kl_mean)) &&
                          json_put(o, "kl_error", json_num(kl_error)) &&
                          json_put(o, "kl_p99", json_num(kl_p99)) &&
                          json_put(o, "top1_agreement", json_num(agree))));
    if (!ok) {
        json_decref(o);
        o = NULL;
    }
    return json_emit(o, 0);
}

static enum fk_status run(struct judge *j, struct opened *o, struct fk_error *err)
{
    const struct args *a = j->args;
    struct fk_engine_params p;
    if (!a->file) return fail(err, FK_EINVAL, "perplexity needs -f FILE, the text to judge by");
    if (j->n_ctx < 4) return fail(err, FK_EINVAL, "--ctx is %zu; a window needs 4", j->n_ctx);
    TRY(opened_model(o, a->model, a->lora, false, err));
    j->model = o->model;
    j->n_vocab = (size_t)fk_n_vocab(o->model);
    j->first = j->n_ctx / 2;
    j->n_rows = j->n_ctx - j->first - 1;
    TRY(read_text(j, err));
    place_bos(j);
    opened_params(a, &p);
    p.n_ctx = (int)j->n_ctx;
    TRY(opened_engine(o, &p, err));
    TRY(fk_session_create(&j->session, o->engine, NULL, err));
    TRY(prepare(j, err));
    signals_watch(j->session);
    enum fk_status st = judge_windows(j, err);
    signals_watch(NULL);
    if (!st && j->save.fd >= 0) st = output_commit(&j->save, err);
    return st;
}

int cmd_perplexity(const struct args *a)
{
    struct fk_error err = {0};
    struct opened o = {0};
    struct judge j = {.args = a, .n_ctx = a->ctx ? (size_t)a->ctx : 512, .save = {.fd = -1},
                      .base = {.fd = -1}};
    int code = run(&j, &o, &err) ? term_complain(&err) : report(&j);
    output_discard(&j.save);
    base_close(&j.base);
    fk_session_destroy(&j.session);
    fk_free(j.ids);
    mem_free(j.logits);
    mem_free(j.log_p);
    mem_free(j.record);
    mem_free(j.window_sums);
    mem_free(j.kl);
    opened_close(&o);
    return code;
}
