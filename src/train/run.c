/* SPDX-License-Identifier: Apache-2.0
 * run.c - a recipe from its first step to its last: what fk_train() does. What is told and logged of it
 * is in run_watch.c. */
#include <cblas.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "fikr/train.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/file/out_file.h"
#include "src/train/export.h"
#include "src/train/fresh.h"
#include "src/train/optim.h"
#include "src/train/run_impl.h"

#define LOSS_KEEP 0.95 /* of the running mean a step */

/* A disk that is full must not end a run of hours: it is said, and tried again next time. */
static void save(struct run *r)
{
    struct fk_error err = {0};
    r->s.seconds = r->begun_seconds + clock_seconds() - r->begun;
    memcpy(r->s.machine, r->machine, sizeof r->s.machine);
    if (ckpt_save(r->p->out_dir, &r->learner.params, &r->s, (int)r->recipe.ckpt_keep, &err))
        run_note(r, "step %" PRIu64 ": no checkpoint: %s", r->s.step, err.message);
}

/* One update with the gradient that was gathered. */
static enum fk_status update(struct run *r, const struct recipe_stage *stage)
{
    struct learner *l = &r->learner;
    const struct recipe_optim *o = &r->recipe.optim;
    r->grad_norm = optim_grad_norm(&l->params);
    if (!isfinite(r->grad_norm))
        return fail(r->err, FK_ENONFINITE, "the gradient of step %" PRIu64 " is no number",
                    r->s.step + 1);
    double scale = r->grad_norm > o->clip ? o->clip / r->grad_norm : 1;
    r->lr = recipe_lr(stage, (int64_t)r->s.stage_step);
    optim_step(&l->params, o, r->muon, r->lr, scale, (int64_t)r->s.step + 1);
    learner_balance(l, o->bias_rate);
    return FK_OK;
}

static void count_step(struct run *r, int64_t n_tokens, int64_t n_targets)
{
    r->s.step++;
    r->s.stage_step++;
    r->s.n_tokens += (uint64_t)n_tokens;
    r->s.n_targets += (uint64_t)n_targets;
    r->s.seconds = r->begun_seconds + clock_seconds() - r->begun;
    r->n_steps_here++;
}

static enum fk_status one_step(struct run *r, const struct recipe_stage *stage)
{
    TRY(pack_fill(&r->pack, &stage->mix, &r->s.cursor, r->err));
    TRY(learner_gradient(&r->learner, &r->pack, r->recipe.optim.balance, &r->sums, r->err));
    TRY(update(r, stage));
    double keep = r->s.step ? LOSS_KEEP : 0;
    r->s.loss_mean = keep * r->s.loss_mean + (1 - keep) * r->sums.loss;
    count_step(r, r->pack.n_tokens, r->sums.n_targets);
    return FK_OK;
}

/* A step is one sampling with all its updates. */
static enum fk_status one_grpo_step(struct run *r, const struct recipe_stage *stage)
{
    struct grpo_stats *g = &r->grpo_stats;
    TRY(grpo_sample(r->grpo, &stage->mix, stage->mix.seed, &r->s, g, r->err));
    for (int64_t i = 0; i < stage->grpo.n_updates && g->n_groups; i++) {
        TRY(grpo_gradient(r->grpo, i, r->recipe.optim.balance, g, r->err));
        TRY(update(r, stage));
    }
    count_step(r, (int64_t)(g->n_reply * g->n_replies), g->n_tokens);
    return FK_OK;
}

/* The reference of the KL term: the weights that the stage began with, kept in a file for a later
 * start. */
static enum fk_status take_reference(struct run *r)
{
    char path[RUN_MAX_PATH], *data;
    size_t bytes, wanted = r->learner.params.n_floats * sizeof(float);
    if (!run_path(r, "reference.f32", path)) return fail(r->err, FK_EINVAL, "the path is too long");
    if (!r->s.stage_step) {
        TRY(out_file_put(path, r->learner.params.w, wanted, r->err));
        return grpo_set_reference(r->grpo, r->learner.params.w, r->err);
    }
    TRY(file_read(path, wanted, &data, &bytes, r->err));
    enum fk_status st = bytes == wanted ? grpo_set_reference(r->grpo, (float *)(void *)data, r->err)
                        : fail(r->err, FK_EFORMAT, "'%s' has %zu bytes, not %zu", path, bytes, wanted);
    mem_free(data);
    return st;
}

static enum fk_status open_grpo(struct run *r, const struct recipe_stage *stage)
{
    grpo_destroy(&r->grpo);
    r->grpo_stats = (struct grpo_stats){0};
    if (!stage->is_grpo) return FK_OK;
    TRY(grpo_create(&r->grpo, &stage->grpo, &r->learner, r->book, r->p->n_threads, r->err));
    return stage->grpo.kl > 0 ? take_reference(r) : FK_OK;
}

