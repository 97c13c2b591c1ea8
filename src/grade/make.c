/* SPDX-License-Identifier: Apache-2.0
 * make.c - conversations by number: what a mix and an index make, and nothing else. */
#include <string.h>
#include "src/base/fail.h"
#include "src/grade/outside.h"

void grade_item_init(struct grade_item *item)
{
    memset(item, 0, sizeof *item);
    buf_init(&item->prompt, 0, MEM_TEXT);
    buf_init(&item->thinking, 0, MEM_TEXT);
    buf_init(&item->answer, 0, MEM_TEXT);
}

void grade_item_fini(struct grade_item *item)
{
    buf_fini(&item->prompt);
    buf_fini(&item->thinking);
    buf_fini(&item->answer);
}

bool grade_answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    const struct family *f = family_of(p->family);
    if (f) f->answer(p, lang, out);
    return f && !out->failed;
}

bool grade_think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                 struct dice *dice, struct buf *out)
{
    const struct family *f = family_of(p->family);
    if (f && style != FK_STYLE_DIRECT) f->think(p, lang, style, dice, out);
    if (out->n && out->data[out->n - 1] == '\n') out->data[--out->n] = 0;
    return f && !out->failed;
}

static size_t n_chars(const struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) n += ((unsigned char)b->data[i] & 0xC0) != 0x80;
    return n;
}

void grade_mix_defaults(struct fk_mix *mix)
{
    memset(mix, 0, sizeof *mix);
    for (int f = 0; f < GRADE_N_FAMILIES; f++) {
        mix->family[f] = family_of(f) != NULL;
        for (int i = 0; i < FK_N_LEVELS; i++) mix->level[f][i] = 1;
        mix->style[f][FK_STYLE_DIRECT] = 1;
        mix->style[f][FK_STYLE_STEPWISE] = mix->style[f][FK_STYLE_SEARCH] = 2;
    }
    mix->lang[FK_LANG_EN] = mix->lang[FK_LANG_AR] = 1;
}

static enum fk_status check_length(const struct grade_item *item, struct fk_error *err)
{
    size_t n = n_chars(&item->prompt) + n_chars(&item->thinking) + n_chars(&item->answer);
    if (n <= GRADE_MAX_CHARS) return FK_OK;
    return fail(err, FK_EFORMAT, "a conversation of family %s, level %d, has %zu characters; the limit "
                "is %d", grade_family_name(item->puzzle.family), item->puzzle.level, n, GRADE_MAX_CHARS);
}

/* An empty text is "" and not NULL. */
static bool settle(struct buf *b)
{
    return !b->failed && buf_append(b, "", 0);
}

/* A small level may have nothing in DEV or TEST (the tables up to 12): then the next has. */
static bool draw_near(enum grade_family family, int level, enum fk_lang lang, enum fk_split split,
                      struct dice *dice, struct grade_puzzle *p)
{
    const struct family *f = family_of((int)family);
    for (int i = 0; i < FK_N_LEVELS; i++)
        for (int tries = 0; tries < 100; tries++) {
            if (!grade_draw(family, (level - 1 + i) % FK_N_LEVELS + 1, split, dice, p)) break;
            if (!f->suits || f->suits(p, lang)) return true;
        }
    return false;
}

enum fk_status grade_make(const struct fk_book *book, const struct fk_mix *mix, uint64_t index,
                          struct grade_item *item, struct fk_error *err)
{
    struct dice dice = dice_make(mix->seed, rng_u64(0x6d616b65, (uint64_t)mix->split, index));
    int family = dice_weighted(&dice, mix->family, FK_MAX_FAMILIES);
    if (family < 0 || family >= GRADE_N_FAMILIES)
        return fail(err, FK_EINVAL, family < 0 ? "the mix has no family"
                                               : "the mix has a family that does not exist");
    int level = dice_weighted(&dice, mix->level[family], FK_N_LEVELS);
    int style = dice_weighted(&dice, mix->style[family], FK_N_STYLES);
    int lang = dice_weighted(&dice, mix->lang, FK_N_LANGS);
    if (level < 0 || style < 0 || lang < 0)
        return fail(err, FK_EINVAL, "the mix has no %s for family %s",
                    level < 0 ? "level" : style < 0 ? "style" : "language", grade_family_name(family));
    buf_clear(&item->prompt);
    buf_clear(&item->thinking);
    buf_clear(&item->answer);
    item->lang = (enum fk_lang)lang;
    item->style = (enum fk_style)style;
    item->split = mix->split;
    struct grade_puzzle *p = &item->puzzle;
    bool drawn = family == GRADE_OUTSIDE
               ? outside_draw(book, item->lang, mix->split, mix->plain, &dice, p)
               : draw_near((enum grade_family)family, level + 1, item->lang, mix->split, &dice, p);
    if (!drawn)
        return fail(err, FK_EINVAL, "family %s has no puzzle of level %d in this split",
                    grade_family_name(family), level + 1);
    bool ok = (family == GRADE_OUTSIDE ? buf_puts(&item->prompt, p->text)
                                       : grade_word(p, item->lang, mix->split == FK_SPLIT_UNSEEN,
                                                    mix->plain, &dice, &item->prompt)) &&
              grade_think(p, item->lang, item->style, &dice, &item->thinking) &&
              grade_answer(p, item->lang, &item->answer);
    if (!settle(&item->prompt) || !settle(&item->thinking) || !settle(&item->answer))
        return fail(err, FK_ENOMEM, "out of memory while a puzzle was written");
    if (!ok) return fail(err, FK_EINVAL, "family %s has no such wording", grade_family_name(family));
    return check_length(item, err);
}
