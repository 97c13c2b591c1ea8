/* SPDX-License-Identifier: Apache-2.0
 * journal.c - keeps a run's points and evaluations and appends their lines. journal_read.c reads them. */
#include "src/train/journal_impl.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/base/map.h"

#define MAX_BYTES ((size_t)1 << 30)
#define MAX_POINTS 32768 /* then every other one is dropped: curves need no more */

void journal_free_eval(struct journal_eval *e)
{
    for (int i = 0; i < e->n_replies; i++) {
        mem_free(e->replies[i].prompt);
        mem_free(e->replies[i].right);
        mem_free(e->replies[i].thinking);
        mem_free(e->replies[i].answer);
    }
    mem_free(e->replies);
    *e = (struct journal_eval){0};
}

/* Forgets what stands behind `step` or at it. */
static void forget_from(struct journal *j, int64_t step)
{
    while (j->n_points && j->points[j->n_points - 1].step >= step) j->n_points--;
}

static void forget_evals_from(struct journal *j, int64_t step)
{
    while (j->n_evals && j->evals[j->n_evals - 1].step >= step)
        journal_free_eval(&j->evals[--j->n_evals]);
}

static bool grow(void **array, size_t n, size_t *cap, size_t bytes)
{
    if (n < *cap) return true;
    size_t more = *cap ? 2 * *cap : 64, total;
    void *p = size_mul(more, bytes, &total) ? mem_realloc(*array, total, MEM_TRAIN) : NULL;
    if (!p) return false;
    *array = p;
    *cap = more;
    return true;
}

bool journal_keep_point(struct journal *j, const struct journal_point *p)
{
    forget_from(j, p->step);
    forget_evals_from(j, p->step);
    if (j->n_points >= MAX_POINTS) {
        for (size_t i = 0; 2 * i < j->n_points; i++) j->points[i] = j->points[2 * i];
        j->n_points = (j->n_points + 1) / 2;
    }
    if (!grow((void **)&j->points, j->n_points, &j->cap_points, sizeof *j->points)) return false;
    j->points[j->n_points++] = *p;
    return true;
}

bool journal_keep_eval(struct journal *j, struct journal_eval *e)
{
    forget_from(j, e->step + 1);
    forget_evals_from(j, e->step);
    if (!grow((void **)&j->evals, j->n_evals, &j->cap_evals, sizeof *j->evals)) {
        journal_free_eval(e);
        return false;
    }
    j->evals[j->n_evals++] = *e;
    *e = (struct journal_eval){0};
    return true;
}

/* What an earlier start wrote; *is_cut: the file ends in the middle of a line. */
static enum fk_status read_old(struct journal *j, const char *path, bool *is_cut, struct fk_error *err)
{
    char *text;
    size_t n;
    if (file_read(path, MAX_BYTES, &text, &n, NULL)) return FK_OK; /* gone, or not ours: begin anew */
    *is_cut = n && text[n - 1] != '\n';
    enum fk_status st = journal_parse(j, text, n, err);
    mem_free(text);
    return st;
}

enum fk_status journal_open(struct journal *j, const char *path, bool resume, int64_t step,
                            struct fk_error *err)
{
    bool is_cut = false;
    *j = (struct journal){.cpu_begun = clock_cpu_seconds(), .has_cpu = true};
    if (resume) TRY(read_old(j, path, &is_cut, err));
    forget_from(j, step + 1);
    forget_evals_from(j, step + 1);
    j->file = fopen(path, resume ? "a" : "w");
    if (!j->file) return fail(err, FK_EIO, "cannot write '%s': %s", path, strerror(errno));
    if (is_cut) fputc('\n', j->file);
    return FK_OK;
}

void journal_close(struct journal *j)
{
    if (j->file) fclose(j->file);
    for (size_t i = 0; i < j->n_evals; i++) journal_free_eval(&j->evals[i]);
    mem_free(j->evals);
    mem_free(j->points);
    *j = (struct journal){0};
}

