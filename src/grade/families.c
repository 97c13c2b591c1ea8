/* SPDX-License-Identifier: Apache-2.0
 * families.c - the table of families, the canonical hash and the one split of all stages. */
#include <string.h>
#include "src/grade/family.h"

static const struct family *const families[GRADE_N_FAMILIES] = {
    [GRADE_ADD] = &family_add,
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
    if (!f || level < 1 || level > GRADE_LONGER) return false;
    if (split == FK_SPLIT_LONGER) level = GRADE_LONGER;
    if (split == FK_SPLIT_UNSEEN) split = FK_SPLIT_TEST;
    for (int tries = 0; tries < 100000; tries++) {
        memset(out, 0, sizeof *out);
        out->family = (uint8_t)family;
        out->level = (uint8_t)level;
        if (!f->draw(dice, level, out)) continue;
        if (split == FK_SPLIT_LONGER || grade_split(out) == split) return true;
    }
    return false;
}
