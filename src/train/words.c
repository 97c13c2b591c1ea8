/* SPDX-License-Identifier: Apache-2.0
 * words.c - BPE (Sennrich et al. 2016) over the bytes of a few thousand distinct words: counting every
 * pair anew for each merge is quick enough at this size and leaves nothing to keep in step.
 *
 * A word is a run of letters or of punctuation with at most one space before it: never more than what
 * the "smollm" pre-tokenizer hands out at once, so whatever is learned here applies there. */
#include "src/train/words.h"
#include <stdlib.h>
#include <string.h>
#include "src/base/fail.h"

#define MAX_WORD 24            /* bytes; longer runs are cut */
#define MAX_DISTINCT (1 << 15)
#define HASH_SIZE (1 << 17)

const char *const train_marks[N_MARKS] = {"<|user|>", "<|assistant|>", "<|end|>", "<think>",
                                          "</think>"};

struct word {
    uint8_t n;
    uint16_t parts[MAX_WORD]; /* token ids */
    uint8_t n_bytes;
    uint8_t bytes[MAX_WORD];
    uint32_t count;
};

struct learner {
    struct words *w;
    struct word *words;
    int32_t *table;    /* [HASH_SIZE], -1: free */
    uint32_t *pairs;   /* [WORDS_MAX][WORDS_MAX] */
    size_t n_words;
};

enum sort { LETTER, MARK, SPACE, OTHER };

/* One character: its length in *n and what it is. Of the other scripts nothing is learned. */
static enum sort sort_of(const uint8_t *p, size_t left, size_t *n)
{
    *n = 1;
    if (*p == ' ') return SPACE;
    if ((*p | 32) >= 'a' && (*p | 32) <= 'z') return LETTER;
    if (*p > ' ' && *p < 127) return *p >= '0' && *p <= '9' ? OTHER : MARK;
    if (left < 2 || *p < 0xd8 || *p > 0xdb) return OTHER;
    unsigned c = (unsigned)(*p & 31) << 6 | (p[1] & 63);
    *n = 2;
    if ((c >= 0x621 && c <= 0x63a) || (c >= 0x641 && c <= 0x64a)) return LETTER;
    return c == 0x60c || c == 0x61b || c == 0x61f ? MARK : OTHER;
}

static uint32_t hash_of(const uint8_t *p, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 16777619u;
    return h;
}

/* A table that is full learns no further words. */
static void add_word(struct learner *l, const uint8_t *p, size_t n)
{
    if (n < 2) return;
    uint32_t at = hash_of(p, n) % HASH_SIZE;
    for (;; at = (at + 1) % HASH_SIZE) {
        if (l->table[at] < 0) break;
        struct word *w = &l->words[l->table[at]];
        if (w->n_bytes == n && !memcmp(w->bytes, p, n)) {
            w->count++;
            return;
        }
    }
    if (l->n_words == MAX_DISTINCT) return;
    struct word *w = &l->words[l->n_words];
    *w = (struct word){.n = (uint8_t)n, .n_bytes = (uint8_t)n, .count = 1};
    memcpy(w->bytes, p, n);
    for (size_t i = 0; i < n; i++) w->parts[i] = p[i];
    l->table[at] = (int32_t)l->n_words++;
}

static void add_text(struct learner *l, const char *text)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);
    while (p < end) {
        size_t n, space = *p == ' ';
        const uint8_t *q = p + space;
        enum sort sort = q < end ? sort_of(q, (size_t)(end - q), &n) : OTHER;
        if (sort != LETTER && sort != MARK) {
            p = q < end && !space ? q + n : q > p ? q : p + 1;
            continue;
        }
        while (q < end && sort_of(q, (size_t)(end - q), &n) == sort &&
               (size_t)(q - p) + n <= MAX_WORD)
            q += n;
        add_word(l, p, (size_t)(q - p));
        p = q;
    }
}

static bool join(struct words *w, int left, int right)
{
    size_t n = (size_t)w->n_bytes[left] + w->n_bytes[right];
    if (w->n == WORDS_MAX || n > WORDS_TOKEN_BYTES) return false;
    memcpy(w->bytes[w->n], w->bytes[left], w->n_bytes[left]);
    memcpy(w->bytes[w->n] + w->n_bytes[left], w->bytes[right], w->n_bytes[right]);
    w->n_bytes[w->n++] = (uint8_t)n;
    w->merges[w->n_merges++] = (struct words_merge){left, right};
    return true;
}

static void apply(struct learner *l, int left, int right, int joined)
{
    for (size_t i = 0; i < l->n_words; i++) {
        struct word *w = &l->words[i];
        int n = 0;
        for (int j = 0; j < w->n; j++) {
            bool here = j + 1 < w->n && w->parts[j] == left && w->parts[j + 1] == right;
            w->parts[n++] = here ? (uint16_t)joined : w->parts[j];
            j += here;
        }
        w->n = (uint8_t)n;
    }
}