static enum fk_status run_stage(struct run *r, const struct recipe_stage *stage)
{
    r->pack.max_tokens = stage->batch_tokens;
    r->pack.loss_on_prompt = stage->loss_on_prompt;
    r->words.weights = stage->sets;
    r->pack.choose_thinking = stage->choose_thinking;
    TRY(open_grpo(r, stage));
    for (bool is_last = false; !is_last;) {
        /* Before the step that follows, so that a start from this step's checkpoint makes up for it. */
        if (run_is_eval_due(r, stage)) TRY(run_evaluate(r, (int)r->recipe.eval_count));
        if (!r->stop && (int64_t)r->s.stage_step >= stage->n_steps) return FK_OK;
        if (!r->stop) {
            TRY(stage->is_grpo ? one_grpo_step(r, stage) : one_step(r, stage));
            run_tell_step(r, stage);
        }
        is_last = r->stop || (r->p->max_steps && r->n_steps_here >= r->p->max_steps);
        if (is_last || r->s.step % (uint64_t)r->recipe.ckpt_steps == 0) save(r);
    }
    return fail(r->err, FK_ECANCELLED, "stopped after step %" PRIu64, r->s.step);
}

static enum fk_status run_stages(struct run *r)
{
    char path[RUN_MAX_PATH];
    r->begun = clock_seconds();
    r->begun_seconds = r->s.seconds;
    r->n_tokens_before = (int64_t)r->s.n_tokens;
    run_write_page(r, true);
    while (r->s.stage < r->recipe.n_stages) {
        TRY(run_stage(r, &r->recipe.stages[r->s.stage]));
        r->s.stage++;
        r->s.stage_step = r->s.cursor = 0;
        memset(r->s.level, 0, sizeof r->s.level);
    }
    if (r->dev) TRY(run_evaluate(r, (int)r->recipe.final_count));
    save(r);
    if (r->stop) return fail(r->err, FK_ECANCELLED, "stopped after the last step");
    if (r->pack.n_too_long)
        run_note(r, "%" PRId64 " conversations were longer than the context and left out",
             r->pack.n_too_long);
    const struct model *m = r->learner.model;
    if (!run_path(r, run_product(r), path)) return fail(r->err, FK_EINVAL, "the path is too long");
    TRY(export_f16(&r->learner.params, m->adapter_gguf ? m->adapter_gguf : m->gguf, path, r->err));
    r->is_over = true;
    TRY(run_write_card(r));
    run_tell_end(r);
    return FK_OK;
}

static enum fk_status resume(struct run *r)
{
    char why[512];
    int n_skipped;
    TRY(ckpt_load_newest(r->p->out_dir, &r->learner.params, &r->s, &n_skipped, why, r->err));
    if (n_skipped) run_note(r, "skipped %d damaged checkpoint(s): %s", n_skipped, why);
    if (memcmp(r->s.recipe_sha256, r->recipe.sha256, 64))
        run_note(r, "the recipe has changed since the checkpoint was written; going on with the new one");
    if (strcmp(r->s.machine, r->machine))
        run_note(r, "the checkpoint was computed by %s, this is %s: the numbers will differ in their last "
             "digits", r->s.machine, r->machine);
    memcpy(r->s.recipe_sha256, r->recipe.sha256, 64);
    run_note(r, "going on after step %" PRIu64, r->s.step);
    return FK_OK;
}

/* Weights of another run: its moments and counters are not taken over. */
static enum fk_status take_init(struct run *r)
{
    struct train_params *p = &r->learner.params;
    struct ckpt_state ignored;
    struct gguf *g = NULL;
    if (ckpt_is_one(r->p->init)) {
        TRY(ckpt_load(r->p->init, p, &ignored, r->err));
        memset(p->m, 0, p->n_floats * sizeof(float));
        memset(p->v, 0, p->n_floats * sizeof(float));
        return FK_OK;
    }
    TRY(gguf_open(&g, r->p->init, r->err));
    enum fk_status st = FK_OK;
    for (size_t i = 0; i < p->n_items && !st; i++) {
        const struct param_item *it = &p->items[i];
        const struct gguf_tensor *t = gguf_find_tensor(g, it->name);
        if (!t || t->dtype != DT_F32 || t->bytes != it->n * sizeof(float))
            st = fail(r->err, FK_EFORMAT, "'%s' has no F32 tensor '%s' of %zu numbers", r->p->init,
                      it->name, it->n);
        else memcpy(p->w + it->offset, t->data, t->bytes);
    }
    gguf_close(&g);
    return st;
}

static enum fk_status make_folder(struct run *r)
{
    if (mkdir(r->p->out_dir, 0777) == 0 || errno == EEXIST) return FK_OK;
    return fail(r->err, FK_EIO, "cannot make the folder '%s': %s", r->p->out_dir, strerror(errno));
}

/* The file whose vocabulary the weights of p->init go with: itself, or the one beside a checkpoint. */
static enum fk_status open_init_vocab(struct run *r, struct gguf **out)
{
    char path[RUN_MAX_PATH];
    const char *init = r->p->init, *slash = strrchr(init, '/');
    if (!ckpt_is_one(init)) return gguf_open(out, init, r->err);
    int n = snprintf(path, sizeof path, "%.*sfresh.gguf", slash ? (int)(slash - init) + 1 : 0, init);
    if (n < 0 || n >= RUN_MAX_PATH) return fail(r->err, FK_EINVAL, "the path is too long");
    return gguf_open(out, path, r->err);
}

