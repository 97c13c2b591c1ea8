/* SPDX-License-Identifier: Apache-2.0
 * grade_api.c - the public calls of fikr/grade.h. */
#include "src/grade/grade.h"
#include <string.h>
#include "src/base/fail.h"
#include "src/grade/book.h"
#include "src/grade/number.h"

int fk_n_families(void)
{
    return GRADE_N_FAMILIES;
}

const char *fk_family_name(int family)
{
    return grade_family_name(family);
}

int fk_family_find(const char *name)
{
    return name ? grade_family_find(name) : -1;
}

void fk_mix_defaults(struct fk_mix *mix)
{
    grade_mix_defaults(mix);
}

enum fk_style fk_family_style(int family)
{
    return family == GRADE_COUNTDOWN ? FK_STYLE_SEARCH : FK_STYLE_STEPWISE;
}

enum fk_style fk_shown_style(int family, const char *thinking, size_t n)
{
    return grade_shown_style(family, thinking ? thinking : "", thinking ? n : 0);
}

enum fk_status fk_book_open(const char *data_dir, fk_book **out, struct fk_error *err)
{
    if (!out) return fail(err, FK_EINVAL, "out is NULL");
    return book_open(data_dir, out, err);
}

void fk_book_close(fk_book *book)
{
    book_close(book);
}

/* What `own` of a public puzzle points to. */
static struct grade_item *item_of(const struct fk_puzzle *p)
{
    return p->own;
}

static enum fk_status check_mix(const struct fk_mix *mix, struct fk_error *err)
{
    if (!mix) return fail(err, FK_EINVAL, "mix is NULL");
    if ((int)mix->split < 0 || mix->split >= FK_N_SPLITS)
        return fail(err, FK_EINVAL, "split is %d; it must be 0 to %d", (int)mix->split,
                    FK_N_SPLITS - 1);
    return FK_OK;
}

enum fk_status fk_puzzle_make(const fk_book *book, const struct fk_mix *mix, uint64_t index,
                              struct fk_puzzle *out, struct fk_error *err)
{
    if (!out) return fail(err, FK_EINVAL, "out is NULL");
    TRY(check_mix(mix, err));
    if (!out->own) {
        out->own = mem_alloc(sizeof(struct grade_item), MEM_TEXT);
        if (!out->own) return fail_nomem(err, sizeof(struct grade_item), "a puzzle");
        grade_item_init(out->own);
    }
    struct grade_item *item = item_of(out);
    TRY(grade_make(book, mix, index, item, err));
    out->prompt = item->prompt.data;
    out->thinking = item->thinking.data;
    out->answer = item->answer.data;
    out->hash = grade_hash(&item->puzzle);
    out->family = item->puzzle.family;
    out->level = item->puzzle.level;
    out->lang = item->lang;
    out->style = item->style;
    out->split = item->split;
    return FK_OK;
}

void fk_puzzle_free(struct fk_puzzle *p)
{
    if (!p || !p->own) return;
    grade_item_fini(p->own);
    mem_free(p->own);
    memset(p, 0, sizeof *p);
}

enum fk_verdict fk_puzzle_grade(const struct fk_puzzle *p, const char *answer, size_t n)
{
    if (!p || !p->own || (!answer && n)) return FK_VERDICT_NONE;
    struct grade_item *item = item_of(p);
    if (grade_verify(&item->puzzle, item->lang, answer, n)) return FK_VERDICT_RIGHT;
    return grade_is_refusal(answer, n) ? FK_VERDICT_REFUSED : FK_VERDICT_WRONG;
}

void fk_check_reply(const char *prompt, size_t n_prompt, const char *reply, size_t n_reply,
                    struct fk_check *out)
{
    struct grade_puzzle p;
    struct buf right;
    memset(out, 0, sizeof *out);
    out->family = -1;
    if (!prompt || (!reply && n_reply) || !grade_parse(prompt, n_prompt, &p, &out->lang)) return;
    buf_init(&right, sizeof out->right - 1, MEM_TEXT);
    if (grade_answer(&p, out->lang, &right) && right.data) {
        memcpy(out->right, right.data, right.n + 1);
        out->family = p.family;
        out->hash = grade_hash(&p);
        out->verdict = grade_verify_loosely(&p, out->lang, reply, n_reply) ? FK_VERDICT_RIGHT
                     : grade_is_refusal(reply, n_reply) ? FK_VERDICT_REFUSED : FK_VERDICT_WRONG;
    }
    buf_fini(&right);
}

enum fk_verdict fk_check_number(const char *reply, size_t n_reply, const char *right, size_t n_right)
{
    struct number a, b;
    if (!right || !number_find_last(right, n_right, &b)) return FK_VERDICT_NONE;
    if (!reply || !number_find_last(reply, n_reply, &a)) return FK_VERDICT_WRONG;
    return a.num == b.num && a.den == b.den ? FK_VERDICT_RIGHT : FK_VERDICT_WRONG;
}