/* The most frequent pair, the smallest ids among equals. False: none occurs twice. */
static bool best_pair(struct learner *l, int *left, int *right)
{
    memset(l->pairs, 0, sizeof(uint32_t) * WORDS_MAX * WORDS_MAX);
    for (size_t i = 0; i < l->n_words; i++)
        for (int j = 0; j + 1 < l->words[i].n; j++)
            l->pairs[l->words[i].parts[j] * WORDS_MAX + l->words[i].parts[j + 1]] +=
                l->words[i].count;
    uint32_t best = 1;
    for (int a = 0; a < l->w->n; a++) {
        for (int b = 0; b < l->w->n; b++) {
            if (l->pairs[a * WORDS_MAX + b] <= best) continue;
            if (l->w->n_bytes[a] + l->w->n_bytes[b] > WORDS_TOKEN_BYTES) continue;
            best = l->pairs[a * WORDS_MAX + b];
            *left = a;
            *right = b;
        }
    }
    return best > 1;
}

static bool join_character(struct learner *l, unsigned c)
{
    int left = (int)(0xc0 | c >> 6), right = (int)(0x80 | (c & 63));
    if (!join(l->w, left, right)) return false;
    apply(l, left, right, l->w->n - 1);
    return true;
}

/* Letters, the three marks, and the digits, which join with nothing afterwards: no word holds one. */
static bool join_arabic(struct learner *l)
{
    static const unsigned ranges[][2] = {{0x60c, 0x60c}, {0x61b, 0x61b}, {0x61f, 0x61f},
                                         {0x621, 0x63a}, {0x641, 0x64a}, {0x660, 0x669}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        for (unsigned c = ranges[i][0]; c <= ranges[i][1]; c++)
            if (!join_character(l, c)) return false;
    return true;
}

static enum fk_status read_sample(struct learner *l, const struct recipe *r, const fk_book *book,
                                  struct fk_error *err)
{
    struct fk_puzzle p = {0};
    enum fk_status st = FK_OK;
    for (int64_t i = 0; i < r->vocab_sample && !st; i++) {
        st = fk_puzzle_make(book, &r->stages[0].mix, (uint64_t)i, &p, err);
        if (st) break;
        add_text(l, p.prompt);
        add_text(l, p.thinking);
        add_text(l, p.answer);
    }
    fk_puzzle_free(&p);
    return st;
}

static enum fk_status learn(struct learner *l, const struct recipe *r, const fk_book *book,
                            struct fk_error *err)
{
    l->words = mem_calloc(MAX_DISTINCT, sizeof *l->words, MEM_MISC);
    l->table = mem_array(HASH_SIZE, sizeof *l->table, MEM_MISC);
    l->pairs = mem_array((size_t)WORDS_MAX * WORDS_MAX, sizeof *l->pairs, MEM_MISC);
    if (!l->words || !l->table || !l->pairs)
        return fail_nomem(err, MAX_DISTINCT * sizeof *l->words, "the words of the vocabulary");
    memset(l->table, 0xff, HASH_SIZE * sizeof *l->table);
    TRY(read_sample(l, r, book, err));
    if (!join_arabic(l)) return fail(err, FK_EINVAL, "a vocabulary of %d is too small", l->w->n);
    int left = 0, right = 0;
    while (l->w->n < r->model.n_vocab && best_pair(l, &left, &right)) {
        if (!join(l->w, left, right)) break;
        apply(l, left, right, l->w->n - 1);
    }
    return FK_OK;
}

enum fk_status words_learn(struct words *w, const struct recipe *r, const fk_book *book,
                           struct fk_error *err)
{
    struct learner l = {.w = w};
    memset(w, 0, sizeof *w);
    for (int i = 0; i < 256; i++) {
        w->bytes[i][0] = (uint8_t)i;
        w->n_bytes[i] = 1;
    }
    w->n = 256 + N_MARKS;
    enum fk_status st = learn(&l, r, book, err);
    mem_free(l.words);
    mem_free(l.table);
    mem_free(l.pairs);
    return st;
}

/* GPT-2 shows the bytes that print as themselves, the others as 256, 257, ... in order. */
static unsigned shown(uint8_t byte)
{
    unsigned next = 256;
    for (unsigned b = 0; b < 256; b++) {
        bool prints = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte) return prints ? b : next;
        next += !prints;
    }
    return 0;
}

size_t words_text(const struct words *w, int id, char out[2 * WORDS_TOKEN_BYTES + 1])
{
    size_t n = 0;
    if (id >= 256 && id < 256 + N_MARKS) {
        n = strlen(train_marks[id - 256]);
        memcpy(out, train_marks[id - 256], n + 1);
        return n;
    }
    for (int i = 0; i < w->n_bytes[id]; i++) {
        unsigned c = shown(w->bytes[id][i]);
        if (c < 128) {
            out[n++] = (char)c;
        } else {
            out[n++] = (char)(0xc0 | c >> 6);
            out[n++] = (char)(0x80 | (c & 63));
        }
    }
    out[n] = 0;
    return n;
}
