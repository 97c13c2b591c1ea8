/* SPDX-License-Identifier: Apache-2.0
 * families.c - the table of families, the canonical hash and the one split of all stages. */
#include <string.h>
#include "src/grade/outside.h"

static const struct family *const families[GRADE_N_FAMILIES] = {
    [GRADE_ADD] = &family_add, [GRADE_SUB] = &family_sub, [GRADE_MUL] = &family_mul,
    [GRADE_DIV] = &family_div, [GRADE_PAREN] = &family_paren, [GRADE_COUNTDOWN] = &family_countdown,
    [GRADE_SORT] = &family_sort, [GRADE_CALENDAR] = &family_calendar,
    [GRADE_GCD] = &family_gcd, [GRADE_SEQUENCE] = &family_sequence,
    [GRADE_EQUATION] = &family_equation, [GRADE_LETTERS] = &family_letters,
    [GRADE_OUTSIDE] = &family_outside,
};

static const char *const names[GRADE_N_FAMILIES] = {
    [GRADE_ADD] = "add", [GRADE_SUB] = "sub", [GRADE_MUL] = "mul", [GRADE_DIV] = "div",
    [GRADE_PAREN] = "paren", [GRADE_COUNTDOWN] = "countdown", [GRADE_SORT] = "sort",
    [GRADE_CALENDAR] = "calendar", [GRADE_GCD] = "gcd", [GRADE_SEQUENCE] = "sequence",
    [GRADE_EQUATION] = "equation", [GRADE_LETTERS] = "letters", [GRADE_COMPARE] = "compare",
    [GRADE_TIME] = "time", [GRADE_OUTSIDE] = "outside",
};

const struct family *family_of(int family)
{
    return family >= 0 && family < GRADE_N_FAMILIES ? families[family] : NULL;
}

const char *grade_family_name(int family)
{
    return family >= 0 && family < GRADE_N_FAMILIES ? names[family] : NULL;
}

int grade_family_find(const char *name)
{
    for (int i = 0; i < GRADE_N_FAMILIES; i++)
        if (!strcmp(names[i], name)) return i;
    return -1;
}

uint64_t grade_hash(const struct grade_puzzle *p)
{
    int64_t key[MAX_KEY];
    const struct family *f = family_of(p->family);
    uint64_t h = rng_u64(0x66696b72, p->family, 0); /* "fikr" */
    int n = f ? f->key(p, key) : 0;
    for (int i = 0; i < n; i++) h = rng_u64(h, (uint64_t)key[i], (uint64_t)i);
    return h;
}

/* The hash itself is not used a second time elsewhere, so its thousandths may decide. */
enum fk_split grade_split(const struct grade_puzzle *p)
{
    const struct family *f = family_of(p->family);
    int held = f ? f->held_out : 0;
    int at = (int)(grade_hash(p) % 1000);
    return at < held ? FK_SPLIT_TEST : at < 2 * held ? FK_SPLIT_DEV : FK_SPLIT_TRAIN;
}

bool grade_draw(enum grade_family family, int level, enum fk_split split, struct dice *dice,
                struct grade_puzzle *out)
{
    const struct family *f = family_of((int)family);
    if (!f || !f->draw || level < 1 || level > GRADE_LONGER) return false;
    if (split == FK_SPLIT_LONGER) level = GRADE_LONGER;
    if (split == FK_SPLIT_UNSEEN) split = FK_SPLIT_TEST;
    for (int tries = 0; tries < 5000; tries++) {
        memset(out, 0, sizeof *out);
        out->family = (uint8_t)family;
        out->level = (uint8_t)level;
        if (!f->draw(dice, level, out)) continue;
        if (split == FK_SPLIT_LONGER || grade_split(out) == split) return true;
    }
    return false;
}

bool grade_is_too_large(const struct grade_puzzle *p)
{
    static const struct { int64_t most; int n; } limits[GRADE_N_FAMILIES] = {
        [GRADE_ADD] = {99999999, 0}, [GRADE_SUB] = {99999999, 0}, [GRADE_MUL] = {9999, 0},
        [GRADE_DIV] = {9999999, 0}, [GRADE_COUNTDOWN] = {0, 4}, [GRADE_SORT] = {0, 12},
    };
    if (limits[p->family].n) return p->n > limits[p->family].n;
    for (int i = 0; limits[p->family].most && i < p->n; i++)
        if (p->v[i] > limits[p->family].most) return true;
    return false;
}
