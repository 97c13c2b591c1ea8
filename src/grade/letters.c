/* SPDX-License-Identifier: Apache-2.0
 * letters.c - how often a letter stands in a word, and words spelled backwards. Words are common ones
 * and ones made of syllables, so that there is no end of them.
 *
 *   s t r1 a w b e r2 r3 y        (the letter is counted where it stands)
 *
 *   h eh leh lleh olleh           (each letter goes to the front) */
#include <string.h>
#include "src/base/utf8.h"
#include "src/grade/family.h"

enum { COUNT, BACKWARDS };

#define MAX_LETTERS 16

static const struct wording english[] = {
    {'b', COUNT, "count {k} in {w}"},
    {'b', COUNT, "letter {k} in {w}"},
    {'b', BACKWARDS, "reverse {w}"},
    {'b', BACKWARDS, "{w} backwards"},
    {'q', COUNT, "how [many times|often] does [the letter|] {k} [appear|occur] in [the word|] {w}"},
    {'q', COUNT, "how many [times is|letters|of the letter] {k} [are in|are there in|in] [the word|] {w}"},
    {'q', COUNT, "how many {k}'s are [there in|in] [the word|] {w}"},
    {'i', COUNT, "count [the letter|how often the letter|] {k} [in|appears in] [the word|] {w}"},
    {'q', BACKWARDS, "[what is|what's|how do you spell] [the word|] {w} [backwards|backward|reversed]"},
    {'i', BACKWARDS, "[spell|write|type] [the word|] {w} [backwards|backward|in reverse]"},
    {'i', BACKWARDS, "[reverse|turn around] the [word|letters of] {w}"},
    {'p', COUNT, "how many {k} [are there in|are in|in] [the word|] {w}"}, /* "r's" is one token */
};

static const struct wording arabic[] = {
    {'b', COUNT, "عدد {k} في {w}"},
    {'b', BACKWARDS, "اعكس {w}"},
    {'q', COUNT, "كم مرة [يظهر|يتكرر|يرد] [حرف|الحرف] {k} في [كلمة|الكلمة] {w}"},
    {'q', COUNT, "كم [حرف|حرفا] {k} في [كلمة|الكلمة] {w}"},
    {'i', COUNT, "[احسب|عد] [حرف|الحرف] {k} في [كلمة|الكلمة] {w}"},
    {'q', BACKWARDS, "كيف [تكتب|نكتب] [كلمة|الكلمة] {w} [بالعكس|معكوسة|مقلوبة]"},
    {'i', BACKWARDS, "[اكتب|تهج] [كلمة|الكلمة] {w} [بالعكس|معكوسة|مقلوبة]"},
    {'i', BACKWARDS, "اعكس [كلمة|حروف كلمة|حروف] {w}"},
};

static const char *const english_words =
    "apple banana orange lemon cherry strawberry bottle window garden summer winter letter number "
    "pepper butter rabbit kitten puppy happy sunny funny little middle puzzle riddle coffee cookie "
    "school teacher student pencil paper book table chair house door floor street tree flower grass "
    "river water bridge mountain valley forest island ocean beach sand stone rock metal silver gold "
    "green yellow purple orange black white brown three seven eleven twelve monday tuesday friday "
    "january march august october morning evening night tomorrow yesterday mother father sister "
    "brother family friend people person animal horse sheep chicken rooster mouse elephant giraffe "
    "tomato potato carrot onion garlic bread cheese sugar honey chocolate cinnamon mississippi "
    "tennessee programming computer keyboard language thinking reason answer question possible "
    "balloon bubble rubber ribbon mirror pillow blanket hammer ladder tunnel rocket planet moon star";

static const char *const arabic_words =
    "تفاح موز برتقال ليمون عنب تمر خبز حليب ماء شاي قهوة سكر عسل كتاب قلم دفتر مدرسة معلم طالب باب "
    "نافذة كرسي بيت شارع شجرة زهرة نهر بحر جبل وادي غابة جزيرة رمل حجر ذهب فضة أخضر أصفر أسود أبيض "
    "صباح مساء ليل نهار أم أب أخ صديق ناس حيوان حصان خروف دجاج فأر فيل زرافة بصل ثوم جبن سؤال جواب "
    "فكر عقل حاسوب لغة كلمة مرآة وسادة سلم نجم قمر شمس كوكب سلام مكتبة مطبخ حديقة سفينة طائرة سيارة";