double journal_cpu_seconds(const struct journal *j)
{
    return j->cpu_before + (clock_cpu_seconds() - j->cpu_begun);
}

static enum fk_status end_line(struct journal *j, struct fk_error *err)
{
    errno = 0;
    if (!fflush(j->file) && !ferror(j->file)) return FK_OK;
    clearerr(j->file);
    return fail(err, FK_EIO, "the log cannot be written: %s", errno ? strerror(errno) : "unknown");
}

enum fk_status journal_add_point(struct journal *j, const struct journal_point *p, const char *more,
                                 struct fk_error *err)
{
    FILE *f = j->file;
    fprintf(f, "{\"step\":%" PRId64 ",\"stage\":%d,\"tokens\":%.0f", p->step, p->stage, p->tokens);
    if (p->is_grpo)
        fprintf(f, ",\"reward\":%.4f,\"right\":%.4f,\"thinking\":%.1f,\"reply\":%.1f,\"entropy\":%.4f",
                p->reward, p->right, p->n_thinking, p->n_reply, p->entropy);
    else
        fprintf(f, ",\"loss\":%.6f,\"accuracy\":%.4f,\"mean_loss\":%.6f,\"tokens_per_second\":%.1f",
                p->loss, p->accuracy, p->mean_loss, p->tokens_per_second);
    fprintf(f, ",\"lr\":%.6g,\"grad_norm\":%.6g,\"seconds\":%.1f,\"cpu_seconds\":%.3f%s}\n", p->lr,
            p->grad_norm, p->seconds, journal_cpu_seconds(j), more);
    if (!journal_keep_point(j, p)) return fail_nomem(err, sizeof *p, "the log");
    return end_line(j, err);
}

static char *valid_text(const char *s, size_t n)
{
    struct buf b;
    buf_init(&b, 0, MEM_TRAIN);
    if (utf8_sanitize(&b, s ? s : "", n) && buf_append(&b, "", 0)) return buf_take(&b);
    buf_fini(&b);
    return NULL;
}

static bool take_sample(struct journal_reply *r, const struct dev_sample *s)
{
    r->prompt = valid_text(s->puzzle->prompt, strlen(s->puzzle->prompt));
    r->right = valid_text(s->puzzle->answer, strlen(s->puzzle->answer));
    r->thinking = valid_text(s->thinking.data, s->thinking.n);
    r->answer = valid_text(s->answer.data, s->answer.n);
    r->is_right = s->is_right;
    return r->prompt && r->right && r->thinking && r->answer;
}

static bool take_samples(struct journal_eval *e, const struct devset *d)
{
    int n = devset_n_samples(d);
    e->replies = mem_calloc((size_t)n + 1, sizeof *e->replies, MEM_TRAIN);
    if (!e->replies) return false;
    for (int i = 0; i < n; i++) {
        const struct dev_sample *s = devset_sample(d, i);
        if (s->has_reply && !take_sample(&e->replies[e->n_replies++], s)) return false;
    }
    return true;
}

enum fk_status journal_add_eval(struct journal *j, int64_t step, int stage, double tokens,
                                const struct dev_result *result, const struct devset *d,
                                struct fk_error *err)
{
    struct journal_eval e = {.step = step, .stage = stage, .tokens = tokens, .result = *result};
    char *line = take_samples(&e, d) ? journal_eval_line(&e, journal_cpu_seconds(j)) : NULL;
    if (!line) {
        journal_free_eval(&e);
        return fail_nomem(err, sizeof e, "an evaluation's log");
    }
    fprintf(j->file, "%s\n", line);
    mem_free(line);
    if (!journal_keep_eval(j, &e)) return fail_nomem(err, sizeof e, "an evaluation's log");
    return end_line(j, err);
}

const struct journal_eval *journal_last_eval(const struct journal *j)
{
    return j->n_evals ? &j->evals[j->n_evals - 1] : NULL;
}
