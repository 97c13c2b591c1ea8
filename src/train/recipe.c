/* SPDX-License-Identifier: Apache-2.0
 * recipe.c - reads recipes by tables: a key's type, place, bounds and default stand in one line. */
#include "src/train/recipe.h"
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/base/sha256.h"
#include "src/train/lora.h"

enum field_type { INT, REAL, BOOL };

struct field {
    const char *key;
    enum field_type type;
    size_t at;
    double min, max, initial;
};

static const struct field top_fields[] = {
    {"seed", INT, offsetof(struct recipe, seed), 0, 1e15, 1},
    {"checkpoint_steps", INT, offsetof(struct recipe, ckpt_steps), 1, 1e9, 200},
    {"checkpoint_keep", INT, offsetof(struct recipe, ckpt_keep), 2, 100, 3},
    {"log_steps", INT, offsetof(struct recipe, log_steps), 1, 1e6, 20},
    {"vocab_sample", INT, offsetof(struct recipe, vocab_sample), 100, 1e6, 20000},
    {"eval_steps", INT, offsetof(struct recipe, eval_steps), 0, 1e9, 500},
    {"eval_count", INT, offsetof(struct recipe, eval_count), 1, 1e4, 32},
    {"final_count", INT, offsetof(struct recipe, final_count), 1, 1e4, 200},
    {"eval_max_new", INT, offsetof(struct recipe, eval_max_new), 8, 8192, 512},
    {"samples", INT, offsetof(struct recipe, n_samples), 0, 32, 8},
    {"watts", REAL, offsetof(struct recipe, watts), 0, 1e5, 10},
    {"price", REAL, offsetof(struct recipe, price), 0, 1e6, 0.05},
};
#define AT(name) offsetof(struct recipe_model, name)
static const struct field model_fields[] = {
    {"vocab", INT, AT(n_vocab), 320, 512, 448},
    {"context", INT, AT(n_ctx), 64, 8192, 1024},
    {"embd", INT, AT(n_embd), 32, 4096, 192},
    {"layers", INT, AT(n_layers), 1, 64, 5},
    {"dense_layers", INT, AT(n_dense_layers), 0, 64, 1},
    {"ff", INT, AT(n_ff), 32, 16384, 512},
    {"heads", INT, AT(n_heads), 1, 64, 6},
    {"nope_dim", INT, AT(nope_dim), 2, 512, 32},
    {"rope_dim", INT, AT(rope_dim), 2, 512, 16},
    {"v_dim", INT, AT(v_dim), 2, 512, 32},
    {"q_rank", INT, AT(q_rank), 0, 4096, 96},
    {"kv_rank", INT, AT(kv_rank), 32, 4096, 64},
    {"experts", INT, AT(n_experts), 2, 256, 8},
    {"experts_used", INT, AT(n_experts_used), 1, 64, 2},
    {"shared_experts", INT, AT(n_shared_experts), 0, 8, 1},
    {"ff_expert", INT, AT(n_ff_expert), 32, 8192, 96},
    {"rope_theta", REAL, AT(rope_theta), 10, 1e9, 10000},
    {"norm_eps", REAL, AT(norm_eps), 1e-12, 1e-2, 1e-6},
    {"route_scale", REAL, AT(route_scale), 1e-3, 100, 1},
    {"init_embd", REAL, AT(init_embd), 1e-4, 1, 0.04},
    {"init_gain", REAL, AT(init_gain), 1e-3, 10, 0.7},
    {"tied", BOOL, AT(tied), 0, 1, 1},
};
#undef AT
#define AT(name) offsetof(struct recipe_lora, name)
static const struct field lora_fields[] = {
    {"rank", INT, AT(rank), 1, 1024, 16},
    {"alpha", REAL, AT(alpha), 1e-3, 1e6, 32},
    {"context", INT, AT(n_ctx), 64, 1 << 20, 1024},
};
#undef AT
#define AT(name) offsetof(struct recipe_optim, name)
static const struct field optim_fields[] = {
    {"momentum", REAL, AT(momentum), 0, 0.9999, 0.95},
    {"beta1", REAL, AT(beta1), 0, 0.9999, 0.9},
    {"beta2", REAL, AT(beta2), 0, 0.99999, 0.95},
    {"eps", REAL, AT(eps), 1e-16, 1, 1e-8},
    {"weight_decay", REAL, AT(weight_decay), 0, 10, 0.1},
    {"clip", REAL, AT(clip), 1e-6, 1e6, 1},
    {"balance", REAL, AT(balance), 0, 10, 1e-4},
    {"bias_rate", REAL, AT(bias_rate), 0, 1, 1e-3},
};
#undef AT
#define AT(name) offsetof(struct recipe_stage, name)
static const struct field stage_fields[] = {
    {"steps", INT, AT(n_steps), 1, 1e9, 0},
    {"batch_tokens", INT, AT(batch_tokens), 256, 1 << 20, 4096},
    {"eval_steps", INT, AT(eval_steps), 0, 1e9, 0},
    {"lr", REAL, AT(lr), 0, 10, 2e-3},
    {"lr_end", REAL, AT(lr_end), 0, 1, 0.1},
    {"warmup", INT, AT(n_warmup), 0, 1e9, 100},
    {"decay", INT, AT(n_decay), 0, 1e9, 0},
    {"loss_on_prompt", BOOL, AT(loss_on_prompt), 0, 1, 0},
    {"choose_thinking", BOOL, AT(choose_thinking), 0, 1, 0},
};
#undef AT
#define AT(name) offsetof(struct grpo_params, name)
static const struct field grpo_fields[] = {
    {"prompts", INT, AT(n_prompts), 1, 1024, 16},
    {"group", INT, AT(group), 2, 256, 16},
    {"max_new", INT, AT(max_new), 8, 8192, 384},
    {"parallel", INT, AT(n_parallel), 1, 4096, 128},
    {"temperature", REAL, AT(temperature), 0.01, 10, 1},
    {"clip_low", REAL, AT(clip_low), 0, 1, 0.2},
    {"clip_high", REAL, AT(clip_high), 0, 10, 0.28},
    {"kl", REAL, AT(kl), 0, 10, 0},
    {"updates", INT, AT(n_updates), 1, 64, 1},
    {"reward_format", REAL, AT(reward_format), 0, 1, 0.1},
    {"mask_overlong", BOOL, AT(mask_overlong), 0, 1, 0},
    {"level_up", REAL, AT(level_up), 0, 1, 0.9},
};
/* Rejection sampling: what of the above it has, under its own names. */
static const struct field rejection_fields[] = {
    {"prompts", INT, AT(n_prompts), 1, 1024, 32},
    {"samples", INT, AT(group), 2, 256, 4},
    {"max_new", INT, AT(max_new), 8, 8192, 384},
    {"parallel", INT, AT(n_parallel), 1, 4096, 128},
    {"temperature", REAL, AT(temperature), 0.01, 10, 1},
    {"updates", INT, AT(n_updates), 1, 64, 1},
    {"level_up", REAL, AT(level_up), 0, 1, 0.9},
};
#undef AT
static const char *const grpo_variants[] = {"grpo", "dr_grpo", "dapo"};
static const char *const optim_kinds[] = {"adamw", "muon"};
static const char *const keeps[] = {"shortest", "random"};
#define N(a) (sizeof(a) / sizeof(a)[0])

