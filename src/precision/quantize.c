/* SPDX-License-Identifier: Apache-2.0
 * quantize.c - from a model to a file of planes: which weights, what they see, their codes, the file.
 * Memory: one tensor's scales, the input products of as many taps as fit HESSIAN_BYTES, and the codes
 * in a file that the system pages, and that a run which was broken off leaves to the next one. */
#include "src/precision/quantize.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/file/out_file.h"
#include "src/precision/budget.h"
#include "src/precision/calibrate.h"
#include "src/precision/imatrix.h"

#define HESSIAN_BYTES ((uint64_t)1 << 30)
#define DAMP 0.1f
#define DEFAULT_TOKENS 16384
#define PIECES 4 /* of 128 tokens, that the result is judged by */
#define KL_TRIES 3

struct quantizer {
    const struct fk_quantize_params *params;
    struct model *model;
    struct plane_weight *w;
    size_t n;
    struct spool spool;
    struct pool *pool;
    struct device *device;
    struct calibration *calibration;
    struct judge *judge;
    struct out_file imatrix;
    bool has_imatrix; /* is written */
    struct fk_quantize_report report;
    const char *out;
    const char *text;
    size_t n_bytes, max_tokens;
    struct kernels kernels;
    uint64_t done, total; /* weights */
};

static bool has_end(struct gguf_str s, const char *end)
{
    size_t n = strlen(end);
    return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

static bool has_part(struct gguf_str s, const char *part)
{
    return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

/* Routers decide, norms are vectors, and heads of MLA are read transposed: they stay. */
bool plane_weight_wanted(const struct gguf_tensor *t)
{
    const struct dtype_info *info = dtype_info(t->dtype);
    if (!info || !info->is_weight || t->n_dims < 2 || t->shape[3] != 1) return false;
    if (t->shape[0] % PLANES_COLS || t->shape[1] < PLANES_ROWS || t->name.n >= NAME_BYTES - 8)
        return false;
    if (!has_end(t->name, ".weight") || has_part(t->name, "norm") || has_part(t->name, "ffn_gate_inp"))
        return false;
    return !has_part(t->name, "attn_k_b") && !has_part(t->name, "attn_v_b") &&
           !has_part(t->name, "attn_kv_b");
}

static void notice(const struct quantizer *q, const char *sentence)
{
    if (q->params->notice) q->params->notice(q->params->progress_arg, sentence);
}

/* Codes that are there already, if an earlier run made them of the same things. */
static enum fk_status open_spool(struct quantizer *q, struct fk_error *err)
{
    char key[65], said[256], damaged[96] = "";
    struct quantize_inputs in = {.model = q->model, .params = q->params, .text = q->text,
                                 .n_bytes = q->n_bytes, .max_tokens = q->max_tokens,
                                 .isa = device_isa(q->device)};
    const struct spool *s = &q->spool;
    TRY(resume_key(&in, key, err));
    TRY(spool_open(&q->spool, q->out, key, q->w, q->n, err));
    if (s->n_damaged)
        snprintf(damaged, sizeof damaged, "; %zu are not as they were written and are made again",
                 s->n_damaged);
    if (s->is_foreign)
        notice(q, "what a run left that was broken off is of other options, another input or damaged; "
                  "this one begins anew");
    else if (s->n_kept || s->n_damaged || spool_round(s)) {
        snprintf(said, sizeof said, "going on from a run that was broken off: %zu of %zu weights are done%s%s",
                 s->n_kept, q->n, spool_round(s) ? ", and the plan" : "", damaged);
        notice(q, said);
    }
    return FK_OK;
}

static enum fk_status choose_weights(struct quantizer *q, struct fk_error *err)
{
    const struct gguf *g = q->model->gguf;
    q->w = mem_calloc(gguf_n_tensors(g) + 1, sizeof *q->w, MEM_MODEL);
    if (!q->w) return fail_nomem(err, gguf_n_tensors(g) * sizeof *q->w, "the weights");
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        struct plane_weight *w = &q->w[q->n];
        if (!plane_weight_wanted(t)) continue;
        *w = (struct plane_weight){.src = t, .n_cols = t->shape[0], .n_rows = t->shape[1],
                                   .n_mats = t->shape[2], .n_planes = PLANES_N, .tap = -1};
        snprintf(w->name, sizeof w->name, "%.*s", (int)t->name.n, t->name.p);
        if (strcmp(w->name, q->model->output->name) == 0) w->first = q->params->head_bits;
        if (!plan_is_file(q->params->plan) && !w->first) TRY(plan_bits(q->params->plan, w->name, &w->plan, err));
        if (!planes_sizes(&w->sizes, w->n_cols, w->n_rows, w->n_mats))
            return fail(err, FK_EUNSUPPORTED, "tensor '%s' is too large for planes", w->name);
        q->total += w->n_cols * w->n_rows * w->n_mats;
        q->n++;
    }
    if (!q->n) return fail(err, FK_EINVAL, "%s has no weight that planes could hold", gguf_path(g));
    return open_spool(q, err);
}

static enum fk_status one_weight(struct quantizer *q, struct plane_weight *w, const struct feedback *f,
                                 struct fk_error *err)
{
    const struct fk_quantize_params *p = q->params;
    q->done += w->is_done ? w->n_cols * w->n_rows * w->n_mats : 0;
    if (w->is_done) return FK_OK;
    if (p->progress && p->progress(p->progress_arg, "quantizing", q->done, q->total))
        return fail(err, FK_ECANCELLED, "cancelled before tensor '%s'", w->name);
    TRY(plane_weight_quantize(w, f, &q->kernels, q->pool, err));
    q->done += w->n_cols * w->n_rows * w->n_mats;
    if (gguf_failed(q->model->gguf))
        return fail(err, FK_EGONE, "%s was cut while it was read", gguf_path(q->model->gguf));
    spool_keep(&q->spool, w);
    return FK_OK;
}

/* Whether a weight of taps [first, first + n) is still to be rounded. */
static bool has_work(const struct quantizer *q, int first, int n)
{
    for (size_t k = 0; k < q->n; k++)
        if (!q->w[k].is_done && q->w[k].tap >= first && q->w[k].tap < first + n) return true;
    return false;
}

static enum fk_status save_diagonal(struct quantizer *q, int tap, const float *h, struct fk_error *err)
{
    if (!q->params->imatrix || q->has_imatrix) return FK_OK;
    for (size_t k = 0; k < q->n; k++)
        if (q->w[k].tap == tap)
            TRY(imatrix_add(&q->imatrix, q->w[k].name, h, calibration_size(q->calibration, tap),
                            calibration_n_tokens(q->calibration), err));
    return FK_OK;
}

/* The weights of taps [first, first + n). */
static enum fk_status weights_of_taps(struct quantizer *q, int first, int n, float **h,
                                      struct fk_error *err)
{
    const struct fk_quantize_params *p = q->params;
    enum fk_status st = calibration_collect(q->calibration, first, n, h, p->progress, p->progress_arg,
                                            err);
    for (int i = 0; i < n && st == FK_OK; i++) {
        struct feedback f;
        st = save_diagonal(q, first + i, h[i], err);
        if (st != FK_OK) break;
        if (!has_work(q, first + i, 1)) continue;
        st = feedback_init(&f, h[i], calibration_size(q->calibration, first + i), DAMP, err);
        h[i] = NULL;
        if (st != FK_OK) break;
        for (size_t k = 0; k < q->n && st == FK_OK; k++)
            if (q->w[k].tap == first + i) st = one_weight(q, &q->w[k], &f, err);
        feedback_fini(&f);
    }
    return st;
}

static enum fk_status with_calibration(struct quantizer *q, struct fk_error *err)
{
    if (!q->calibration)
        TRY(calibration_create(&q->calibration, q->model, q->device, q->text, q->n_bytes, q->max_tokens,
                               err));
    bool has_imatrix = q->params->imatrix && !q->has_imatrix;
    for (size_t i = 0; i < q->n; i++) q->w[i].tap = calibration_tap(q->calibration, q->w[i].name);
    /* A tied head is read by its own name. */
    size_t n_seen = 0;
    for (size_t i = 0; i < q->n; i++) n_seen += q->w[i].tap >= 0;
    if (has_imatrix) TRY(imatrix_begin(&q->imatrix, q->params->imatrix, n_seen, err));
    int n_taps = calibration_n_taps(q->calibration);
    float **h = mem_calloc((size_t)n_taps + 1, sizeof *h, MEM_MODEL);
    if (!h) return fail_nomem(err, (unsigned long long)n_taps * sizeof *h, "a calibration");
    enum fk_status st = FK_OK;
    for (int first = 0, n; first < n_taps && st == FK_OK; first += n) {
        uint64_t bytes = 0;
        for (n = 0; first + n < n_taps; n++) {
            uint64_t size = (uint64_t)calibration_size(q->calibration, first + n);
            if (n && bytes + size * size * 4 > HESSIAN_BYTES) break;
            bytes += size * size * 4;
        }
        if (!has_imatrix && !has_work(q, first, n)) continue;
        for (int i = 0; i < n && st == FK_OK; i++) {
            size_t size = (size_t)calibration_size(q->calibration, first + i);
            h[i] = mem_array(size * size, sizeof(float), MEM_MODEL);
            if (!h[i]) st = fail_nomem(err, size * size * 4, "the products of a matrix's inputs");
        }
        if (st == FK_OK) st = weights_of_taps(q, first, n, h, err);
        for (int i = 0; i < n_taps; i++) {
            mem_free(h[i]);
            h[i] = NULL;
        }
    }
    mem_free(h);
    if (st == FK_OK && has_imatrix) st = out_file_commit(&q->imatrix, err);
    q->has_imatrix = true;
    return st;
}

static bool has_budget(const struct fk_quantize_params *p)
{
    return p->bpw > 0 || p->size_bytes || p->kl > 0;
}

static enum fk_status check_params(const struct fk_quantize_params *p, struct fk_error *err)
{
    if (!(p->bpw >= 0 && p->bpw < 1000))
        return fail(err, FK_EINVAL, "%g bits a weight are no budget", p->bpw);
    if (!(p->kl >= 0 && p->kl < 100)) return fail(err, FK_EINVAL, "%g nats are no divergence", p->kl);
    if ((p->bpw > 0) + (p->size_bytes > 0) + (p->kl > 0) > 1)
        return fail(err, FK_EINVAL, "bits a weight, a size and a divergence are budgets; one is followed");
    if (has_budget(p) && p->plan && !plan_is_file(p->plan))
        return fail(err, FK_EINVAL, "a budget makes a plan, and one is given");
    if (p->head_bits && (p->head_bits == 8 || !planes_is_width(p->head_bits)))
        return fail(err, FK_EINVAL, "head_bits is %d; the head's first stage is read at " PLANES_NARROWER, p->head_bits);
    if (p->strip && p->strip != FK_STRIP_PLAN && !planes_is_width(p->strip))
        return fail(err, FK_EINVAL, "planes above %d bits cannot be stripped; planes end at " PLANES_WIDTHS,
                    p->strip);
    return FK_OK;
}

/* Rounds every weight, as it is planned, and writes the file. */
static enum fk_status round_all(struct quantizer *q, const char *out, struct fk_error *err)
{
    const struct fk_quantize_params *p = q->params;
    q->done = 0;
    if (!p->no_calibration) TRY(with_calibration(q, err));
    for (size_t i = 0; i < q->n; i++)
        if (q->w[i].tap < 0) TRY(one_weight(q, &q->w[i], NULL, err));
    return plane_file_write(q->model->gguf, q->w, q->n, out, p->progress, p->progress_arg, err);
}

/* What is in planes already, as it is. */
static enum fk_status copy_planes(const struct quantizer *q, const char *out, struct fk_error *err)
{
    struct file_map map;
    struct out_file f;
    TRY(file_map_open(&map, gguf_path(q->model->gguf), err));
    enum fk_status st = out_file_open(&f, out, err);
    if (st == FK_OK) {
        f.progress = q->params->progress;
        f.progress_arg = q->params->progress_arg;
        f.total = map.bytes;
        st = out_file_write(&f, map.data, map.bytes, err);
        if (st == FK_OK && file_map_failed(&map))
            st = fail(err, FK_EGONE, "%s was cut while it was read", gguf_path(q->model->gguf));
        if (st == FK_OK) st = out_file_commit(&f, err);
        out_file_abort(&f);
    }
    file_map_close(&map);
    return st;
}

/* The divergence of each width, and of the plan, from what was read. */
static enum fk_status judge_widths(struct quantizer *q, const char *path, struct fk_error *err)
{
    struct model *m = NULL;
    TRY(judge_base(q->judge, q->model, 0, err));
    enum fk_status st = model_open(&m, path, false, err);
    for (int i = 0; st == FK_OK && i < m->n_planes; i++)
        st = judge_kl(q->judge, m, planes_bits(i), &q->report.kl[i], err);
    if (st == FK_OK && m->has_plan) st = judge_kl(q->judge, m, 0, &q->report.plan_kl, err);
    q->report.n_tokens = judge_n_tokens(q->judge);
    model_close(&m);
    return st;
}

/* A plan from a budget, and all weights rounded for it. Without a file that was measured before, one of
 * the same weights is made at path first, to measure. A divergence that was missed is aimed at anew. */
static enum fk_status round_for_budget(struct quantizer *q, const char *path, struct fk_error *err)
{
    const struct fk_quantize_params *p = q->params;
    const char *known = p->plan ? p->plan : path;
    struct budget_request r = {.judge = q->judge, .params = p, .w = q->w, .n = q->n, .max_kl = p->kl,
                               .report = &q->report};
    const struct spool_round *was = spool_round(&q->spool);
    int tries = 0;
    if (was) {
        tries = was->n_tries;
        q->report = was->report;
        r.kl_per_loss = was->kl_per_loss;
        r.max_kl = was->max_kl;
    } else if (!p->plan) {
        TRY(round_all(q, path, err));
    }
    for (; tries < KL_TRIES; tries++, was = NULL) {
        if (tries) known = path; /* has the losses of the first one */
        if (!was) {
            TRY(budget_plan(known, &r, err));
            struct spool_round round = {q->report, r.kl_per_loss, r.max_kl, tries};
            spool_begin_round(&q->spool, &round, q->w);
        }
        TRY(round_all(q, path, err));
        TRY(judge_widths(q, path, err));
        if (!(p->kl > 0) || q->report.plan_kl <= p->kl || !(q->report.plan_loss > 0)) break;
        r.kl_per_loss = q->report.plan_kl / q->report.plan_loss;
        r.max_kl = 0.95 * p->kl;
    }
    if (!(p->kl > 0) || q->report.plan_kl <= p->kl) return FK_OK;
    return fail(err, FK_EINVAL, "a divergence of %g is not reached: the last plan, of %.2f bits a weight, has "
                "%.4f", p->kl, q->report.plan_bpw, q->report.plan_kl);
}

/* Puts the planes at path; what is not whole yet does not stand under its last name. */
static enum fk_status make(struct quantizer *q, const char *path, struct fk_error *err)
{
    const struct fk_quantize_params *p = q->params;
    bool is_new = !q->model->n_planes;
    if (has_budget(p) || (p->report && !p->no_calibration)) {
        enum fk_status st = judge_create(&q->judge, q->model, q->device, q->text, q->n_bytes,
                                         q->max_tokens, PIECES, err);
        if (st == FK_EINVAL && !has_budget(p)) st = FK_OK; /* a text too short to judge by */
        if (st != FK_OK) return st;
    }
    if (is_new) {
        TRY(pool_create(&q->pool, device_n_threads(q->device), err));
        TRY(choose_weights(q, err));
        if (has_budget(p)) return round_for_budget(q, path, err);
        if (p->plan && plan_is_file(p->plan)) TRY(plan_of_file(p->plan, q->w, q->n, err));
        TRY(round_all(q, path, err));
        return q->judge && p->report ? judge_widths(q, path, err) : FK_OK;
    }
    TRY(copy_planes(q, path, err));
    struct budget_request r = {.judge = q->judge, .params = p, .max_kl = p->kl, .report = &q->report};
    return budget_plan(path, &r, err);
}

/* In PATH.part, which is changed or stripped before it is the result. */
static enum fk_status make_beside(struct quantizer *q, const char *out, struct fk_error *err)
{
    const struct fk_quantize_params *p = q->params;
    char part[4096];
    int folder_fd = -1;
    if (snprintf(part, sizeof part, "%s.part", out) >= (int)sizeof part)
        return fail(err, FK_EINVAL, "the name of the file to write is too long");
    TRY(out_open_parent(out, &folder_fd, err));
    enum fk_status st = make(q, part, err);
    if (st == FK_OK && p->strip) {
        st = planes_strip(part, out, p->strip, p->progress, p->progress_arg, err);
        unlink(part);
        close(folder_fd);
    } else if (st == FK_OK) {
        st = out_rename(part, out, &folder_fd, err);
    } else {
        close(folder_fd);
    }
    if (st != FK_OK) unlink(part);
    return st;
}

static enum fk_status run(struct quantizer *q, const char *in, const char *out, struct fk_error *err)
{
    const struct fk_quantize_params *p = q->params;
    struct device_params dp = {.n_threads = p->n_threads};
    q->out = out;
    q->text = p->text ? p->text : calibration_text;
    q->n_bytes = p->text ? p->n_bytes : calibration_text_bytes;
    q->max_tokens = p->max_tokens ? (size_t)p->max_tokens : DEFAULT_TOKENS;
    TRY(check_params(p, err));
    TRY(model_open(&q->model, in, !p->no_calibration || has_budget(p), err));
    if (q->model->n_planes && !has_budget(p)) {
        if (p->head_bits)
            return fail(err, FK_EINVAL, "%s is in planes already; its head gets two stages with a budget: --bpw, --size "
                        "or --kl", in);
        if (p->strip) return planes_strip(in, out, p->strip, p->progress, p->progress_arg, err);
        return fail(err, FK_EINVAL, "%s is in planes already; quantize what it was made from, or say "
                    "--bpw, --size or --kl to plan it anew, or --strip to make it smaller", in);
    }
    if (!q->model->n_planes && file_is_same(in, out))
        return fail(err, FK_EINVAL, "%s: is both what is read and what is written", in);
    TRY(device_cpu_create(&q->device, &dp, err));
    TRY(has_budget(p) || p->strip ? make_beside(q, out, err) : make(q, out, err));
    if (p->report) *p->report = q->report;
    return FK_OK;
}

enum fk_status quantize_run(const char *in, const char *out, const struct fk_quantize_params *params,
                            struct fk_error *err)
{
    static const struct fk_quantize_params defaults;
    struct quantizer q = {.params = params ? params : &defaults, .spool.fd = -1,
                          .imatrix = {.fd = -1, .folder_fd = -1}};
    kernels_select(&q.kernels, cpu_detect(), false);
    enum fk_status st = run(&q, in, out, err);
    if (params && params->imatrix) out_file_abort(&q.imatrix);
    judge_destroy(&q.judge);
    calibration_destroy(&q.calibration);
    if (q.pool) pool_destroy(&q.pool);
    device_destroy(&q.device);
    /* What was refused would be refused again. */
    if (spool_close(&q.spool, st != FK_OK && st != FK_EINVAL))
        notice(&q, "what is done stays beside the target in .resume; the same command goes on from there");
    mem_free(q.w);
    model_close(&q.model);
    return st;
}
