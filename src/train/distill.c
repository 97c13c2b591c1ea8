/* SPDX-License-Identifier: Apache-2.0
 * distill.c - a model in planes learns from the one that it was rounded from: see fk_distill. The loss is
 * the divergence of the student's distributions from the teacher's at every token of pieces of a text. */
#include <math.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/train/distill_impl.h"
#include "src/tensor/dtype.h"
#include "src/train/params.h"

#define PIECE DISTILL_PIECE
#define STEP_TOKENS 1024
#define PASS_FLOATS ((int64_t)1 << 26) /* of distributions that a pass holds */
#define WARM_STEPS 10
#define SAVE_SECONDS 300
/* Of one Adam update at its height: in distances of levels, in units of a block's scale, and as a share of a
 * vector's root mean square. */
#define RATE_PLACE 0.006
#define RATE_SCALE 0.1
#define RATE_VECTOR 2e-3
#define COARSE_KL 0.23 /* what such rates were found at; an error is as the square root of a divergence, and so are steps */
#define BETA1 0.9
#define BETA2 0.98
/* See soft_planes_init. Nearer to the source more codes lie at the edge of their cells, where noise alone changes them:
 * at 0.9 the first steps undid what error feedback had done. */
#define PULL 0.5f

static bool is_vector(const struct tensor *t)
{
    return t->dtype == DT_F32 && t->n_rows == 1 && t->n_mats == 1;
}

static const struct planes *planes_of(const struct distill *d, const char *name)
{
    for (const struct model_planes *p = d->file->plane_weights; p; p = p->next)
        if (!strcmp(p->name, name)) return p->planes;
    return NULL;
}

static void set_data(struct tensor *t, bool is_bf16, void *data)
{
    t->dtype = is_bf16 ? DT_BF16 : DT_F32;
    t->row_bytes = (size_t)t->n_cols * (is_bf16 ? sizeof(uint16_t) : sizeof(float));
    t->mat_bytes = t->row_bytes * (size_t)t->n_rows;
    t->data = data;
}

static enum fk_status add_planes(struct distill *d, struct tensor *t, const struct planes *p,
                                 struct fk_error *err)
{
    if (p->n_cols != t->n_cols || p->n_rows != t->n_rows || p->n_mats != t->n_mats)
        return fail(err, FK_EINVAL, "tensor '%s' has another shape in %s", t->name, d->path);
    struct soft_planes *s = &d->planes[d->n_planes];
    float *source = mem_array((size_t)tensor_n_elements(t), sizeof *source, MEM_TRAIN);
    if (!source) return fail_nomem(err, (size_t)tensor_n_elements(t) * sizeof *source, t->name);
    enum fk_status st = device_read_weight(d->device, t, 0, t->n_mats, 0, source, err);
    if (st == FK_OK) {
        d->n_planes++;
        st = soft_planes_init(s, p, t->name, source, PULL, d->is_bf16, d->device, err);
    }
    mem_free(source);
    if (st != FK_OK) return st;
    set_data(t, d->is_bf16, s->w);
    return tape_add_param(pass_tape(d->learn), t, s->grad, err);
}

static enum fk_status add_vector(struct distill *d, struct tensor *t, struct fk_error *err)
{
    const struct gguf_tensor *g = gguf_find_tensor(d->file->gguf, t->name);
    size_t n = (size_t)t->n_cols;
    if (!g || g->dtype != DT_F32 || g->bytes != n * sizeof(float)) return FK_OK; /* stays as it is */
    struct soft_vector *v = &d->vectors[d->n_vectors];
    *v = (struct soft_vector){.name = t->name, .n = t->n_cols};
    d->n_vectors++;
    v->x = mem_calloc(4 * n + 64, sizeof(float), MEM_TRAIN);
    if (!v->x) return fail_nomem(err, 4 * n * sizeof(float), t->name);
    v->grad = v->x + n;
    v->m = v->grad + n;
    v->v = v->m + n;
    memcpy(v->x, g->data, n * sizeof(float)); /* an earlier distillation may have changed them */
    t->data = v->x;
    return tape_add_param(pass_tape(d->learn), t, v->grad, err);
}

static enum fk_status count_tensor(void *arg, struct tensor *t, struct fk_error *err)
{
    (void)t;
    (void)err;
    ++*(size_t *)arg;
    return FK_OK;
}