struct reader {
    const char *file;
    struct fk_error *err;
};

static void put(void *base, const struct field *f, double v)
{
    char *p = (char *)base + f->at;
    if (f->type == INT) *(int64_t *)(void *)p = (int64_t)v;
    if (f->type == REAL) *(double *)(void *)p = v;
    if (f->type == BOOL) *(bool *)(void *)p = v != 0;
}

static double get(const void *base, const struct field *f)
{
    const char *p = (const char *)base + f->at;
    if (f->type == INT) return (double)*(const int64_t *)(const void *)p;
    if (f->type == REAL) return *(const double *)(const void *)p;
    return *(const bool *)(const void *)p;
}

static void set_defaults(void *base, const struct field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) put(base, &fields[i], fields[i].initial);
}

static enum fk_status take(const struct reader *r, void *base, const struct field *f, const json_t *v)
{
    static const char *const wanted[] = {"a whole number", "a number", "true or false"};
    bool fits = f->type == INT ? json_is_integer(v)
                : f->type == REAL ? json_is_number(v) : json_is_boolean(v);
    if (!fits)
        return fail(r->err, FK_EFORMAT, "%s: '%s' is not %s", r->file, f->key, wanted[f->type]);
    double x = f->type == BOOL ? (double)json_is_true(v) : json_number_value(v);
    if (!(x >= f->min && x <= f->max))
        return fail(r->err, FK_EFORMAT, "%s: '%s' is %g; it must be from %g to %g", r->file, f->key, x,
                    f->min, f->max);
    put(base, f, x);
    return FK_OK;
}

