/* SPDX-License-Identifier: Apache-2.0
 * run_base.c - what a run of adapters begins with: the base model, fresh adapters over it, its words,
 * and the word problems that it learns from. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "fikr/convert.h"
#include "src/base/fail.h"
#include "src/train/lora.h"
#include "src/train/run_impl.h"

/* A folder is converted once, beside the run. */
static enum fk_status find_base(struct run *r)
{
    struct stat sb;
    const char *base = r->p->base;
    if (!base)
        return fail(r->err, FK_EINVAL, "the recipe trains adapters; name the model that they adapt (-m)");
    if (!stat(base, &sb) && S_ISDIR(sb.st_mode)) {
        if (!run_path(r, "base.gguf", r->base))
            return fail(r->err, FK_EINVAL, "the path is too long");
        return stat(r->base, &sb) ? fk_convert(base, r->base, NULL, r->err) : FK_OK;
    }
    if (snprintf(r->base, sizeof r->base, "%s", base) >= (int)sizeof r->base)
        return fail(r->err, FK_EINVAL, "the path is too long");
    return FK_OK;
}

static enum fk_status make_fresh(struct run *r, const char *path)
{
    struct model *base = NULL;
    TRY(model_open(&base, r->base, false, r->err));
    enum fk_status st = lora_fresh_write(&r->recipe, base, path, r->err);
    model_close(&base);
    return st;
}

static enum fk_status open_sets(struct run *r)
{
    bool needed[N_SETS] = {false};
    for (size_t i = 0; i < r->recipe.n_stages; i++)
        for (int k = 0; k < N_SETS; k++) needed[k] |= r->recipe.stages[i].sets[k] > 0;
    if (!r->p->data_dir)
        return fail(r->err, FK_EINVAL, "the recipe learns from word problems; name the folder in which "
                    "they lie (--data DIR)");
    return sets_open(&r->sets, r->p->data_dir, needed, r->err);
}

enum fk_status run_open_adapter(struct run *r, int64_t max_tokens)
{
    char path[RUN_MAX_PATH];
    struct stat sb;
    struct learner *l = &r->learner;
    if (!run_path(r, "fresh.gguf", path)) return fail(r->err, FK_EINVAL, "the path is too long");
    TRY(find_base(r));
    TRY(open_sets(r));
    if (!r->p->resume || stat(path, &sb)) TRY(make_fresh(r, path));
    TRY(learner_open_adapter(l, r->base, path, r->p->n_threads, max_tokens, r->err));
    TRY(chat_form_open(&r->form, r->base, l->model->tokenizer, r->err));
    if (l->n_ctx > r->recipe.lora.n_ctx) l->n_ctx = (int)r->recipe.lora.n_ctx;
    r->words = (struct pack_words){&r->form, r->sets, r->recipe.stages[0].sets};
    l->words = &r->words;
    return FK_OK;
}