static int n_words(const char *list)
{
    int n = 1;
    for (const char *p = list; *p; p++) n += *p == ' ';
    return n;
}

static void pick_word(struct dice *d, const char *list, char *out, size_t max)
{
    int64_t i = dice_below(d, n_words(list));
    while (i--) list += strcspn(list, " ") + 1;
    size_t n = strcspn(list, " ");
    if (n >= max) n = max - 1;
    memcpy(out, list, n);
    out[n] = 0;
}

/* Consonants and vowels in turn; sometimes one stands twice. */
static void make_word(struct dice *d, int length, bool in_arabic, char *out)
{
    static const uint16_t latin[] = {'b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'r', 's',
                                     't', 'v', 'w', 'z', 'a', 'e', 'i', 'o', 'u'};
    static const uint16_t letters[] = {0x628, 0x62A, 0x62C, 0x62D, 0x62F, 0x631, 0x633, 0x634, 0x635,
                                       0x637, 0x639, 0x641, 0x642, 0x643, 0x644, 0x645, 0x646, 0x647,
                                       0x627, 0x648, 0x64A, 0x627, 0x648};
    const uint16_t *from = in_arabic ? letters : latin; /* 18 consonants, 5 vowels */
    bool vowel = dice_percent(d, 40);
    size_t at = 0;
    for (int n = 0; n < length; n++) {
        uint32_t cp = vowel ? from[18 + dice_below(d, 5)] : from[dice_below(d, 18)];
        at += utf8_encode(cp, out + at);
        if (n + 1 < length && dice_percent(d, 12)) {
            at += utf8_encode(cp, out + at);
            n++;
        }
        vowel = !vowel;
    }
    out[at] = 0;
}

/* The letters of p->text. */
struct letters {
    int n;
    uint32_t cp[MAX_LETTERS];
};

static void read_letters(const char *text, struct letters *l)
{
    size_t len, n = strlen(text);
    l->n = 0;
    for (size_t at = 0; at < n && l->n < MAX_LETTERS; at += len)
        l->cp[l->n++] = utf8_decode(text + at, n - at, &len);
}

/* The word is kept as recognition reads it: lower case, Arabic without the variants of alef, ya, ta. */
static void plain_word(char *text)
{
    const char *p = text;
    char plain[64];
    size_t n = scan_normalise(&p, plain, sizeof plain - 1);
    memcpy(text, plain, n);
    text[n] = 0;
}

static bool draw(struct dice *dice, int level, struct grade_puzzle *p)
{
    static const struct { int low, high; } rows[] = {{0, 0}, {3, 4}, {4, 5}, {5, 7}, {6, 9}, {8, 11}, {12, 15}};
    struct letters l;
    p->kind = dice_percent(dice, 60) ? COUNT : BACKWARDS;
    bool from_arabic = dice_percent(dice, 33);
    if (level < GRADE_LONGER && dice_percent(dice, from_arabic ? 70 : 40))
        pick_word(dice, from_arabic ? arabic_words : english_words, p->text, 40);
    else
        make_word(dice, (int)dice_in(dice, rows[level].low, rows[level].high), from_arabic,
                  p->text);
    /* Words whose letters recognition would fold are passed over. */
    char typed[GRADE_MAX_TEXT];
    memcpy(typed, p->text, sizeof typed);
    plain_word(p->text);
    if (strcmp(typed, p->text) != 0) return false;
    read_letters(p->text, &l);
    bool arabic_long = from_arabic && level > 3 && l.n >= 5;
    if (l.n < rows[level].low - (arabic_long && level < GRADE_LONGER ? 4 : 0) || l.n > rows[level].high) return false;
    p->n = 1;
    if (p->kind == BACKWARDS) return true;
    p->v[0] = l.cp[dice_below(dice, l.n)];
    if (dice_percent(dice, 12)) p->v[0] = from_arabic && (unsigned char)p->text[0] >= 0x80 ? 0x628 : 'a' + dice_below(dice, 26);
    return true;
}

