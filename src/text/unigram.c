/* SPDX-License-Identifier: Apache-2.0
 * unigram.c - SentencePiece's unigram model (Kudo 2018): the Viterbi path over all pieces of the
 * vocabulary, one step per character. A character without a piece costs the worst score less 10,
 * and becomes bytes or the unknown token.
 *
 * Two orders of the same pieces have one score, and rounding says which of them wins. Scores are
 * summed as SentencePiece sums them: in float, starting anew where a sum leaves +-100,000. */
#include "src/text/unigram.h"
#include <math.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/text/byte_fallback.h"

#define UNKNOWN_PENALTY 10.0f
#define GREATEST_SUM 100000.0f

enum fk_status unigram_read(struct unigram *u, const struct vocab *v, const struct gguf *g,
                            struct fk_error *err)
{
    float worst = 0;
    bool any = false;
    for (int32_t i = 0; i < v->n; i++) {
        size_t n;
        const char *p = vocab_bytes(v, i, &n);
        if (v->type[i] != TOKEN_NORMAL || !n || n > PIECE_MAX_BYTES) continue;
        TRY(trie_add(&u->pieces, p, n, i, err));
        if (!any || v->score[i] < worst) worst = v->score[i];
        any = true;
    }
    u->unknown_score = worst - UNKNOWN_PENALTY;
    return charsmap_read(&u->charsmap, g, err);
}

void unigram_fini(struct unigram *u)
{
    trie_fini(&u->pieces);
    charsmap_fini(&u->charsmap);
}

void unigram_scratch_init(struct unigram_scratch *w)
{
    buf_init(&w->text, 0, MEM_TEXT);
    w->best = NULL;
    w->cap = 0;
}

void unigram_scratch_fini(struct unigram_scratch *w)
{
    buf_fini(&w->text);
    mem_free(w->best);
    w->best = NULL;
    w->cap = 0;
}

/* What the text at s turns into: a replacement of the table, or one character as it is. */
static size_t normal_prefix(const struct unigram *u, const char *s, size_t n, const char **text,
                            size_t *n_text)
{
    size_t len = charsmap_match(&u->charsmap, s, n, text, n_text);
    if (len) return len;
    *text = s;
    if (utf8_decode(s, n, &len) == UTF8_BAD) len = 1; /* stays as it is: bytes round trip */
    *n_text = len;
    return len;
}

static bool normalize(const struct unigram *u, const struct vocab *v, struct buf *out,
                      const char *s, size_t n, bool prefix)
{
    bool squeeze = v->remove_extra_spaces, after_space = squeeze;
    const char *text = NULL;
    size_t n_text = 0, i = 0;
    buf_clear(out);
    out->max = 64 + 16 * n; /* the published tables make text at most 11 times longer */
    while (squeeze && i < n) { /* leading spaces */
        size_t len = normal_prefix(u, s + i, n - i, &text, &n_text);
        if (n_text != 1 || *text != ' ') break;
        i += len;
    }
    if (i == n) return true;
    if (prefix) buf_putc(out, ' ');
    while (i < n) {
        i += normal_prefix(u, s + i, n - i, &text, &n_text);
        for (; after_space && n_text && *text == ' '; n_text--) text++;
        if (n_text) {
            buf_append(out, text, n_text);
            after_space = squeeze && text[n_text - 1] == ' ';
        }
    }
    if (out->n) out->n = spaces_decode(out->data, out->n, out->data);
    while (squeeze && out->n && out->data[out->n - 1] == ' ') out->n--;
    return !out->failed;
}

static bool reserve(struct unigram_scratch *w, size_t n)
{
    if (n <= w->cap) return true;
    size_t cap = w->cap ? w->cap : 256;
    while (cap < n) cap *= 2;
    struct unigram_best *best = mem_array(cap, sizeof *best, MEM_TEXT);
    if (!best) return false;
    mem_free(w->best);
    w->best = best;
    w->cap = cap;
    return true;
}

static void offer(struct unigram_best *to, float score, size_t from, int32_t id)
{
    if (to->from != UINT32_MAX && score <= to->score) return;
    *to = (struct unigram_best){score, (uint32_t)from, id};
}

/* Makes best[i] zero and keeps the differences of those behind it that are reached already. */
static void start_anew(struct unigram_best *best, size_t i, size_t furthest)
{
    float offset = best[i].score;
    for (size_t k = i; k <= furthest; k++)
        if (best[k].from != UINT32_MAX) best[k].score -= offset;
}

/* best[i] becomes the best way to reach byte i; best[i].from is where its last piece began. */
static void find_best(const struct unigram *u, const struct vocab *v, struct unigram_best *best,
                      const char *s, size_t n)
{
    size_t furthest = 0;
    for (size_t i = 0; i <= n; i++) best[i] = (struct unigram_best){0, UINT32_MAX, -1};
    best[0].from = 0;
    for (size_t i = 0, len; i < n; i += len) {
        if (utf8_decode(s + i, n - i, &len) == UTF8_BAD) len = 1;
        if (fabsf(best[i].score) > GREATEST_SUM) start_anew(best, i, furthest);
        bool has_piece = false;
        uint32_t node = 0;
        for (size_t k = i; k < n; k++) {
            node = trie_child(&u->pieces, node, (uint8_t)s[k]);
            if (!node) break;
            int32_t id = u->pieces.ids[node];
            if (id < 0) continue;
            if (k + 1 - i == len) has_piece = true;
            if (k + 1 > furthest) furthest = k + 1;
            offer(&best[k + 1], v->score[id] + best[i].score, i, id);
        }
        if (has_piece) continue;
        if (i + len > furthest) furthest = i + len;
        offer(&best[i + len], u->unknown_score + best[i].score, i, -1);
    }
}

bool unigram_encode(const struct unigram *u, const struct vocab *v, struct unigram_scratch *w,
                    const char *text, size_t n, bool prefix, struct token_vec *out)
{
    if (!normalize(u, v, &w->text, text, n, prefix)) return false;
    const char *s = w->text.data;
    n = w->text.n;
    if (!n) return true;
    if (n >= UINT32_MAX || !reserve(w, n + 1)) return false;
    find_best(u, v, w->best, s, n);
    /* turn the links round, so that the path can be followed from its beginning */
    uint32_t next = (uint32_t)n;
    for (uint32_t at = (uint32_t)n; at;) {
        uint32_t from = w->best[at].from;
        w->best[at].from = next;
        next = at;
        at = from;
    }
    bool after_unknown = false;
    for (uint32_t begin = 0, end = next;;) {
        int32_t id = w->best[end].id;
        if (id >= 0) {
            after_unknown = false;
            if (!token_vec_push(out, id)) return false;
        } else if (!push_bytes(v, s + begin, end - begin, &after_unknown, out)) {
            return false;
        }
        if (end == n) return true;
        begin = end;
        end = w->best[end].from;
    }
}