static const struct field *find(const struct field *fields, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(fields[i].key, key)) return &fields[i];
    return NULL;
}

static enum fk_status unknown(const struct reader *r, const char *where, const char *key)
{
    return fail(r->err, FK_EFORMAT, "%s: %s has no key '%s'", r->file, where, key);
}

static enum fk_status need_object(const struct reader *r, const char *key, json_t *v)
{
    if (json_is_object(v)) return FK_OK;
    return fail(r->err, FK_EFORMAT, "%s: '%s' is not an object", r->file, key);
}

static enum fk_status read_fields(const struct reader *r, const char *where, json_t *o, void *base,
                                  const struct field *fields, size_t n)
{
    const char *key;
    json_t *v;
    TRY(need_object(r, where, o));
    json_object_foreach(o, key, v) {
        const struct field *f = find(fields, n, key);
        if (!f) return unknown(r, where, key);
        TRY(take(r, base, f, v));
    }
    return FK_OK;
}

static enum fk_status read_text(const struct reader *r, const char *key, const json_t *v, char *out,
                                size_t bytes)
{
    const char *s = json_string_value(v);
    if (!s || !*s || strlen(s) >= bytes)
        return fail(r->err, FK_EFORMAT, "%s: '%s' is not a text of 1 to %zu bytes", r->file,
                    key, bytes - 1);
    memcpy(out, s, strlen(s) + 1);
    return FK_OK;
}

static enum fk_status read_weights(const struct reader *r, const char *key, const json_t *v,
                                   uint32_t *out, size_t n)
{
    uint64_t sum = 0;
    if (!json_is_array(v) || json_array_size(v) != n)
        return fail(r->err, FK_EFORMAT, "%s: '%s' is not a list of %zu weights", r->file, key, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(v, i);
        int64_t w = json_integer_value(x);
        if (!json_is_integer(x) || w < 0 || w > 1000000)
            return fail(r->err, FK_EFORMAT, "%s: '%s' holds what is no weight from 0 to 1000000",
                        r->file, key);
        out[i] = (uint32_t)w;
        sum += out[i];
    }
    if (!sum) return fail(r->err, FK_EFORMAT, "%s: the weights of '%s' are all 0", r->file, key);
    return FK_OK;
}

static enum fk_status find_family(const struct reader *r, const char *name, int *out)
{
    *out = fk_family_find(name);
    if (*out >= 0) return FK_OK;
    return fail(r->err, FK_EFORMAT, "%s: there is no family '%s'", r->file, name);
}

/* {"add": 3, ...}: the others are left out. */
static enum fk_status read_families(const struct reader *r, json_t *o, struct fk_mix *mix)
{
    const char *key;
    json_t *v;
    int family;
    TRY(need_object(r, "families", o));
    memset(mix->family, 0, sizeof mix->family);
    json_object_foreach(o, key, v) {
        int64_t w = json_integer_value(v);
        TRY(find_family(r, key, &family));
        if (!json_is_integer(v) || w < 0 || w > 1000000)
            return fail(r->err, FK_EFORMAT, "%s: the weight of '%s' is not from 0 to 1000000",
                        r->file, key);
        mix->family[family] = (uint32_t)w;
    }
    return FK_OK;
}

/* {"gsm8k": 3, ...} */
static enum fk_status read_sets(const struct reader *r, json_t *o, uint32_t sets[N_SETS])
{
    const char *key;
    json_t *v;
    TRY(need_object(r, "sets", o));
    json_object_foreach(o, key, v) {
        int64_t w = json_integer_value(v);
        int i = 0;
        while (i < N_SETS && strcmp(set_names[i], key) != 0) i++;
        if (i == N_SETS)
            return fail(r->err, FK_EFORMAT, "%s: there is no set '%s'", r->file, key);
        if (!json_is_integer(v) || w < 0 || w > 1000000)
            return fail(r->err, FK_EFORMAT, "%s: the weight of '%s' is not from 0 to 1000000",
                        r->file, key);
        sets[i] = (uint32_t)w;
    }
    return FK_OK;
}

