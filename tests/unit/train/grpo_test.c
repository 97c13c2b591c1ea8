/* SPDX-License-Identifier: Apache-2.0
 * grpo_test.c - replies that the engine samples have, bit for bit, the log-probabilities of the
 * training pass; sampling depends on seeds alone; the gradient raises what was rewarded. */
#include "tests/unit/train/desk.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "fikr/train.h"
#include "src/train/fresh.h"
#include "src/train/grpo_impl.h"
#include "src/train/optim.h"
#include "src/train/words.h"

struct school {
    char *dir;
    struct recipe recipe;
    struct learner learner;
    struct fk_mix mix;
};

/* A fresh model that knows nothing: its replies are noise, nearly all of them cut off. */
static void open_school(struct school *s, int n_threads)
{
    memset(s, 0, sizeof *s);
    s->dir = desk_folder();
    OK(recipe_parse(&s->recipe, desk_recipe, strlen(desk_recipe), "desk", err));
    OK(fresh_write(&s->recipe, NULL, desk_path(s->dir, "fresh.gguf"), err));
    OK(learner_open(&s->learner, desk_path(s->dir, "fresh.gguf"), n_threads, 512, err));
    s->mix = s->recipe.stages[0].mix;
}

static void close_school(struct school *s)
{
    learner_close(&s->learner);
    desk_remove(s->dir);
}

/* Teaches a pattern that is easily imitated: the model must end its replies to be graded. */
static void teach(struct school *s, int n_steps)
{
    struct pack pack;
    struct learner_sums sums;
    uint64_t cursor = 0;
    struct fk_mix mix = s->mix;
    for (int f = 0; f < fk_n_families(); f++) {
        memset(mix.level[f], 0, sizeof mix.level[f]);
        mix.level[f][0] = 1;
        memset(mix.style[f], 0, sizeof mix.style[f]);
        mix.style[f][FK_STYLE_STEPWISE] = 1;
    }
    OK(pack_init(&pack, s->learner.model->tokenizer, NULL, 512, 256, err));
    for (int i = 0; i < n_steps; i++) {
        OK(pack_fill(&pack, &mix, &cursor, err));
        OK(learner_gradient(&s->learner, &pack, 1e-4, &sums, err));
        optim_adamw(&s->learner.params, &s->recipe.optim, 3e-3, 1, i + 1);
    }
    pack_fini(&pack);
}

static struct grpo *new_grpo(struct school *s, enum grpo_kind kind, double kl, int n_parallel,
                             int n_threads)
{
    struct grpo *g;
    struct grpo_params p;
    p = s->recipe.stages[0].grpo;
    p.kind = kind;
    p.n_prompts = 3;
    p.group = 4;
    p.max_new = 60;
    p.n_parallel = n_parallel;
    p.kl = kl;
    OK(grpo_create(&g, &p, &s->learner, NULL, n_threads, err));
    return g;
}

static void test_same_bits(void **state)
{
    (void)state;
    uint64_t sums[3];
    for (int run = 0; run < 3; run++) { /* one after the other, all together, two threads */
        struct school s;
        struct ckpt_state st = {0};
        struct grpo_stats stats;
        open_school(&s, 1 + run / 2);
        teach(&s, 12);
        struct grpo *g = new_grpo(&s, GRPO_DAPO, 0, run ? 12 : 1, 1 + run / 2);
        OK(grpo_sample(g, &s.mix, 11, &st, &stats, err));
        assert_true(stats.n_replies >= 12 && stats.n_reply > 1);
        sums[run] = st.cursor;
        for (int i = 0; i < g->max_groups * 4; i++)
            for (int t = 0; t < g->replies[i].r.n_reply; t++)
                sums[run] = sums[run] * 31 + (uint64_t)g->replies[i].r.tokens[g->replies[i].r.n_prompt + t];
        /* Even where no group counts, take all: probabilities must agree exactly. */
        g->n_groups = 3;
        for (int i = 0; i < 12; i++) {
            struct reply_of *y = &g->replies[i];
            mem_free(y->is_target);
            y->is_target = mem_zalloc((size_t)(y->r.n_prompt + y->r.n_reply), MEM_TRAIN);
            memset(y->is_target + y->r.n_prompt, 1, (size_t)y->r.n_reply);
            y->advantage = i % 2 ? 1 : -1;
        }
        OK(grpo_gradient(g, 0, 0, &stats, err)); /* fails unless every ratio is 1 */
        assert_true(stats.clipped == 0 && stats.entropy > 0);
        assert_true(optim_grad_norm(&s.learner.params) > 0);
        /* And it does fail once the weights have moved. */
        struct fk_error e;
        s.learner.params.w[s.learner.params.items[0].offset] += 0.5f;
        s.learner.params.w[train_params_find(&s.learner.params, "output_norm.weight")->offset] *= 1.5f;
        assert_int_equal(grpo_gradient(g, 0, 0, &stats, &e), FK_ESTATE);
        grpo_destroy(&g);
        close_school(&s);
    }
    assert_true(sums[0] == sums[1] && sums[1] == sums[2]);
}

