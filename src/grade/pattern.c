/* SPDX-License-Identifier: Apache-2.0
 * pattern.c - expanding and matching wordings. The matcher recurses once for each bracket of a pattern
 * of ours, never on the text. */
#include "src/grade/pattern.h"
#include <string.h>
#include "src/grade/slots.h"

bool pattern_is_soft(const struct scan *s, int i)
{
    return i < s->n && s->tokens[i].kind == TOKEN_SIGN && strchr(",:.?!;", s->tokens[i].sign);
}

static int skip_soft(const struct scan *s, int i)
{
    while (pattern_is_soft(s, i)) i++;
    return i;
}

/* Matches the literal words and signs of p up to `end`; gives the next token or -1. */
static int match_literals(const char *p, const char *end, const struct scan *s, int i)
{
    while (p < end) {
        if (strchr(" ,:.?!;", *p)) {
            p++;
            continue;
        }
        if (strchr("+-*/=^%()", *p)) {
            i = skip_soft(s, i);
            bool times = *p == '*' && scan_is_word(s, i, "x");
            if (!times && !scan_is_sign(s, i, *p)) return -1;
            p++;
            i++;
            continue;
        }
        char word[64];
        size_t n = scan_normalise(&p, word, sizeof word);
        if (n == 0) continue; /* an Arabic comma */
        i = skip_soft(s, i);
        if (i >= s->n) return -1;
        const struct token *t = &s->tokens[i];
        if (t->kind != TOKEN_WORD || t->word_n != n || memcmp(s->words + t->word, word, n)) return -1;
        i++;
    }
    return i;
}

static bool match_from(const char *p, struct match *m, int i)
{
    for (;;) {
        size_t n = strcspn(p, "{[");
        i = match_literals(p, p + n, m->s, i);
        if (i < 0) return false;
        p += n;
        if (!*p) {
            m->end = i;
            return true;
        }
        if (*p == '{') {
            int begin = skip_soft(m->s, i);
            int end = slot_match(m->s, begin, p[1]);
            if (end < 0 || m->n == MATCH_MAX_SLOTS) return false;
            m->slots[m->n++] = (struct capture){p[1], begin, end};
            i = end;
            p += 3;
            continue;
        }
        const char *close = strchr(p, ']');
        int n_slots = m->n;
        for (const char *alt = p + 1; alt <= close;) {
            const char *end = alt + strcspn(alt, "|]");
            int next = match_literals(alt, end, m->s, i);
            m->n = n_slots;
            if (next >= 0 && match_from(close + 1, m, next)) return true;
            alt = end + 1;
        }
        return false;
    }
}

bool pattern_match(const char *pattern, const struct scan *s, int i, struct match *m)
{
    *m = (struct match){.s = s};
    return match_from(pattern, m, i);
}

const struct capture *match_slot(const struct match *m, char slot)
{
    for (int i = 0; i < m->n; i++)
        if (m->slots[i].slot == slot) return &m->slots[i];
    return NULL;
}

int pattern_n_choices(const char *pattern)
{
    int n = 1;
    for (const char *p = strchr(pattern, '['); p; p = strchr(p, '[')) {
        int alternatives = 1;
        for (; *p != ']'; p++) alternatives += *p == '|';
        n *= alternatives;
    }
    return n;
}

/* Literal text with runs of blanks made one: an empty alternative leaves two. */
static bool append_literal(struct buf *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool after_space = out->n == 0 || out->data[out->n - 1] == ' ';
        if (p[i] == ' ' && after_space) continue;
        if (!buf_putc(out, p[i])) return false;
    }
    return true;
}

bool pattern_expand(const char *pattern, int choice, struct buf *out)
{
    const char *p = pattern;
    for (;;) {
        size_t n = strcspn(p, "[");
        if (!append_literal(out, p, n)) return false;
        p += n;
        if (!*p) break;
        const char *close = strchr(p, ']');
        int alternatives = 1;
        for (const char *c = p; c < close; c++) alternatives += *c == '|';
        int pick = choice % alternatives;
        choice /= alternatives;
        const char *alt = p + 1;
        while (pick--) alt += strcspn(alt, "|") + 1;
        if (!append_literal(out, alt, strcspn(alt, "|]"))) return false;
        p = close + 1;
    }
    while (out->n && out->data[out->n - 1] == ' ') out->data[--out->n] = 0;
    return true;
}
