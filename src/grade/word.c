/* SPDX-License-Identifier: Apache-2.0
 * word.c - asks a puzzle: a lead, a wording, a tail, then noise in case and spacing. */
#include <string.h>
#include "src/base/utf8.h"
#include "src/grade/family.h"
#include "src/grade/leads.h"

/* FNV-1a, 64 bit, over the text of a wording: what decides whether it is held out. */
static uint64_t text_hash(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return rng_u64(h, 0, 0);
}

/* Row and choice of wording number `index` among those that are asked in. */
static const struct wording *wording_at(const struct family *f, enum fk_lang lang, int index,
                                        int *choice)
{
    for (int i = 0; i < f->n_wordings[lang]; i++) {
        const struct wording *w = &f->wordings[lang][i];
        if (w->form == 'p') continue;
        int n = pattern_n_choices(w->text);
        if (index < n) {
            *choice = index;
            return w;
        }
        index -= n;
    }
    return NULL;
}

int grade_n_wordings(enum grade_family family, enum fk_lang lang)
{
    const struct family *f = family_of((int)family);
    int n = 0;
    for (int i = 0; f && i < f->n_wordings[lang]; i++)
        if (f->wordings[lang][i].form != 'p') n += pattern_n_choices(f->wordings[lang][i].text);
    return n;
}

/* A fifth of the wordings, by the text's hash; bare notation is never held out. */
static bool held_out(const struct wording *w, int choice)
{
    if (w->form == 'b') return false;
    struct buf text;
    buf_init(&text, 0, MEM_TEXT);
    bool held = pattern_expand(w->text, choice, &text) && text_hash(text.data, text.n) % 5 == 0;
    buf_fini(&text);
    return held;
}

bool grade_wording_held_out(enum grade_family family, enum fk_lang lang, int wording)
{
    int choice = 0;
    const struct family *f = family_of((int)family);
    const struct wording *w = f ? wording_at(f, lang, wording, &choice) : NULL;
    return w && held_out(w, choice);
}

/* A wording for this kind of puzzle: bare notation for a third, else any row alike. */
static const struct wording *choose(const struct family *f, const struct grade_puzzle *p,
                                    enum fk_lang lang, bool unseen, struct dice *dice, int *choice)
{
    bool bare = !unseen && dice_percent(dice, 35);
    for (int tries = 0; tries < 1000; tries++) {
        if (tries == 500) bare = false;
        const struct wording *w = &f->wordings[lang][dice_below(dice, f->n_wordings[lang])];
        if (w->form == 'p' || (w->kind != p->kind && w->kind != ANY_KIND)) continue;
        if (bare != (w->form == 'b') && tries < 500) continue;
        *choice = (int)dice_below(dice, pattern_n_choices(w->text));
        if (w->form == 'b' ? !unseen : held_out(w, *choice) == unseen) return w;
    }
    return NULL;
}

static void make_ink(struct ink *ink, const struct grade_puzzle *p, bool bare)
{
    static const char list_styles[] = ",,,t  &&";
    struct dice *d = ink->dice;
    bool plain = ink->plain;
    (void)p;
    ink->arabic_digits = ink->lang == FK_LANG_AR && dice_percent(d, 50);
    ink->tight = dice_percent(d, bare ? 50 : 20);
    ink->groups = !plain && dice_percent(d, 3);
    ink->list_style = list_styles[dice_below(d, plain ? 3 : 8)];
    int times = plain ? 0 : (int)dice_below(d, 10);
    ink->times = times < 5 ? "*" : times < 8 ? "x" : "×";
    ink->over = plain || dice_percent(d, 75) ? "/" : "÷";
    ink->minus = plain || dice_percent(d, 95) ? "-" : "−";
}

static void ink_slot(const struct family *f, const struct grade_puzzle *p, char slot, struct ink *ink)
{
    if (f->ink) {
        f->ink(p, slot, ink);
        return;
    }
    ink_number(ink, p->v[slot == 'b' ? 1 : slot == 'c' ? 2 : slot == 't' ? 3 : 0]);
}

