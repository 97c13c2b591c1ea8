/* SPDX-License-Identifier: Apache-2.0
 * grpo.c - from prompts to groups of graded replies. The gradient is in grpo_grad.c, which prompts are
 * drawn in grpo_draw.c. */
#include "src/train/grpo_impl.h"
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/rng.h"

enum fk_status grpo_create(struct grpo **out, const struct grpo_params *p, struct learner *l,
                           const fk_book *book, int n_threads, struct fk_error *err)
{
    *out = NULL;
    if (p->n_prompts < 1 || p->group < 2 || p->max_new < 8 || p->n_updates < 1 ||
        p->n_updates > p->n_prompts)
        return fail(err, FK_EINVAL, "%d prompts in groups of %d, %d updates", (int)p->n_prompts,
                    (int)p->group, (int)p->n_updates);
    struct grpo *g = mem_zalloc(sizeof *g, MEM_TRAIN);
    if (!g) return fail_nomem(err, sizeof *g, "GRPO");
    g->p = *p;
    g->l = l;
    g->n_threads = n_threads;
    g->n_ctx = l->n_ctx;
    g->max_groups = 2 * (int)p->n_prompts;
    size_t n = (size_t)g->max_groups;
    g->groups = mem_calloc(n, sizeof *g->groups, MEM_TRAIN);
    g->replies = mem_calloc(n * (size_t)p->group, sizeof *g->replies, MEM_TRAIN);
    g->docs = mem_array(n * (size_t)p->group, sizeof *g->docs, MEM_TRAIN);
    g->members = mem_array(n * (size_t)p->group, sizeof *g->members, MEM_TRAIN);
    g->coef = mem_array((size_t)l->max_tokens, sizeof *g->coef, MEM_TRAIN);
    enum fk_status st = FK_OK;
    if (!g->groups || !g->replies || !g->docs || !g->members || !g->coef)
        st = fail_nomem(err, n * (size_t)p->group * sizeof *g->replies, "groups");
    const struct tokenizer *t = l->model->tokenizer;
    if (!st) st = l->words ? pack_init_words(&g->pack, t, l->words, l->max_tokens, g->n_ctx, err)
                           : pack_init(&g->pack, t, book, l->max_tokens, g->n_ctx, err);
    if (st) grpo_destroy(&g);
    else *out = g;
    return st;
}

static void forget_reply(struct reply_of *y)
{
    rollout_fini(&y->r);
    mem_free(y->is_target);
    mem_free(y->ref_logp);
    *y = (struct reply_of){0};
}

static void forget(struct grpo *g)
{
    for (int i = 0; g->groups && i < g->max_groups; i++) {
        fk_puzzle_free(&g->groups[i].puzzle);
        mem_free(g->groups[i].prompt);
        g->groups[i] = (struct group){0};
    }
    for (int64_t i = 0; g->replies && i < g->max_groups * g->p.group; i++) {
        forget_reply(&g->replies[i]);
    }
    g->n_groups = 0;
}

void grpo_destroy(struct grpo **out)
{
    struct grpo *g = *out;
    if (!g) return;
    forget(g);
    pack_fini(&g->pack);
    mem_free(g->groups);
    mem_free(g->replies);
    mem_free(g->docs);
    mem_free(g->members);
    mem_free(g->coef);
    mem_free(g->reference);
    mem_free(g);
    *out = NULL;
}

enum fk_status grpo_set_reference(struct grpo *g, const float *w, struct fk_error *err)
{
    size_t bytes = g->l->params.n_floats * sizeof(float);
    if (!g->reference) g->reference = mem_alloc(bytes, MEM_TRAIN);
    if (!g->reference) return fail_nomem(err, bytes, "the reference weights");
    memcpy(g->reference, w, bytes);
    return FK_OK;
}

static double reward_of(const struct grpo *g, const struct group *group, const struct rollout *r,
                        bool *is_right)
{
    *is_right = false;
    if (!r->ended || !r->closed) return 0;
    enum fk_verdict v = sets_grade(&group->puzzle, r->answer.n ? r->answer.data : "", r->answer.n);
    *is_right = v == FK_VERDICT_RIGHT;
    return *is_right ? 1 : g->p.reward_format;
}

/* The reply of a group that rejection sampling keeps; -1: none is right. */
static int64_t kept_reply(const struct grpo *g, const struct reply_of *replies)
{
    int64_t kept = -1, n_right = 0;
    for (int64_t i = 0; i < g->p.group; i++) {
        if (!replies[i].is_right) continue;
        n_right++;
        /* The i-th right one takes the place of those before it with the chance 1/i. */
        bool takes = g->p.keep == GRPO_KEEP_RANDOM
                   ? rng_u64(replies[i].r.seed, 0x6b656570, 0) % (uint64_t)n_right == 0
                   : kept < 0 || replies[i].r.n_reply < replies[kept].r.n_reply;
        if (takes) kept = i;
    }
    return kept;
}

static bool reject_all_but_one(struct grpo *g, struct reply_of *replies)
{
    int64_t kept = kept_reply(g, replies);
    for (int64_t i = 0; i < g->p.group; i++) {
        replies[i].is_masked = i != kept;
        replies[i].advantage = i == kept;
    }
    return kept >= 0;
}

