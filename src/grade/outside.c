/* SPDX-License-Identifier: Apache-2.0
 * outside.c - small talk, facts, word problems and puzzles that are too large. The answer is always the
 * same sentence, in the language of the prompt. */
#include "src/grade/outside.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/grade/leads.h"

static const char *const sentence[FK_N_LANGS] = {
    "I only solve small puzzles: sums, sorting, dates. For anything else type /model smollm2.",
    "أحل الألغاز الصغيرة فقط: الحساب والترتيب والتواريخ. لغير ذلك اكتب /model smollm2.",
};

#define HELD_OUT 40 /* of 1000 lines, to TEST and as many to DEV */

static uint64_t line_hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c >= 'A' && c <= 'Z') c += 32;
        if (c == ' ' || c == '.' || c == '?' || c == '!' || c == ',') continue;
        h = (h ^ c) * 0x100000001b3u;
    }
    return rng_u64(h, 1, 0);
}

static enum fk_split line_split(const char *s)
{
    int at = (int)(line_hash(s) % 1000);
    return at < HELD_OUT ? FK_SPLIT_TEST : at < 2 * HELD_OUT ? FK_SPLIT_DEV : FK_SPLIT_TRAIN;
}

/* Writes the digits of a text in Arabic-Indic ones, which are two bytes each. */
static void write_indic(char *text, size_t max)
{
    char out[GRADE_MAX_TEXT];
    size_t n = 0;
    for (const char *c = text; *c && n + 3 < sizeof out && n + 3 < max; c++) {
        bool digit = *c >= '0' && *c <= '9';
        if (digit) out[n++] = (char)0xD9;
        out[n++] = digit ? (char)(0xA0 + (*c - '0')) : *c;
    }
    out[n] = 0;
    memcpy(text, out, n + 1);
}

/* Puzzles of our families far beyond what is trained, even beyond "longer". Where an Arabic one has no word,
 * its digits tell the language. */
static void draw_too_large(struct dice *d, enum fk_lang lang, char *out, size_t max)
{
    int64_t a = dice_digits(d, (int)dice_in(d, 10, 17)), b = dice_digits(d, (int)dice_in(d, 10, 17));
    int64_t pick = dice_below(d, 9);
    int n = 0;
    if (pick < 6) {
        static const char *const before[FK_N_LANGS][6] = {{"", "what is ", "", "", "calculate ", "add "},
                                             {"", "ما ناتج ", "", "اضرب ", "احسب ", "اجمع "}};
        static const char *const between[FK_N_LANGS][6] = {{" + ", " * ", " - ", "*", " / ", " and "},
                                                           {" + ", " * ", " - ", " في ", " / ", " و "}};
        snprintf(out, max, "%s%" PRId64 "%s%" PRId64, before[lang][pick], a, between[lang][pick], b);
        bool bare = !*before[lang][pick] && pick != 3;
        if (lang == FK_LANG_AR && (bare || dice_percent(d, 50))) write_indic(out, max);
        return;
    }
    int count = (int)dice_in(d, 16, 24);
    if (pick == 6) { /* a long list */
        n = snprintf(out, max, "%s", lang == FK_LANG_AR ? "رتب" : "sort");
        for (int i = 0; i < count && n + 12 < (int)max; i++)
            n += snprintf(out + n, max - (size_t)n, " %d", (int)dice_in(d, 1, 9999));
        return;
    }
    count = (int)dice_in(d, 6, 9); /* many numbers or a far target */
    n = snprintf(out, max, "%s", lang == FK_LANG_AR ? "استخدم" : "use");
    for (int i = 0; i < count; i++)
        n += snprintf(out + n, max - (size_t)n, "%s %d", i ? "," : "", (int)dice_in(d, 1, 100));
    snprintf(out + n, max - (size_t)n, " %s %d", lang == FK_LANG_AR ? "للحصول على" : "to make",
             (int)dice_in(d, 100, 99999));
}

/* A line with {a}, {b} or number0, number1, ... replaced by numbers; *numbers says whether it had any. */
static void fill(struct dice *d, const char *line, char *out, size_t max, bool arabic_digits)
{
    size_t n = 0;
    for (const char *p = line; *p && n + 16 < max;) {
        bool slot = *p == '{' && p[1] && p[2] == '}';
        bool number = !strncmp(p, "number", 6) && p[6] >= '0' && p[6] <= '9';
        if (!slot && !number) {
            out[n++] = *p++;
            continue;
        }
        char digits[24];
        snprintf(digits, sizeof digits, "%" PRId64, dice_in(d, 2, dice_percent(d, 60) ? 40 : 999));
        for (const char *c = digits; *c; c++) {
            if (arabic_digits) {
                out[n++] = (char)0xD9;
                out[n++] = (char)(0xA0 + (*c - '0'));
            } else {
                out[n++] = *c;
            }
        }
        p += slot ? 3 : 7;
    }
    out[n] = 0;
}

static const char *const about_word[] = {
    "what is %s", "what is a %s", "define %s", "what does %s mean", "explain %s", "tell me about %s",
    "what do you know about %s", "who or what is %s", "use %s in a sentence", "describe %s",
};
static const char *const about_country[] = {
    "what is the capital of %s", "where is %s", "which language do they speak in %s",
    "what is the currency of %s", "how many people live in %s", "tell me about %s",
    "who is the president of %s", "what is %s famous for", "how big is %s", "capital of %s",
};

/* Joins a question and a word; the formats hold one %s each. */
static void ask_about(const char *format, const char *word, char *out, size_t max)
{
    size_t before = strcspn(format, "%");
    snprintf(out, max, "%.*s%s%s", (int)before, format, word, format + before + 2);
}