static enum fk_status write_fresh(struct run *r, const char *path)
{
    struct gguf *like = NULL;
    if (r->p->resume || !r->p->init) return fresh_write(&r->recipe, r->book, path, r->err);
    TRY(open_init_vocab(r, &like));
    enum fk_status st = fresh_write_like(&r->recipe, like, path, r->err);
    gguf_close(&like);
    return st;
}

static enum fk_status open_learner(struct run *r)
{
    char path[RUN_MAX_PATH];
    struct stat sb;
    int64_t max_tokens = 0;
    for (size_t i = 0; i < r->recipe.n_stages; i++)
        if (r->recipe.stages[i].batch_tokens > max_tokens)
            max_tokens = r->recipe.stages[i].batch_tokens;
    if (!run_path(r, "fresh.gguf", path)) return fail(r->err, FK_EINVAL, "the path is too long");
    if (r->recipe.lora.is_on) {
        TRY(run_open_adapter(r, max_tokens));
    } else {
        if (!r->p->resume || stat(path, &sb)) TRY(write_fresh(r, path));
        TRY(learner_open(&r->learner, path, r->p->n_threads, max_tokens, r->err));
    }
    if (r->recipe.optim.kind == OPTIM_MUON) TRY(muon_create(&r->muon, &r->learner.params, r->err));
    snprintf(r->machine, sizeof r->machine, "%s, %d threads, %s", device_isa(r->learner.device),
             device_n_threads(r->learner.device), openblas_get_corename());
    const struct tokenizer *t = r->learner.model->tokenizer;
    return r->recipe.lora.is_on
               ? pack_init_words(&r->pack, t, &r->words, max_tokens, r->learner.n_ctx, r->err)
               : pack_init(&r->pack, t, r->book, max_tokens, (int)r->recipe.model.n_ctx, r->err);
}

static enum fk_status prepare(struct run *r)
{
    char path[RUN_MAX_PATH];
    TRY(recipe_read(&r->recipe, r->p->recipe, r->err));
    if (r->p->watts >= 0) r->recipe.watts = r->p->watts;
    if (r->p->price >= 0) r->recipe.price = r->p->price;
    bool ok = recipe_print(&r->recipe, &r->settings);
    if (ok) run_tell(r, FK_TRAIN_SETTINGS, r->settings.data);
    if (!ok) return fail_nomem(r->err, RECIPE_MAX_BYTES, "the recipe's text");
    TRY(make_folder(r));
    if (!r->p->resume && ckpt_count(r->p->out_dir))
        return fail(r->err, FK_ESTATE, "'%s' holds checkpoints of a run; go on with it (--resume) or name "
                    "another folder", r->p->out_dir);
    if (r->p->data_dir && !r->recipe.lora.is_on) TRY(fk_book_open(r->p->data_dir, &r->book, r->err));
    TRY(open_learner(r));
    memcpy(r->s.recipe_sha256, r->recipe.sha256, 64);
    if (r->p->resume) TRY(resume(r));
    else if (r->p->init) TRY(take_init(r));
    run_note(r, "%zu weights, %" PRIu64 " active a token; %s", r->learner.params.n_weights,
         r->learner.model->n_active_params, r->machine);
    if (!run_path(r, "run.jsonl", path)) return fail(r->err, FK_EINVAL, "the path is too long");
    TRY(journal_open(&r->journal, path, r->p->resume, (int64_t)r->s.step, r->err));
    if (r->recipe.eval_steps)
        TRY(devset_create(&r->dev, &r->recipe, run_n_dev(&r->recipe), &r->learner, r->book,
                          r->p->n_threads, r->err));
    return FK_OK;
}

void fk_train_default_params(struct fk_train_params *p)
{
    *p = (struct fk_train_params){.watts = -1, .price = -1};
}

enum fk_status fk_train(const struct fk_train_params *p, struct fk_error *err)
{
    if (!p || !p->recipe || !p->out_dir)
        return fail(err, FK_EINVAL, "a recipe and a folder must be named");
    struct run *r = mem_zalloc(sizeof *r, MEM_TRAIN);
    if (!r) return fail_nomem(err, sizeof *r, "a run");
    r->p = p;
    r->err = err;
    r->begun = clock_seconds();
    buf_init(&r->settings, 0, MEM_TRAIN);
    enum fk_status st = prepare(r);
    if (!st) st = run_stages(r);
    run_write_page(r, true);
    buf_fini(&r->settings);
    journal_close(&r->journal);
    devset_destroy(&r->dev);
    grpo_destroy(&r->grpo);
    muon_destroy(&r->muon);
    pack_fini(&r->pack);
    learner_close(&r->learner);
    chat_form_close(&r->form);
    sets_close(r->sets);
    fk_book_close(r->book);
    mem_free(r);
    return st;
}