static enum fk_status soften(void *arg, struct tensor *t, struct fk_error *err)
{
    struct distill *d = arg;
    const struct planes *p = t->name ? planes_of(d, t->name) : NULL;
    if (p) return add_planes(d, t, p, err);
    return t->name && is_vector(t) ? add_vector(d, t, err) : FK_OK;
}

/* The teacher's matrix in bf16, so that its products are those of bf16 too. */
static enum fk_status teach_in_bf16(void *arg, struct tensor *t, struct fk_error *err)
{
    struct distill *d = arg;
    int64_t n = tensor_n_elements(t);
    if (is_vector(t) || (t->dtype != DT_F16 && t->dtype != DT_F32)) return FK_OK;
    float *rows = mem_array((size_t)n, sizeof *rows, MEM_TRAIN);
    uint16_t *data = mem_array((size_t)n, sizeof *data, MEM_TRAIN);
    d->copies[d->n_copies++] = data;
    enum fk_status st = rows && data ? device_read_weight(d->device, t, 0, t->n_mats, 0, rows, err)
                                     : fail_nomem(err, (size_t)n * sizeof *rows, t->name);
    if (st == FK_OK) {
        f32_to_bf16_row(rows, n, data);
        set_data(t, true, data);
    }
    mem_free(rows);
    return st;
}

static enum fk_status open_all(struct distill *d, const char *source, struct fk_error *err)
{
    struct device_params dp = {.n_threads = d->p->n_threads};
    size_t n = 0;
    TRY(model_open(&d->teacher, source, true, err));
    TRY(model_open(&d->student, source, false, err));
    TRY(model_open(&d->file, d->path, false, err));
    if (!d->file->n_planes) return fail(err, FK_EINVAL, "%s is not in planes", d->path);
    if (d->teacher->n_planes) return fail(err, FK_EINVAL, "%s is in planes; it cannot teach", source);
    TRY(distill_text_open(&d->text, d->teacher, d->p->text, d->p->n_bytes, d->p->n_threads, err));
    memset(d->targets, 1, sizeof d->targets);
    TRY(device_cpu_create(&d->device, &dp, err));
    int64_t rows = PASS_FLOATS / d->teacher->config.n_vocab / PIECE * PIECE;
    d->rows = (int)(rows < PIECE ? PIECE : rows > STEP_TOKENS ? STEP_TOKENS : rows);
    d->is_bf16 = device_multiplies_bf16(d->device);
    TRY(pass_create(&d->teach, d->teacher, d->device, d->rows, err));
    TRY(pass_create(&d->learn, d->student, d->device, d->rows, err));
    pass_set_plain(d->teach);
    pass_set_plain(d->learn);
    TRY(train_each_tensor(d->student, count_tensor, &n, err));
    d->planes = mem_calloc(n, sizeof *d->planes, MEM_TRAIN);
    d->vectors = mem_calloc(n, sizeof *d->vectors, MEM_TRAIN);
    d->copies = mem_calloc(n, sizeof *d->copies, MEM_TRAIN);
    if (!d->planes || !d->vectors || !d->copies) return fail_nomem(err, n * sizeof *d->planes, "the weights");
    if (d->is_bf16) TRY(train_each_tensor(d->teacher, teach_in_bf16, d, err));
    tape_set_bf16(pass_tape(d->learn), d->is_bf16);
    return train_each_tensor(d->student, soften, d, err);
}

/* Both distributions of n pieces. */
static enum fk_status run_both(struct distill *d, const int32_t *pieces, int n, struct fk_error *err)
{
    struct pass_doc docs[STEP_TOKENS / PIECE];
    for (int i = 0; i < n; i++)
        docs[i] = (struct pass_doc){pieces + (size_t)i * PIECE, d->targets, PIECE};
    TRY(pass_forward(d->teach, docs, n, err));
    return pass_forward(d->learn, docs, n, err);
}

struct kl_job {
    const struct tensor *p, *q;
    double *kl;
};

static void kl_row(void *arg, int64_t i, int worker)
{
    const struct kl_job *j = arg;
    const float *p = tensor_row_f32(j->p, i), *q = tensor_row_f32(j->q, i);
    double sum = 0;
    (void)worker;
    for (int64_t k = 0; k < j->p->n_cols; k++)
        if (p[k] > 1e-9f) sum += (double)p[k] * (double)(logf(p[k]) - logf(fmaxf(q[k], 1e-30f)));
    j->kl[i] = sum;
}