static enum shelf pick_shelf(struct dice *d, enum fk_lang lang, enum fk_split split)
{
    static const uint32_t english[N_SHELVES] = {
        [SHELF_TALK_EN] = 16, [SHELF_NEAR_EN] = 14, [SHELF_DIALOGUE] = 16, [SHELF_WORDS] = 9,
        [SHELF_COUNTRIES] = 7, [SHELF_TASKS] = 6, [SHELF_PAIRS_EN] = 12, [SHELF_PROBLEMS] = 4,
        [SHELF_TEMPLATES] = 6, [SHELF_EVAL] = 0,
    };
    static const uint32_t arabic[N_SHELVES] = {
        [SHELF_TALK_AR] = 25, [SHELF_NEAR_AR] = 20, [SHELF_PAIRS_AR] = 45,
    };
    uint32_t w[N_SHELVES];
    memcpy(w, lang == FK_LANG_AR ? arabic : english, sizeof w);
    if (split == FK_SPLIT_TEST && lang == FK_LANG_EN) w[SHELF_EVAL] = 10;
    return (enum shelf)dice_weighted(d, w, N_SHELVES);
}

/* Greets first, drops the last mark, changes the case, as people do. */
static void roughen(struct dice *d, enum fk_lang lang, char *text, size_t max)
{
    size_t n = strlen(text);
    bool marked = n && strchr(".?!", text[n - 1]);
    if (marked && dice_percent(d, 30)) text[--n] = 0;
    else if (!marked && dice_percent(d, 50) && n + 4 < max) {
        const char *mark = dice_percent(d, 70) ? (lang == FK_LANG_AR ? "؟" : "?") : ".";
        snprintf(text + n, max - n, "%s", mark);
    }
    if (dice_percent(d, 15)) {
        struct leads leads = leads_of(lang, 'q');
        const char *lead = leads.texts[dice_below(d, leads.n)];
        size_t k = strlen(lead);
        n = strlen(text);
        if (n + k + 1 < max) {
            memmove(text + k, text, n + 1);
            memcpy(text, lead, k);
        }
    }
    int64_t mode = dice_below(d, 100);
    for (char *p = text; *p && mode < 40; p++) {
        if (mode < 34 && *p >= 'A' && *p <= 'Z') *p = (char)(*p + 32);
        if (mode >= 34 && *p >= 'a' && *p <= 'z') *p = (char)(*p - 32);
    }
    if (mode >= 40 && *text >= 'a' && *text <= 'z') *text = (char)(*text - 32);
}

/* One try: a line of some shelf that belongs to the split. */
static bool draw_line(const struct fk_book *book, enum fk_lang lang, enum fk_split split,
                      struct dice *d, char *out, size_t max)
{
    if (dice_percent(d, 10)) {
        draw_too_large(d, lang, out, max);
        return line_split(out) == split;
    }
    enum shelf shelf = pick_shelf(d, lang, split);
    size_t n = book_count(book, shelf);
    if (n == 0) return false;
    const char *line = book_line(book, shelf, (size_t)dice_below(d, (int64_t)n));
    if (shelf != SHELF_EVAL && line_split(line) != split) return false;
    if (shelf == SHELF_WORDS)
        ask_about(about_word[dice_below(d, 10)], line, out, max);
    else if (shelf == SHELF_COUNTRIES)
        ask_about(about_country[dice_below(d, 10)], line, out, max);
    else
        fill(d, line, out, max, lang == FK_LANG_AR && dice_percent(d, 50));
    return true;
}

bool outside_draw(const struct fk_book *book, enum fk_lang lang, enum fk_split split, bool plain,
                  struct dice *dice, struct grade_puzzle *p)
{
    if (split == FK_SPLIT_UNSEEN || split == FK_SPLIT_LONGER) split = FK_SPLIT_TEST;
    memset(p, 0, sizeof *p);
    p->family = GRADE_OUTSIDE;
    p->kind = (uint8_t)lang;
    p->level = 1;
    for (int tries = 0; tries < 5000; tries++) {
        struct grade_puzzle other;
        enum fk_lang l;
        if (!draw_line(book, lang, split, dice, p->text, sizeof p->text - 40)) continue;
        if (!plain) roughen(dice, lang, p->text, sizeof p->text);
        /* What the checker takes for a puzzle of ordinary size is none of ours to refuse. */
        if (grade_parse(p->text, strlen(p->text), &other, &l) && !grade_is_too_large(&other)) continue;
        return true;
    }
    return false;
}

static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    k[0] = (int64_t)line_hash(p->text);
    return 1;
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    (void)p;
    (void)lang;
    (void)style;
    (void)dice;
    buf_puts(out, "outside\n");
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    (void)p;
    buf_puts(out, sentence[lang]);
}

/* Whether a prompt tells the asker's language: "5^44?" does not. */
static bool has_words(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c >= 0x80 || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')) return true;
    return false;
}

/* The pointer to the other model, in the right script, and nothing long. */
static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    if (s->n > 60 || (s->arabic != (p->kind == FK_LANG_AR) && has_words(p->text))) return false;
    for (int i = 0; i < s->n; i++)
        if (scan_is_sign(s, i, '/') && scan_is_word(s, i + 1, "model") &&
            scan_is_word(s, i + 2, "smollm") && scan_is_number(s, i + 3) && s->tokens[i + 3].value == 2)
            return true;
    return false;
}

const struct family family_outside = {
    .name = "outside",
    .held_out = HELD_OUT,
    .key = key,
    .think = think,
    .answer = answer,
    .verify = verify,
};