/* Rewarding one reply of a group and not the others makes it more likely. */
static void test_learns(void **state)
{
    (void)state;
    for (enum grpo_kind kind = GRPO_GRPO; kind <= GRPO_DAPO; kind++) {
        struct school s;
        struct ckpt_state st = {0};
        struct grpo_stats stats;
        open_school(&s, 2);
        teach(&s, 12);
        struct grpo *g = new_grpo(&s, kind, kind == GRPO_DAPO ? 0.01 : 0, 12, 2);
        if (kind == GRPO_DAPO) OK(grpo_set_reference(g, s.learner.params.w, err));
        OK(grpo_sample(g, &s.mix, 5, &st, &stats, err));
        if (!g->n_groups) { /* all alike: make up what the grader did not find */
            g->n_groups = 1;
            for (int i = 0; i < 4; i++) {
                struct reply_of *y = &g->replies[i];
                y->is_target = mem_zalloc((size_t)(y->r.n_prompt + y->r.n_reply), MEM_TRAIN);
                memset(y->is_target + y->r.n_prompt, 1, (size_t)y->r.n_reply);
            }
        }
        for (int i = 0; i < g->n_groups * 4; i++) g->replies[i].advantage = i ? -0.3 : 1;
        struct rollout *r = &g->replies[0].r;
        double before = 0, after = 0;
        for (int t = 0; t < r->n_reply; t++) before += (double)r->logp[t];
        memset(s.learner.params.m, 0, s.learner.params.n_floats * sizeof(float));
        memset(s.learner.params.v, 0, s.learner.params.n_floats * sizeof(float));
        memset(s.learner.params.grad, 0, s.learner.params.n_floats * sizeof(float));
        OK(grpo_gradient(g, 0, 0, &stats, err));
        optim_adamw(&s.learner.params, &s.recipe.optim, 1e-4, 1, 1);
        struct pass_doc doc = {r->tokens, g->replies[0].is_target, r->n_prompt + r->n_reply};
        OK(pass_forward(s.learner.pass, &doc, 1, err));
        for (int t = 0; t < r->n_reply; t++) after += (double)pass_logp(s.learner.pass)[t];
        if (!(after > before)) fail_msg("kind %d: %g before, %g after", kind, before, after);
        grpo_destroy(&g);
        close_school(&s);
    }
}

static void test_curriculum(void **state)
{
    struct school s;
    struct ckpt_state st = {0};
    (void)state;
    open_school(&s, 1);
    struct grpo *g = new_grpo(&s, GRPO_GRPO, 0, 4, 1);
    int add = fk_family_find("add"), n_high = 0;
    for (int i = 0; i < 60; i++) {
        OK(grpo_draw(g, &s.mix, &st, &g->groups[0], err));
        assert_int_equal(g->groups[0].puzzle.level, 1);
        assert_int_equal(g->groups[0].prompt[0], MARK_ID(MARK_USER));
        assert_int_equal(g->groups[0].prompt[g->groups[0].n_prompt - 1], MARK_ID(MARK_THINK));
    }
    g->groups[0].right = 1;
    g->groups[0].puzzle.family = add;
    while (st.level[add] < 3) grpo_learn_rate(g, &st, &g->groups[0]);
    for (int i = 0; i < 60; i++) {
        OK(grpo_draw(g, &s.mix, &st, &g->groups[0], err));
        bool is_add = g->groups[0].puzzle.family == add;
        assert_true(g->groups[0].puzzle.level <= (is_add ? 3 : 1));
        n_high += is_add && g->groups[0].puzzle.level == 3;
    }
    assert_true(n_high > 5);
    grpo_destroy(&g);
    close_school(&s);
}

static double mean_logp(struct school *s, const struct reply_of *y)
{
    struct pass_doc doc = {y->r.tokens, y->is_target, y->r.n_prompt + y->r.n_reply};
    double sum = 0;
    OK(pass_forward(s->learner.pass, &doc, 1, err));
    for (int t = 0; t < y->r.n_reply; t++) sum += (double)pass_logp(s->learner.pass)[t];
    return sum / y->r.n_reply;
}

/* The gradient of rejection sampling is that of supervised training on the kept replies, and no
 * other: one is kept of each group, right, the shortest or any. */
