/* SPDX-License-Identifier: Apache-2.0
 * parse.c - recognises a puzzle in what anyone typed: one wording must cover the text, but for words
 * and signs around it that mean nothing. Better silent than wrong. */
#include <string.h>
#include "src/grade/family.h"
#include "src/grade/leads.h"

static bool all_fillers(const struct scan *s, int i)
{
    while (i < s->n && is_filler(s, i)) i++;
    return i == s->n;
}

static bool try_family(const struct family *f, const struct scan *s, int i, struct grade_puzzle *out,
                       enum fk_lang *lang)
{
    for (int l = 0; l < FK_N_LANGS; l++) {
        for (int k = 0; k < f->n_wordings[l]; k++) {
            const struct wording *w = &f->wordings[l][k];
            struct match m;
            if (!pattern_match(w->text, s, i, &m) || !all_fillers(s, m.end)) continue;
            uint8_t family = out->family;
            memset(out, 0, sizeof *out);
            out->family = family;
            out->kind = w->kind == ANY_KIND ? 0 : w->kind;
            if (!f->take(&m, w->kind, out)) continue;
            *lang = w->form != 'b' ? (enum fk_lang)l
                  : s->arabic || s->arabic_digits ? FK_LANG_AR : FK_LANG_EN;
            return true;
        }
    }
    return false;
}

bool grade_parse(const char *text, size_t n, struct grade_puzzle *out, enum fk_lang *lang)
{
    struct scan s;
    memset(out, 0, sizeof *out);
    if (!scan_text(&s, text, n)) return false;
    for (int i = 0; i < s.n; i++) {
        for (int family = 0; family < GRADE_N_FAMILIES; family++) {
            const struct family *f = family_of(family);
            if (!f) continue;
            out->family = (uint8_t)family;
            if (try_family(f, &s, i, out, lang)) return true;
        }
        if (!is_filler(&s, i)) return false;
    }
    return false;
}