/* An Arabic word is asked about in Arabic. */
static bool suits(const struct grade_puzzle *p, enum fk_lang lang)
{
    return ((unsigned char)p->text[0] >= 0x80) == (lang == FK_LANG_AR);
}

static void ink(const struct grade_puzzle *p, char slot, struct ink *ink)
{
    char letter[5] = "";
    if (slot == 'w') {
        buf_puts(ink->out, p->text);
        return;
    }
    letter[utf8_encode((uint32_t)p->v[0], letter)] = 0;
    buf_puts(ink->out, letter);
}

static bool take(const struct match *m, int kind, struct grade_puzzle *p)
{
    char letter[8];
    struct letters l;
    p->kind = (uint8_t)kind;
    p->n = 1;
    if (!slot_word(m, 'w', p->text, 60)) return false;
    read_letters(p->text, &l);
    if (l.n < 2 || l.n == MAX_LETTERS) return false;
    if (kind == BACKWARDS) return true;
    if (!slot_word(m, 'k', letter, sizeof letter)) return false;
    read_letters(letter, &l);
    p->v[0] = l.cp[0];
    return l.n == 1 || (l.n == 2 && l.cp[1] == 's');
}

static int key(const struct grade_puzzle *p, int64_t k[MAX_KEY])
{
    uint64_t h = 0;
    for (const char *c = p->text; *c; c++) h = rng_u64(h, (unsigned char)*c, 0);
    k[0] = p->kind;
    k[1] = p->kind == COUNT ? p->v[0] : 0;
    k[2] = (int64_t)h;
    return 3;
}

static void put(struct buf *out, uint32_t cp)
{
    char bytes[4];
    buf_append(out, bytes, utf8_encode(cp, bytes));
}

static void think(const struct grade_puzzle *p, enum fk_lang lang, enum fk_style style,
                  struct dice *dice, struct buf *out)
{
    struct letters l;
    int count = 0;
    (void)lang;
    read_letters(p->text, &l);
    for (int i = 0; i < l.n; i++) {
        if (i) buf_putc(out, ' ');
        if (p->kind == BACKWARDS) {
            for (int k = i; k >= 0; k--) put(out, l.cp[k]);
            continue;
        }
        put(out, l.cp[i]);
        bool same = l.cp[i] == (uint32_t)p->v[0];
        /* A wrong turn: a letter counted that is another one. */
        if (!same && style == FK_STYLE_SEARCH && dice_percent(dice, 8))
            buf_printf(out, "%d no", count + 1);
        if (same) buf_printf(out, "%d", ++count);
    }
    buf_putc(out, '\n');
}

static int count_of(const struct grade_puzzle *p)
{
    struct letters l;
    int n = 0;
    read_letters(p->text, &l);
    for (int i = 0; i < l.n; i++) n += l.cp[i] == (uint32_t)p->v[0];
    return n;
}

static void answer(const struct grade_puzzle *p, enum fk_lang lang, struct buf *out)
{
    struct letters l;
    (void)lang;
    if (p->kind == COUNT) {
        buf_printf(out, "%d", count_of(p));
        return;
    }
    read_letters(p->text, &l);
    for (int i = l.n; i-- > 0;) put(out, l.cp[i]);
}

static bool verify(const struct grade_puzzle *p, const struct scan *s)
{
    if (p->kind == COUNT) return verify_number(s, count_of(p));
    struct buf right;
    buf_init(&right, 0, MEM_TEXT);
    answer(p, FK_LANG_EN, &right);
    int end = 1;
    bool same = right.data && scan_is_word(s, 0, right.data);
    buf_fini(&right);
    if (scan_is_sign(s, end, '.')) end++;
    return same && end == s->n;
}

const struct family family_letters = {
    .name = "letters",
    .wordings = {english, arabic},
    .n_wordings = {sizeof english / sizeof english[0], sizeof arabic / sizeof arabic[0]},
    .held_out = 50,
    .draw = draw,
    .suits = suits,
    .ink = ink,
    .take = take,
    .key = key,
    .think = think,
    .answer = answer,
    .verify = verify,
};