/* Writes the body; blanks around signs are the ink's matter. */
static void write_body(const struct family *f, const struct grade_puzzle *p, const char *text,
                       struct ink *ink)
{
    struct buf *out = ink->out;
    for (const char *c = text; *c; c++) {
        if (*c == '{') {
            ink_slot(f, p, c[1], ink);
            c += 2;
        } else if (strchr("+-*/=", *c)) {
            if (out->n && out->data[out->n - 1] == ' ') out->data[--out->n] = 0;
            ink_sign(ink, *c);
            if (c[1] == ' ') c++;
        } else {
            buf_putc(out, *c);
        }
    }
    while (out->n && out->data[out->n - 1] == ' ') out->data[--out->n] = 0;
}

static void capital(char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] == ' ') i++;
    if (i < n && s[i] >= 'a' && s[i] <= 'z') s[i] = (char)(s[i] - 32);
}

static void change_case(struct dice *d, char *s, size_t n)
{
    int64_t mode = dice_below(d, 100);
    if (mode < 60) {
        capital(s, n);
        return;
    }
    bool upper = mode >= 90 && mode < 96, random = mode >= 96;
    for (size_t i = 0; i < n; i++) {
        bool letter = (s[i] | 32) >= 'a' && (s[i] | 32) <= 'z' && (s[i] & 64);
        if (!letter) continue;
        bool up = random ? dice_percent(d, 30) : upper;
        s[i] = (char)(up ? s[i] & ~32 : s[i] | 32);
    }
}

/* An Arabic-Indic digit: D9 A0 to D9 A9. The buffer ends in NUL, so two bytes can be looked at. */
static bool is_indic(const char *s)
{
    return s[0] == (char)0xD9 && (unsigned char)s[1] >= 0xA0 && (unsigned char)s[1] <= 0xA9;
}

/* Doubles a blank here and there, drops the one after the Arabic "and", sets blanks at the ends. */
static bool change_spaces(struct dice *d, const struct buf *in, struct buf *out)
{
    bool doubles = dice_percent(d, 6), glue = dice_percent(d, 50), ends = dice_percent(d, 3);
    if (ends && dice_percent(d, 50)) buf_putc(out, ' ');
    for (size_t i = 0; i < in->n; i++) {
        bool after_and = i >= 3 && in->data[i] == ' ' && !memcmp(in->data + i - 3, " و", 3);
        bool digit_next = i + 1 < in->n && ((in->data[i + 1] >= '0' && in->data[i + 1] <= '9') ||
                                            is_indic(in->data + i + 1));
        if (after_and && glue && digit_next) continue;
        buf_putc(out, in->data[i]);
        if (in->data[i] == ' ' && doubles && dice_percent(d, 30)) buf_putc(out, ' ');
    }
    if (ends) buf_putc(out, ' ');
    return !out->failed;
}

static const char *pick(struct leads list, struct dice *d, bool plain)
{
    return list.texts[plain ? 0 : dice_below(d, list.n)];
}

bool grade_word(const struct grade_puzzle *p, enum fk_lang lang, bool unseen, bool plain,
                struct dice *dice, struct buf *out)
{
    const struct family *f = family_of(p->family);
    struct buf body, text;
    int choice = 0;
    const struct wording *w = f ? choose(f, p, lang, unseen, dice, &choice) : NULL;
    if (!w) return false;
    buf_init(&body, 0, MEM_TEXT);
    buf_init(&text, 0, MEM_TEXT);
    struct ink ink = {.out = &text, .dice = dice, .lang = lang, .plain = plain};
    make_ink(&ink, p, w->form == 'b');
    bool lead = !plain && dice_percent(dice, 50);
    buf_puts(&text, lead ? pick(leads_of(lang, w->form), dice, plain) : "");
    pattern_expand(w->text, choice, &body);
    if (body.data) write_body(f, p, body.data, &ink);
    buf_puts(&text, pick(tails_of(lang, w->form), dice, plain));
    bool ok = !body.failed && !text.failed;
    if (ok && plain) {
        capital(text.data, text.n);
        ok = buf_append(out, text.data, text.n);
    } else if (ok) {
        change_case(dice, text.data, text.n);
        ok = change_spaces(dice, &text, out);
    }
    buf_fini(&body);
    buf_fini(&text);
    return ok;
}
