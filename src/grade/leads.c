/* SPDX-License-Identifier: Apache-2.0
 * leads.c - what stands before and after a question without changing it. */
#include "src/grade/leads.h"
#include <string.h>

/* The first of each list is nothing, and is drawn half of the time. */
static const char *const en_q[] = {
    "", "hi, ", "hello! ", "hey, ", "quick question: ", "question: ", "tell me, ", "please tell me: ",
    "ok, ", "so ", "now: ", "i need help: ", "one more: ", "good morning! ",
};
static const char *const en_i[] = {
    "", "please ", "can you ", "could you ", "could you please ", "can you please ", "hi, please ",
    "hey, ", "i need you to ", "i want you to ", "now ", "ok, ", "would you ", "hello, can you ",
};
static const char *const en_b[] = {
    "", "hi, ", "quick: ", "question: ", "solve: ", "please solve ", "solve this: ", "answer: ",
    "now ", "ok, ", "next: ", "hey, ", "help me: ", "hello! ",
};
static const char *const ar_q[] = {
    "", "مرحبا، ", "أهلا، ", "السلام عليكم، ", "سؤال: ", "سؤال سريع: ", "من فضلك، ", "لو سمحت، ",
    "أخبرني، ", "الآن: ", "قل لي: ", "صباح الخير، ",
};
static const char *const ar_i[] = {
    "", "من فضلك ", "لو سمحت، ", "مرحبا، ", "أهلا، ", "السلام عليكم، ", "سؤال: ", "الآن ",
    "رجاء ", "مسألة: ",
};
static const char *const ar_b[] = {
    "", "سؤال: ", "حل: ", "من فضلك حل ", "مرحبا، ", "السلام عليكم، ", "الآن ", "مسألة: ", "لو سمحت، ",
    "التالي: ",
};

static const char *const en_q_tails[] = {"?", "?", "?", "?", "", "", " please?", "??", " ?"};
static const char *const en_i_tails[] = {".", "", ".", "", " please.", " for me.", "!", "?", " please"};
static const char *const en_b_tails[] = {"", "", "", "", "?", ".", " ?", " please"};
static const char *const ar_q_tails[] = {"؟", "؟", "؟", "؟", "", "", " من فضلك؟", "؟؟", " ؟", "?"};
static const char *const ar_i_tails[] = {".", "", ".", "", " من فضلك", " لو سمحت.", "!"};
static const char *const ar_b_tails[] = {"", "", "", "", "؟", ".", " ؟", " من فضلك"};

/* Only understood, never written. */
static const char *const extra[] = {
    "the me a this it you i us answer give to equal equals equation problem puzzle exercise fikr "
    "thanks thank much quickly step by think carefully correctly exactly then well just again another "
    "here is are of my do does lets let want like would kindly hola dear friend results result",
    "هذه هذا المسألة السؤال التمرين اللغز شكرا لك لي ثم طيب حسنا يا صديقي هيا هو هي الجواب فقط بسرعة "
    "أريد أن هل يمكنك تستطيع النتيجة",
};

#define COUNT(x) (int)(sizeof(x) / sizeof(x)[0])
#define LIST(x) {x, COUNT(x)}

struct leads leads_of(enum fk_lang lang, char form)
{
    static const struct leads rows[FK_N_LANGS][3] = {{LIST(en_q), LIST(en_i), LIST(en_b)},
                                                     {LIST(ar_q), LIST(ar_i), LIST(ar_b)}};
    return rows[lang][form == 'q' ? 0 : form == 'i' ? 1 : 2];
}

struct leads tails_of(enum fk_lang lang, char form)
{
    static const struct leads rows[FK_N_LANGS][3] = {
        {LIST(en_q_tails), LIST(en_i_tails), LIST(en_b_tails)},
        {LIST(ar_q_tails), LIST(ar_i_tails), LIST(ar_b_tails)}};
    return rows[lang][form == 'q' ? 0 : form == 'i' ? 1 : 2];
}

/* Whether a word of `text` is token i. */
static bool has_word(const char *text, const struct scan *s, int i)
{
    const struct token *t = &s->tokens[i];
    char word[64];
    while (*text) {
        const char *before = text;
        size_t n = scan_normalise(&text, word, sizeof word);
        if (n == t->word_n && n && !memcmp(word, s->words + t->word, n)) return true;
        if (text == before) text++;
    }
    return false;
}

bool is_filler(const struct scan *s, int i)
{
    static const char forms[] = "qib";
    if (pattern_is_soft(s, i) || scan_is_sign(s, i, '=')) return true;
    if (i >= s->n || s->tokens[i].kind != TOKEN_WORD) return false;
    for (int lang = 0; lang < FK_N_LANGS; lang++) {
        if (has_word(extra[lang], s, i)) return true;
        for (int f = 0; f < 3; f++) {
            struct leads leads = leads_of((enum fk_lang)lang, forms[f]);
            for (int k = 0; k < leads.n; k++)
                if (has_word(leads.texts[k], s, i)) return true;
            leads = tails_of((enum fk_lang)lang, forms[f]);
            for (int k = 0; k < leads.n; k++)
                if (has_word(leads.texts[k], s, i)) return true;
        }
    }
    return false;
}