/* A list for all families, or {"add": [...]} for some. */
static enum fk_status read_levels(const struct reader *r, json_t *v, struct fk_mix *mix)
{
    if (json_is_array(v)) {
        for (int i = 0; i < fk_n_families(); i++)
            TRY(read_weights(r, "levels", v, mix->level[i], FK_N_LEVELS));
        return FK_OK;
    }
    const char *key;
    json_t *list;
    int family;
    TRY(need_object(r, "levels", v));
    json_object_foreach(v, key, list) {
        TRY(find_family(r, key, &family));
        TRY(read_weights(r, key, list, mix->level[family], FK_N_LEVELS));
    }
    return FK_OK;
}

static enum fk_status read_styles(const struct reader *r, json_t *v, struct fk_mix *mix)
{
    if (json_is_array(v)) {
        for (int i = 0; i < fk_n_families(); i++)
            TRY(read_weights(r, "styles", v, mix->style[i], FK_N_STYLES));
        return FK_OK;
    }
    const char *key;
    json_t *list;
    int family;
    TRY(need_object(r, "styles", v));
    json_object_foreach(v, key, list) {
        TRY(find_family(r, key, &family));
        TRY(read_weights(r, key, list, mix->style[family], FK_N_STYLES));
    }
    return FK_OK;
}

/* A word of a list; *out is its index. */
static enum fk_status read_choice(const struct reader *r, const char *key, const json_t *v,
                                  const char *const *words, size_t n, int *out)
{
    const char *name = json_string_value(v);
    for (size_t i = 0; name && i < n; i++)
        if (!strcmp(name, words[i])) {
            *out = (int)i;
            return FK_OK;
        }
    struct buf list;
    buf_init(&list, 0, MEM_TRAIN);
    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", words[i]);
    enum fk_status st = fail(r->err, FK_EFORMAT, "%s: '%s' is none of %s", r->file, key,
                             list.failed ? "the known ones" : list.data);
    buf_fini(&list);
    return st;
}

/* {"variant": "dr_grpo", ...} or, as "rejection", {"keep": "shortest", ...}: makes the stage one that
 * learns from replies of its own. */
static enum fk_status read_sampling(const struct reader *r, const char *where, json_t *o,
                                    struct recipe_stage *s)
{
    const char *key;
    json_t *v;
    int word = 0;
    bool is_grpo = !strcmp(where, "grpo");
    const struct field *fields = is_grpo ? grpo_fields : rejection_fields;
    size_t n = is_grpo ? N(grpo_fields) : N(rejection_fields);
    TRY(need_object(r, where, o));
    if (s->is_grpo)
        return fail(r->err, FK_EFORMAT, "%s: a stage has both 'grpo' and 'rejection'", r->file);
    s->is_grpo = true;
    set_defaults(&s->grpo, fields, n);
    s->grpo.kind = is_grpo ? GRPO_DR_GRPO : GRPO_REJECTION;
    json_object_foreach(o, key, v) {
        const struct field *f = find(fields, n, key);
        if (f) {
            TRY(take(r, &s->grpo, f, v));
        } else if (is_grpo && !strcmp(key, "variant")) {
            TRY(read_choice(r, key, v, grpo_variants, N(grpo_variants), &word));
            s->grpo.kind = (enum grpo_kind)word;
        } else if (!is_grpo && !strcmp(key, "keep")) {
            TRY(read_choice(r, key, v, keeps, N(keeps), &word));
            s->grpo.keep = (enum grpo_keep)word;
        } else {
            return unknown(r, where, key);
        }
    }
    if (s->grpo.n_updates > s->grpo.n_prompts)
        return fail(r->err, FK_EFORMAT, "%s: 'updates' exceed 'prompts'", r->file);
    return FK_OK;
}