static double last_kl(const struct distill *d, double *rows)
{
    struct kl_job j = {pass_probs(d->teach), pass_probs(d->learn), rows};
    int n = pass_n_targets(d->learn);
    double sum = 0;
    device_parallel(d->device, kl_row, &j, n);
    for (int i = 0; i < n; i++) sum += rows[i];
    return sum / n;
}

/* Every weight as read at `bits`, by the rule of planes_read_index. */
static void round_all(struct distill *d, int bits)
{
    for (size_t i = 0; i < d->n_planes; i++)
        soft_planes_round(&d->planes[i], planes_read_index(d->planes[i].p, 0, bits), d->device);
}

/* A file without a plan is made for all widths: it learns at these in turn. */
static void choose_widths(struct distill *d)
{
    static const int all[] = {3, 4, 8};
    d->n_widths = 1;
    if (d->file->has_plan) return;
    d->n_widths = 0;
    for (int i = 0; i < 3; i++)
        if (planes_index(all[i]) < d->file->n_planes) d->bits[d->n_widths++] = all[i];
    if (!d->n_widths) d->n_widths = 1; /* 2 bits are all there is */
}

static enum fk_status judge_width(struct distill *d, double *kl, struct fk_error *err)
{
    double rows[STEP_TOKENS], sum = 0;
    for (int i = 0; i < d->text.n_held; i++) {
        TRY(run_both(d, distill_text_held(&d->text, i), 1, err));
        sum += last_kl(d, rows);
    }
    *kl = sum / d->text.n_held;
    return FK_OK;
}

static enum fk_status judge(struct distill *d, double kl[3], struct fk_error *err)
{
    for (int i = 0; i < d->n_widths; i++) {
        round_all(d, d->bits[i]);
        TRY(judge_width(d, &kl[i], err));
    }
    return FK_OK;
}

static void update_vector(struct soft_vector *v, double lr, int64_t t)
{
    double bias1 = 1 / (1 - pow(BETA1, (double)t)), bias2 = 1 / (1 - pow(BETA2, (double)t)), square = 0;
    for (int64_t i = 0; i < v->n; i++) square += (double)v->x[i] * (double)v->x[i];
    lr *= sqrt(square / (double)v->n);
    for (int64_t i = 0; i < v->n; i++) {
        double g = (double)v->grad[i];
        v->m[i] = (float)(BETA1 * (double)v->m[i] + (1 - BETA1) * g);
        v->v[i] = (float)(BETA2 * (double)v->v[i] + (1 - BETA2) * g * g);
        v->x[i] -= (float)(lr * (double)v->m[i] * bias1 / (sqrt((double)v->v[i] * bias2) + 1e-20));
        v->grad[i] = 0;
    }
}

static void update(struct distill *d, int64_t t, double share)
{
    struct soft_step step = {.lr = share * RATE_PLACE, .lr_scale = share * RATE_SCALE, .t = t};
    for (size_t i = 0; i < d->n_planes; i++) soft_planes_update(&d->planes[i], &step, d->device);
    for (size_t i = 0; i < d->n_vectors; i++) update_vector(&d->vectors[i], share * d->rate_vector, t);
}

/* One gradient of a step's pieces. weight: of the loss. */
static enum fk_status one_step(struct distill *d, double weight, struct fk_distill_report *r, struct fk_error *err)
{
    int per_pass = d->rows / PIECE, per_step = STEP_TOKENS / PIECE;
    for (int done = 0; done < per_step;) {
        const int32_t *pieces;
        int most = per_pass < per_step - done ? per_pass : per_step - done, k;
        TRY(distill_text_next(&d->text, most, &pieces, &k, err));
        TRY(run_both(d, pieces, k, err));
        TRY(pass_backward_toward(d->learn, pass_probs(d->teach), (float)(weight / (double)(STEP_TOKENS - per_step)), err));
        done += k;
        r->n_learned += (int64_t)k * PIECE;
    }
    return FK_OK;
}

