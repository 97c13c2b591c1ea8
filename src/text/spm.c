/* SPDX-License-Identifier: Apache-2.0
 * spm.c - encodes by SentencePiece's BPE over a vocabulary with scores.
 *
 * Where no token has a space behind another character (vocab.words_split), no join crosses the
 * beginning of a run of spaces, so the text is cut there first: same result, smaller heaps. */
#include "src/text/spm.h"
#include "src/base/utf8.h"
#include "src/text/byte_fallback.h"

/* Floats in an order of unsigned integers, the greatest float first. */
static uint32_t rank_of(float score)
{
    uint32_t u;
    memcpy(&u, &score, sizeof u);
    if (u == 0x80000000u) u = 0; /* -0 */
    u = u & 0x80000000u ? ~u : u | 0x80000000u;
    return ~u;
}

static void rank_pair(const void *arg, const char *word, struct merge_sym *a,
                      const struct merge_sym *next)
{
    const struct vocab *v = arg;
    a->joined = vocab_find(v, word + a->start, next->end - a->start);
    a->rank = a->joined < 0 ? MERGE_NEVER : rank_of(v->score[a->joined]);
}

static bool encode_word(const struct vocab *v, struct merger *m, const char *word, size_t n,
                        struct token_vec *out)
{
    if (!merger_reserve(m, n)) return false;
    m->n = 0;
    for (size_t i = 0, len; i < n; i += len) {
        bool bad = utf8_decode(word + i, n - i, &len) == UTF8_BAD;
        if (bad) len = 1;
        m->syms[m->n++] = (struct merge_sym){
            .start = (uint32_t)i, .end = (uint32_t)(i + len),
            .id = bad ? -1 : vocab_find(v, word + i, len), .rank = MERGE_NEVER};
    }
    return merger_run(m, word, rank_pair, v) && push_with_fallback(v, m, word, out);
}

bool spm_encode(const struct vocab *v, struct merger *m, const char *text, size_t n,
                struct token_vec *out)
{
    size_t begin = 0;
    for (size_t i = 1; v->words_split && i < n; i++) {
        if (text[i] != ' ' || text[i - 1] == ' ') continue;
        if (!encode_word(v, m, text + begin, i - begin, out)) return false;
        begin = i;
    }
    return encode_word(v, m, text + begin, n - begin, out);
}