static enum fk_status read_stage(const struct reader *r, json_t *o, struct recipe_stage *s)
{
    const char *key;
    json_t *v;
    set_defaults(s, stage_fields, N(stage_fields));
    set_defaults(&s->grpo, grpo_fields, N(grpo_fields));
    fk_mix_defaults(&s->mix);
    TRY(need_object(r, "stages", o));
    json_object_foreach(o, key, v) {
        const struct field *f = find(stage_fields, N(stage_fields), key);
        if (f) TRY(take(r, s, f, v));
        else if (!strcmp(key, "name")) TRY(read_text(r, key, v, s->name, sizeof s->name));
        else if (!strcmp(key, "grpo") || !strcmp(key, "rejection"))
            TRY(read_sampling(r, key, v, s));
        else if (!strcmp(key, "families")) TRY(read_families(r, v, &s->mix));
        else if (!strcmp(key, "sets")) TRY(read_sets(r, v, s->sets));
        else if (!strcmp(key, "levels")) TRY(read_levels(r, v, &s->mix));
        else if (!strcmp(key, "styles")) TRY(read_styles(r, v, &s->mix));
        else if (!strcmp(key, "langs")) TRY(read_weights(r, key, v, s->mix.lang, FK_N_LANGS));
        else return unknown(r, "a stage", key);
    }
    if (!s->n_steps) return fail(r->err, FK_EFORMAT, "%s: a stage has no 'steps'", r->file);
    if (s->n_warmup + s->n_decay > s->n_steps)
        return fail(r->err, FK_EFORMAT, "%s: 'warmup' %" PRId64 " and 'decay' %" PRId64
                    " exceed the stage's %" PRId64 " steps", r->file, s->n_warmup, s->n_decay,
                    s->n_steps);
    return FK_OK;
}

static enum fk_status read_stages(const struct reader *r, json_t *v, struct recipe *out)
{
    size_t n = json_array_size(v);
    if (!json_is_array(v) || !n || n > RECIPE_MAX_STAGES)
        return fail(r->err, FK_EFORMAT, "%s: 'stages' is not a list of 1 to %d stages", r->file,
                    RECIPE_MAX_STAGES);
    for (size_t i = 0; i < n; i++) {
        struct recipe_stage *s = &out->stages[i];
        TRY(read_stage(r, json_array_get(v, i), s));
        /* Every stage draws puzzles of its own. */
        s->mix.seed = (uint64_t)out->seed * RECIPE_STAGE_SEEDS + i;
    }
    out->n_stages = n;
    return FK_OK;
}

static enum fk_status read_optimizer(const struct reader *r, json_t *o, struct recipe_optim *out)
{
    const char *key;
    json_t *v;
    int word = 0;
    TRY(need_object(r, "optimizer", o));
    json_object_foreach(o, key, v) {
        const struct field *f = find(optim_fields, N(optim_fields), key);
        if (f) {
            TRY(take(r, out, f, v));
        } else if (!strcmp(key, "kind")) {
            TRY(read_choice(r, key, v, optim_kinds, N(optim_kinds), &word));
            out->kind = (enum optim_kind)word;
        } else {
            return unknown(r, "optimizer", key);
        }
    }
    return FK_OK;
}

static enum fk_status read_targets(const struct reader *r, const json_t *v, uint32_t *out)
{
    int target = 0;
    if (!json_is_array(v) || !json_array_size(v))
        return fail(r->err, FK_EFORMAT, "%s: 'targets' is not a list of names", r->file);
    *out = 0;
    for (size_t i = 0; i < json_array_size(v); i++) {
        TRY(read_choice(r, "targets", json_array_get(v, i), lora_targets, LORA_N_TARGETS, &target));
        *out |= 1u << target;
    }
    return FK_OK;
}

static enum fk_status read_lora(const struct reader *r, json_t *o, struct recipe_lora *out)
{
    const char *key;
    json_t *v;
    TRY(need_object(r, "lora", o));
    out->is_on = true;
    json_object_foreach(o, key, v) {
        const struct field *f = find(lora_fields, N(lora_fields), key);
        if (f) TRY(take(r, out, f, v));
        else if (!strcmp(key, "targets")) TRY(read_targets(r, v, &out->targets));
        else return unknown(r, "lora", key);
    }
    return FK_OK;
}

/* Adapters learn word problems over a base whose router and shape stay; a model of our own learns
 * puzzles. */