/* A state that cannot be kept is no reason to stop. */
static void save(struct distill *d, struct fk_distill_report *r, double spent)
{
    struct fk_error none = {0};
    r->is_unsaved = distill_state_save(d, r, spent, &none) != FK_OK;
}

static enum fk_status learn(struct distill *d, struct fk_distill_report *r, struct fk_error *err)
{
    double before, limit = 60 * d->p->minutes, every = d->p->save_seconds > 0 ? d->p->save_seconds : SAVE_SECONDS;
    TRY(distill_state_load(d, r, &before, err));
    double begun = clock_seconds() - before, saved = before;
    for (int64_t t = r->n_steps + 1;; t++) {
        double spent = clock_seconds() - begun, share = limit > 0 ? spent / limit : 0;
        if (d->p->max_steps) share = fmax(share, (double)(t - 1) / (double)d->p->max_steps);
        if (share >= 1) return FK_OK;
        if (d->p->progress && d->p->progress(d->p->progress_arg, "distilling", (unsigned long long)(1e4 * share), 10000))
            return fail(err, FK_ECANCELLED, "cancelled after %lld steps of distillation", (long long)t - 1);
        int i_width = (int)((t - 1) % d->n_widths);
        round_all(d, d->bits[i_width]);
        /* Several widths: the mean logarithm falls, or 8 bits would pay for what 3 bits gain. */
        TRY(one_step(d, d->n_widths > 1 ? 1 / (r->kl_before[i_width] + 1e-6) : 1, r, err));
        r->n_steps = t;
        double warm = t < WARM_STEPS ? (double)t / WARM_STEPS : 1;
        update(d, t, warm * 0.5 * (1 + cos(M_PI * share)));
        spent = clock_seconds() - begun;
        if (spent - saved < every) continue;
        save(d, r, spent);
        saved = spent;
    }
}

static enum fk_status run(struct distill *d, const char *source, struct fk_distill_report *r,
                          struct fk_error *err)
{
    TRY(fk_distill_ready(d->path, err));
    TRY(open_all(d, source, err));
    double least = COARSE_KL;
    choose_widths(d);
    r->n_tokens = d->text.n_held * (PIECE - 1);
    r->n_widths = d->n_widths;
    memcpy(r->bits, d->bits, sizeof r->bits);
    TRY(judge(d, r->kl_before, err));
    for (int i = 0; i < d->n_widths; i++) least = fmin(least, r->kl_before[i]);
    d->rate_vector = RATE_VECTOR * sqrt(least / COARSE_KL);
    enum fk_status st = learn(d, r, err);
    if (st != FK_OK && !(st == FK_ECANCELLED && r->n_steps)) return st;
    TRY(judge(d, r->kl_after, err));
    double gain = 0;
    for (int i = 0; i < d->n_widths; i++) gain += log((r->kl_before[i] + 1e-9) / (r->kl_after[i] + 1e-9));
    r->is_kept = gain > 0;
    if (r->is_kept) TRY(distill_write(d, err));
    distill_state_remove(d);
    return st; /* cancelled: what was learned until then is kept all the same */
}

void fk_distill_default_params(struct fk_distill_params *p)
{
    if (p) *p = (struct fk_distill_params){.minutes = 10};
}

enum fk_status fk_distill(const char *source, const char *planes, const struct fk_distill_params *params,
                          struct fk_error *err)
{
    struct fk_distill_params p;
    struct fk_distill_report report = {0};
    fk_distill_default_params(&p);
    if (params) p = *params;
    if (!source || !planes) return fail(err, FK_EINVAL, "fk_distill: a path is NULL");
    struct distill d = {.p = &p, .path = planes};
    enum fk_status st = run(&d, source, &report, err);
    if (p.report) *p.report = report;
    pass_destroy(&d.learn);
    pass_destroy(&d.teach);
    for (size_t i = 0; i < d.n_planes; i++) soft_planes_fini(&d.planes[i]);
    for (size_t i = 0; i < d.n_vectors; i++) mem_free(d.vectors[i].x);
    for (size_t i = 0; i < d.n_copies; i++) mem_free(d.copies[i]);
    mem_free(d.copies);
    mem_free(d.planes);
    mem_free(d.vectors);
    distill_text_close(&d.text);
    device_destroy(&d.device);
    model_close(&d.file);
    model_close(&d.student);
    model_close(&d.teacher);
    return st;
}