static void test_rejection(void **state)
{
    (void)state;
    for (enum grpo_keep keep = GRPO_KEEP_SHORTEST; keep <= GRPO_KEEP_RANDOM; keep++) {
        struct school s;
        struct ckpt_state st = {0};
        struct grpo_stats stats;
        int n_tokens = 0, n_kept = 0;
        open_school(&s, 1);
        teach(&s, 150);
        struct grpo *g = new_grpo(&s, GRPO_REJECTION, 0, 64, 1);
        g->p.keep = keep;
        for (int tries = 0; tries < 40 && !g->n_groups; tries++)
            OK(grpo_sample(g, &s.mix, 5 + (uint64_t)tries, &st, &stats, err));
        assert_true(g->n_groups > 0);
        double loss = 0, drop = 0;
        for (int i = 0; i < g->n_groups; i++) {
            const struct reply_of *kept = NULL;
            for (int k = 0; k < g->p.group; k++) {
                const struct reply_of *y = &g->replies[i * g->p.group + k];
                if (y->is_masked) continue;
                assert_null(kept);
                kept = y;
            }
            assert_non_null(kept);
            assert_true(kept->is_right && kept->advantage == 1);
            for (int k = 0; keep == GRPO_KEEP_SHORTEST && k < g->p.group; k++)
                if (g->replies[i * g->p.group + k].is_right)
                    assert_true(g->replies[i * g->p.group + k].r.n_reply >= kept->r.n_reply);
            loss -= mean_logp(&s, kept) * kept->r.n_reply;
            n_tokens += kept->r.n_reply;
            n_kept++;
        }
        assert_int_equal(n_kept, g->n_groups);
        assert_int_equal(stats.n_tokens, n_tokens);
        memset(s.learner.params.grad, 0, s.learner.params.n_floats * sizeof(float));
        OK(grpo_gradient(g, 0, 0, &stats, err));
        /* Along the gradient the mean loss of the kept tokens falls by its squared norm. */
        double norm = optim_grad_norm(&s.learner.params), step = 1e-3 / norm;
        for (size_t i = 0; i < s.learner.params.n_floats; i++)
            s.learner.params.w[i] -= (float)step * s.learner.params.grad[i];
        for (int i = 0; i < g->n_groups * g->p.group; i++)
            if (!g->replies[i].is_masked) drop -= mean_logp(&s, &g->replies[i]) * g->replies[i].r.n_reply;
        drop = (loss - drop) / n_tokens;
        if (fabs(drop - step * norm * norm) > 0.1 * step * norm * norm)
            fail_msg("the loss fell by %g, not by %g", drop, step * norm * norm);
        grpo_destroy(&g);
        close_school(&s);
    }
}

/* A short recipe with a stage of each kind; the second with a KL term and two updates a sampling. */
static const char two_kinds[] =
    "{\"seed\": 7, \"checkpoint_steps\": 100, \"vocab_sample\": 400,"
    " \"model\": {\"vocab\": 400, \"context\": 256, \"embd\": 64, \"layers\": 2, \"ff\": 64, \"heads\": 2,"
    " \"q_rank\": 32, \"kv_rank\": 32, \"experts\": 4, \"ff_expert\": 32},"
    " \"stages\": [{\"name\": \"base\", \"steps\": 12, \"batch_tokens\": 512, \"warmup\": 2,"
    " \"families\": {\"add\": 1}, \"levels\": [1, 0, 0, 0, 0], \"styles\": [0, 1, 0]},"
    " {\"name\": \"rl\", \"steps\": 4, \"batch_tokens\": 512, \"lr\": 1e-3, \"warmup\": 0,"
    " \"families\": {\"add\": 1}, \"grpo\": {\"variant\": \"dapo\", \"prompts\": 2, \"group\": 6,"
    " \"max_new\": 40, \"updates\": 2, \"kl\": 0.01}},"
    " {\"name\": \"kept\", \"steps\": 3, \"batch_tokens\": 512, \"lr\": 1e-3, \"warmup\": 0,"
    " \"families\": {\"add\": 1}, \"rejection\": {\"prompts\": 4, \"samples\": 4, \"max_new\": 40,"
    " \"keep\": \"random\"}}]}";

static enum fk_status train(const char *dir, int resume, int64_t max_steps, struct fk_error *err)
{
    struct fk_train_params p;
    desk_write(desk_path(dir, "recipe.json"), two_kinds, strlen(two_kinds));
    fk_train_default_params(&p);
    p.recipe = desk_path(dir, "recipe.json");
    p.out_dir = dir;
    p.resume = resume;
    p.n_threads = 1;
    p.max_steps = max_steps;
    return fk_train(&p, err);
}

/* Broken off inside the stage of reinforcement learning and gone on with: the same bytes. */
static void test_resume(void **state)
{
    (void)state;
    char *whole = desk_folder(), *broken = desk_folder();
    struct fk_error e;
    size_t n_a, n_b;
    OK(train(whole, 0, 0, err));
    assert_int_equal(train(broken, 0, 14, &e), FK_ECANCELLED);
    assert_int_equal(train(broken, 1, 1, &e), FK_ECANCELLED);
    assert_int_equal(train(broken, 1, 2, &e), FK_ECANCELLED); /* inside the third stage */
    OK(train(broken, 1, 0, err));
    char *a = desk_read(desk_path(whole, "model.gguf"), &n_a);
    char *b = desk_read(desk_path(broken, "model.gguf"), &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    free(a);
    free(b);
    desk_remove(whole);
    desk_remove(broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_curriculum),
        cmocka_unit_test(test_rejection),
        cmocka_unit_test(test_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