static enum fk_status settle_lora(const struct reader *r, json_t *top, struct recipe *out)
{
    static const char *const own[] = {"model", "vocab_sample", "eval_steps", "eval_count",
                                      "final_count", "eval_max_new", "samples"};
    static const char *const of_puzzles[] = {"families", "levels", "styles", "langs", "eval_steps"};
    bool is_on = out->lora.is_on;
    for (size_t i = 0; is_on && i < N(own); i++)
        if (json_object_get(top, own[i]))
            return fail(r->err, FK_EFORMAT, "%s: a recipe with 'lora' has no '%s'", r->file, own[i]);
    for (size_t i = 0; i < out->n_stages; i++) {
        struct recipe_stage *s = &out->stages[i];
        uint64_t sum = 0;
        for (int k = 0; k < N_SETS; k++) sum += s->sets[k];
        if (is_on && !sum)
            return fail(r->err, FK_EFORMAT, "%s: a stage of a recipe with 'lora' needs 'sets'", r->file);
        if (!is_on && sum)
            return fail(r->err, FK_EFORMAT, "%s: 'sets' need 'lora', which the recipe has not", r->file);
        const json_t *text = json_array_get(json_object_get(top, "stages"), i);
        for (size_t k = 0; is_on && k < N(of_puzzles); k++)
            if (json_object_get(text, of_puzzles[k]))
                return fail(r->err, FK_EFORMAT, "%s: a stage of a recipe with 'lora' has no '%s'",
                            r->file, of_puzzles[k]);
        if (is_on) memset(s->mix.family, 0, sizeof s->mix.family);
    }
    if (!is_on) return FK_OK;
    out->eval_steps = 0;
    out->optim.balance = out->optim.bias_rate = 0;
    return FK_OK;
}

static enum fk_status read_top(const struct reader *r, json_t *o, struct recipe *out)
{
    const char *key;
    json_t *v, *stages = NULL;
    TRY(need_object(r, "the recipe", o));
    json_object_foreach(o, key, v) {
        const struct field *f = find(top_fields, N(top_fields), key);
        if (f) TRY(take(r, out, f, v));
        else if (!strcmp(key, "name")) TRY(read_text(r, key, v, out->name, sizeof out->name));
        else if (!strcmp(key, "currency"))
            TRY(read_text(r, key, v, out->currency, sizeof out->currency));
        else if (!strcmp(key, "model"))
            TRY(read_fields(r, key, v, &out->model, model_fields, N(model_fields)));
        else if (!strcmp(key, "lora")) TRY(read_lora(r, v, &out->lora));
        else if (!strcmp(key, "optimizer"))
            TRY(read_optimizer(r, v, &out->optim));
        else if (!strcmp(key, "stages")) stages = v;
        else return unknown(r, "a recipe", key);
    }
    TRY(read_stages(r, stages, out));
    return settle_lora(r, o, out);
}

/* What the tables cannot say alone. */
static enum fk_status check_model(const struct reader *r, const struct recipe_model *m)
{
    if (m->n_dense_layers > m->n_layers)
        return fail(r->err, FK_EFORMAT, "%s: 'dense_layers' exceed 'layers'", r->file);
    if (m->n_experts_used > m->n_experts)
        return fail(r->err, FK_EFORMAT, "%s: 'experts_used' exceed 'experts'", r->file);
    if (m->rope_dim % 2) return fail(r->err, FK_EFORMAT, "%s: 'rope_dim' is odd", r->file);
    /* Rows of weights must be whole blocks of the small types. */
    const struct { const char *name; int64_t n; } inputs[] = {
        {"embd", m->n_embd}, {"ff", m->n_ff}, {"ff_expert", m->n_ff_expert}, {"q_rank", m->q_rank},
        {"kv_rank", m->kv_rank}, {"heads times v_dim", m->n_heads * m->v_dim},
        {"nope_dim", m->nope_dim}};
    for (size_t i = 0; i < N(inputs); i++)
        if (inputs[i].n % 32)
            return fail(r->err, FK_EFORMAT, "%s: '%s' is %" PRId64 ", not a multiple of 32", r->file,
                        inputs[i].name, inputs[i].n);
    return FK_OK;
}

enum fk_status recipe_parse(struct recipe *out, const char *text, size_t n, const char *name,
                            struct fk_error *err)
{
    struct reader r = {name, err};
    json_error_t je;
    struct sha256 h;
    *out = (struct recipe){.name = "model", .currency = "USD"};
    set_defaults(out, top_fields, N(top_fields));
    set_defaults(&out->model, model_fields, N(model_fields));
    set_defaults(&out->lora, lora_fields, N(lora_fields));
    set_defaults(&out->optim, optim_fields, N(optim_fields));
    sha256_init(&h);
    sha256_update(&h, text, n);
    sha256_hex(&h, out->sha256);
    json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!o) return fail(err, FK_EFORMAT, "%s: line %d: %s", name, je.line, je.text);
    enum fk_status st = read_top(&r, o, out);
    json_decref(o);
    return st ? st : check_model(&r, &out->model);
}