/* Rewards and advantages of a group's replies. False: they are all alike, nothing is to be learned. */
static bool grade_group(struct grpo *g, struct group *group, struct reply_of *replies)
{
    double sum = 0, squares = 0, n = 0, n_right = 0;
    for (int64_t i = 0; i < g->p.group; i++) {
        struct reply_of *y = &replies[i];
        y->reward = reward_of(g, group, &y->r, &y->is_right);
        y->is_masked = g->p.mask_overlong && !y->r.ended;
        n_right += y->is_right;
        if (y->is_masked) continue;
        sum += y->reward;
        squares += y->reward * y->reward;
        n++;
    }
    group->right = n_right / (double)g->p.group;
    if (g->p.kind == GRPO_REJECTION) return reject_all_but_one(g, replies);
    double mean = n ? sum / n : 0, var = n ? squares / n - mean * mean : 0;
    for (int64_t i = 0; i < g->p.group; i++) {
        struct reply_of *y = &replies[i];
        y->advantage = y->reward - mean;
        if (g->p.kind != GRPO_DR_GRPO) y->advantage /= sqrt(var > 0 ? var : 0) + 1e-4;
        if (y->is_masked) y->advantage = 0;
    }
    return var > 1e-9;
}

static void add_stats(struct grpo *g, const struct group *group, const struct reply_of *replies,
                      struct grpo_stats *s)
{
    for (int64_t i = 0; i < g->p.group; i++) {
        const struct buf *thinking = &replies[i].r.thinking;
        s->style[fk_shown_style(group->puzzle.family, thinking->data, thinking->n)]++;
        s->reward += replies[i].reward;
        s->right += replies[i].is_right;
        s->ended += replies[i].r.ended;
        s->n_thinking += replies[i].r.n_thinking;
        s->n_reply += replies[i].r.n_reply;
        s->n_replies++;
    }
}

/* Samples n groups behind those that count already; keeps those with variance, in front. */
static enum fk_status sample_groups(struct grpo *g, const struct fk_mix *mix, uint64_t seed, int n,
                                    struct ckpt_state *s, struct grpo_stats *stats,
                                    struct fk_error *err)
{
    int64_t size = g->p.group, first = g->n_groups * size;
    struct rollout_params rp = {.n_threads = g->n_threads, .n_ctx = g->n_ctx,
                                .max_new = (int)g->p.max_new, .n_parallel = (int)g->p.n_parallel,
                                .temperature = (float)g->p.temperature,
                                .in_answer = g->l->words && !g->l->words->form->opens_thinking};
    struct rollout *r = mem_calloc((size_t)(n * size), sizeof *r, MEM_TRAIN);
    if (!r) return fail_nomem(err, (size_t)(n * size) * sizeof *r, "rollouts");
    enum fk_status st = FK_OK;
    for (int i = 0; i < n && !st; i++) {
        struct group *group = &g->groups[g->n_groups + i];
        st = grpo_draw(g, mix, s, group, err);
        for (int64_t k = 0; k < size; k++)
            r[i * size + k] = (struct rollout){.prompt = group->prompt, .n_prompt = group->n_prompt,
                                               .seed = rng_u64(seed, s->cursor, (uint64_t)k)};
    }
    if (!st) st = rollout_run(g->l->model, &rp, r, (int)(n * size), err);
    for (int64_t i = 0; i < n * size; i++) {
        forget_reply(&g->replies[first + i]); /* of a group that was dropped before */
        g->replies[first + i].r = r[i];
    }
    mem_free(r);
    if (st) return st;
    int kept = g->n_groups;
    for (int i = 0; i < n; i++) {
        int at = (int)(first / size) + i;
        struct group *group = &g->groups[at];
        bool counts = grade_group(g, group, g->replies + at * size);
        add_stats(g, group, g->replies + at * size, stats);
        grpo_learn_rate(g, s, group);
        if (!counts) {
            stats->dropped++;
            continue;
        }
        if (at != kept) grpo_swap(g, at, kept);
        kept++;
    }
    g->n_groups = kept;
    return FK_OK;
}

enum fk_status grpo_sample(struct grpo *g, const struct fk_mix *mix, uint64_t seed,
                           struct ckpt_state *s, struct grpo_stats *out, struct fk_error *err)
{
    int wanted = (int)g->p.n_prompts, drawn = 0;
    *out = (struct grpo_stats){0};
    forget(g);
    while (g->n_groups < wanted && drawn < g->max_groups) {
        int n = wanted - g->n_groups, left = g->max_groups - drawn;
        if (n > left) n = left;
        TRY(sample_groups(g, mix, seed, n, s, out, err));
        drawn += n;
    }
    double n = out->n_replies ? out->n_replies : 1;
    out->reward /= n;
    out->right /= n;
    out->ended /= n;
    for (int i = 0; i < FK_N_STYLES; i++) out->style[i] /= n;
    out->n_thinking /= n;
    out->n_reply /= n;
    out->dropped /= drawn;
    out->n_groups = g->n_groups;
    for (int64_t i = 0; i < g->n_groups * g->p.group; i++)
        if (!g->replies[i].is_masked) out->n_tokens += g->replies[i].r.n_reply;
    return grpo_prepare(g, err);
}
