/* SPDX-License-Identifier: Apache-2.0
 * suite_puzzles.c - held-out puzzles of our own families, drawn like the training data but from
 * another split. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/eval/suite.h"

/* Draws in a row that bring nothing new before a family counts as used up. */
#define MAX_STALE 2000

struct puzzles {
    struct fk_puzzle *all; /* [n_items] */
    size_t n;
    fk_book *book;
    const char *names[FK_MAX_FAMILIES];
};

static enum fk_verdict grade_puzzle(const struct eval_suite *s, size_t i, const char *answer,
                                    size_t n)
{
    const struct puzzles *p = s->own;
    return fk_puzzle_grade(&p->all[i], answer, n);
}

static enum fk_style shown_style(const struct eval_suite *s, size_t i, const char *thinking, size_t n)
{
    const struct puzzles *p = s->own;
    return fk_shown_style(p->all[i].family, thinking, n);
}

static void fini_puzzles(struct eval_suite *s)
{
    struct puzzles *p = s->own;
    for (size_t i = 0; p && i < p->n; i++) fk_puzzle_free(&p->all[i]);
    if (p) {
        fk_book_close(p->book);
        mem_free(p->all);
    }
    mem_free(p);
}

/* Outside puzzles have no instance of their own: their text is what must not come twice. */
static bool is_known(const struct puzzles *p, size_t first, const struct fk_puzzle *x)
{
    for (size_t i = first; i < p->n; i++)
        if (p->all[i].hash == x->hash) return true;
    return false;
}

static enum fk_status draw_family(struct eval_suite *s, const struct puzzle_choice *c, int family,
                                  bool is_chosen, struct fk_error *err)
{
    struct puzzles *p = s->own;
    struct fk_mix mix;
    fk_mix_defaults(&mix);
    memset(mix.family, 0, sizeof mix.family);
    mix.family[family] = 1;
    mix.split = c->split;
    mix.seed = c->seed;
    for (int l = 0; l < FK_N_LEVELS; l++)
        if (c->level && l != c->level - 1) mix.level[family][l] = 0;
    for (int l = 0; l < FK_N_LANGS; l++)
        if (c->lang >= 0 && l != c->lang) mix.lang[l] = 0;
    size_t first = p->n, stale = 0;
    for (uint64_t i = 0; p->n - first < c->n_per_family && stale < MAX_STALE; i++) {
        struct fk_puzzle *x = &p->all[p->n];
        enum fk_status st = fk_puzzle_make(p->book, &mix, i, x, err);
        if (st == FK_EINVAL && !is_chosen) break; /* none of this level in this split */
        TRY(st);
        if (is_known(p, first, x)) {
            stale++;
            continue;
        }
        stale = 0;
        s->items[p->n++] = (struct eval_item){x->prompt, s->n_groups};
    }
    if (p->n > first) s->group_names[s->n_groups++] = fk_family_name(family);
    return FK_OK;
}

enum fk_status suite_puzzles(struct eval_suite *s, const struct puzzle_choice *c,
                             struct fk_error *err)
{
    size_t n_chosen = 0, n_families = (size_t)fk_n_families();
    for (size_t i = 0; i < n_families; i++) n_chosen += c->family[i];
    memset(s, 0, sizeof *s);
    s->name = "puzzles";
    struct puzzles *p = mem_zalloc(sizeof *p, MEM_MISC);
    if (!p) return fail_nomem(err, sizeof *p, "the puzzles");
    s->own = p;
    s->grade = grade_puzzle;
    s->style = shown_style;
    s->fini = fini_puzzles;
    s->group_names = p->names;
    /* One more than are wanted: the last draw may be one that is dropped. */
    p->all = mem_calloc(n_families * c->n_per_family + 1, sizeof *p->all, MEM_MISC);
    s->items = mem_calloc(n_families * c->n_per_family + 1, sizeof *s->items, MEM_MISC);
    enum fk_status st = p->all && s->items ? FK_OK
                                           : fail_nomem(err, n_families * c->n_per_family *
                                                        sizeof *p->all, "the puzzles");
    if (!st) st = fk_book_open(c->data_dir, &p->book, err);
    for (size_t i = 0; !st && i < n_families; i++)
        if (!n_chosen || c->family[i]) st = draw_family(s, c, (int)i, n_chosen > 0, err);
    s->n_items = p->n;
    if (st) suite_fini(s);
    return st;
}

void suite_fini(struct eval_suite *s)
{
    if (s->fini) s->fini(s);
    mem_free(s->items);
    memset(s, 0, sizeof *s);
}