enum fk_status recipe_read(struct recipe *r, const char *path, struct fk_error *err)
{
    char *text;
    size_t n;
    TRY(file_read(path, RECIPE_MAX_BYTES, &text, &n, err));
    enum fk_status st = recipe_parse(r, text, n, path, err);
    mem_free(text);
    return st;
}

static void print_fields(struct buf *b, const char *head, const void *base, const struct field *fields,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v = get(base, &fields[i]);
        if (fields[i].type == BOOL) buf_printf(b, "%s%s %s\n", head, fields[i].key, v ? "true" : "false");
        else buf_printf(b, "%s%s %.10g\n", head, fields[i].key, v);
    }
}

static void print_weights(struct buf *b, const uint32_t *w, size_t n)
{
    for (size_t i = 0; i < n; i++) buf_printf(b, "%s%u", i ? " " : "", w[i]);
}

static void print_mix(struct buf *b, const char *head, const struct fk_mix *mix)
{
    buf_printf(b, "%slangs ", head);
    print_weights(b, mix->lang, FK_N_LANGS);
    buf_putc(b, '\n');
    for (int i = 0; i < fk_n_families(); i++) {
        if (!mix->family[i]) continue;
        buf_printf(b, "%sfamily %s %u levels ", head, fk_family_name(i), mix->family[i]);
        print_weights(b, mix->level[i], FK_N_LEVELS);
        buf_puts(b, " styles ");
        print_weights(b, mix->style[i], FK_N_STYLES);
        buf_putc(b, '\n');
    }
}

static void print_sampling(struct buf *b, const char *head, const struct grpo_params *p)
{
    char inner[48];
    if (p->kind == GRPO_REJECTION) {
        buf_printf(b, "%srejection.keep %s\n", head, keeps[p->keep]);
        snprintf(inner, sizeof inner, "%srejection.", head);
        print_fields(b, inner, p, rejection_fields, N(rejection_fields));
        return;
    }
    buf_printf(b, "%sgrpo.variant %s\n", head, grpo_variants[p->kind]);
    snprintf(inner, sizeof inner, "%sgrpo.", head);
    print_fields(b, inner, p, grpo_fields, N(grpo_fields));
}

static void print_lora(struct buf *b, const struct recipe_lora *l)
{
    print_fields(b, "lora.", l, lora_fields, N(lora_fields));
    buf_puts(b, "lora.targets");
    for (int i = 0; i < LORA_N_TARGETS; i++)
        if (l->targets >> i & 1) buf_printf(b, " %s", lora_targets[i]);
    buf_puts(b, l->targets ? "\n" : " all that the base has\n");
}

bool recipe_print(const struct recipe *r, struct buf *out)
{
    buf_printf(out, "name %s\n", r->name);
    print_fields(out, "", r, top_fields, N(top_fields));
    buf_printf(out, "currency %s\n", r->currency);
    if (r->lora.is_on) print_lora(out, &r->lora);
    else print_fields(out, "model.", &r->model, model_fields, N(model_fields));
    buf_printf(out, "optimizer.kind %s\n", optim_kinds[r->optim.kind]);
    print_fields(out, "optimizer.", &r->optim, optim_fields, N(optim_fields));
    for (size_t i = 0; i < r->n_stages; i++) {
        char head[32];
        snprintf(head, sizeof head, "stage %zu.", i + 1);
        buf_printf(out, "%sname %s\n", head, r->stages[i].name);
        print_fields(out, head, &r->stages[i], stage_fields, N(stage_fields));
        if (r->stages[i].is_grpo) print_sampling(out, head, &r->stages[i].grpo);
        if (r->lora.is_on)
            for (int k = 0; k < N_SETS; k++)
                buf_printf(out, "%sset %s %u\n", head, set_names[k], r->stages[i].sets[k]);
        else print_mix(out, head, &r->stages[i].mix);
    }
    return !out->failed;
}

double recipe_lr(const struct recipe_stage *s, int64_t step)
{
    if (step < s->n_warmup) return s->lr * (double)(step + 1) / (double)(s->n_warmup + 1);
    int64_t left = s->n_steps - step;
    if (left > s->n_decay) return s->lr;
    double share = (double)left / (double)(s->n_decay + 1);
    return s->lr * (s->lr_end + (1 - s->lr_end) * share);
}

int64_t recipe_n_steps(const struct recipe *r)
{
    int64_t n = 0;
    for (size_t i = 0; i < r->n_stages; i++) n += r->stages[i].n_steps;
    return n;
}
