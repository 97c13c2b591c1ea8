/* SPDX-License-Identifier: Apache-2.0
 * grpo_draw.c - which prompts are worth sampling: families in proportion to p (1 - p) of their running
 * pass rate p, levels that rise when a family is mastered. */
#include <string.h>
#include "src/base/fail.h"
#include "src/train/grpo_impl.h"

#define RATE_KEEP 0.95
#define FLOOR 0.04 /* of p (1 - p), whose maximum is 0.25: nothing is ever left out */

/* mix with weights by s. The highest level in use counts as much as all below it together. */
static void steer(const struct fk_mix *mix, struct ckpt_state *s, struct fk_mix *out)
{
    *out = *mix;
    for (int f = 0; f < fk_n_families(); f++) {
        if (!mix->family[f]) continue;
        if (!s->level[f]) {
            s->level[f] = 1;
            while (s->level[f] < FK_N_LEVELS && !mix->level[f][s->level[f] - 1]) s->level[f]++;
            s->rate[f] = 0.5;
        }
        double p = s->rate[f], spread = p * (1 - p);
        out->family[f] = (uint32_t)(1 + 1000 * mix->family[f] * (spread > FLOOR ? spread : FLOOR));
        uint32_t n_below = 0;
        for (int i = 0; i < FK_N_LEVELS; i++) {
            bool in_use = (uint64_t)i < s->level[f] && mix->level[f][i];
            bool is_top = (uint64_t)i + 1 == s->level[f];
            out->level[f][i] = in_use && !is_top;
            n_below += in_use && !is_top;
        }
        out->level[f][s->level[f] - 1] = n_below ? n_below : 1;
    }
}

enum fk_status grpo_draw(struct grpo *g, const struct fk_mix *mix, struct ckpt_state *s,
                         struct group *out, struct fk_error *err)
{
    struct fk_mix now;
    steer(mix, s, &now);
    for (int tries = 0;; tries++) {
        TRY(pack_draw(&g->pack, &now, s->cursor++, err));
        /* What is drawn as a direct answer is thought about too: only the question is taken over. */
        TRY(pack_encode_prompt(&g->pack, err));
        int n = (int)g->pack.doc.n;
        if (n + g->p.max_new <= g->n_ctx) {
            fk_puzzle_free(&out->puzzle);
            out->puzzle = g->pack.puzzle;
            g->pack.puzzle = (struct fk_puzzle){0};
            mem_free(out->prompt);
            out->prompt = mem_array((size_t)n, sizeof *out->prompt, MEM_TRAIN);
            if (!out->prompt) return fail_nomem(err, (uint64_t)n * 4, "a prompt");
            memcpy(out->prompt, g->pack.doc.ids, (size_t)n * sizeof *out->prompt);
            out->n_prompt = n;
            return FK_OK;
        }
        if (tries > 100)
            return fail(err, FK_EINVAL, "prompts leave less than %d tokens of the context of %d",
                        (int)g->p.max_new, g->n_ctx);
    }
}

void grpo_learn_rate(const struct grpo *g, struct ckpt_state *s, const struct group *group)
{
    int f = group->puzzle.family;
    if (f < 0) return; /* a word problem: no levels */
    s->rate[f] = RATE_KEEP * s->rate[f] + (1 - RATE_KEEP) * group->right;
    if (s->rate[f] < g->p.level_up || s->level[f] >= FK_N_LEVELS) return;
    s->level[f]++;
    s->rate[f] = 0.5;
}

void grpo_swap(struct grpo *g, int a, int b)
{
    struct group group = g->groups[a];
    g->groups[a] = g->groups[b];
    g->groups[b] = group;
    for (int64_t i = 0; i < g->p.group; i++) {
        struct reply_of y = g->replies[a * g->p.group + i];
        g->replies[a * g->p.group + i] = g->replies[b * g->p.group + i];
        g->replies[b * g->p.group + i] = y;
    }
}
